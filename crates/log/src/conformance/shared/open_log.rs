//! A shared log that is appended to and read, with a memory of what was told of it.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::SharedHarness;
use crate::shared::{Acked, Acks, Progress, RecordNo, SharedAppender, SharedError, SharedLog, SharedReader};

/// The one that is tested.
pub(super) const PARTITION: u32 = 0;

/// Between two looks whether something came.
const LOOK: Duration = Duration::from_millis(20);

/// Looks until it is a failure: one that is elsewhere may need a minute to begin.
const LOOKS_MAX: usize = 3_000;

/// What was told of each ticket.
#[derive(Default)]
pub(super) struct Told {
    by_ticket: Mutex<BTreeMap<u64, Result<Acked, SharedError>>>,
    came: Condvar,
}

impl Acks for Told {
    fn ack(&self, ticket: u64, acked: Result<Acked, SharedError>) {
        let before = self.by_ticket().insert(ticket, acked);
        assert_eq!(before, None, "ticket {ticket} is acknowledged once");
        self.came.notify_all();
    }
}

impl Told {
    fn by_ticket(&self) -> MutexGuard<'_, BTreeMap<u64, Result<Acked, SharedError>>> {
        self.by_ticket.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until a ticket is acknowledged, and returns its record's number.
    pub(super) fn wait(&self, harness: &dyn SharedHarness, ticket: u64) -> RecordNo {
        for _ in 0..LOOKS_MAX {
            harness.settle();
            let told = self.by_ticket();
            if let Some(acked) = told.get(&ticket) {
                let acked = acked.as_ref().expect("nothing goes wrong");
                return acked.no.expect("nothing goes wrong, so there is a number");
            }
            let _ = self.came.wait_timeout(told, LOOK).unwrap_or_else(PoisonError::into_inner);
        }
        panic!("ticket {ticket} is acknowledged within a minute");
    }

    /// Waits until all of these tickets are acknowledged.
    pub(super) fn wait_for_all(&self, harness: &dyn SharedHarness, tickets: impl IntoIterator<Item = u64>) {
        for ticket in tickets {
            self.wait(harness, ticket);
        }
    }

    /// So many tickets were acknowledged.
    pub(super) fn count(&self) -> usize {
        self.by_ticket().len()
    }
}

/// A way into the log, and what was told of its records.
pub(super) struct Writer {
    appender: Box<dyn SharedAppender>,
    pub(super) told: Arc<Told>,
    pub(super) ticket: u64,
    /// Where a record stands if nobody else appends; anywhere until the first one was acknowledged.
    pub(super) expected: RecordNo,
}

impl Writer {
    pub(super) fn new(log: &dyn SharedLog) -> Self {
        let told = Arc::new(Told::default());
        let acks = Arc::clone(&told) as Arc<dyn Acks>;
        let appender = log.appender(PARTITION, acks).expect("a way into the log");
        Self { appender, told, ticket: 0, expected: RecordNo(0) }
    }

    /// Hands a record over and returns its ticket.
    pub(super) fn hand_over(&mut self, record: &[u8]) -> Result<u64, SharedError> {
        self.ticket += 1;
        self.appender.append(self.ticket, self.expected, record)?;
        self.expected.0 += 1;
        Ok(self.ticket)
    }

    /// The same, and waits until it is in the log.
    pub(super) fn append(&mut self, harness: &dyn SharedHarness, record: &[u8]) -> RecordNo {
        let ticket = self.hand_over(record).expect("the log takes it");
        let no = self.told.wait(harness, ticket);
        self.expected = RecordNo(no.0 + 1);
        no
    }
}

/// The records from a number on, up to as many as are there when a reader is level, each with its number.
pub(super) fn read_from(harness: &dyn SharedHarness, from: RecordNo) -> Vec<(RecordNo, Vec<u8>)> {
    let log = harness.log();
    let mut reader = log.reader(PARTITION, from).expect("a reader");
    read_on(harness, &mut *reader, from)
}

/// The same with a reader that is there, and whose next record is this one.
pub(super) fn read_on(
    harness: &dyn SharedHarness,
    reader: &mut dyn SharedReader,
    from: RecordNo,
) -> Vec<(RecordNo, Vec<u8>)> {
    let mut records = Vec::new();
    for _ in 0..LOOKS_MAX {
        harness.settle();
        let progress = read_once(reader, &mut records);
        assert_eq!(progress.next.0, from.0 + records.len() as u64, "every number has a record");
        if progress.is_level {
            return records;
        }
    }
    panic!("a reader comes to the end within a minute");
}

/// Reads once, behind what was read before.
pub(super) fn read_once(reader: &mut dyn SharedReader, records: &mut Vec<(RecordNo, Vec<u8>)>) -> Progress {
    let read = reader.read(LOOK, &mut |no, record| {
        if let Some((before, _)) = records.last() {
            assert_eq!(no.0, before.0 + 1, "numbers come in order and without a gap");
        }
        records.push((no, record.to_vec()));
        ControlFlow::Continue(())
    });
    read.expect("nothing goes wrong")
}

/// Bytes of a record that only this number makes.
pub(super) fn bytes_of(number: u64, length: usize) -> Vec<u8> {
    let seed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes();
    seed.into_iter().cycle().take(length).collect()
}
