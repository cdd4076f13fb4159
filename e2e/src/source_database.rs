//! A database of PostgreSQL that servers of a check follow, made anew for it.

use anyhow::{Context as _, Result, ensure};
use postgres::{Client, Config, NoTls};
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::secret::write_secret;
use crate::server::Launch;
use crate::services::Services;

/// Who makes it.
const USER: &str = "onrush";

/// Where the database is, and a password for it.
#[derive(Debug, Clone)]
pub(crate) struct SourceDatabase {
    name: &'static str,
    direct: SocketAddr,
    password: String,
}

impl SourceDatabase {
    /// Makes the database with these statements; one that an earlier run left is dropped, with its slots.
    pub(crate) fn make(services: &Services, name: &'static str, statements: &str) -> Result<Self> {
        let database = Self {
            name,
            direct: services.address("POSTGRES_URL")?,
            password: services.value("POSTGRES_PASSWORD")?,
        };
        database.drop_slots()?;
        let mut server = database.connect("postgres")?;
        server.batch_execute(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"))?;
        server.batch_execute(&format!("CREATE DATABASE {name}"))?;
        database.client()?.batch_execute(statements)?;
        Ok(database)
    }

    /// Drops the replication slots of the database, whoever reads them.
    pub(crate) fn drop_slots(&self) -> Result<()> {
        let mut server = self.connect("postgres")?;
        let slots = "SELECT slot_name, active_pid FROM pg_replication_slots WHERE database = $1";
        for slot in server.query(slots, &[&self.name])? {
            let slot_name: String = slot.get(0);
            if let Some(pid) = slot.get::<_, Option<i32>>(1) {
                server.execute("SELECT pg_terminate_backend($1, 5000)", &[&pid])?;
            }
            server.execute("SELECT pg_drop_replication_slot($1)", &[&slot_name])?;
        }
        Ok(())
    }

    /// A connection to the database itself.
    pub(crate) fn client(&self) -> Result<Client> {
        self.connect(self.name)
    }

    fn connect(&self, name: &str) -> Result<Client> {
        let mut config = Config::new();
        config.host(&self.direct.ip().to_string()).port(self.direct.port()).user(USER);
        config.password(&self.password).dbname(name);
        config.connect(NoTls).context("connect to PostgreSQL")
    }

    /// The address of the server.
    pub(crate) fn address(&self) -> SocketAddr {
        self.direct
    }

    /// Who may read and write it, their password, and its name.
    pub(crate) fn login(&self) -> (&str, &str, &str) {
        (USER, &self.password, self.name)
    }

    /// The settings by which a collection reaches the database at this host and port. Its password is put into the directory.
    pub(crate) fn settings(&self, directory: &Path, host: &str, port: u16) -> Result<String> {
        let password = write_secret(&directory.join("password"), &self.password)?;
        let Self { name, .. } = self;
        Ok(format!(
            "source = \"postgres\"\nurl = \"postgresql://{USER}@{host}:{port}/{name}\"\npassword_file = \"{password}\"\n"
        ))
    }

    /// The version that the database has now, in the form in which it tells it.
    pub(crate) fn version(client: &mut Client) -> Result<String> {
        let row =
            client.query_one("SELECT pg_current_wal_lsn()::text", &[]).context("ask for the version")?;
        Ok(row.get(0))
    }
}

/// Writes the settings of a server.
pub(crate) fn write_settings(directory: &Path, text: &str) -> Result<PathBuf> {
    let path = directory.join("onrush.toml");
    fs::write(&path, text).context("write the settings")?;
    Ok(path)
}

/// Prepares the database for collections of these settings, as an operator does.
pub(crate) fn prepare(launch: &Launch, settings: &Path, collections: &[&str]) -> Result<()> {
    for name in collections {
        let mut command = launch.command();
        command.args(["catalog", "prepare", name, "--config"]).arg(settings);
        let output = command.output().context("run catalog prepare")?;
        ensure!(output.status.success(), "catalog prepare: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}
