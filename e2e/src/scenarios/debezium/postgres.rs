//! A table of PostgreSQL whose changes come through Debezium, with each part of the way killed and cut.

use anyhow::{Context as _, Result};
use onrush_proxy::Proxy;
use rustix::process::Signal;
use serde_json::json;

use super::connector::Connector;
use super::settings;
use crate::Bench;
use crate::followed::{self, Followed, harm};
use crate::random::Random;
use crate::server::{Launch, Server};
use crate::services::Services;
use crate::source_database::{self, SourceDatabase};

const COLLECTION: &str = "products";

/// How far answers may be behind, milliseconds.
const LAG_MS_MAX: u64 = 5_000;

/// What is done to a running server and its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Nothing,
    KillServer,
    /// Kills the worker of Kafka Connect, which then tells some changes again.
    KillWorker,
    KillBroker,
    KillSource,
    /// Cuts every connection to the broker after some more bytes.
    Cut,
    /// Nothing of the broker gets through for a while, and nobody is told.
    Silence,
    /// Adds a column and removes it.
    Alter,
    /// Lets the connector begin again.
    RestartConnector,
}

const FAULTS: [Fault; 9] = [
    Fault::KillWorker,
    Fault::KillServer,
    Fault::Cut,
    Fault::KillSource,
    Fault::Alter,
    Fault::KillBroker,
    Fault::Silence,
    Fault::RestartConnector,
    Fault::Nothing,
];

/// What the heartbeat changes.
const HEARTBEAT_TABLE: &str = "CREATE TABLE onrush_heartbeat (id int PRIMARY KEY, at timestamptz NOT NULL); \
                               INSERT INTO onrush_heartbeat VALUES (1, now())";

/// Runs this half of the scenario.
pub(super) fn run(bench: &mut Bench, services: &Services) -> Result<String> {
    let mut random = bench.random.fork(1);
    let database =
        followed::make_database(services, "onrush_debezium", HEARTBEAT_TABLE).context("make the database")?;
    // Dropped after the connector, which reads it.
    let slots = Slots(database.clone());
    let connector = register(services, &mut random, &database)?;
    // Kafka tells its clients where it is, and has one listener that names an address for a proxy.
    let advertised = services.address("KAFKA_PROXIED_BROKERS")?;
    let proxy = Proxy::start_on(advertised, services.address("KAFKA_PROXY_TARGET")?)?;
    let text = settings(COLLECTION, &advertised.to_string(), &connector, "public", LAG_MS_MAX);
    let settings = source_database::write_settings(&bench.directory, &text)?;
    let launch = bench.launch()?.arguments(&["--config", &settings.display().to_string()]);
    let mut followed = Followed::new(database, &[COLLECTION], LAG_MS_MAX, random);
    let breaker = Breaker { launch: &launch, services, connector: &connector, proxy };
    let mut server = launch.start()?;
    followed.calm(&server).context("before anything happened")?;
    let cycles = bench.cycles(5, 50);
    for cycle in 0..cycles {
        let fault = FAULTS[usize::try_from(cycle)? % FAULTS.len()];
        let inflict = |database: &_, server, random: &mut _| breaker.inflict(database, server, fault, random);
        let went = followed.while_it(server, inflict);
        server = went.with_context(|| format!("cycle {cycle} of {cycles}, {fault:?}"))?;
    }
    server.stop(Signal::TERM)?;
    drop(connector);
    drop(slots);
    Ok(format!("{cycles} cycles, {followed}"))
}

fn register(services: &Services, random: &mut Random, database: &SourceDatabase) -> Result<Connector> {
    let (user, password, name) = database.login();
    let address = database.address();
    let settings = json!({
        "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
        "plugin.name": "pgoutput",
        "database.hostname": address.ip().to_string(),
        "database.port": address.port().to_string(),
        "database.user": user,
        "database.password": password,
        "database.dbname": name,
        "slot.name": name,
        "publication.name": name,
        "publication.autocreate.mode": "filtered",
        "table.include.list": "public.products,public.onrush_heartbeat",
        "heartbeat.action.query": "UPDATE public.onrush_heartbeat SET at = now() WHERE id = 1",
    });
    Connector::register(services, random, &settings)
}

/// The slot of a connector, which goes in the end: else the database would keep its log for ever.
struct Slots(SourceDatabase);

impl Drop for Slots {
    fn drop(&mut self) {
        if let Err(error) = self.0.drop_slots() {
            println!("    a replication slot stays: {error:#}");
        }
    }
}

/// Does what goes wrong.
struct Breaker<'a> {
    launch: &'a Launch,
    services: &'a Services,
    connector: &'a Connector,
    proxy: Proxy,
}

impl Breaker<'_> {
    fn inflict(
        &self,
        database: &SourceDatabase,
        server: Server,
        fault: Fault,
        random: &mut Random,
    ) -> Result<Server> {
        match fault {
            Fault::Nothing => {}
            Fault::KillServer => {
                server.kill()?;
                return self.launch.start();
            }
            Fault::KillWorker => harm::kill(self.services, "connect", random)?,
            Fault::KillBroker => harm::kill(self.services, "kafka", random)?,
            Fault::KillSource => harm::kill(self.services, "postgres", random)?,
            Fault::Cut => harm::cut(&self.proxy, random),
            Fault::Silence => harm::silence(&self.proxy, random),
            Fault::Alter => harm::alter(database, random)?,
            Fault::RestartConnector => self.connector.restart()?,
        }
        Ok(server)
    }
}
