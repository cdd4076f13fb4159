//! A shop's own database, and the settings by which a server follows it.

use anyhow::Result;
use postgres::Client;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::history::Key;
use crate::server::Launch;
use crate::services::Services;
use crate::source_database::{self, SourceDatabase};

/// Rows that are there at first.
pub(super) const KEY_COUNT: Key = 60;

/// Of those, the first are deleted and made again and again.
pub(super) const DELETED_COUNT: Key = 6;

/// How far answers may be behind, milliseconds.
pub(super) const LAG_MS_MAX: u64 = 3_000;

/// The collections: one with all rows in memory, one with room for some.
pub(super) const COLLECTIONS: [&str; 2] = ["products", "few"];

/// The database.
#[derive(Debug, Clone)]
pub(super) struct Shop(SourceDatabase);

impl Shop {
    /// Makes the database anew, with rows that nobody has changed.
    pub(super) fn make(services: &Services) -> Result<Self> {
        let tables = format!(
            "CREATE TABLE products (id int PRIMARY KEY, changes bigint NOT NULL, warehouse_id int NOT NULL, text text NOT NULL); \
             CREATE TABLE warehouses (id int PRIMARY KEY, changes bigint NOT NULL); \
             INSERT INTO warehouses SELECT id, 0 FROM generate_series(0, 2) AS id; \
             INSERT INTO products SELECT id, 0, id % 3, repeat('x', 100) FROM generate_series(0, {}) AS id",
            KEY_COUNT - 1
        );
        Ok(Self(SourceDatabase::make(services, "onrush_coherence", &tables)?))
    }

    /// A connection to the database itself.
    pub(super) fn client(&self) -> Result<Client> {
        self.0.client()
    }

    /// The address of the server.
    pub(super) fn address(&self) -> SocketAddr {
        self.0.address()
    }

    /// Writes the settings of a server that reaches the database at this address.
    pub(super) fn write_settings(&self, directory: &Path, address: SocketAddr) -> Result<PathBuf> {
        let database = self.0.settings(directory, &address.ip().to_string(), address.port())?;
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
}
