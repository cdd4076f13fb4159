//! The embedded catalogue: rows are changed and read as fast as it goes, the server is killed in the middle of it, and what every
//! client was told must fit together, before and after. Then what is refused, and the products of the demonstration.

mod freshness;
mod inventory;
mod reader;
mod refused;
mod rows;
mod traffic;
mod writer;

use anyhow::{Context as _, Result, anyhow, ensure};
use rustix::process::Signal;
use std::net::SocketAddr;
use std::thread;

use super::kill9::kill_in_recovery;
use crate::Bench;
use crate::http::{Connection, request};
use crate::ledger::rows::{Collection, Period, Read};
use crate::random::Random;
use crate::run_clock::Clock;
use crate::server::{Launch, Server};
use reader::{Reader, WAIT};
use rows::{KEY_COUNT, PARTS, PRODUCTS, Shown, read_many, row, shown, target, target_of_many};
use traffic::Traffic;
use writer::{WRITER_COUNT, Writer, twins};

/// Readers.
const READER_COUNT: u64 = 6;

/// Small segments and frequent snapshots, so that crashes fall into their switching too.
const SETTINGS: &[(&str, &str)] = &[
    ("ONRUSH_CATALOG__PRODUCTS__SOURCE", "embedded"),
    ("ONRUSH_CATALOG__PARTS__SOURCE", "embedded"),
    ("ONRUSH_LOG__SEGMENT_BYTES", "2097152"),
    ("ONRUSH_LOG__SNAPSHOT_BYTES", "1048576"),
];

/// Runs the scenario.
pub(crate) fn run(bench: &mut Bench) -> Result<String> {
    let wait_ms = WAIT.as_millis().to_string();
    let launch = bench.launch()?.with(SETTINGS).with(&[("ONRUSH_CATALOG__WAIT_MS_MAX", &wait_ms)]);
    let clock = Clock::start();
    let server = launch.start()?;
    let refused = refused::check(&server).context("what is refused")?;
    freshness::check(&server, clock).context("versions and tags")?;
    let mut lives = Lives::new(&launch, clock, &bench.random)?;
    let cycles = bench.cycles(4, 50);
    let (mut server, mut tally) = (server, Tally::default());
    for cycle in 0..cycles {
        server = lives.next(server, &mut tally).with_context(|| format!("cycle {cycle} of {cycles}"))?;
    }
    server.stop(Signal::TERM)?;
    let server = launch.start().context("start after the last, orderly stop")?;
    lives.rest(&server, Period::default()).context("after the last, orderly stop")?;
    server.stop(Signal::TERM)?;
    let mut demonstration = bench.launch()?.arguments(&["--demo"]);
    demonstration.data = bench.directory.join("demonstration");
    inventory::check(&demonstration).context("the products of the demonstration")?;
    let Tally { changes, reads, incoherent } = tally;
    Ok(format!(
        "{cycles} cycles, {changes} changes, {reads} reads, {incoherent} incoherent, {refused} refused"
    ))
}

/// What clients did.
#[derive(Debug, Default)]
struct Tally {
    changes: usize,
    reads: usize,
    incoherent: usize,
}

/// The lives of a server on one data directory.
struct Lives<'a> {
    launch: &'a Launch,
    clock: Clock,
    random: Random,
    traffic: Traffic,
    writers: Vec<Writer>,
    products: Collection,
    /// The other collection, which nobody changes any more.
    parts: Shown,
}

impl<'a> Lives<'a> {
    fn new(launch: &'a Launch, clock: Clock, random: &Random) -> Result<Self> {
        let writers = (0..WRITER_COUNT).map(|number| Writer::new(number, random.fork(100 + number as u64)));
        Ok(Self {
            launch,
            clock,
            random: random.fork(1),
            traffic: Traffic::new(clock),
            writers: writers.collect(),
            products: Collection::new(0..KEY_COUNT, twins()),
            parts: shown(launch.operator, PARTS)?,
        })
    }

