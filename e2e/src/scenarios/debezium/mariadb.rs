//! A table of MariaDB whose changes come through Debezium with schemas, by its own client: rows are made, changed, replaced, renamed and
//! deleted by the thousand, and the worker is killed among them, which then tells some changes again.

use anyhow::{Context as _, Result, anyhow, ensure};
use rustix::process::Signal;
use serde_json::json;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::connector::Connector;
use super::{LAG_MS_MAX, settings};
use crate::Bench;
use crate::followed::{Key, Rows, await_rows, harm, take, target};
use crate::http::{self, Connection, request};
use crate::random::Random;
use crate::server::Server;
use crate::services::Services;
use crate::source_database;
use crate::tool::MARIADB;

const DATABASE: &str = "onrush_debezium";
const COLLECTION: &str = "items";

/// Keys of rows: as many as one read takes.
const KEY_COUNT: Key = 100;

/// Statements of the client that changes rows while the worker is killed, and of the one that comes after it.
const BURST: u64 = 3_000;

/// Runs this half of the scenario.
pub(super) fn run(bench: &mut Bench, services: &Services) -> Result<String> {
    if !MARIADB.present() {
        return Ok("SKIPPED".to_owned());
    }
    let mut random = bench.random.fork(2);
    let database = Database(services);
    database.make()?;
    let connector = database.register(&mut random)?;
    let directory = bench.directory.join("mariadb");
    fs::create_dir(&directory).context("make a directory")?;
    let text = settings(COLLECTION, &services.value("KAFKA_BROKERS")?, &connector, DATABASE);
    let settings = source_database::write_settings(&directory, &text)?;
    let mut launch = bench.launch()?.arguments(&["--config", &settings.display().to_string()]);
    (launch.data, launch.output) = (directory.join("data"), directory.join("server.log"));
    let server = launch.start()?;
    database.compare(&server).context("before anything happened")?;
    let mut count = 0;
    let bursts = [(); 2].map(|()| statements(&mut random, &mut count));
    let reads = burst(&database, &server, &bursts, &mut random)?;
    database.compare(&server).context("after the worker was killed")?;
    for _ in 0..5 {
        count += 1;
        database.execute(&format!(
            "REPLACE INTO items VALUES ({}, {count}, '')",
            random.below(KEY_COUNT.into())
        ))?;
        database.compare(&server).context("after one change")?;
    }
    let lag_ms = lag_ms(server.public())?;
    server.stop(Signal::TERM)?;
    Ok(format!("{count} changes, {reads} reads, {lag_ms} ms behind in the end"))
}

/// Changes rows while the worker is killed and starts again, and after that, and reads them all the time. The number of reads.
fn burst(
    database: &Database<'_>,
    server: &Server,
    [first, second]: &[String; 2],
    random: &mut Random,
) -> Result<usize> {
    let has_ended = AtomicBool::new(false);
    thread::scope(|scope| {
        let reading = scope.spawn(|| read(server.public(), &has_ended));
        let writing = scope.spawn(|| database.execute(first));
        thread::sleep(random.span_ms(200, 800));
        let killed = harm::kill(database.0, "connect", random);
        let written = writing.join().map_err(|_| anyhow!("a writer panicked")).flatten();
        let written = written.and_then(|_| database.execute(second));
        has_ended.store(true, Ordering::Relaxed);
        let reads = reading.join().map_err(|_| anyhow!("a reader panicked"))?;
        killed.and(written.map(drop)).and(reads)
    })
}

/// Reads all keys on one connection until it is told to end: as changes have rising numbers, no row may go back.
fn read(public: SocketAddr, has_ended: &AtomicBool) -> Result<usize> {
    let keys: Vec<Key> = (0..KEY_COUNT).collect();
    let asked = request("GET", &target(COLLECTION, &keys, false, None));
    let mut connection = Connection::open(public).context("connect")?;
    let mut newest: BTreeMap<Key, u64> = BTreeMap::new();
    let mut reads = 0;
    while !has_ended.load(Ordering::Relaxed) {
        for (key, count) in take(&connection.call(&asked)?, &keys, false)?.unwrap_or_default() {
            let (Some(count), known) = (count, newest.entry(key).or_default()) else { continue };
            ensure!(count >= *known, "the row {key} goes back from change {known} to {count}");
            *known = count;
            reads += 1;
        }
    }
    Ok(reads)
}

/// Statements that are good whatever rows there are, of which each says how many were before it.
fn statements(random: &mut Random, count: &mut u64) -> String {
    let mut text = String::new();
    for _ in 0..BURST {
        *count += 1;
        let [key, other] = [(); 2].map(|()| random.below(KEY_COUNT.into()));
        let statement = match random.below(10) {
            0..5 => format!("UPDATE items SET changes = {count} WHERE id = {key};"),
            5 => format!("DELETE FROM items WHERE id = {key};"),
            6 => format!("UPDATE IGNORE items SET id = {other}, changes = {count} WHERE id = {key};"),
            7 => format!("REPLACE INTO items VALUES ({key}, {count}, 'replaced');"),
            8 => format!(
                "INSERT INTO items VALUES ({key}, {count}, 'made') ON DUPLICATE KEY UPDATE changes = {count};"
            ),
            _ => format!(
                "BEGIN; DELETE FROM items WHERE id = {key}; INSERT INTO items VALUES ({key}, {count}, 'anew'); COMMIT;"
            ),
        };
        // Writing to a text succeeds.
        let _ = writeln!(text, "{statement}");
    }
    text
}

