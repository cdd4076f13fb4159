//! Whether the tables still are as the migrations made them. Rows are written in binary: a column of another type would take
//! bytes that mean something else.

use std::collections::BTreeMap;

use onrush_sinks::TargetError;

use super::connection::Connection;
use super::errors::unavailable;

/// Every table with its columns; one that may be null has a `?` behind its type.
const TABLES: [(&str, &str); 9] = [
    (
        "sinks",
        "sink text, log_id text, partition integer, fence bigint, runner text, next_offset bigint?, next_row_id bigint,
         updated_at timestamptz, incarnation bigint?",
    ),
    ("events", "event_offset bigint, at timestamptz, kind text, key text, reservation text?, body jsonb"),
    (
        "sales",
        "sale_no bigint, sale text, title text, opens_at timestamptz?, closes_at timestamptz?, per_customer_max bigint?,
         hold_ttl_ms bigint, archived_at timestamptz?, updated_offset bigint",
    ),
    (
        "stocks",
        "sale_no bigint, stock_no integer, stock text, title text, starts_at timestamptz?, ends_at timestamptz?,
         quantity_total bigint, quantity_held bigint, quantity_confirmed bigint, removed boolean, closes_at timestamptz?",
    ),
    (
        "reservations",
        "sale_no bigint, reservation_seq bigint, reservation text, sale text, customer text, lines jsonb, details jsonb?,
         idempotency_key text?, created_at timestamptz, expires_at timestamptz?, created_offset bigint, status text,
         settled_at timestamptz?, updated_offset bigint",
    ),
    ("counters", "counter text, value bigint, updated_at timestamptz, updated_offset bigint"),
    (
        "counter_history",
        "id bigint, event_offset bigint, counter text, by bigint, value bigint, at timestamptz",
    ),
    (
        "windows",
        "window text, span_ms bigint, precision_ms bigint, updated_at timestamptz, updated_offset bigint",
    ),
    ("skipped", "sink text, from_offset bigint, to_offset bigint, at timestamptz, reason text"),
];

/// A column as it is in the database.
struct Found {
    kind: String,
    not_null: bool,
    has_default: bool,
}

type FoundTables = BTreeMap<String, BTreeMap<String, Found>>;

/// A number for the columns of all tables in the schema of the session: it changes when one of them does.
pub(super) const NUMBER: &str =
    "SELECT hashtextextended(string_agg(concat_ws(' ', a.attrelid, a.attname, a.atttypid, a.attnotnull), ','
        ORDER BY a.attrelid, a.attnum), 0)
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
    WHERE c.relnamespace = to_regnamespace(quote_ident(current_schema())) AND a.attnum > 0 AND NOT a.attisdropped
        AND c.relname IN ('sinks', 'events', 'sales', 'stocks', 'reservations', 'counters', 'counter_history', 'windows',
            'skipped')";

/// Returns the number of the columns, if the tables take what a sink writes. What they lack may come back; otherwise
/// it is for people. Each problem is told with its cure.
pub(super) async fn check(connection: &Connection, schema: &str) -> Result<i64, TargetError> {
    let doing = "look at the columns of the tables";
    let client = connection.client();
    // First: of a change after the look nobody would know.
    let number = client.query_one(NUMBER, &[]).await.map_err(|error| unavailable(doing, &error))?;
    let query = "SELECT c.relname::text, a.attname::text, format_type(a.atttypid, NULL), a.attnotnull,
            a.atthasdef OR a.attidentity <> ''
        FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
        WHERE c.relnamespace = to_regnamespace($1) AND a.attnum > 0 AND NOT a.attisdropped AND c.relname = ANY ($2)";
    let names = TABLES.map(|(table, _)| table);
    let rows = client.query(query, &[&format!("\"{schema}\""), &&names[..]]).await;
    let mut tables = FoundTables::new();
    for row in rows.map_err(|error| unavailable(doing, &error))? {
        let found = Found { kind: row.get(2), not_null: row.get(3), has_default: row.get(4) };
        tables.entry(row.get(0)).or_default().insert(row.get(1), found);
    }
    let problems = problems(schema, &tables);
    let words = || problems.iter().map(Problem::words).collect::<Vec<_>>().join("; ");
    if !problems.is_empty() && problems.iter().all(|problem| matches!(problem, Problem::Wrong(_))) {
        return Err(TargetError::Refused(words()));
    }
    // Without a number there is no column at all.
    let number = number.get::<_, Option<i64>>(0).filter(|_| problems.is_empty());
    number.ok_or_else(|| TargetError::Unavailable(words()))
}

/// What is not as it must be, as a sentence.
enum Problem {
    Missing(String),
    Wrong(String),
}

impl Problem {
    fn words(&self) -> &str {
        let (Self::Missing(words) | Self::Wrong(words)) = self;
        words
    }
}

