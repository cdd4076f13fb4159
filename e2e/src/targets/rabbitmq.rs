//! A queue of RabbitMQ, read as its readers do: a stream from where the last reading ended, other queues by taking what is in
//! them.

use anyhow::{Context as _, Result, anyhow, ensure};
use futures_util::StreamExt as _;
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions,
    ExchangeDeleteOptions, QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use std::fmt;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use tokio::runtime;
use tokio::time::timeout;

use super::received::Received;
use super::retried;
use crate::services::Services;

/// Longest wait for one answer of the server.
const SERVER_TIMEOUT: Duration = Duration::from_secs(30);

/// Delivery modes.
const TRANSIENT: u8 = 1;
const PERSISTENT: u8 = 2;

/// Messages on their way to a reader.
const PREFETCH_COUNT: u16 = 2_000;

/// Where a run writes.
pub(crate) struct Queues {
    /// The exchange; the default one if empty.
    pub exchange: String,
    /// The queue.
    pub queue: String,
    /// `quorum`, `classic` or `stream`.
    pub queue_type: &'static str,
    /// What messages look like.
    pub message_format: &'static str,
    /// Where the sink connects to: the server, or a proxy before it.
    pub address: SocketAddr,
    direct: SocketAddr,
    password: String,
    /// Where the server keeps everything, for `rabbitmqctl`.
    home: PathBuf,
    next: i64,
}

impl fmt::Debug for Queues {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "queue {} at {}", self.queue, self.direct)
    }
}

impl Queues {
    /// A stream of this name behind an exchange of the same name.
    pub(crate) fn new(services: &Services, name: &str) -> Result<Self> {
        let direct = services.address("RABBITMQ_URL")?;
        Ok(Self {
            exchange: name.into(),
            queue: name.into(),
            queue_type: "stream",
            message_format: "events",
            address: direct,
            direct,
            password: services.value("RABBITMQ_PASSWORD")?,
            home: PathBuf::from(services.value("DIRECTORY")?).join("rabbitmq"),
            next: 0,
        })
    }

    /// The settings of its sink.
    pub(crate) fn settings(&self) -> Vec<(String, String)> {
        vec![
            ("URL".to_owned(), format!("amqp://onrush@{}/onrush", self.address)),
            ("PASSWORD".to_owned(), self.password.clone()),
            ("EXCHANGE".to_owned(), self.exchange.clone()),
            ("QUEUE".to_owned(), self.queue.clone()),
            ("QUEUE_TYPE".to_owned(), self.queue_type.to_owned()),
            ("MESSAGE_FORMAT".to_owned(), self.message_format.to_owned()),
        ]
    }

    /// What came since the last call, until nothing came for `quiet`.
    pub(crate) fn read(&mut self, quiet: Duration) -> Result<Vec<Received>> {
        let runtime = runtime()?;
        let deliveries = retried("read RabbitMQ", || runtime.block_on(self.take(quiet)))?;
        let mut received = Vec::new();
        for delivery in deliveries {
            if let Some(AMQPValue::LongLongInt(offset)) = header(&delivery, "x-stream-offset") {
                // A stream is read from the beginning of a chunk, which may lie before the offset asked for.
                if *offset < self.next {
                    continue;
                }
                ensure!(*offset == self.next, "RabbitMQ gave {offset} where {} comes next", self.next);
                self.next += 1;
            }
            received.push(read(&delivery)?);
        }
        Ok(received)
    }

    /// Publishes a message as if it came from the sink.
    pub(crate) fn send(&self, message: &Received) -> Result<()> {
        let mut headers = FieldTable::default();
        for (name, value) in [
            ("cloudEvents_source", &message.source),
            ("cloudEvents_id", &message.id),
            ("cloudEvents_type", &message.event_type),
            ("cloudEvents_time", &message.time),
            ("cloudEvents_subject", &message.key),
        ] {
            headers.insert(name.into(), AMQPValue::LongString(value.as_bytes().into()));
        }
        let properties = BasicProperties::default()
            .with_message_id(message.id.as_str().into())
            .with_type(message.event_type.as_str().into())
            .with_delivery_mode(if message.is_persistent == Some(true) { PERSISTENT } else { TRANSIENT })
            .with_headers(headers);
        runtime()?.block_on(async {
            let channel = self.channel().await?;
            channel.confirm_select(ConfirmSelectOptions::default()).await?;
            let (exchange, queue) = ("".into(), self.queue.as_str().into());
            let options = BasicPublishOptions::default();
            let sent = channel.basic_publish(exchange, queue, options, &message.payload, properties).await?;
            ensure!(sent.await?.is_ack(), "RabbitMQ did not take the message");
            Ok(())
        })
    }

