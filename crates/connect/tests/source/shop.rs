//! A database of a test's own, and a collection that follows it.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use onrush_connect::Secret;
use onrush_connect::source::{Feed, SourceSettings, Watch, prepare};
use onrush_core::Row;
use onrush_node::catalog::{self, CacheBounds, FetchFailure, Freshness, SourceRows};
use tokio_postgres::{Client, Config, NoTls};

/// How long anything may take that has to come.
const PATIENCE: Duration = Duration::from_secs(30);

/// A variable of `cargo xtask services up`; without it a test is left out, unless all of them have to run.
fn service(name: &str) -> Option<String> {
    let value = std::env::var(name).ok();
    assert!(value.is_some() || std::env::var_os("ONRUSH_SERVICES").is_none(), "{name} is not set");
    if value.is_none() {
        println!("left out: {name} is not set; see `cargo xtask services up`");
    }
    value
}

/// Whoever runs statements in a database.
pub(crate) struct Session {
    runtime: tokio::runtime::Runtime,
    client: Client,
}

impl Session {
    fn open(config: &Config) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("start an event loop");
        let (client, connection) = runtime.block_on(config.connect(NoTls)).expect("connect");
        runtime.spawn(async {
            let _ = connection.await;
        });
        Self { runtime, client }
    }

    pub(crate) fn run(&self, statements: &str) {
        self.runtime.block_on(self.client.batch_execute(statements)).unwrap_or_else(|error| {
            panic!("{statements}: {:?}", error.as_db_error().map(ToString::to_string))
        });
    }

    pub(crate) fn number(&self, query: &str) -> i64 {
        self.runtime.block_on(self.client.query_one(query, &[])).expect("one row").get(0)
    }
}

/// The database, dropped with this.
pub(crate) struct Shop {
    pub(crate) settings: SourceSettings,
    server: Config,
    database: String,
}

static SHOPS: AtomicU32 = AtomicU32::new(0);

impl Shop {
    /// A new database with these tables and a collection of `query`; `None` if there is no server.
    pub(crate) fn new(tables: &str, query: &str, watches: &[Watch]) -> Option<Self> {
        let url = service("ONRUSH_SERVICES_POSTGRES_URL")?;
        let password = service("ONRUSH_SERVICES_POSTGRES_PASSWORD")?;
        let mut server: Config = url.parse().expect("a URL");
        server.password(&password);
        let name = format!("shop_{}_{}", std::process::id(), SHOPS.fetch_add(1, Ordering::Relaxed));
        Session::open(&server).run(&format!("CREATE DATABASE {name}"));
        let (before, _) = url.rsplit_once('/').expect("a database");
        let settings = SourceSettings {
            url: format!("{before}/{name}"),
            password: Some(Secret::new(password)),
            tls: onrush_connect::TlsSettings::default(),
            query: query.to_owned(),
            key: "id".to_owned(),
            watches: watches.to_vec(),
            publication: "onrush".to_owned(),
            replication_slot: name.clone(),
            connections: 2,
            loads: true,
        };
        settings.check().expect("usable");
        let shop = Self { settings, server, database: name };
        shop.session().run(tables);
        Some(shop)
    }

    /// The usual: products of 100 numbers.
    pub(crate) fn with_products() -> Option<Self> {
        let shop = Self::new(
            "CREATE TABLE products (id int PRIMARY KEY, price int NOT NULL, text text); \
             INSERT INTO products SELECT id, 0, NULL FROM generate_series(1, 100) AS id",
            "SELECT * FROM products",
            &[watch("products", "id", None)],
        )?;
        prepare(&shop.settings).expect("prepare");
        Some(shop)
    }

    pub(crate) fn session(&self) -> Session {
        let mut config = self.server.clone();
        config.dbname(&self.database);
        Session::open(&config)
    }

    /// A collection that follows the database, and is coherent.
    pub(crate) fn follow(&self) -> Followed {
        let followed = self.begin_to_follow(1 << 30, false);
        followed.await_coherent();
        followed
    }

    pub(crate) fn begin_to_follow(&self, bytes_max: u64, reads_through: bool) -> Followed {
        let bounds = CacheBounds { bytes_max, absent_for: Duration::from_mins(1), absent_count_max: 1_000 };
        let settings = catalog::SourceSettings { bounds, lag_max: Duration::from_secs(2), reads_through };
        let rows = Arc::new(SourceRows::new(settings, 7));
        let feed = Feed::start("products", self.settings.clone(), Arc::clone(&rows)).expect("start");
        Followed { rows, feed: Some(feed) }
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let server = Session::open(&self.server);
        let slots = format!("pg_replication_slots WHERE database = '{}'", self.database);
        server.run(&format!("SELECT pg_terminate_backend(active_pid) FROM {slots}"));
        await_that("the slots are free", || {
            server.number(&format!("SELECT count(*) FROM {slots} AND active")) == 0
        });
        server.run(&format!("SELECT pg_drop_replication_slot(slot_name) FROM {slots}"));
        server.run(&format!("DROP DATABASE {} WITH (FORCE)", self.database));
    }
}

pub(crate) fn watch(table: &str, column: &str, keys: Option<&str>) -> Watch {
    Watch { table: table.to_owned(), column: column.to_owned(), keys: keys.map(str::to_owned) }
}

/// A collection.
pub(crate) struct Followed {
    pub(crate) rows: Arc<SourceRows>,
    pub(crate) feed: Option<Feed>,
}

impl Followed {
    pub(crate) fn await_coherent(&self) {
        await_that("the collection is coherent", || {
            matches!(self.rows.shown().freshness(now()), Freshness::Coherent(_))
        });
    }

    /// The JSON that is shown for a key.
    pub(crate) fn shown(&self, key: &str) -> Option<String> {
        self.rows.shown().rows.row(key).map(text)
    }

    /// Waits until this is shown for a key.
    pub(crate) fn await_shown(&self, key: &str, expected: Option<&str>) {
        await_that(&format!("{key} is {expected:?}"), || self.shown(key).as_deref() == expected);
    }

    /// Waits until all up to now is shown.
    pub(crate) fn await_all(&self, session: &Session) {
        let place = session.number("SELECT (pg_current_wal_lsn() - '0/0'::pg_lsn)::bigint").cast_unsigned();
        await_that("the version is there", || {
            self.rows.shown().rows.version() >= place
                && matches!(self.rows.shown().freshness(now()), Freshness::Coherent(_))
        });
    }

    /// Reads a row as a reader does who does not find it.
    pub(crate) fn want(&self, key: &str) -> Result<Option<String>, FetchFailure> {
        let (sender, receiver) = mpsc::sync_channel(1);
        let waiter = Box::new(move |answer: Result<Option<Row>, FetchFailure>| {
            let _ = sender.send(answer.map(|row| row.as_ref().map(text)));
        });
        self.rows.want([(key.into(), waiter as onrush_node::catalog::Waiter)], now());
        receiver.recv_timeout(PATIENCE).expect("an answer")
    }
}

fn text(row: &Row) -> String {
    String::from_utf8(row.json().to_vec()).expect("text")
}

#[allow(clippy::disallowed_methods, reason = "real servers need real time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

#[allow(clippy::disallowed_methods, reason = "real servers need real time")]
pub(crate) fn await_that(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = now() + PATIENCE;
    while !is_so() {
        assert!(now() < deadline, "it did not come to be that {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
