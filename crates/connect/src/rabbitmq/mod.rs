//! RabbitMQ: a persistent message for each event, confirmed by the broker, at least once and in order.

mod audit;
mod errors;
mod link;
mod message;
mod settings;
mod target;

pub use audit::RabbitMqAuditor;
pub use settings::{NAME_BYTES_MAX, QueueType, Settings};
pub use target::RabbitMq;
