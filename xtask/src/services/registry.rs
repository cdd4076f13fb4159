//! The list of all services.

use super::server::Server;
use super::{connect, kafka, mariadb, postgres, rabbitmq, redis, replica};

/// The names of all services, as one writes them on the command line.
pub(crate) const NAMES: [&str; 7] =
    ["postgres", "postgres-replica", "mariadb", "redis", "rabbitmq", "kafka", "connect"];

/// Every service; one comes after those it rests on.
pub(crate) const SERVERS: [&dyn Server; 7] = [
    &postgres::Postgres,
    &replica::Replica,
    &mariadb::MariaDb,
    &redis::Redis,
    &rabbitmq::RabbitMq,
    &kafka::Kafka,
    &connect::Connect,
];
