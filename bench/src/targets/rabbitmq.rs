//! RabbitMQ, and the client lapin publishing one of the sink's messages over and over, with confirms.

use std::collections::VecDeque;
use std::future::Future;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures_util::future::try_join_all;
use lapin::options::{
    BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, ExchangeDeclareOptions,
    ExchangeDeleteOptions, QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::uri::AMQPUri;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, ExchangeKind, PublisherConfirm};
use tokio::runtime::Runtime;

use super::SinkTarget;
use crate::machine::first_line;
use crate::services::Services;

/// Messages that may wait for their confirms: a batch of the sink.
pub(crate) const UNCONFIRMED_COUNT_MAX: usize = 4_096;
/// Messages handed to the client before the first of them is waited for: one at a time costs it a switch of threads each.
const RUN_COUNT: u64 = 256;
/// How long the broker may take for anything, the removal of millions of messages included.
const EXCHANGE_TIMEOUT: Duration = Duration::from_mins(2);
/// How long a queue may take until it tells all that it holds.
const COUNT_TIME_MAX: Duration = Duration::from_secs(10);

/// A broker that runs.
pub(crate) struct RabbitMq {
    runtime: Runtime,
    uri: AMQPUri,
    url: String,
    password: String,
    pid: u32,
}

/// One of the sink's messages.
pub(crate) struct Sample {
    routing_key: ShortString,
    properties: BasicProperties,
    body: Vec<u8>,
}

impl Sample {
    /// Without properties.
    pub(crate) fn body_bytes(&self) -> usize {
        self.body.len()
    }
}

impl RabbitMq {
    pub(crate) fn connect(services: &Services) -> Result<Self> {
        let (url, password) = (services.get("RABBITMQ_URL")?, services.get("RABBITMQ_PASSWORD")?);
        let mut uri: AMQPUri =
            url.parse().map_err(anyhow::Error::msg).context("parse the URL of RabbitMQ")?;
        password.clone_into(&mut uri.authority.userinfo.password);
        // The client's own loop runs beside the thread that publishes, as the sink's does.
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let (url, password, pid) = (url.to_owned(), password.to_owned(), services.pid("RABBITMQ_PID")?);
        Ok(Self { runtime, uri, url, password, pid })
    }

    /// Works on a connection of its own.
    fn with_channel<T, F: Future<Output = Result<T>>>(&self, work: impl FnOnce(Channel) -> F) -> Result<T> {
        self.runtime.block_on(async {
            let everything = async {
                let properties = ConnectionProperties::default();
                let connection = Connection::connect_uri(self.uri.clone(), properties).await;
                let connection = connection.context("connect to RabbitMQ")?;
                // Kept until the connection is closed: the last to drop a channel closes it, and the connection minds.
                let channel = connection.create_channel().await?;
                let done = work(channel.clone()).await?;
                connection.close(200, "done".into()).await?;
                Ok(done)
            };
            tokio::time::timeout(EXCHANGE_TIMEOUT, everything).await.context("RabbitMQ does not answer")?
        })
    }

    /// One message, which goes back to where it was.
    pub(crate) fn sample(&self, place: &str) -> Result<Sample> {
        self.with_channel(async |channel: Channel| {
            // The first is the sale, and those after it are alike; unacknowledged they come back when the channel ends.
            channel.basic_get(place.into(), BasicGetOptions::default()).await?;
            let message = channel.basic_get(place.into(), BasicGetOptions::default()).await?;
            let message = message.context("there is no message to take as an example")?.delivery;
            Ok(Sample {
                routing_key: message.routing_key,
                properties: message.properties,
                body: message.data,
            })
        })
    }