    /// Messages in the queue, as the server counts them.
    pub(crate) fn message_count(&self) -> Result<u32> {
        let runtime = runtime()?;
        retried("count messages", || {
            runtime.block_on(async {
                let channel = self.channel().await?;
                let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
                let declared =
                    channel.queue_declare(self.queue.as_str().into(), passive, FieldTable::default());
                Ok(declared.await?.message_count())
            })
        })
    }

    /// Blocks every connection that publishes, as a server without memory does, or lets them go on.
    pub(crate) fn refuse(&self, refused: bool) -> Result<()> {
        let watermark = if refused { "0" } else { "0.4" };
        retried("set the watermark", || self.control(&["set_vm_memory_high_watermark", watermark]))
    }

    /// Removes the queue and the exchange.
    pub(crate) fn clean(&self) -> Result<()> {
        runtime()?.block_on(async {
            let channel = self.channel().await?;
            channel.queue_delete(self.queue.as_str().into(), QueueDeleteOptions::default()).await?;
            if !self.exchange.is_empty() {
                channel
                    .exchange_delete(self.exchange.as_str().into(), ExchangeDeleteOptions::default())
                    .await?;
            }
            Ok(())
        })
    }

    async fn channel(&self) -> Result<Channel> {
        let url = format!("amqp://onrush:{}@{}/onrush", self.password, self.direct);
        let connecting = Connection::connect(&url, ConnectionProperties::default());
        let connection = timeout(SERVER_TIMEOUT, connecting).await.context("connect to RabbitMQ")??;
        let channel = connection.create_channel().await?;
        Ok(channel)
    }

    async fn take(&self, quiet: Duration) -> Result<Vec<Delivery>> {
        let channel = self.channel().await?;
        channel.basic_qos(PREFETCH_COUNT, BasicQosOptions::default()).await?;
        let mut arguments = FieldTable::default();
        if self.queue_type == "stream" {
            arguments.insert("x-stream-offset".into(), AMQPValue::LongLongInt(self.next));
        }
        let options = BasicConsumeOptions::default();
        let mut reader = channel
            .basic_consume(self.queue.as_str().into(), "onrush-e2e".into(), options, arguments)
            .await?;
        let mut deliveries = Vec::new();
        while let Ok(delivery) = timeout(quiet, reader.next()).await {
            let delivery = delivery.context("the reader was closed")??;
            delivery.acker.ack(BasicAckOptions::default()).await?;
            deliveries.push(delivery);
        }
        Ok(deliveries)
    }

    /// Runs `rabbitmqctl`, which finds the node by the port of its mapper and the cookie in its home.
    fn control(&self, arguments: &[&str]) -> Result<()> {
        let path = self.home.join("settings");
        let settings = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        let port =
            settings.lines().find_map(|line| line.strip_prefix("MAPPER_PORT=")).context("no MAPPER_PORT")?;
        let output = Command::new("/usr/lib/rabbitmq/bin/rabbitmqctl")
            .args(["--quiet", "--node", "onrush@localhost"])
            .args(arguments)
            .env("HOME", &self.home)
            .env("ERL_EPMD_PORT", port)
            .output()
            .context("run rabbitmqctl")?;
        ensure!(
            output.status.success(),
            "rabbitmqctl {} ended with {}: {}{}",
            arguments.join(" "),
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(())
    }
}

fn runtime() -> Result<runtime::Runtime> {
    runtime::Builder::new_current_thread().enable_all().build().context("start an event loop")
}

fn header<'a>(delivery: &'a Delivery, name: &str) -> Option<&'a AMQPValue> {
    delivery.properties.headers().as_ref()?.inner().get(name)
}

fn read(delivery: &Delivery) -> Result<Received> {
    let text = |name: &str| match header(delivery, name) {
        Some(AMQPValue::LongString(text)) => Ok(String::from_utf8_lossy(text.as_bytes()).into_owned()),
        None => Ok(String::new()),
        Some(other) => Err(anyhow!("the header {name} is {other:?}")),
    };
    let properties = &delivery.properties;
    Ok(Received {
        source: text("cloudEvents_source")?,
        id: properties.message_id().as_ref().context("a message without message_id")?.to_string(),
        event_type: properties.kind().as_ref().context("a message without type")?.to_string(),
        time: text("cloudEvents_time")?,
        key: text("cloudEvents_subject")?,
        is_persistent: Some(*properties.delivery_mode() == Some(PERSISTENT)),
        payload: delivery.data.clone(),
    })
}
