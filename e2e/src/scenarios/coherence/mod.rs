//! Collections whose rows are in PostgreSQL: rows are changed there and read from the server as fast as it goes, while connections are
//! cut, the server and the database are killed, and a table is altered. No answer is older than it says, and on one connection nothing
//! goes backwards; once it is calm every row is as in the database.

mod history;
mod shop;
mod traffic;

use anyhow::{Context as _, Result, anyhow, ensure};
use onrush_proxy::{Mode, Proxy};
use postgres::Client;
use rustix::process::Signal;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::Bench;
use crate::http::{self, request};
use crate::random::Random;
use crate::run_clock::Clock;
use crate::server::{Launch, Server};
use crate::services::Services;
use crate::source_database::SourceDatabase;
use history::{History, Key};
use shop::{COLLECTIONS, KEY_COUNT, Shop};
use traffic::{Reader, Rows, Seen, Traffic, WRITER_COUNT, Writer, take, target};

/// Readers, half of them for each collection.
const READER_COUNT: u64 = 6;

/// How long it may take until all is coherent again once nothing is in the way.
const CALM_TIMEOUT: Duration = Duration::from_mins(1);

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
    let shop = Shop::make(&services).context("make the database")?;
    let proxy = Proxy::start(shop.address()).context("start a proxy")?;
    let settings = shop.write_settings(&bench.directory, proxy.address())?;
    let launch = bench.launch()?.arguments(&["--config", &settings.display().to_string()]);
    Shop::prepare(&launch, &settings)?;
    let random = bench.random.fork(1);
    let writers = (0..WRITER_COUNT).map(|number| Writer::new(number, random.fork(number.into()))).collect();
    let mut run = Run {
        launch: &launch,
        services,
        shop,
        proxy,
        clock: Clock::start(),
        random,
        writers,
        history: History::default(),
        tally: Tally::default(),
    };
    let mut server = launch.start()?;
    run.calm(&server).context("before anything happened")?;
    let cycles = bench.cycles(8, 50);
    for cycle in 0..cycles {
        let fault = FAULTS[usize::try_from(cycle)? % FAULTS.len()];
        server = run.next(server, fault).with_context(|| format!("cycle {cycle} of {cycles}, {fault:?}"))?;
    }
    server.stop(Signal::TERM)?;
    let slots = "SELECT count(*) FROM pg_replication_slots WHERE database = current_database()";
    let left: i64 = run.shop.client()?.query_one(slots, &[])?.get(0);
    ensure!(left == 0, "a server that was stopped left {left} replication slots");
    let Tally { changes, reads, unavailable } = run.tally;
    Ok(format!("{cycles} cycles, {changes} changes, {reads} reads, {unavailable} not available"))
}

#[derive(Debug, Default)]
struct Tally {
    changes: usize,
    reads: usize,
    unavailable: usize,
}

struct Run<'a> {
    launch: &'a Launch,
    services: Services,
    shop: Shop,
    proxy: Proxy,
    clock: Clock,
    random: Random,
    writers: Vec<Writer>,
    history: History,
    tally: Tally,
}