    /// Publishes the message so many times to a place of the same make as the sink's; returns the seconds until the last confirm.
    pub(crate) fn publish(&self, place: &str, sample: &Sample, count: u64) -> Result<f64> {
        self.with_channel(async |channel: Channel| {
            declare(&channel, place).await?;
            channel.confirm_select(ConfirmSelectOptions::default()).await?;
            let started = Instant::now();
            let mut unconfirmed = VecDeque::with_capacity(UNCONFIRMED_COUNT_MAX);
            let mut left_count = count;
            while left_count > 0 {
                let run_count = left_count.min(RUN_COUNT);
                let room = UNCONFIRMED_COUNT_MAX - usize::try_from(run_count)?;
                confirm_down_to(&mut unconfirmed, room).await?;
                let run = (0..run_count).map(|_| publish_one(&channel, place, sample));
                unconfirmed.extend(try_join_all(run).await.context("publish")?);
                left_count -= run_count;
            }
            confirm_down_to(&mut unconfirmed, 0).await?;
            Ok(started.elapsed().as_secs_f64())
        })
    }
}

fn publish_one<'a>(
    channel: &'a Channel,
    place: &str,
    sample: &'a Sample,
) -> impl Future<Output = lapin::Result<PublisherConfirm>> + 'a {
    let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    let (routing_key, properties) = (sample.routing_key.clone(), sample.properties.clone());
    channel.basic_publish(place.into(), routing_key, options, &sample.body, properties)
}

async fn confirm_down_to(unconfirmed: &mut VecDeque<PublisherConfirm>, count: usize) -> Result<()> {
    while unconfirmed.len() > count {
        let Some(oldest) = unconfirmed.pop_front() else { break };
        let confirmation = oldest.await.context("wait for a confirm")?;
        let is_taken = confirmation.is_ack() && confirmation.take_message().is_none();
        ensure!(is_taken, "the broker did not take a message");
    }
    Ok(())
}

/// A quorum queue bound to a topic exchange of the same name, as a sink makes them.
async fn declare(channel: &Channel, place: &str) -> Result<()> {
    let durable = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    channel.exchange_declare(place.into(), ExchangeKind::Topic, durable, FieldTable::default()).await?;
    let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    channel.queue_declare(place.into(), durable, arguments).await?;
    let (options, arguments) = (QueueBindOptions::default(), FieldTable::default());
    channel.queue_bind(place.into(), place.into(), "#".into(), options, arguments).await?;
    Ok(())
}

impl SinkTarget for RabbitMq {
    fn kind(&self) -> &'static str {
        "rabbitmq"
    }

    fn pids(&self) -> Vec<u32> {
        vec![self.pid]
    }

    fn settings(&self, place: &str) -> Vec<(&'static str, String)> {
        let (url, password) = (self.url.clone(), self.password.clone());
        let (exchange, queue) = (place.to_owned(), place.to_owned());
        vec![("url", url), ("password", password), ("exchange", exchange), ("queue", queue)]
    }

    fn prepare(&self, place: &str) -> Result<()> {
        self.remove(place)
    }

    fn event_count(&self, place: &str) -> Result<u64> {
        let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        self.with_channel(async |channel: Channel| {
            // A quorum queue tells its length with a delay.
            let limit = Instant::now() + COUNT_TIME_MAX;
            let mut before = None;
            loop {
                let queue = channel.queue_declare(place.into(), passive, FieldTable::default()).await?;
                let count = u64::from(queue.message_count());
                if before == Some(count) || Instant::now() > limit {
                    return Ok(count);
                }
                before = Some(count);
                tokio::time::sleep(COUNT_TIME_MAX / 20).await;
            }
        })
    }

    fn remove(&self, place: &str) -> Result<()> {
        self.with_channel(async |channel: Channel| {
            channel.queue_delete(place.into(), QueueDeleteOptions::default()).await?;
            channel.exchange_delete(place.into(), ExchangeDeleteOptions::default()).await?;
            Ok(())
        })
    }

    fn durability(&self) -> Result<String> {
        let version = first_line("rabbitmqctl", "version");
        Ok(format!(
            "RabbitMQ {version}: one node, quorum queue, persistent messages; it confirms what its disk has"
        ))
    }
}
