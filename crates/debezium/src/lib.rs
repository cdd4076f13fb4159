//! What records of Debezium mean for the rows of a table: which row each changes, whether it is newer than what is known, whether all rows were told, and how
//! far the connector is. Records are given as bytes, and the time with them.

mod envelope;
mod moment;
mod offset;
mod taking;
mod unchanged_values;

pub use moment::Moment;
pub use offset::Offset;
pub use taking::{Known, ROW_JSON_BYTES_MAX, Taker};
