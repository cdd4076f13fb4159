//! Rows of the catalogue that come through Kafka, where Debezium writes each change of a table as it finds it in the log of a database.

mod asking;
mod ends;
mod feed;
mod moment;
mod offsets;
mod settings;
mod stopping;

pub use feed::Feed;
pub use settings::{DebeziumSettings, OffsetsSettings};

const _: () = assert!(
    onrush_debezium::ROW_JSON_BYTES_MAX == crate::source::ROW_JSON_BYTES_MAX,
    "rows have the same bound wherever they come from"
);
