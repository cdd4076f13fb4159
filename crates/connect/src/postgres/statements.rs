//! The statements of a sink's transactions, prepared once for a connection.

use futures_util::future::try_join_all;
use onrush_sinks::{EXCHANGE_TIMEOUT, TargetError};
use tokio_postgres::Statement;

use super::columns;
use super::connection::{Connection, within};
use super::errors::unavailable;

macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident = $sql:expr;)*) => {
        /// Prepared statements, in the order in which a transaction runs them.
        pub(super) struct Statements {
            $($(#[$doc])* pub(super) $name: Statement,)*
        }

        impl Statements {
            /// Prepares all of them in one round trip.
            pub(super) async fn prepare(connection: &Connection) -> Result<Self, TargetError> {
                let doing = "prepare the statements";
                let prepared = within(EXCHANGE_TIMEOUT, doing, async {
                    let statements = [$($sql),*].map(|sql| connection.client().prepare(sql));
                    try_join_all(statements).await.map_err(|error| unavailable(doing, &error))
                });
                let mut prepared = prepared.await?.into_iter();
                $(let $name = prepared.next().expect("there is one for each");)*
                Ok(Self { $($name),* })
            }
        }
    };
}

statements! {
    /// Sink, fence, offset before, offset after, id of the next row of `counter_history`, incarnation before the offset after. No
    /// row: another runner took over.
    advance = "UPDATE sinks SET next_offset = $4, next_row_id = $5, incarnation = $6, updated_at = now()
        WHERE sink = $1 AND fence = $2 AND next_offset IS NOT DISTINCT FROM $3";

    /// See there.
    columns = columns::NUMBER;

    /// Whether this still is the session of the server in which the mark was set.
    is_same_session = "SELECT WHERE current_setting('onrush.session', true) = $1";

    copy_events = "COPY events (event_offset, at, kind, key, reservation, body) FROM STDIN (FORMAT binary)";

    copy_reservations = "COPY reservations (sale_no, reservation_seq, reservation, sale, customer, lines, details,
        idempotency_key, created_at, expires_at, created_offset, status, settled_at, updated_offset)
        FROM STDIN (FORMAT binary)";

    copy_history = "COPY counter_history (id, event_offset, counter, by, value, at) FROM STDIN (FORMAT binary)";

    /// New statuses of reservations that were in the table before this transaction. `before` sees them as they were, because
    /// all parts of a statement see the same snapshot; the units move by what each row said then. A stock that ever had
    /// reservations is never removed, so names are unambiguous.
    set_statuses = "WITH change AS MATERIALIZED (
            SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::timestamptz[], $5::bigint[])
                AS c (sale_no, reservation_seq, status, at, event_offset)
        ), before AS MATERIALIZED (
            SELECT r.sale_no, r.lines, r.status AS status_before, c.status
            FROM change c JOIN reservations r USING (sale_no, reservation_seq)
        ), moved AS (
            UPDATE reservations r SET status = c.status, settled_at = c.at, updated_offset = c.event_offset
            FROM change c WHERE r.sale_no = c.sale_no AND r.reservation_seq = c.reservation_seq
        ), units AS MATERIALIZED (
            SELECT b.sale_no, line.stock COLLATE \"C\" AS stock,
                sum(line.quantity * ((b.status = 'held')::int - (b.status_before = 'held')::int)) AS held,
                sum(line.quantity * ((b.status = 'confirmed')::int - (b.status_before = 'confirmed')::int)) AS confirmed
            FROM before b, jsonb_to_recordset(b.lines) AS line (stock text, quantity int)
            GROUP BY b.sale_no, line.stock COLLATE \"C\"
        )
        UPDATE stocks s SET quantity_held = s.quantity_held + u.held,
            quantity_confirmed = s.quantity_confirmed + u.confirmed
        FROM units u WHERE s.sale_no = u.sale_no AND s.stock = u.stock AND NOT s.removed";

    put_sales = "INSERT INTO sales (sale_no, sale, title, opens_at, closes_at, per_customer_max, hold_ttl_ms, updated_offset)
        SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::timestamptz[], $5::timestamptz[], $6::bigint[],
            $7::bigint[], $8::bigint[])
        ON CONFLICT (sale_no) DO UPDATE SET title = excluded.title, opens_at = excluded.opens_at,
            closes_at = excluded.closes_at, per_customer_max = excluded.per_customer_max,
            hold_ttl_ms = excluded.hold_ttl_ms, updated_offset = excluded.updated_offset";

    put_stocks = "INSERT INTO stocks
            (sale_no, stock_no, stock, title, starts_at, ends_at, closes_at, quantity_total, removed)
        SELECT * FROM unnest($1::bigint[], $2::int[], $3::text[], $4::text[], $5::timestamptz[], $6::timestamptz[],
            $7::timestamptz[], $8::bigint[], $9::boolean[])
        ON CONFLICT (sale_no, stock_no) DO UPDATE SET title = excluded.title, starts_at = excluded.starts_at,
            ends_at = excluded.ends_at, closes_at = excluded.closes_at, quantity_total = excluded.quantity_total,
            removed = excluded.removed";

    /// Sales that were put, and the stocks that they have now, as pairs; all their others are removed.
    remove_stocks = "UPDATE stocks s SET removed = true
        WHERE s.sale_no = ANY ($1::bigint[]) AND NOT s.removed AND NOT EXISTS (
            SELECT FROM unnest($2::bigint[], $3::int[]) AS kept (sale_no, stock_no)
            WHERE kept.sale_no = s.sale_no AND kept.stock_no = s.stock_no)";

    /// Units of new reservations.
    add_units = "UPDATE stocks s SET quantity_held = s.quantity_held + u.held,
            quantity_confirmed = s.quantity_confirmed + u.confirmed
        FROM unnest($1::bigint[], $2::int[], $3::bigint[], $4::bigint[]) AS u (sale_no, stock_no, held, confirmed)
        WHERE s.sale_no = u.sale_no AND s.stock_no = u.stock_no";

    archive_sales = "UPDATE sales s SET archived_at = a.at, updated_offset = a.event_offset
        FROM unnest($1::bigint[], $2::timestamptz[], $3::bigint[]) AS a (sale_no, at, event_offset)
        WHERE s.sale_no = a.sale_no";

    set_counters = "INSERT INTO counters (counter, value, updated_at, updated_offset)
        SELECT * FROM unnest($1::text[], $2::bigint[], $3::timestamptz[], $4::bigint[])
        ON CONFLICT (counter) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at,
            updated_offset = excluded.updated_offset";

    put_windows = "INSERT INTO windows (\"window\", span_ms, precision_ms, updated_at, updated_offset)
        SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::timestamptz[], $5::bigint[])
        ON CONFLICT (\"window\") DO UPDATE SET span_ms = excluded.span_ms, precision_ms = excluded.precision_ms,
            updated_at = excluded.updated_at, updated_offset = excluded.updated_offset";

    note_skipped = "INSERT INTO skipped (sink, from_offset, to_offset, at, reason)
        SELECT $1, * FROM unnest($2::bigint[], $3::bigint[], $4::timestamptz[], $5::text[])
        ON CONFLICT (sink, from_offset) DO UPDATE SET to_offset = excluded.to_offset, at = excluded.at,
            reason = excluded.reason";

    /// A row for each visit of some events.
    add_visits = "INSERT INTO counter_history (id, event_offset, counter, by, value, at)
        SELECT v.first_id + n, v.event_offset, v.counter, 1, v.first_value + n, v.at
        FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::bigint[], $5::bigint[], $6::timestamptz[])
            AS v (first_id, event_offset, counter, first_value, by, at), generate_series(0, v.by - 1) AS n";
}