impl Run<'_> {
    /// Lets clients write and read while something goes wrong, and returns a server that is coherent again.
    fn next(&mut self, server: Server, fault: Fault) -> Result<Server> {
        let has_ended = AtomicBool::new(false);
        let traffic =
            Traffic { shop: &self.shop, public: server.public(), clock: self.clock, has_ended: &has_ended };
        let readers = (0..READER_COUNT).map(|number| Reader {
            random: self.random.fork(100 + number),
            collection: COLLECTIONS[usize::from(number % 2 == 1)],
        });
        let readers = readers.collect::<Vec<_>>();
        self.random = self.random.fork(2);
        let mut random = self.random.fork(3);
        let mut writers = std::mem::take(&mut self.writers);
        let (server, written, seen) = thread::scope(|scope| {
            let traffic = &traffic;
            let writing =
                writers.iter_mut().map(|writer| scope.spawn(move || writer.run(traffic))).collect::<Vec<_>>();
            let reading = readers
                .into_iter()
                .map(|reader| scope.spawn(move || reader.run(traffic)))
                .collect::<Vec<_>>();
            thread::sleep(random.span_ms(300, 900));
            let server = self.inflict(server, fault, &mut random);
            thread::sleep(random.span_ms(300, 900));
            has_ended.store(true, Ordering::Relaxed);
            let (mut written, mut seen) = (Vec::new(), Vec::<Seen>::new());
            for writer in writing {
                written.extend(writer.join().map_err(|_| anyhow!("a writer panicked"))?);
            }
            for reader in reading {
                seen.push(reader.join().map_err(|_| anyhow!("a reader panicked"))??);
            }
            anyhow::Ok((server?, written, seen))
        })?;
        self.writers = writers;
        self.tally.changes += written.len();
        self.history.absorb(written);
        for Seen { reads, unavailable } in seen {
            self.tally.unavailable += unavailable;
            for (collection, reads) in reads {
                self.tally.reads += reads.len();
                self.history.check(&reads).with_context(|| format!("collection {collection}"))?;
            }
        }
        self.calm(&server)?;
        Ok(server)
    }

    fn inflict(&self, server: Server, fault: Fault, random: &mut Random) -> Result<Server> {
        match fault {
            Fault::Nothing => {}
            Fault::KillServer => {
                server.kill()?;
                return self.launch.start();
            }
            Fault::KillSource => {
                self.services.kill("postgres")?;
                thread::sleep(random.span_ms(0, 500));
                self.services.start("postgres")?;
            }
            Fault::Cut => {
                for _ in 0..3 {
                    self.proxy.set(Mode::CutFrom(random.below(20_000)));
                    thread::sleep(random.span_ms(50, 300));
                }
                self.proxy.set(Mode::Pass);
            }
            Fault::Silence => {
                self.proxy.set(Mode::Silent);
                thread::sleep(random.span_ms(500, 5_000));
                self.proxy.cut();
                self.proxy.set(Mode::Pass);
            }
            Fault::EndFeed => {
                let ends = "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots \
                            WHERE active AND database = current_database()";
                self.shop.client()?.execute(ends, &[])?;
            }
            Fault::Alter => {
                let mut client = self.shop.client()?;
                client.batch_execute("ALTER TABLE products ADD COLUMN note text NOT NULL DEFAULT 'none'")?;
                thread::sleep(random.span_ms(0, 500));
                client.batch_execute("ALTER TABLE products DROP COLUMN note")?;
            }
            Fault::DropSlot => self.drop_slots()?,
        }
        Ok(server)
    }

    /// Drops the slots of the collections as soon as nobody reads them.
    fn drop_slots(&self) -> Result<()> {
        let mut client = self.shop.client()?;
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

    /// Waits until every row is as in the database, which nobody changes now.
    fn calm(&self, server: &Server) -> Result<()> {
        let mut client = self.shop.client()?;
        let expected = rows_of(&mut client)?;
        let version = SourceDatabase::version(&mut client)?;
        let keys: Vec<Key> = (0..KEY_COUNT).collect();
        for collection in COLLECTIONS {
            let begun = Instant::now();
            let query = format!("min_version={version}");
            loop {
                let asked = target(collection, &keys, false, Some(&query));
                let answer = http::once(server.public(), &request("GET", &asked))?;
                if let Some(rows) = take(&answer, &keys, false)? {
                    ensure!(rows == expected, "{collection}: {rows:?}\nin the database {expected:?}");
                    break;
                }
                ensure!(begun.elapsed() < CALM_TIMEOUT, "{collection} is not coherent: {}", answer.text());
                thread::sleep(Duration::from_millis(50));
            }
            let unknown =
                http::once(server.public(), &request("GET", &target(collection, &[9_999], true, None)))?;
            ensure!(unknown.status == 404, "a key that no row has: {} {}", unknown.status, unknown.text());
        }
        Ok(())
    }
}

/// How often each row was changed; nothing if there is none.
fn rows_of(client: &mut Client) -> Result<Rows> {
    let found = client.query("SELECT id, changes FROM products", &[]).context("read the rows")?;
    let found: BTreeMap<Key, u64> = found
        .iter()
        .map(|row| (row.get::<_, i32>(0).cast_unsigned(), row.get::<_, i64>(1).cast_unsigned()))
        .collect();
    Ok((0..KEY_COUNT).map(|key| (key, found.get(&key).copied())).collect())
}
