//! A table of MariaDB whose changes come through Debezium with schemas: rows are made, changed, replaced, renamed and deleted, and statements wait
//! for each other, while the worker is killed, which then tells some changes again.

mod changes;
mod client;
mod waits;

use anyhow::{Context as _, Result};
use rustix::process::Signal;
use serde_json::json;
use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::connector::Connector;
use super::settings;
use crate::Bench;
use crate::followed::{AskVersion, KEY_COUNT, Key, Observed, Rows, Work, await_rows, await_version, harm};
use crate::random::Random;
use crate::server::{Launch, Server};
use crate::services::Services;
use crate::source_database;
use crate::tool::MARIADB;
use changes::Changer;
use client::Client;
use waits::Waits;

const DATABASE: &str = "onrush_debezium";
const COLLECTION: &str = "items";

/// How far answers may be behind, milliseconds: for longer than a worker needs to come back, so that rows are read while it tells changes again.
const LAG_MS_MAX: u64 = 60_000;

/// One round for so many of the check.
const CYCLES_PER_ROUND: u64 = 4;

/// Longest wait for a statement that waits for another one to end.
const WAIT_TIMEOUT: Duration = Duration::from_secs(10);

/// What is done while rows are changed and read.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// Kills the worker of Kafka Connect when a statement has just waited for a quicker one, so that it tells both again.
    KillWorker,
    KillServer,
    RestartConnector,
}

const FAULTS: [Fault; 4] = [Fault::KillWorker, Fault::KillServer, Fault::KillWorker, Fault::RestartConnector];

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
    let text = settings(COLLECTION, &services.value("KAFKA_BROKERS")?, &connector, DATABASE, LAG_MS_MAX);
    let settings = source_database::write_settings(&directory, &text)?;
    let mut launch = bench.launch()?.arguments(&["--config", &settings.display().to_string()]);
    (launch.data, launch.output) = (directory.join("data"), directory.join("server.log"));
    let mut server = launch.start()?;
    database.compare(&server).context("before anything happened")?;
    let mut changer = Changer::new(random.fork(1));
    let clients = [database.client()?, database.client()?, database.client()?];
    let mut waits = Waits::new(random.fork(2), clients);
    let mut observed = Observed::new(&[COLLECTION], LAG_MS_MAX, random.fork(3));
    let rounds = bench.cycles(2 * CYCLES_PER_ROUND, 50).div_ceil(CYCLES_PER_ROUND);
    for round in 0..rounds {
        let fault = FAULTS[usize::try_from(round)? % FAULTS.len()];
        let breaker = Breaker { launch: &launch, services, connector: &connector, fault };
        let went = database.round(server, &breaker, &mut observed, &mut changer, &mut waits);
        server = went.with_context(|| format!("round {round} of {rounds}, {fault:?}"))?;
    }
    server.stop(Signal::TERM)?;
    Ok(format!("{rounds} rounds, {observed}"))
}

/// Does what goes wrong.
struct Breaker<'a> {
    launch: &'a Launch,
    services: &'a Services,
    connector: &'a Connector,
    fault: Fault,
}

impl Breaker<'_> {
    fn inflict(&self, server: Server, ended_count: &AtomicU64, random: &mut Random) -> Result<Server> {
        match self.fault {
            Fault::KillWorker => {
                let (begun, count) = (Instant::now(), ended_count.load(Ordering::Relaxed));
                while ended_count.load(Ordering::Relaxed) == count && begun.elapsed() < WAIT_TIMEOUT {
                    thread::sleep(Duration::from_millis(2));
                }
                harm::kill(self.services, "connect", random)?;
            }
            Fault::KillServer => {
                server.kill()?;
                return self.launch.start();
            }
            Fault::RestartConnector => self.connector.restart()?,
        }
        Ok(server)
    }
}

/// The database.
struct Database<'a>(&'a Services);

impl Database<'_> {
    /// Makes it anew, with every row.
    fn make(&self) -> Result<()> {
        let statements = format!(
            "DROP DATABASE IF EXISTS {DATABASE}; CREATE DATABASE {DATABASE}; USE {DATABASE}; \
             CREATE TABLE onrush_heartbeat (id int PRIMARY KEY, at datetime(3) NOT NULL); \
             INSERT INTO onrush_heartbeat VALUES (1, now(3)); \
             CREATE TABLE items (id int PRIMARY KEY, changes bigint NOT NULL, name varchar(40) NOT NULL); \
             INSERT INTO items SELECT seq, 0, 'first' FROM seq_0_to_{}",
            KEY_COUNT - 1
        );
        Client::open(self.0, "mysql")?.execute(&statements).map(drop).context("make the database")
    }

    fn client(&self) -> Result<Client> {
        Client::open(self.0, DATABASE)
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

    /// Lets clients write and read while something goes wrong and is put right, and returns a server that has the rows of the database.
    fn round(
        &self,
        server: Server,
        breaker: &Breaker<'_>,
        observed: &mut Observed,
        changer: &mut Changer,
        waits: &mut Waits,
    ) -> Result<Server> {
        let (ended_count, public) = (AtomicU64::new(0), server.public());
        let mut client = self.client()?;
        // The newest transaction is that of two domains, as with servers that all take changes.
        client.execute("SET SESSION gtid_domain_id = 7")?;
        let changing: Work<'_> = Box::new(move |traffic| changer.run(&mut client, traffic));
        let waiting: Work<'_> = Box::new(|traffic| waits.run(traffic, &ended_count));
        let server = observed.while_it(
            public,
            || self.ask_version(),
            vec![changing, waiting],
            |random| {
                let server = breaker.inflict(server, &ended_count, random)?;
                await_version(&server, COLLECTION, &newest(&mut self.client()?)?)?;
                Ok(server)
            },
        )?;
        self.compare(&server)?;
        Ok(server)
    }

    /// Asks for the newest transactions.
    fn ask_version(&self) -> AskVersion<'_> {
        let mut client = None;
        Box::new(move || {
            if client.is_none() {
                client = self.client().ok();
            }
            newest(client.as_mut()?).ok()
        })
    }

    /// Waits until the server has the rows of the database, which nobody changes now, by the version that the database tells: its newest transactions,
    /// and where that is in its log.
    fn compare(&self, server: &Server) -> Result<()> {
        let mut client = self.client()?;
        let mut rows: BTreeMap<Key, u64> = BTreeMap::new();
        for line in client.execute("SELECT id, changes FROM items")?.lines() {
            let (key, count) = line.split_once('\t').context("two columns")?;
            rows.insert(key.parse()?, count.parse()?);
        }
        let expected: Rows = (0..KEY_COUNT).map(|key| (key, rows.get(&key).copied())).collect();
        let gtid = newest(&mut client)?;
        await_rows(server, COLLECTION, &expected, &gtid).context("by its newest transactions")?;
        let status = client.execute("SHOW MASTER STATUS")?;
        let (file, position) =
            status.split('\t').next().zip(status.split('\t').nth(1)).context("the state of the log")?;
        await_rows(server, COLLECTION, &expected, &format!("{file}:{position}")).context("by its place")
    }
}

/// The newest transaction of each domain.
fn newest(client: &mut Client) -> Result<String> {
    Ok(client.execute("SELECT @@gtid_binlog_pos")?.trim().to_owned())
}
