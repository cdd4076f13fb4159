//! A Kafka topic as the log that several nodes share. Kafka takes records from anybody, so what counts is decided by whoever reads
//! (see `onrush_log::shared`); here is only the way in, the way out, and a look at the topic's settings.
//!
//! Each appender is an idempotent producer of its own, each reader a consumer without a group. Numbers of records are Kafka's
//! offsets. They are dense as long as nobody compacts the topic or writes transactions to it; a gap is an error.

mod appender;
mod creation;
mod log;
mod reader;
mod settings;
mod topic;
mod trimming;

pub use creation::create_topic;
pub use log::KafkaLog;
pub use settings::KafkaLogSettings;
