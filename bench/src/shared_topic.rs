//! A topic of three brokers as a node writes it, without the node: records are handed over, and what became of each is known.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use onrush_connect::TlsSettings;
use onrush_connect::kafka::ClusterSettings;
use onrush_connect::kafka_log::{KafkaLog, KafkaLogSettings, create_topic};
use onrush_log::shared::{Acked, Acks, RecordNo, SharedAppender, SharedError, SharedLog as _};

/// Longest wait for an acknowledgement.
const TIMEOUT: Duration = Duration::from_mins(1);
/// Copies of each record.
const REPLICA_COUNT: u16 = 3;

/// A topic with the settings of a log.
pub(crate) struct SharedTopic(KafkaLog);

/// A way into an empty topic.
pub(crate) struct RecordWriter {
    appender: Box<dyn SharedAppender>,
    window: Arc<Window>,
    outstanding_max: usize,
    ticket: u64,
}

#[derive(Default)]
struct Window {
    state: Mutex<WindowState>,
    changed: Condvar,
}

#[derive(Default)]
struct WindowState {
    /// When each record was due that is not in force.
    due: VecDeque<Instant>,
    in_force_count: u64,
    /// From when a record was due until it was in force.
    latencies: Vec<Duration>,
    failure: Option<String>,
}

impl SharedTopic {
    /// The topic of this name, which is made if it is not there.
    pub(crate) fn open(brokers: &str, topic: &str) -> Result<Self> {
        let cluster = ClusterSettings {
            brokers: brokers.to_owned(),
            username: None,
            tls: TlsSettings::default(),
            password: None,
            properties_file: None,
        };
        let settings = KafkaLogSettings { cluster, topic: topic.to_owned(), partition_count: 1 };
        create_topic(&settings, REPLICA_COUNT).with_context(|| format!("make the topic {topic}"))?;
        Ok(Self(KafkaLog::open(settings).with_context(|| format!("open the topic {topic}"))?))
    }

    /// Begins to write. Nobody else may.
    pub(crate) fn writer(&self) -> Result<RecordWriter> {
        let window = Arc::new(Window::default());
        let appender = self.0.appender(0, Arc::clone(&window) as Arc<dyn Acks>)?;
        Ok(RecordWriter { appender, window, outstanding_max: self.0.bounds().outstanding_max, ticket: 0 })
    }
}

impl RecordWriter {
    /// Hands a record over that was due then, as soon as few enough others are on their way.
    pub(crate) fn write(&mut self, record: &[u8], due: Instant) -> Result<()> {
        let outstanding_max = self.outstanding_max;
        self.window.wait(|state| state.due.len() < outstanding_max)?.due.push_back(due);
        self.ticket += 1;
        Ok(self.appender.append(self.ticket, RecordNo(self.ticket - 1), record)?)
    }

    /// Waits until all are in force; how long each took, in their order.
    pub(crate) fn finish(self) -> Result<Vec<Duration>> {
        let mut state = self.window.wait(|state| state.due.is_empty())?;
        Ok(std::mem::take(&mut state.latencies))
    }
}

impl Window {
    fn state(&self) -> MutexGuard<'_, WindowState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait(&self, is_so: impl Fn(&WindowState) -> bool) -> Result<MutexGuard<'_, WindowState>> {
        let waits = |state: &mut WindowState| state.failure.is_none() && !is_so(state);
        let waited = self.changed.wait_timeout_while(self.state(), TIMEOUT, waits);
        let (state, timeout) = waited.map_err(|_| anyhow!("whoever takes acknowledgements has panicked"))?;
        if let Some(failure) = &state.failure {
            bail!("{failure}");
        }
        ensure!(!timeout.timed_out(), "the topic acknowledges nothing");
        Ok(state)
    }
}

impl Acks for Window {
    /// One writer and an empty topic: a record is in force if the log says that it is next.
    fn ack(&self, ticket: u64, acked: Result<Acked, SharedError>) {
        let mut state = self.state();
        let expected = RecordNo(state.in_force_count);
        match acked {
            Ok(acked) if acked.no == Some(expected) && ticket == expected.0 + 1 => {
                state.in_force_count += 1;
                let took = state.due.pop_front().map(|due| due.elapsed());
                state.latencies.extend(took);
            }
            other => state.failure = Some(format!("record {ticket} was to be {}: {other:?}", expected.0)),
        }
        self.changed.notify_all();
    }
}
