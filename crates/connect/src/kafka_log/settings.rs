//! What a user may set about a log in Kafka, and what that means for librdkafka.

use onrush_log::shared::SharedError;
use rdkafka::ClientConfig;

use crate::kafka::{ClusterSettings, check_topic, refusal};

/// How long a record may be on its way until its writer is told that nobody knows, milliseconds.
const MESSAGE_TIMEOUT_MS: u32 = 30_000;

/// How long a broker may leave a request without an answer until it is asked again, milliseconds.
const SOCKET_TIMEOUT_MS: u32 = 3_000;

/// How long a broker lets a reader wait that has read everything, milliseconds; a record ends the wait at once.
const FETCH_WAIT_MS: u32 = 100;

/// KiB that a reader may have received and not yet read.
const RECEIVED_KIB_MAX: u32 = 16_384;

/// Records of one appender that may be without acknowledgement. A broker takes the next request of a connection only when it has answered
/// the one before, which with `acks=all` is when all copies have it: more of them wait for each other, so that each answer takes as many round
/// trips as there are. What comes meanwhile is better in the next record (figures in `docs/decisions/0047-a-topic-as-a-shared-log.md`).
pub(super) const OUTSTANDING_MAX: usize = 2;

/// Records that librdkafka has at most. They count until long after they were acknowledged: a burst of acknowledgements is one thing to
/// it, which it lets go as a whole. So this is far above what is outstanding.
const QUEUED_MAX: u64 = 1_000;
/// The most that it takes for the same in KiB.
const QUEUED_KIB_MAX: u64 = 2_097_151;

/// Plain values of a log in Kafka.
#[derive(Clone, Debug)]
pub struct KafkaLogSettings {
    /// Which cluster it is.
    pub cluster: ClusterSettings,
    /// The topic.
    pub topic: String,
    /// Its partitions, which are those of the log.
    pub partition_count: u32,
}

impl KafkaLogSettings {
    /// What is wrong with the values, as a sentence without credentials. Reads `properties_file`; does not connect.
    pub fn check(&self) -> Result<(), String> {
        check_topic("topic", &self.topic)?;
        check_topic("topic of snapshots", &self.snapshots().topic)?;
        self.cluster.check()?;
        for config in [self.producer_config(0)?, self.consumer_config()?] {
            config.create_native_config().map_err(|error| refusal(&error))?;
        }
        Ok(())
    }

    /// The topic beside it, for snapshots of what it has.
    #[must_use]
    pub fn snapshots(&self) -> Self {
        Self { topic: format!("{}.snapshots", self.topic), ..self.clone() }
    }

    /// There is no such topic.
    pub(super) fn absent(&self) -> SharedError {
        SharedError::Absent(format!(
            "there is no topic {} at {}, or it is hidden from this user: run `onrush cluster prepare`",
            self.topic, self.cluster.brokers
        ))
    }

    /// For one appender, whose largest record has so many bytes.
    pub(super) fn producer_config(&self, message_bytes_max: u32) -> Result<ClientConfig, String> {
        let mut config = self.cluster.client_config()?;
        set_absent(&mut config, "linger.ms", 0);
        set_absent(&mut config, "socket.timeout.ms", SOCKET_TIMEOUT_MS);
        config.set("message.timeout.ms", MESSAGE_TIMEOUT_MS.to_string());
        config.set("enable.idempotence", "true");
        config.set("acks", "all");
        config.set("max.in.flight.requests.per.connection", OUTSTANDING_MAX.to_string());
        // A record that is there already is acknowledged without its number; of several in one request, librdkafka gives those
        // behind the first one wrong numbers then.
        config.set("batch.num.messages", "1");
        config.set("queue.buffering.max.messages", QUEUED_MAX.to_string());
        let queued_kib_max = u64::from((message_bytes_max >> 10) + 1) * QUEUED_MAX;
        config.set("queue.buffering.max.kbytes", queued_kib_max.min(QUEUED_KIB_MAX).to_string());
        config.set("message.max.bytes", message_bytes_max.max(1_000).to_string());
        // A topic that is gone must not come back by itself, and empty.
        config.set("allow.auto.create.topics", "false");
        Ok(config)
    }

    /// For one reader.
    pub(super) fn consumer_config(&self) -> Result<ClientConfig, String> {
        let mut config = self.cluster.reader_config("onrush-log")?;
        set_absent(&mut config, "socket.timeout.ms", SOCKET_TIMEOUT_MS);
        set_absent(&mut config, "fetch.wait.max.ms", FETCH_WAIT_MS);
        set_absent(&mut config, "fetch.error.backoff.ms", FETCH_WAIT_MS);
        set_absent(&mut config, "fetch.queue.backoff.ms", 10);
        set_absent(&mut config, "queued.max.messages.kbytes", RECEIVED_KIB_MAX);
        config.set("check.crcs", "true");
        // What is in the log is what has a number, whoever wrote it.
        config.set("isolation.level", "read_uncommitted");
        config.set("allow.auto.create.topics", "false");
        Ok(config)
    }
}

/// The number of a partition as Kafka has it.
pub(super) fn kafka_partition(partition: u32) -> i32 {
    i32::try_from(partition).expect("Kafka numbers partitions in 31 bits")
}

fn set_absent(config: &mut ClientConfig, key: &str, value: u32) {
    if config.get(key).is_none() {
        config.set(key, value.to_string());
    }
}