/// Everything that is not as it must be.
fn problems(schema: &str, tables: &FoundTables) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (table, columns) in TABLES {
        let name = format!("{schema}.{table}");
        let Some(found) = tables.get(table) else {
            let cure = "restore it, or drop the schema to get all that the log still has";
            problems.push(Problem::Missing(format!("the table {name} is missing: {cure}")));
            continue;
        };
        let wanted: BTreeMap<&str, &str> =
            columns.split(',').filter_map(|column| column.trim().split_once(' ')).collect();
        for (column, wanted) in &wanted {
            problems.extend(problems_of(&name, column, wanted, found.get(*column)));
        }
        for (column, found) in found.iter().filter(|(column, _)| !wanted.contains_key(column.as_str())) {
            if found.not_null && !found.has_default {
                problems.push(Problem::Wrong(format!(
                    "{name} has a column {column} that onrush does not write, with NOT NULL and without a default: \
                     ALTER TABLE {name} ALTER COLUMN \"{column}\" DROP NOT NULL"
                )));
            }
        }
    }
    problems
}

fn problems_of(table: &str, column: &str, wanted: &str, found: Option<&Found>) -> Vec<Problem> {
    let (wanted, may_be_null) = wanted.strip_suffix('?').map_or((wanted, false), |kind| (kind, true));
    let Some(found) = found else {
        let words = format!("{table} has no column {column}, which must have the type {wanted}");
        return vec![Problem::Missing(words)];
    };
    let mut problems = Vec::new();
    let alter = format!("ALTER TABLE {table} ALTER COLUMN \"{column}\"");
    if !takes(&found.kind, wanted) {
        problems.push(Problem::Wrong(format!(
            "column {column} of {table} has the type {}, and must have {wanted}: {alter} TYPE {wanted} USING \
             \"{column}\"::{wanted}",
            found.kind
        )));
    }
    if may_be_null && found.not_null {
        let words = format!("column {column} of {table} must take null: {alter} DROP NOT NULL");
        problems.push(Problem::Wrong(words));
    }
    problems
}

/// Whether a column of this type takes the bytes of a value of the wanted one.
fn takes(found: &str, wanted: &str) -> bool {
    match wanted {
        "timestamptz" => found == "timestamp with time zone",
        "text" => ["text", "character varying"].contains(&found),
        _ => found == wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tables as they must be.
    fn tables() -> FoundTables {
        let column = |column: &str| {
            let (name, kind) = column.trim().split_once(' ').expect("a column has a type");
            let (kind, not_null) = kind.strip_suffix('?').map_or((kind, true), |kind| (kind, false));
            let kind = if kind == "timestamptz" { "timestamp with time zone" } else { kind };
            (name.to_owned(), Found { kind: kind.to_owned(), not_null, has_default: false })
        };
        TABLES
            .iter()
            .map(|(table, columns)| ((*table).to_owned(), columns.split(',').map(column).collect()))
            .collect()
    }

    fn check(change: impl FnOnce(&mut FoundTables), expected: &str) {
        let mut tables = tables();
        change(&mut tables);
        let problems = problems("shop", &tables);
        assert_eq!(problems.iter().map(Problem::words).collect::<Vec<_>>().join("; "), expected);
    }

    fn column<'t>(tables: &'t mut FoundTables, table: &str, column: &str) -> &'t mut Found {
        tables.get_mut(table).unwrap().get_mut(column).unwrap()
    }

    #[test]
    fn what_is_wrong_is_told_with_its_cure() {
        check(|_| {}, "");
        check(
            |tables| column(tables, "reservations", "details").kind = "text".to_owned(),
            "column details of shop.reservations has the type text, and must have jsonb: ALTER TABLE shop.reservations \
             ALTER COLUMN \"details\" TYPE jsonb USING \"details\"::jsonb",
        );
        check(
            |tables| column(tables, "events", "reservation").not_null = true,
            "column reservation of shop.events must take null: ALTER TABLE shop.events ALTER COLUMN \"reservation\" DROP \
             NOT NULL",
        );
        check(
            |tables| drop(tables.remove("skipped")),
            "the table shop.skipped is missing: restore it, or drop the schema to get all that the log still has",
        );
        check(
            |tables| {
                tables.get_mut("windows").unwrap().remove("span_ms");
                column(tables, "counters", "value").kind = "integer".to_owned();
            },
            "column value of shop.counters has the type integer, and must have bigint: ALTER TABLE shop.counters ALTER \
             COLUMN \"value\" TYPE bigint USING \"value\"::bigint; shop.windows has no column span_ms, which must have the \
             type bigint",
        );
    }

    #[test]
    fn columns_that_take_the_rows_are_as_good() {
        check(|tables| column(tables, "sales", "title").kind = "character varying".to_owned(), "");
        check(|tables| column(tables, "sales", "title").not_null = false, "");
        let mut own = Found { kind: "text".to_owned(), not_null: true, has_default: true };
        let added = |tables: &mut FoundTables, own| {
            tables.get_mut("sales").unwrap().insert("own".to_owned(), own);
        };
        check(|tables| added(tables, Found { kind: "text".to_owned(), ..own }), "");
        own = Found { kind: "text".to_owned(), not_null: true, has_default: false };
        check(
            |tables| added(tables, own),
            "shop.sales has a column own that onrush does not write, with NOT NULL and without a default: ALTER TABLE \
             shop.sales ALTER COLUMN \"own\" DROP NOT NULL",
        );
    }
}
