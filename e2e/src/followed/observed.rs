//! Readers of collections while rows are changed and something goes wrong, and whether what they saw fits together.

use anyhow::{Context as _, Result, anyhow};
use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::history::{History, Written};
use super::traffic::{AskVersion, Reader, Seen, Traffic};
use crate::random::Random;
use crate::run_clock::Clock;

/// Readers, equally many for each collection.
const READER_COUNT: u64 = 6;

/// Changes rows until it is told to end, and tells what it changed.
pub(crate) type Work<'a> = Box<dyn FnOnce(&Traffic<'_>) -> Result<Vec<Written>> + Send + 'a>;

/// All that clients of some collections of the same rows did and saw.
#[derive(Debug)]
pub(crate) struct Observed {
    collections: &'static [&'static str],
    /// How far their answers may be behind, milliseconds.
    lag_ms_max: u64,
    clock: Clock,
    random: Random,
    history: History,
    tally: Tally,
}

/// What was done.
#[derive(Debug, Default)]
struct Tally {
    changes: usize,
    reads: usize,
    unavailable: usize,
}

impl fmt::Display for Observed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally { changes, reads, unavailable } = self.tally;
        write!(formatter, "{changes} changes, {reads} reads, {unavailable} not available")
    }
}

impl Observed {
    /// Nothing has been read of the collections.
    pub(crate) fn new(collections: &'static [&'static str], lag_ms_max: u64, random: Random) -> Self {
        let (history, tally) = (History::default(), Tally::default());
        Self { collections, lag_ms_max, clock: Clock::start(), random, history, tally }
    }

    /// Lets readers read while these writers write and something goes wrong. `versions` gives each reader what asks the database for its version.
    pub(crate) fn while_it<'a, T>(
        &mut self,
        public: SocketAddr,
        versions: impl Fn() -> AskVersion<'a>,
        writers: Vec<Work<'a>>,
        goes_wrong: impl FnOnce(&mut Random) -> Result<T>,
    ) -> Result<T> {
        let has_ended = AtomicBool::new(false);
        let traffic =
            Traffic { lag_ms_max: self.lag_ms_max, public, clock: self.clock, has_ended: &has_ended };
        let readers = (0..READER_COUNT).zip(self.collections.iter().cycle());
        let readers = readers.map(|(number, collection)| Reader {
            random: self.random.fork(100 + number),
            collection,
            ask_version: versions(),
        });
        let readers = readers.collect::<Vec<_>>();
        self.random = self.random.fork(2);
        let mut random = self.random.fork(3);
        let (done, written, seen) = thread::scope(|scope| {
            let traffic = &traffic;
            let writing =
                writers.into_iter().map(|work| scope.spawn(move || work(traffic))).collect::<Vec<_>>();
            let reading = readers
                .into_iter()
                .map(|reader| scope.spawn(move || reader.run(traffic)))
                .collect::<Vec<_>>();
            thread::sleep(random.span_ms(300, 900));
            let done = goes_wrong(&mut random);
            thread::sleep(random.span_ms(300, 900));
            has_ended.store(true, Ordering::Relaxed);
            let (mut written, mut seen) = (Vec::new(), Vec::<Seen>::new());
            for writer in writing {
                written.push(writer.join().map_err(|_| anyhow!("a writer panicked"))?);
            }
            for reader in reading {
                seen.push(reader.join().map_err(|_| anyhow!("a reader panicked"))??);
            }
            anyhow::Ok((done?, written, seen))
        })?;
        for written in written {
            let written = written.context("change rows")?;
            self.tally.changes += written.len();
            self.history.absorb(written);
        }
        for Seen { reads, unavailable } in seen {
            self.tally.unavailable += unavailable;
            for (collection, reads) in reads {
                self.tally.reads += reads.len();
                self.history.check(&reads).with_context(|| format!("collection {collection}"))?;
            }
        }
        Ok(done)
    }
}