    /// Lets clients change and read, kills the server in the middle of it, and returns the next one, in which everything is as it
    /// must be.
    fn next(&mut self, server: Server, tally: &mut Tally) -> Result<Server> {
        let period = self.drive(server)?;
        tally.changes += period.changes.len();
        tally.reads += period.reads.iter().map(Vec::len).sum::<usize>();
        tally.incoherent += period.incoherent.len();
        self.launch.verify_log()?;
        if self.random.chance(25) {
            kill_in_recovery(self.launch, &mut self.random)?;
        }
        let sync = *self.random.pick(&["fdatasync", "direct"]);
        let server = self.launch.clone().with(&[("ONRUSH_LOG__SYNC", sync)]).start()?;
        self.rest(&server, period)?;
        Ok(server)
    }

    fn drive(&mut self, server: Server) -> Result<Period> {
        let Self { random, traffic, writers, .. } = self;
        let (public, operator, pause) = (server.public(), server.operator(), random.span_ms(150, 600));
        let readers = (0..READER_COUNT).map(|number| Reader::new(traffic, random.fork(number)));
        let readers = readers.collect::<Vec<_>>();
        traffic.begin();
        thread::scope(|scope| {
            let traffic = &*traffic;
            let writing = writers
                .iter_mut()
                .map(|writer| scope.spawn(move || writer.run(traffic, operator)))
                .collect::<Vec<_>>();
            let reading =
                readers.into_iter().map(|reader| scope.spawn(move || reader.run(public))).collect::<Vec<_>>();
            thread::sleep(pause);
            traffic.kill();
            let killed = server.kill();
            let mut period = Period::default();
            for writer in writing {
                let changes = writer.join().map_err(|_| anyhow!("a writer panicked"))?.context("a writer")?;
                period.absorb(Period { changes, ..Period::default() });
            }
            for reader in reading {
                period.absorb(reader.join().map_err(|_| anyhow!("a reader panicked"))?.context("a reader")?);
            }
            killed.map(|()| period)
        })
    }

    /// Reads everything while nobody changes it, and holds it against what clients were told.
    fn rest(&mut self, server: &Server, period: Period) -> Result<()> {
        let after = self.read_all(server.public())?;
        self.products.pass(period, after)?;
        for writer in &mut self.writers {
            writer.learn(&self.products.rows);
        }
        self.check_shown(&shown(server.operator(), PRODUCTS)?)?;
        let parts = shown(server.operator(), PARTS)?;
        let figures = |shown: &Shown| (shown.version.clone(), shown.rows, shown.bytes);
        ensure!(figures(&parts) == figures(&self.parts), "the parts were {:?}: {parts:?}", self.parts);
        Ok(())
    }

    /// Checks what an operator is shown of the products when each was read twice since the start of the server.
    fn check_shown(&self, products: &Shown) -> Result<()> {
        let rows = self.products.rows.iter().filter_map(|(key, counter)| Some(row(*key, (*counter)?)));
        let (count, bytes) = rows.fold((0, 0), |(count, bytes), row| (count + 1, bytes + row.len() as u64));
        ensure!(
            products.version == self.products.version.to_string()
                && (products.rows, products.bytes) == (count, bytes),
            "{count} rows of {bytes} bytes and version {} were read: {products:?}",
            self.products.version
        );
        let (found, missing) = (2 * count, 2 * (KEY_COUNT as u64 - count));
        ensure!(
            (products.reads_found, products.reads_missing) == (found, missing),
            "{found} reads found a row and {missing} did not: {products:?}"
        );
        Ok(())
    }

    /// Reads all products together, and each alone, which must show the same.
    fn read_all(&self, public: SocketAddr) -> Result<Read> {
        let mut connection = Connection::open(public)?;
        let keys = (0..KEY_COUNT).collect::<Vec<_>>();
        let (times, answer) = self.clock.time(|| connection.call(&request("GET", &target_of_many(&keys))));
        let (rows, version) = read_many(&keys, &answer?)?;
        for (key, counter) in &rows {
            let answer = connection.call(&request("GET", &target(*key)))?;
            let expected = counter.map(|counter| row(*key, counter));
            let shown = (answer.status == 200).then(|| String::from_utf8_lossy(&answer.body).into_owned());
            ensure!(
                shown == expected && matches!(answer.status, 200 | 404),
                "key {key} is {} {} alone, and {expected:?} among others",
                answer.status,
                answer.text()
            );
            if let Some(counter) = counter {
                self.traffic.tagged(*key, *counter, answer.header("etag").unwrap_or_default())?;
            }
        }
        Ok(Read { rows, times, version: Some(version) })
    }
}
