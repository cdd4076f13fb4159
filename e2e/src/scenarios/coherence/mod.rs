//! Collections whose rows are in PostgreSQL: rows are changed there and read from the server as fast as it goes, while connections are
//! cut, the server and the database are killed, and a table is altered. No answer is older than it says, and on one connection nothing
//! goes backwards; once it is calm every row is as in the database.

mod shop;

use anyhow::{Context as _, Result, ensure};
use onrush_proxy::Proxy;
use rustix::process::Signal;
use std::time::Instant;

use crate::Bench;
use crate::followed::{CALM_TIMEOUT, Followed, harm};
use crate::random::Random;
use crate::server::{Launch, Server};
use crate::services::Services;
use crate::source_database::SourceDatabase;
use shop::{COLLECTIONS, LAG_MS_MAX};

/// What is done to a running server and its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Nothing,
    KillServer,
    KillSource,
    /// Cuts every connection between them after some more bytes.
    Cut,
    /// Nothing gets through for a while, and nobody is told.
    Silence,
    /// Ends the stream of changes, as a superuser can.
    EndFeed,
    /// Adds a column and removes it.
    Alter,
    /// Takes away the replication slot.
    DropSlot,
}

const FAULTS: [Fault; 8] = [
    Fault::KillServer,
    Fault::Cut,
    Fault::EndFeed,
    Fault::KillSource,
    Fault::Silence,
    Fault::Alter,
    Fault::DropSlot,
    Fault::Nothing,
];

/// Runs the scenario.
pub(crate) fn run(bench: &mut Bench) -> Result<String> {
    let Some(services) = Services::find()? else {
        return Ok("left out: there is no PostgreSQL (cargo xtask services up)".to_owned());
    };
    let database = shop::make(&services).context("make the database")?;
    let proxy = Proxy::start(database.address()).context("start a proxy")?;
    let settings = shop::write_settings(&database, &bench.directory, proxy.address())?;
    let launch = bench.launch()?.arguments(&["--config", &settings.display().to_string()]);
    shop::prepare(&launch, &settings)?;
    let mut followed = Followed::new(database, &COLLECTIONS, LAG_MS_MAX, bench.random.fork(1));
    let breaker = Breaker { launch: &launch, services, proxy };
    let mut server = launch.start()?;
    followed.calm(&server).context("before anything happened")?;
    let cycles = bench.cycles(8, 50);
    for cycle in 0..cycles {
        let fault = FAULTS[usize::try_from(cycle)? % FAULTS.len()];
        let inflict = |database: &_, server, random: &mut _| breaker.inflict(database, server, fault, random);
        let went = followed.while_it(server, inflict);
        server = went.with_context(|| format!("cycle {cycle} of {cycles}, {fault:?}"))?;
    }
    server.stop(Signal::TERM)?;
    let slots = "SELECT count(*) FROM pg_replication_slots WHERE database = current_database()";
    let left: i64 = followed.database.client()?.query_one(slots, &[])?.get(0);
    ensure!(left == 0, "a server that was stopped left {left} replication slots");
    Ok(format!("{cycles} cycles, {followed}"))
}

/// Does it.
struct Breaker<'a> {
    launch: &'a Launch,
    services: Services,
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
            Fault::KillSource => harm::kill(&self.services, "postgres", random)?,
            Fault::Cut => harm::cut(&self.proxy, random),
            Fault::Silence => harm::silence(&self.proxy, random),
            Fault::EndFeed => {
                let ends = "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots \
                            WHERE active AND database = current_database()";
                database.client()?.execute(ends, &[])?;
            }
            Fault::Alter => harm::alter(database, random)?,
            Fault::DropSlot => drop_slots(database)?,
        }
        Ok(server)
    }
}

/// Drops the slots of the collections as soon as nobody reads them.
fn drop_slots(database: &SourceDatabase) -> Result<()> {
    let mut client = database.client()?;
    let begun = Instant::now();
    loop {
        client.execute(
            "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots \
                        WHERE active AND database = current_database()",
            &[],
        )?;
        let drops = "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots \
                     WHERE NOT active AND database = current_database()";
        if client.execute(drops, &[]).is_ok_and(|count| count > 0) {
            return Ok(());
        }
        ensure!(begun.elapsed() < CALM_TIMEOUT, "the slots cannot be dropped");
    }
}
