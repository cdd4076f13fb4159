//! A shop's own database, and the settings by which a server follows it.

use anyhow::Result;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::followed;
use crate::server::Launch;
use crate::services::Services;
use crate::source_database::{self, SourceDatabase};

/// How far answers may be behind, milliseconds.
pub(super) const LAG_MS_MAX: u64 = 3_000;

/// The collections: one with all rows in memory, one with room for some.
pub(super) const COLLECTIONS: [&str; 2] = ["products", "few"];

/// Makes the database anew, with rows that nobody has changed.
pub(super) fn make(services: &Services) -> Result<SourceDatabase> {
    followed::make_database(services, "onrush_coherence", "")
}

/// Writes the settings of a server that reaches the database at this address.
pub(super) fn write_settings(
    database: &SourceDatabase,
    directory: &Path,
    address: SocketAddr,
) -> Result<PathBuf> {
    let database = database.settings(directory, &address.ip().to_string(), address.port())?;
    let collection = |name: &str, rest: &str| {
        format!(
            "[catalog.{name}]\n{database}key = \"id\"\nlag_ms_max = {LAG_MS_MAX}\n\
             query = \"SELECT p.id, p.changes, p.text, w.changes AS warehouse_changes FROM products p \
             JOIN warehouses w ON w.id = p.warehouse_id\"\n{rest}\n\
             watch.products = {{ column = \"id\" }}\n\
             watch.warehouses = {{ column = \"id\", keys = \"SELECT id FROM products WHERE warehouse_id = ANY($1::text[]::int[])\" }}\n"
        )
    };
    let [whole, few] = COLLECTIONS;
    let text = format!(
        "[catalog]\nready_when_coherent = true\nwait_ms_max = 2000\n{}{}",
        collection(whole, ""),
        collection(few, "load = false\nmemory_bytes_max = 8192\nabsent_ms = 60000\n")
    );
    source_database::write_settings(directory, &text)
}

/// Prepares the database for the collections of these settings, as an operator does.
pub(super) fn prepare(launch: &Launch, settings: &Path) -> Result<()> {
    source_database::prepare(launch, settings, &COLLECTIONS)
}
