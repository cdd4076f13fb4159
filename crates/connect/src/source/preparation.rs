//! What a database needs before its changes can be followed: statements, and running them.

use onrush_sinks::TargetError;

use super::connecting::connect_to_write;
use super::inspection::inspect;
use super::settings::{SourceSettings, Watch};
use super::statements::quoted;

/// The statements that prepare a database for a collection, for its owner to run. They may be run again.
pub fn statements(settings: &SourceSettings) -> Vec<String> {
    let publication = quoted(&settings.publication);
    let tables: Vec<String> = settings.watches.iter().map(Watch::quoted).collect();
    let mut statements = vec![format!(
        "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_publication WHERE pubname = '{}') THEN CREATE PUBLICATION {publication} WITH \
         (publish_via_partition_root = true); END IF; END $$",
        settings.publication
    )];
    statements.push(format!("ALTER PUBLICATION {publication} SET TABLE {}", tables.join(", ")));
    statements
}

/// What only a superuser of the server can do, once, if it is not done.
pub fn server_statements() -> [&'static str; 2] {
    [
        "ALTER SYSTEM SET wal_level = logical; -- then start the server again",
        "ALTER SYSTEM SET max_slot_wal_keep_size = '10GB'; -- then SELECT pg_reload_conf();",
    ]
}

/// What the role that onrush connects as has to have.
pub fn grants(role: &str, settings: &SourceSettings) -> Vec<String> {
    let role = quoted(role);
    let tables: Vec<String> = settings.watches.iter().map(Watch::quoted).collect();
    vec![format!("ALTER ROLE {role} REPLICATION"), format!("GRANT SELECT ON {} TO {role}", tables.join(", "))]
}

/// Runs [`statements`], and says whether the changes of the database can be followed now.
///
/// # Errors
/// Why they cannot, with what to do.
pub fn prepare(settings: &SourceSettings) -> Result<Option<String>, TargetError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime =
        runtime.map_err(|error| TargetError::Unavailable(format!("start an event loop: {error}")))?;
    runtime.block_on(async {
        let connection = connect_to_write(settings, "onrush catalog prepare").await?;
        // A publication that others made, of all tables perhaps, is as good.
        if let Ok(inspected) = inspect(connection.client(), settings).await {
            return Ok(inspected.warning);
        }
        // If anything is missing, nothing is changed: a table in a publication that does not tell the rows before a change refuses
        // changes.
        connection.run("make the publication", "BEGIN").await?;
        for statement in statements(settings) {
            connection.run("make the publication", &statement).await?;
        }
        let inspected = inspect(connection.client(), settings).await?;
        connection.run("make the publication", "COMMIT").await?;
        Ok(inspected.warning)
    })
}

impl Watch {
    /// The query of all rows of the table.
    pub fn all_rows(&self) -> String {
        format!("SELECT * FROM {}", self.quoted())
    }

    /// Schema and table in SQL.
    fn quoted(&self) -> String {
        let (schema, table) = self.names();
        format!("{}.{}", quoted(schema), quoted(table))
    }
}
