//! What sinks write to: PostgreSQL, Kafka, RabbitMQ and Redis Streams, each a [`Target`](onrush_sinks::Target) for the
//! runner in `node`, and each with an auditor that compares it with the log. Their clients are used nowhere else.

mod audit;
mod booking;
#[cfg(feature = "kafka")]
pub mod debezium;
mod event_json;
#[cfg(feature = "kafka")]
pub mod kafka;
#[cfg(feature = "kafka")]
pub mod kafka_log;
mod message_format;
pub mod postgres;
pub mod rabbitmq;
pub mod redis;
mod secret;
pub mod source;
mod tls;
#[cfg(feature = "kafka")]
mod waiting;

pub use audit::{Audit, Findings, Ledger, StoredEvent, Tally, fingerprint};
pub use event_json::{event_id, event_type, source_uri, write_event_data, write_event_id};
pub use message_format::MessageFormat;
pub use secret::Secret;
pub use tls::{Tls, TlsSettings};
