//! A topic of a test's own, as a log, and what was told of its records.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use onrush_connect::kafka::ClusterSettings;
use onrush_connect::kafka_log::{KafkaLog, KafkaLogSettings, create_topic};
use onrush_log::conformance::shared::SharedHarness;
use onrush_log::shared::{Acked, Acks, RecordNo, SharedAppender, SharedError, SharedLog, SharedReader};

use crate::place::{Place, unique};

/// Longest wait for anything.
pub(crate) const TIMEOUT: Duration = Duration::from_mins(1);

/// A topic that is deleted in the end.
pub(crate) struct Topic {
    pub(crate) place: Place,
    log: Arc<KafkaLog>,
}

impl Topic {
    /// One that is made for it, if the services are up.
    pub(crate) fn make() -> Option<Self> {
        let place = Place::named(&unique("log"))?;
        let settings = settings(place.cluster(), &place.topic);
        assert_eq!(create_topic(&settings, 1), Ok(true));
        let log = Arc::new(KafkaLog::open(settings).expect("it is there"));
        Some(Self { place, log })
    }

    pub(crate) fn reader(&self, from: u64) -> Box<dyn SharedReader> {
        self.log.reader(0, RecordNo(from)).expect("a reader")
    }
}

impl SharedHarness for Topic {
    fn log(&self) -> Arc<dyn SharedLog> {
        Arc::clone(&self.log) as Arc<dyn SharedLog>
    }

    fn settle(&self) {}
}

pub(crate) fn settings(cluster: ClusterSettings, topic: &str) -> KafkaLogSettings {
    KafkaLogSettings { cluster, topic: topic.to_owned(), partition_count: 1 }
}

/// What was told of each ticket.
#[derive(Default)]
pub(crate) struct Told {
    by_ticket: Mutex<BTreeMap<u64, Result<Acked, SharedError>>>,
    came: Condvar,
}

impl Acks for Told {
    fn ack(&self, ticket: u64, acked: Result<Acked, SharedError>) {
        assert_eq!(self.by_ticket().insert(ticket, acked), None, "once for each");
        self.came.notify_all();
    }
}

impl Told {
    fn by_ticket(&self) -> MutexGuard<'_, BTreeMap<u64, Result<Acked, SharedError>>> {
        self.by_ticket.lock().unwrap()
    }

    /// Waits until all tickets up to this one are acknowledged; returns what was told of them.
    pub(crate) fn wait(&self, ticket: u64) -> BTreeMap<u64, Result<Acked, SharedError>> {
        let told = self.came.wait_timeout_while(self.by_ticket(), TIMEOUT, |told| {
            !(1..=ticket).all(|ticket| told.contains_key(&ticket))
        });
        let (told, timeout) = told.unwrap();
        assert!(!timeout.timed_out(), "everything is acknowledged in the end");
        told.clone()
    }
}

/// A way into a log.
pub(crate) struct Writer {
    pub(crate) appender: Box<dyn SharedAppender>,
    pub(crate) told: Arc<Told>,
    ticket: u64,
}

impl Writer {
    pub(crate) fn new(log: &dyn SharedLog) -> Self {
        let told = Arc::new(Told::default());
        let appender = log.appender(0, Arc::clone(&told) as Arc<dyn Acks>).expect("a way into the log");
        Self { appender, told, ticket: 0 }
    }

    /// Hands a record over whose bytes are its ticket.
    pub(crate) fn hand_over(&mut self) -> u64 {
        self.ticket += 1;
        let record = self.ticket.to_le_bytes();
        self.appender.append(self.ticket, RecordNo(self.ticket - 1), &record).expect("it is taken");
        self.ticket
    }

    /// The same, so often that the log then has that many records more.
    pub(crate) fn append(&mut self, count: u64) {
        for _ in 0..count {
            let ticket = self.hand_over();
            assert!(self.told.wait(ticket)[&ticket].is_ok());
        }
    }
}

/// Reads until it is level, or an error: the tickets that were read.
pub(crate) fn read_on(reader: &mut dyn SharedReader) -> Result<Vec<u64>, SharedError> {
    let mut tickets = Vec::new();
    for _ in 0..600 {
        let progress = reader.read(Duration::from_millis(100), &mut |_, record| {
            tickets.push(u64::from_le_bytes(record.try_into().expect("a ticket")));
            ControlFlow::Continue(())
        });
        if progress?.is_level {
            return Ok(tickets);
        }
    }
    panic!("it comes to the end within a minute");
}

/// Reads until there is an error, though it may be level before.
pub(crate) fn error_of(reader: &mut dyn SharedReader) -> SharedError {
    for _ in 0..600 {
        if let Err(error) = read_on(reader) {
            return error;
        }
    }
    panic!("there is an error within a minute");
}
