//! A schema of a test's own in a real server.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};

use onrush_connect::postgres::{Postgres, Settings};
use onrush_connect::{Audit, Findings};
use onrush_connect::{Secret, postgres::PostgresAuditor};
use onrush_sinks::{Source, Target, TargetError};
use serde_json::Value;
use tokio_postgres::Config;

use crate::story::Story;

/// A schema, dropped with this.
pub(crate) struct Place {
    pub(crate) settings: Settings,
    pub(crate) source: Source,
    pub(crate) db: Db,
}

/// A variable of `cargo xtask services up`; without it a test is left out, unless all of them have to run.
pub(crate) fn service(name: &str) -> Option<String> {
    let value = std::env::var(name).ok();
    assert!(value.is_some() || std::env::var_os("ONRUSH_SERVICES").is_none(), "{name} is not set");
    if value.is_none() {
        println!("left out: {name} is not set; see `cargo xtask services up`");
    }
    value
}

static PLACES: AtomicU32 = AtomicU32::new(0);

impl Place {
    /// A new schema; `None` if there is no server.
    pub(crate) fn new() -> Option<Self> {
        let mut settings = Settings::new(service("ONRUSH_SERVICES_POSTGRES_URL")?);
        let password = service("ONRUSH_SERVICES_POSTGRES_PASSWORD")?;
        settings.password = Some(Secret::new(password));
        settings.schema = format!("test_{}_{}", std::process::id(), PLACES.fetch_add(1, Ordering::Relaxed));
        let source = Source { log_id: "L".repeat(26), partition: 0, sink: "shop".to_owned() };
        let db = Db::connect(&settings);
        Some(Self { settings, source, db })
    }

    pub(crate) fn target(&self) -> Postgres {
        Postgres::new(self.settings.clone())
    }

    /// A target that connects through a proxy.
    pub(crate) fn target_through(&self, proxy: SocketAddr) -> Postgres {
        let config = config(&self.settings);
        let (user, database) = (config.get_user().unwrap(), config.get_dbname().unwrap());
        let url = format!("postgresql://{user}@{proxy}/{database}");
        Postgres::new(Settings { url, ..self.settings.clone() })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        let config = config(&self.settings);
        let [tokio_postgres::config::Host::Tcp(host)] = config.get_hosts() else {
            panic!("not a TCP address")
        };
        format!("{host}:{}", config.get_ports()[0]).parse().unwrap()
    }

    pub(crate) fn database(&self) -> String {
        config(&self.settings).get_dbname().unwrap().to_owned()
    }

    /// Opens a target, which has to succeed.
    pub(crate) fn open(&self, target: &mut Postgres) -> Option<u64> {
        target.open(&self.source).unwrap()
    }

    /// Rows of a query over the schema, each as a JSON array.
    pub(crate) fn rows(&self, columns: &str, rest: &str) -> Vec<Value> {
        let texts = self.db.texts(&format!("SELECT jsonb_build_array({columns})::text FROM {rest}"));
        texts.iter().map(|text| serde_json::from_str(text).unwrap()).collect()
    }

    pub(crate) fn count(&self, table: &str) -> u64 {
        self.rows("count(*)", table)[0][0].as_u64().unwrap()
    }

    /// Compares everything with the story.
    pub(crate) fn audit(&self, story: &Story) -> Result<Findings, TargetError> {
        let mut auditor = Box::new(PostgresAuditor::new(self.settings.clone()));
        let to = auditor.open(&self.source, 0, story.end())?;
        for event in story.events.iter().take_while(|event| event.offset < to) {
            event.with_event(|event| auditor.expect(event))?;
        }
        auditor.finish()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.db.run(&format!("DROP SCHEMA IF EXISTS {} CASCADE", self.settings.schema));
    }
}

fn config(settings: &Settings) -> Config {
    settings.url.parse().unwrap()
}

/// A look behind the target's back, or an interference.
pub(crate) struct Db {
    runtime: tokio::runtime::Runtime,
    client: tokio_postgres::Client,
}

impl Db {
    pub(crate) fn connect(settings: &Settings) -> Self {
        let mut config = config(settings);
        config.password(settings.password.as_ref().unwrap().reveal().unwrap().as_bytes());
        config.options(format!("-c search_path={}", settings.schema));
        Self::with(&config)
    }

    /// Through a pooler, which does not take options.
    pub(crate) fn pooled(settings: &Settings) -> Self {
        Self::with(&config(settings))
    }

    fn with(config: &Config) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (client, connection) = runtime.block_on(config.connect(tokio_postgres::NoTls)).unwrap();
        runtime.spawn(async { connection.await.unwrap() });
        Self { runtime, client }
    }

    pub(crate) fn run(&self, statements: &str) {
        self.runtime.block_on(self.client.batch_execute(statements)).unwrap();
    }

    pub(crate) fn texts(&self, query: &str) -> Vec<String> {
        let rows = self.runtime.block_on(self.client.query(query, &[])).unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }
}
