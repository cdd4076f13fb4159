//! A shop's own database, and the settings by which a server follows it.

use anyhow::{Context as _, Result, ensure};
use postgres::{Client, Config, NoTls};
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::history::Key;
use crate::server::Launch;
use crate::services::Services;

/// The database.
const DATABASE: &str = "onrush_coherence";

/// Rows that are there at first.
pub(super) const KEY_COUNT: Key = 60;

/// Of those, the first are deleted and made again and again.
pub(super) const DELETED_COUNT: Key = 6;

/// How far answers may be behind, milliseconds.
pub(super) const LAG_MS_MAX: u64 = 3_000;

/// The collections: one with all rows in memory, one with room for some.
pub(super) const COLLECTIONS: [&str; 2] = ["products", "few"];

/// Where the database is, and a password for it.
#[derive(Debug, Clone)]
pub(super) struct Shop {
    direct: SocketAddr,
    password: String,
}

impl Shop {
    /// Makes the database anew, with rows that nobody has changed.
    pub(super) fn make(services: &Services) -> Result<Self> {
        let shop = Self {
            direct: services.address("POSTGRES_URL")?,
            password: services.value("POSTGRES_PASSWORD")?,
        };
        let mut server = shop.connect("postgres")?;
        for slot in server.query(
            "SELECT slot_name, active_pid FROM pg_replication_slots WHERE database = $1",
            &[&DATABASE],
        )? {
            let name: String = slot.get(0);
            if let Some(pid) = slot.get::<_, Option<i32>>(1) {
                server.execute("SELECT pg_terminate_backend($1, 5000)", &[&pid])?;
            }
            server.execute("SELECT pg_drop_replication_slot($1)", &[&name])?;
        }
        server.batch_execute(&format!("DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)"))?;
        server.batch_execute(&format!("CREATE DATABASE {DATABASE}"))?;
        shop.client()?.batch_execute(&format!(
            "CREATE TABLE products (id int PRIMARY KEY, changes bigint NOT NULL, warehouse_id int NOT NULL, text text NOT NULL); \
             CREATE TABLE warehouses (id int PRIMARY KEY, changes bigint NOT NULL); \
             INSERT INTO warehouses SELECT id, 0 FROM generate_series(0, 2) AS id; \
             INSERT INTO products SELECT id, 0, id % 3, repeat('x', 100) FROM generate_series(0, {}) AS id",
            KEY_COUNT - 1
        ))?;
        Ok(shop)
    }

    /// A connection to the database itself.
    pub(super) fn client(&self) -> Result<Client> {
        self.connect(DATABASE)
    }

    fn connect(&self, database: &str) -> Result<Client> {
        let mut config = Config::new();
        config.host(&self.direct.ip().to_string()).port(self.direct.port()).user("onrush");
        config.password(&self.password).dbname(database);
        config.connect(NoTls).context("connect to PostgreSQL")
    }

    /// The address of the server.
    pub(super) fn address(&self) -> SocketAddr {
        self.direct
    }

    /// Writes the settings of a server that reaches the database at this address.
    pub(super) fn write_settings(&self, directory: &Path, address: SocketAddr) -> Result<PathBuf> {
        let password = directory.join("password");
        fs::write(&password, &self.password).context("write the password")?;
        let collection = |name: &str, rest: &str| {
            format!(
                "[catalog.{name}]\nsource = \"postgres\"\nurl = \"postgresql://onrush@{address}/{DATABASE}\"\n\
                 password_file = \"{}\"\nkey = \"id\"\nlag_ms_max = {LAG_MS_MAX}\n\
                 query = \"SELECT p.id, p.changes, p.text, w.changes AS warehouse_changes FROM products p \
                 JOIN warehouses w ON w.id = p.warehouse_id\"\n{rest}\n\
                 watch.products = {{ column = \"id\" }}\n\
                 watch.warehouses = {{ column = \"id\", keys = \"SELECT id FROM products WHERE warehouse_id = ANY($1::text[]::int[])\" }}\n",
                password.display()
            )
        };
        let [whole, few] = COLLECTIONS;
        let text = format!(
            "[catalog]\nready_when_coherent = true\nwait_ms_max = 2000\n{}{}",
            collection(whole, ""),
            collection(few, "load = false\nmemory_bytes_max = 8192\nabsent_ms = 60000\n")
        );
        let path = directory.join("onrush.toml");
        fs::write(&path, text).context("write the settings")?;
        Ok(path)
    }

    /// Prepares the database for the collections of these settings, as an operator does.
    pub(super) fn prepare(launch: &Launch, settings: &Path) -> Result<()> {
        for name in COLLECTIONS {
            let mut command = launch.command();
            command.args(["catalog", "prepare", name, "--config"]).arg(settings);
            let output = command.output().context("run catalog prepare")?;
            ensure!(output.status.success(), "catalog prepare: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(())
    }
}