/// How far the server says that a row is behind.
fn lag_ms(public: SocketAddr) -> Result<u64> {
    let answer = http::once(public, &request("GET", &target(COLLECTION, &[0, 1], false, None)))?;
    let said = answer.header("onrush-lag-ms").context("no lag is told")?;
    let lag_ms: u64 = said.parse().context("read the lag")?;
    ensure!(lag_ms <= LAG_MS_MAX, "an answer is {lag_ms} ms behind");
    Ok(lag_ms)
}

/// The database, by its own client.
struct Database<'a>(&'a Services);

impl Database<'_> {
    /// Makes it anew.
    fn make(&self) -> Result<()> {
        let statements = format!(
            "DROP DATABASE IF EXISTS {DATABASE}; CREATE DATABASE {DATABASE}; USE {DATABASE}; \
             CREATE TABLE onrush_heartbeat (id int PRIMARY KEY, at datetime(3) NOT NULL); \
             INSERT INTO onrush_heartbeat VALUES (1, now(3)); \
             CREATE TABLE items (id int PRIMARY KEY, changes bigint NOT NULL, name varchar(40) NOT NULL); \
             INSERT INTO items SELECT seq, 0, 'first' FROM seq_0_to_{};",
            KEY_COUNT / 2
        );
        self.run("mysql", &statements).map(drop).context("make the database")
    }

    fn register(&self, random: &mut Random) -> Result<Connector> {
        let Self(services) = self;
        let settings = json!({
            "connector.class": "io.debezium.connector.mariadb.MariaDbConnector",
            "database.hostname": services.value("MARIADB_HOST")?,
            "database.port": services.value("MARIADB_PORT")?,
            "database.user": services.value("MARIADB_USER")?,
            "database.password": services.value("MARIADB_PASSWORD")?,
            "database.server.id": random.between(1_000, 1 << 31).to_string(),
            "database.include.list": DATABASE,
            "table.include.list": format!("{DATABASE}.{COLLECTION},{DATABASE}.onrush_heartbeat"),
            "include.schema.changes": "false",
            "heartbeat.action.query": format!("UPDATE {DATABASE}.onrush_heartbeat SET at = now(3) WHERE id = 1"),
            "connect.keep.alive.interval.ms": "1000",
            "key.converter": "org.apache.kafka.connect.json.JsonConverter",
            "key.converter.schemas.enable": "true",
            "value.converter": "org.apache.kafka.connect.json.JsonConverter",
            "value.converter.schemas.enable": "true",
        });
        Connector::register(services, random, &settings)
    }

    /// Waits until the server has the rows of the database, which nobody changes now, by the version that the database tells.
    fn compare(&self, server: &Server) -> Result<()> {
        let found = self.execute("SELECT id, changes FROM items")?;
        let mut rows: BTreeMap<Key, u64> = BTreeMap::new();
        for line in found.lines() {
            let (key, count) = line.split_once('\t').context("two columns")?;
            rows.insert(key.parse()?, count.parse()?);
        }
        let expected: Rows = (0..KEY_COUNT).map(|key| (key, rows.get(&key).copied())).collect();
        let status = self.execute("SHOW MASTER STATUS")?;
        let mut columns = status.split('\t');
        let (file, position) = columns.next().zip(columns.next()).context("the state of the log")?;
        await_rows(server, COLLECTION, &expected, &format!("{file}:{position}"))
    }

    fn execute(&self, statements: &str) -> Result<String> {
        self.run(DATABASE, statements)
    }

    fn run(&self, database: &str, statements: &str) -> Result<String> {
        let Self(services) = self;
        let (host, port, user) = (
            services.value("MARIADB_HOST")?,
            services.value("MARIADB_PORT")?,
            services.value("MARIADB_USER")?,
        );
        let mut client = Command::new(MARIADB.program)
            .args(["--no-defaults", "--protocol=tcp", "--batch", "--skip-column-names"])
            .args(["--host", &host, "--port", &port, "--user", &user, "--database", database])
            .env("MYSQL_PWD", services.value("MARIADB_PASSWORD")?)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("start mariadb")?;
        let mut stdin = client.stdin.take().context("its input")?;
        // It says why if it does not take them.
        let sent = stdin.write_all(statements.as_bytes());
        drop(stdin);
        let output = client.wait_with_output().context("wait for mariadb")?;
        ensure!(
            output.status.success(),
            "mariadb ended with {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        sent.context("tell mariadb")?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}
