//! Redis Streams: an entry for each event, exactly once, and the sink's offset beside them in the same server.

mod audit;
mod connection;
mod encoding;
mod session;
mod settings;
mod stream;
mod target;

pub use audit::RedisAuditor;
pub use settings::{STREAM_BYTES_MAX, Settings};
pub use target::Redis;
