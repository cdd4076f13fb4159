//! RabbitMQ: an exchange and a stream queue for each test, because a stream can be read again and again.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures_util::StreamExt as _;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Connection, ConnectionProperties};
use onrush_connect::rabbitmq::{QueueType, RabbitMq, RabbitMqAuditor, Settings};
use onrush_connect::{Audit, MessageFormat, Secret};
use onrush_sinks::Target;

use crate::harness::{Harness, Seen, WRONG_PASSWORD};
use crate::services::variable;

/// A stream that gives nothing for so long has no more.
const QUIET: Duration = Duration::from_secs(2);

/// A place in the RabbitMQ of the services.
pub struct RabbitMqHarness {
    url: url::Url,
    password: String,
    name: String,
    runtime: tokio::runtime::Runtime,
}

/// A place of its own, if there is a server.
pub fn harness() -> Option<RabbitMqHarness> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let url = variable("ONRUSH_SERVICES_RABBITMQ_URL")?.parse().expect("a url");
    let password = variable("ONRUSH_SERVICES_RABBITMQ_PASSWORD")?;
    let name = format!("conformance-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    Some(RabbitMqHarness { url, password, name, runtime: runtime.expect("an event loop starts") })
}

impl RabbitMqHarness {
    fn settings(&self, address: SocketAddr, password: &str) -> Settings {
        let mut url = self.url.clone();
        url.set_ip_host(address.ip()).expect("an address is a host");
        url.set_port(Some(address.port())).expect("it has a port");
        let settings = Settings {
            url: url.to_string(),
            password: Some(Secret::new(password)),
            tls: onrush_connect::TlsSettings::default(),
            exchange: self.name.clone(),
            queue: self.name.clone(),
            queue_type: QueueType::Stream,
            message_format: MessageFormat::Events,
        };
        settings.check().expect("the settings are good");
        settings
    }

    async fn connect(&self) -> (Connection, lapin::Channel) {
        let mut url = self.url.clone();
        url.set_password(Some(&self.password)).expect("it can have a password");
        let connected = Connection::connect(url.as_str(), ConnectionProperties::default()).await;
        let connection = connected.expect("the server is there");
        let channel = connection.create_channel().await.expect("the server is there");
        (connection, channel)
    }
}

impl Harness for RabbitMqHarness {
    fn target(&self, through: Option<SocketAddr>) -> Box<dyn Target> {
        Box::new(RabbitMq::new(self.settings(through.unwrap_or_else(|| self.address()), &self.password)))
    }

    fn intruder(&self) -> Box<dyn Target> {
        Box::new(RabbitMq::new(self.settings(self.address(), WRONG_PASSWORD)))
    }

    fn address(&self) -> SocketAddr {
        let host = self.url.host_str().expect("the url has a host");
        SocketAddr::new(host.parse().expect("it is an address"), self.url.port().unwrap_or(5672))
    }

    fn seen(&self) -> Vec<Seen> {
        self.runtime.block_on(async {
            let (_connection, channel) = self.connect().await;
            channel.basic_qos(1_000, BasicQosOptions::default()).await.expect("the server answers");
            let mut arguments = FieldTable::default();
            arguments.insert("x-stream-offset".into(), AMQPValue::LongString("first".into()));
            let queue = self.name.as_str().into();
            let begun = channel.basic_consume(queue, "".into(), BasicConsumeOptions::default(), arguments);
            let mut consumer = begun.await.expect("the queue is there");
            let mut seen = Vec::new();
            while let Ok(Some(delivery)) = tokio::time::timeout(QUIET, consumer.next()).await {
                let delivery = delivery.expect("the server gives messages");
                seen.push(read(&delivery));
                delivery.acker.ack(BasicAckOptions::default()).await.expect("the server answers");
            }
            seen
        })
    }

    fn auditor(&self) -> Box<dyn Audit> {
        Box::new(RabbitMqAuditor::new(self.settings(self.address(), &self.password)))
    }

    fn exactly_once(&self) -> bool {
        false
    }

    fn keeps_offset(&self) -> bool {
        false
    }

    fn lose(&self, _offset: u64) -> bool {
        false
    }
}

fn read(delivery: &lapin::message::Delivery) -> Seen {
    let properties = &delivery.properties;
    assert_eq!(*properties.delivery_mode(), Some(2));
    let id = properties.message_id().as_ref().expect("a message has an id").as_str();
    let kind = properties.kind().as_ref().expect("a message has a type").as_str();
    let kind = kind.strip_prefix("dev.onrush.").expect("a type").to_owned();
    let headers = properties.headers().as_ref().expect("a message has headers").inner();
    let header = |name: &str| match headers.get(name) {
        Some(AMQPValue::LongString(text)) => text.to_string(),
        other => panic!("{name} is {other:?}"),
    };
    assert_eq!(header("cloudEvents_specversion"), "1.0");
    assert_eq!(header("cloudEvents_id"), id);
    let key = header("cloudEvents_subject");
    assert_eq!(delivery.routing_key.as_str(), format!("{kind}.{key}"));
    Seen {
        offset: id.strip_prefix("0-").expect("the partition").parse().expect("the offset"),
        key,
        kind,
        body: serde_json::from_slice(&delivery.data).expect("the body is JSON"),
    }
}

impl Drop for RabbitMqHarness {
    fn drop(&mut self) {
        self.runtime.block_on(async {
            let (_connection, channel) = self.connect().await;
            let queue = self.name.as_str().into();
            let _ = channel.queue_delete(queue, lapin::options::QueueDeleteOptions::default()).await;
            let exchange = self.name.as_str().into();
            let _ = channel.exchange_delete(exchange, lapin::options::ExchangeDeleteOptions::default()).await;
        });
    }
}
