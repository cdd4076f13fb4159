//! Where rows of the catalogue come from: a PostgreSQL database, whose changes are read as they are committed.

mod connecting;
mod feed;
mod fetching;
mod inspection;
mod interruption;
mod loading;
mod pgoutput;
mod places;
mod preparation;
mod settings;
mod statements;
mod stream;
mod transactions;

pub use feed::Feed;
pub use preparation::{grants, prepare, server_statements, statements};
pub use settings::{CONNECTIONS_MAX, SourceSettings, Watch};
#[cfg(feature = "kafka")]
pub(crate) use statements::ROW_JSON_BYTES_MAX;
