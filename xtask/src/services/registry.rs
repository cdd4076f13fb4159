//! The list of all services.

use super::server::Server;
use super::{kafka, postgres, rabbitmq, redis, replica};

/// The names of all services, as one writes them on the command line.
pub(crate) const NAMES: [&str; 5] = ["postgres", "postgres-replica", "redis", "rabbitmq", "kafka"];

/// Every service; one comes after those it rests on.
pub(crate) const SERVERS: [&dyn Server; 5] =
    [&postgres::Postgres, &replica::Replica, &redis::Redis, &rabbitmq::RabbitMq, &kafka::Kafka];
