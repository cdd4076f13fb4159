//! PostgreSQL: a schema for each test.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};

use onrush_connect::postgres::{Postgres, PostgresAuditor, Settings};
use onrush_connect::{Audit, Secret};
use onrush_sinks::Target;
use tokio_postgres::{Config, NoTls, Row};

use crate::harness::{Harness, Seen, WRONG_PASSWORD};
use crate::services::variable;

/// A schema in the PostgreSQL of the services.
pub struct PostgresHarness {
    config: Config,
    address: SocketAddr,
    password: String,
    schema: String,
}

/// A schema of its own, if there is a server.
pub fn harness() -> Option<PostgresHarness> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let url = variable("ONRUSH_SERVICES_POSTGRES_URL")?;
    let password = variable("ONRUSH_SERVICES_POSTGRES_PASSWORD")?;
    let mut config: Config = url.parse().expect("a url");
    config.password(&password);
    let address = format!("{}:{}", host(&config), config.get_ports()[0]).parse().expect("an address");
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let schema = format!("conformance_{}_{count}", std::process::id());
    Some(PostgresHarness { config, address, password, schema })
}

fn host(config: &Config) -> &str {
    match config.get_hosts() {
        [tokio_postgres::config::Host::Tcp(host)] => host,
        hosts => panic!("one TCP address, not {hosts:?}"),
    }
}

impl PostgresHarness {
    fn settings(&self, address: SocketAddr, password: &str) -> Settings {
        let user = self.config.get_user().expect("the url has a user");
        let database = self.config.get_dbname().expect("the url has a database");
        let settings = Settings {
            password: Some(Secret::new(password)),
            schema: self.schema.clone(),
            ..Settings::new(format!("postgresql://{user}@{address}/{database}"))
        };
        settings.check().expect("the settings are good");
        settings
    }

    fn query(&self, statement: &str) -> Vec<Row> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let (client, connection) = self.config.connect(NoTls).await.expect("the server is there");
            let traffic = tokio::spawn(connection);
            let rows = client.query(statement, &[]).await.expect("the server answers");
            drop(client);
            traffic.await.expect("the connection ends").expect("the connection ends well");
            rows
        })
    }
}

impl Harness for PostgresHarness {
    fn target(&self, through: Option<SocketAddr>) -> Box<dyn Target> {
        Box::new(Postgres::new(self.settings(through.unwrap_or(self.address), &self.password)))
    }

    fn intruder(&self) -> Box<dyn Target> {
        Box::new(Postgres::new(self.settings(self.address, WRONG_PASSWORD)))
    }

    fn address(&self) -> SocketAddr {
        self.address
    }

    fn seen(&self) -> Vec<Seen> {
        let query = format!(
            "SELECT event_offset, key, kind, body::text FROM {}.events ORDER BY event_offset",
            self.schema
        );
        let seen = |row: &Row| Seen {
            offset: row.get::<_, i64>(0).cast_unsigned(),
            key: row.get(1),
            kind: row.get(2),
            body: serde_json::from_str(row.get(3)).expect("the body is JSON"),
        };
        self.query(&query).iter().map(seen).collect()
    }

    fn auditor(&self) -> Box<dyn Audit> {
        Box::new(PostgresAuditor::new(self.settings(self.address, &self.password)))
    }

    fn exactly_once(&self) -> bool {
        true
    }

    fn keeps_offset(&self) -> bool {
        true
    }

    fn lose(&self, offset: u64) -> bool {
        let lose = format!(
            "DELETE FROM {}.events WHERE event_offset = {offset} RETURNING event_offset",
            self.schema
        );
        self.query(&lose).len() == 1
    }
}

impl Drop for PostgresHarness {
    fn drop(&mut self) {
        self.query(&format!("DROP SCHEMA IF EXISTS {} CASCADE", self.schema));
    }
}
