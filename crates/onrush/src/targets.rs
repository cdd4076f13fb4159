//! From the settings of a sink to the parts that write, read back and compare.

use std::sync::Arc;

use onrush_connect::Audit;
#[cfg(feature = "kafka")]
use onrush_connect::kafka::{Kafka, KafkaAuditor};
use onrush_connect::postgres::{Postgres, PostgresAuditor, PostgresReplica};
use onrush_connect::rabbitmq::{RabbitMq, RabbitMqAuditor};
use onrush_connect::redis::{Redis, RedisAuditor};
use onrush_sinks::{Replica, Target};

use crate::settings::TargetSettings;

impl TargetSettings {
    /// As the settings name it.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Postgres(_) => "postgres",
            #[cfg(feature = "kafka")]
            Self::Kafka(_) => "kafka",
            Self::RabbitMq(_) => "rabbitmq",
            Self::Redis(_) => "redis",
        }
    }

    /// What the sink's thread writes to. Connects to nothing yet.
    pub(crate) fn target(&self) -> Box<dyn Target> {
        match self.clone() {
            Self::Postgres(settings) => Box::new(Postgres::new(settings)),
            #[cfg(feature = "kafka")]
            Self::Kafka(settings) => Box::new(Kafka::new(settings)),
            Self::RabbitMq(settings) => Box::new(RabbitMq::new(settings)),
            Self::Redis(settings) => Box::new(Redis::new(settings)),
        }
    }

    /// What compares it with the log.
    pub(crate) fn auditor(&self) -> Box<dyn Audit> {
        match self.clone() {
            Self::Postgres(settings) => Box::new(PostgresAuditor::new(settings)),
            #[cfg(feature = "kafka")]
            Self::Kafka(settings) => Box::new(KafkaAuditor::new(settings)),
            Self::RabbitMq(settings) => Box::new(RabbitMqAuditor::new(settings)),
            Self::Redis(settings) => Box::new(RedisAuditor::new(settings)),
        }
    }

    /// The replica that it names, if it does.
    pub(crate) fn replica(&self) -> Option<Arc<dyn Replica>> {
        match self {
            Self::Postgres(settings) if settings.replica_url.is_some() => {
                Some(Arc::new(PostgresReplica::new(settings.clone())))
            }
            _ => None,
        }
    }
}
