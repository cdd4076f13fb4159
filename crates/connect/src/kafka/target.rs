//! The target: an idempotent producer, which is given up whole at the first failure.
//!
//! Why the order of a key survives: within one producer the broker takes the messages of a partition only in the order of
//! their sequence numbers and without gaps. So what it has of any producer, also of one whose last requests arrive late,
//! is an unbroken run from where that producer began; and a producer begins at or before the first message that was not
//! acknowledged. Whatever is dropped as a repeat, the messages that are left are in order.

use onrush_sinks::{SinkEvent, Source, Target, TargetError};

use super::sender::Sender;
use super::topics::Topics;
use super::writer::Writer;
use super::{Settings, cluster};

/// Largest message that is sent where a cluster does not tell its own bound, bytes: librdkafka's default.
const MESSAGE_BYTES_MAX: u32 = 1_000_000;

/// Bounds that librdkafka takes, bytes.
const MESSAGE_BYTES_MAXES: std::ops::RangeInclusive<u32> = 1_000..=1_000_000_000;

/// A sink's topics.
pub struct Kafka {
    settings: Settings,
    session: Option<Session>,
    /// How little acknowledgements mean here was said already.
    has_warned: bool,
}

/// From `open` to the first error.
struct Session {
    sender: Sender,
    writer: Writer,
}

impl Kafka {
    /// A target for these settings, not connected.
    pub fn new(settings: Settings) -> Self {
        Self { settings, session: None, has_warned: false }
    }

    /// Looks at the topics, creates those that are missing, and returns the bound of a message, bytes.
    fn prepare(&mut self, topics: &Topics) -> Result<u32, TargetError> {
        let config = self.settings.cluster.client_config().map_err(TargetError::Unavailable)?;
        let names = topics.used_by(self.settings.message_format);
        let mut described = cluster::describe(&self.settings.cluster, &config)?;
        let missing: Vec<&str> =
            names.iter().copied().filter(|name| !described.contains_key(*name)).collect();
        if !missing.is_empty() {
            cluster::create_topics(&self.settings.cluster, &config, &missing)?;
            described = cluster::describe(&self.settings.cluster, &config)?;
        }
        let terms = cluster::terms(&self.settings.cluster, &config, &names).unwrap_or_else(|error| {
            tracing::debug!(%error, "the settings of the topics are not known");
            cluster::Terms::default()
        });
        let replica_count =
            names.iter().filter_map(|name| described.get(*name)).map(|topic| topic.replica_count).min();
        self.warn_once(replica_count, terms.insync_count_min);
        let message_bytes_max = terms.message_bytes_max.unwrap_or(MESSAGE_BYTES_MAX);
        Ok(message_bytes_max.clamp(*MESSAGE_BYTES_MAXES.start(), *MESSAGE_BYTES_MAXES.end()))
    }

    fn warn_once(&mut self, replica_count: Option<usize>, insync_count_min: Option<u32>) {
        if self.has_warned {
            return;
        }
        let topic = &self.settings.topic;
        let warning = match (replica_count, insync_count_min) {
            (Some(1), _) => {
                "the topic has one replica: if its broker's machine fails, acknowledged messages are lost"
            }
            (Some(_), Some(1)) => {
                "min.insync.replicas is 1: a message may be acknowledged while it is on one broker alone"
            }
            _ => return,
        };
        tracing::warn!(topic, "{warning}");
        self.has_warned = true;
    }

    /// Does something with the session, and ends it if that fails.
    fn with_session<T>(
        &mut self,
        work: impl FnOnce(&mut Session) -> Result<T, TargetError>,
    ) -> Result<T, TargetError> {
        let Some(session) = &mut self.session else {
            return Err(TargetError::Unavailable("the producer is closed".to_owned()));
        };
        let outcome = work(session);
        if outcome.is_err() {
            self.session = None;
        }
        outcome
    }
}

impl Target for Kafka {
    fn kind(&self) -> &'static str {
        "kafka"
    }

    fn keeps_offset(&self) -> bool {
        false
    }

    fn open(&mut self, source: &Source) -> Result<Option<u64>, TargetError> {
        self.session = None;
        let topics = Topics::new(&self.settings.topic);
        let message_bytes_max = self.prepare(&topics)?;
        let mut config = self.settings.producer_config().map_err(TargetError::Unavailable)?;
        if config.get("message.max.bytes").is_none() {
            config.set("message.max.bytes", message_bytes_max.to_string());
        }
        let sender = Sender::new(cluster::create(&self.settings.cluster, &config)?);
        let writer = Writer::new(topics, self.settings.message_format, source);
        self.session = Some(Session { sender, writer });
        Ok(None)
    }

    fn push(&mut self, event: &SinkEvent<'_>) -> Result<(), TargetError> {
        self.with_session(|session| match session.writer.draft(event) {
            Some(draft) => session.sender.queue(event.offset, event.key(), draft),
            None => Ok(()),
        })
    }

    fn send(&mut self, offset: u64) -> Result<u64, TargetError> {
        self.with_session(|session| session.sender.send(offset))
    }

    fn wait_until_durable(&mut self) -> Result<u64, TargetError> {
        self.with_session(|session| session.sender.wait_until_durable())
    }
}
