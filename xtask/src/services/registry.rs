//! The list of all services.

use super::server::Server;
use super::{connect, kafka, kafka_cluster, mariadb, postgres, rabbitmq, redis, replica};

/// The names of all services, as one writes them on the command line.
pub(crate) const NAMES: [&str; 10] = [
    "postgres",
    "postgres-replica",
    "mariadb",
    "redis",
    "rabbitmq",
    "kafka",
    "connect",
    "kafka-1",
    "kafka-2",
    "kafka-3",
];

/// What can be started: a service, or those of a group.
pub(crate) fn startable() -> Vec<&'static str> {
    [&NAMES[..], &[kafka_cluster::CLUSTER]].concat()
}

/// Every service; one comes after those it rests on.
pub(crate) const SERVERS: [&dyn Server; 10] = [
    &postgres::Postgres,
    &replica::Replica,
    &mariadb::MariaDb,
    &redis::Redis,
    &rabbitmq::RabbitMq,
    &kafka::Kafka,
    &connect::Connect,
    &kafka_cluster::FIRST,
    &kafka_cluster::SECOND,
    &kafka_cluster::THIRD,
];
