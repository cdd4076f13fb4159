//! Rows of the catalogue that come through Kafka, where Debezium writes each change of a table as it finds it in the log of a database.

mod asking;
mod ends;
mod envelope;
mod feed;
mod moment;
mod offset;
mod offsets;
mod settings;
mod stopping;
mod taking;
mod unchanged_values;

pub use feed::Feed;
pub use settings::{DebeziumSettings, OffsetsSettings};
