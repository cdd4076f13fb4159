//! The schema and its versions: numbered files, each applied once, in a transaction of its own.

use onrush_sinks::TargetError;

use super::connection::Connection;
use super::errors::unavailable;

/// A numbered change of the schema; once released, its text stays as it is.
struct Migration {
    version: i32,
    description: &'static str,
    sql: &'static str,
}

const MIGRATIONS: &[Migration] = &[
    Migration { version: 1, description: "tables", sql: include_str!("migrations/0001_tables.sql") },
    Migration { version: 2, description: "views", sql: include_str!("migrations/0002_views.sql") },
    Migration {
        version: 3,
        description: "incarnation",
        sql: include_str!("migrations/0003_incarnation.sql"),
    },
    Migration {
        version: 4,
        description: "closing of stocks",
        sql: include_str!("migrations/0004_stock_closes_at.sql"),
    },
];

/// Distinguishes onrush's advisory locks from those of others: the letters "onru".
const LOCK_CLASS: i32 = 0x6f6e_7275;

/// Brings the schema to the newest version known here. Of a schema that is there and current nothing but reading is
/// needed. Several may do this at once.
pub(super) async fn migrate(connection: &Connection, schema: &str) -> Result<(), TargetError> {
    migrate_to(connection, schema, MIGRATIONS).await
}

async fn migrate_to(
    connection: &Connection,
    schema: &str,
    migrations: &[Migration],
) -> Result<(), TargetError> {
    let known = migrations.last().map_or(0, |migration| migration.version);
    let applied = applied_version(connection, schema).await?;
    if applied > known {
        return Err(TargetError::Refused(format!(
            "schema {schema} has version {applied}, and this onrush knows versions up to {known}: start a newer one"
        )));
    }
    for migration in migrations.iter().filter(|migration| migration.version > applied) {
        apply(connection, schema, migration).await?;
    }
    Ok(())
}

/// The newest version that was applied, 0 if none was.
async fn applied_version(connection: &Connection, schema: &str) -> Result<i32, TargetError> {
    let doing = "read the schema's version";
    let table = format!("\"{schema}\".schema_versions");
    let found = connection.client().query_one("SELECT to_regclass($1) IS NOT NULL", &[&table]).await;
    if !found.map_err(|error| unavailable(doing, &error))?.get::<_, bool>(0) {
        return Ok(0);
    }
    let newest = "SELECT coalesce(max(version), 0) FROM schema_versions";
    let row = connection.client().query_one(newest, &[]).await.map_err(|error| unavailable(doing, &error))?;
    Ok(row.get(0))
}

async fn apply(connection: &Connection, schema: &str, migration: &Migration) -> Result<(), TargetError> {
    let doing = format!("bring schema {schema} to version {}", migration.version);
    let begin = format!("BEGIN; {}", lock_statement(schema));
    connection.run(&doing, &begin).await?;
    // Creating a schema that is there needs a right that onrush has no use for otherwise.
    let is_there = connection.client().query_one("SELECT to_regnamespace($1) IS NOT NULL", &[&schema]).await;
    if !is_there.map_err(|error| unavailable(&doing, &error))?.get::<_, bool>(0) {
        connection.run(&doing, &format!("CREATE SCHEMA \"{schema}\"")).await?;
    }
    connection.run(&doing, VERSIONS_TABLE).await?;
    // Somebody else may have applied it while this one waited for the lock.
    if applied_version(connection, schema).await? < migration.version {
        let changed = connection.run(&doing, migration.sql).await;
        changed.map_err(|error| with_statements(error, schema, migration))?;
        let insert = "INSERT INTO schema_versions (version, description) VALUES ($1, $2)";
        let inserted =
            connection.client().execute(insert, &[&migration.version, &migration.description]).await;
        inserted.map_err(|error| unavailable(&doing, &error))?;
    }
    connection.run(&doing, "COMMIT").await
}

/// What the owner of a schema does by hand, behind the reason why this user could not. Making all tables is left to a start of
/// onrush as the owner.
fn with_statements(error: TargetError, schema: &str, migration: &Migration) -> TargetError {
    let TargetError::Refused(reason) = error else { return error };
    if migration.version < FIRST_CHANGE {
        return TargetError::Refused(reason);
    }
    let lines = migration.sql.lines().filter(|line| !line.starts_with("--"));
    let change = lines.collect::<Vec<_>>().join(" ");
    TargetError::Refused(format!(
        "{reason}. Or run as the owner: BEGIN; SET LOCAL search_path TO \"{schema}\"; {change} INSERT INTO schema_versions \
         (version, description) VALUES ({}, '{}'); COMMIT;",
        migration.version, migration.description
    ))
}

/// The first version that changes tables which are there.
const FIRST_CHANGE: i32 = 3;

const VERSIONS_TABLE: &str = "CREATE TABLE IF NOT EXISTS schema_versions (
    version integer PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now(), description text NOT NULL)";

/// Takes, up to the end of the transaction, the lock under which a schema is prepared.
pub(super) fn lock_statement(schema: &str) -> String {
    format!("SELECT pg_advisory_xact_lock({LOCK_CLASS}, hashtext('{schema}'))")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_may_not_change_the_schema_is_told_what_its_owner_runs() {
        let refused = || TargetError::Refused("must be owner of table stocks".to_owned());
        let change = with_statements(refused(), "shop", &MIGRATIONS[3]).to_string();
        assert_eq!(
            change,
            "must be owner of table stocks. Or run as the owner: BEGIN; SET LOCAL search_path TO \"shop\"; ALTER TABLE stocks \
             ADD COLUMN closes_at timestamptz; INSERT INTO schema_versions (version, description) VALUES (4, 'closing of \
             stocks'); COMMIT;"
        );
        assert_eq!(with_statements(refused(), "shop", &MIGRATIONS[0]).to_string(), refused().to_string());
    }
}
