//! Comparing a queue with the log. A stream is read as it is. Any other queue gives its messages out and gets them all back
//! when the channel closes, none acknowledged; what its consumers took before cannot be seen.

use std::collections::HashMap;

use futures_util::StreamExt as _;
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicGetOptions, BasicQosOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Consumer};
use onrush_sinks::{SinkEvent, Skipped, Source, TargetError};

use super::errors::unavailable;
use super::link::{Link, late};
use super::message::{payload, routing_key};
use super::{QueueType, Settings};
use crate::event_json::offset_in_id;
use crate::{Audit, Findings, Ledger, StoredEvent, Tally, event_type, fingerprint, source_uri};

/// Messages that one consumer holds unacknowledged; another takes over then.
const PREFETCH: u16 = 60_000;
/// The same for a stream, where each is acknowledged.
const STREAM_PREFETCH: u16 = 1_000;
/// A stream that gives nothing for so long was read to its end.
const QUIET: std::time::Duration = std::time::Duration::from_secs(2);
/// Deliveries of a message after which no comparison takes it any more: a quorum queue of RabbitMQ 4 drops it after 20, unless it
/// was declared otherwise, which cannot be asked.
const DELIVERIES_MAX: i64 = 10;
const READING: &str = "read the queue";

/// Compares a queue with the log.
pub struct RabbitMqAuditor {
    settings: Settings,
    source: Option<Source>,
    from: u64,
    to: u64,
    ledger: Ledger,
    /// The lowest offset in the queue.
    first_offset: Option<u64>,
    /// A stream that begins behind its first message has lost old segments to its retention.
    begins_late: bool,
    message_count: u64,
    /// The newest event of each key: 16 bytes or so a key.
    newest: HashMap<u64, u64>,
    disordered: Tally,
    compared_count: u64,
    /// Events below `first_offset`, which may be gone for a reason.
    unseen_count: u64,
    alien_count: u64,
}

impl RabbitMqAuditor {
    /// Does not connect.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            source: None,
            from: 0,
            to: 0,
            ledger: Ledger::default(),
            first_offset: None,
            begins_late: false,
            message_count: 0,
            newest: HashMap::new(),
            disordered: Tally::default(),
            compared_count: 0,
            unseen_count: 0,
            alien_count: 0,
        }
    }

    /// Takes one message that is going to be given back.
    fn take(&mut self, source: &Source, delivery: &Delivery) -> Result<(), TargetError> {
        let deliveries = header(delivery, "x-delivery-count").and_then(as_number).unwrap_or(0);
        if deliveries >= DELIVERIES_MAX {
            let reason = format!(
                "a message was given back {deliveries} times, and RabbitMQ 4 drops it after 20: let consumers take what is \
                there, or use a stream"
            );
            return Err(TargetError::Refused(reason));
        }
        self.store(source, delivery);
        Ok(())
    }

    /// Takes one message.
    fn store(&mut self, source: &Source, delivery: &Delivery) {
        self.message_count += 1;
        if self.message_count == 1 {
            let position = header(delivery, "x-stream-offset").and_then(as_number);
            self.begins_late = position.is_some_and(|position| position > 0);
        }
        let Some(offset) = offset_of(source, delivery) else {
            self.alien_count += 1;
            return;
        };
        let kind = delivery.properties.kind().as_ref().map_or("", |kind| kind.as_str());
        let fingerprint =
            fingerprint(&[kind.as_bytes(), delivery.routing_key.as_str().as_bytes(), &delivery.data]);
        self.first_offset = Some(self.first_offset.map_or(offset, |first| first.min(offset)));
        if !(self.from..self.to).contains(&offset) || !self.ledger.store(StoredEvent { offset, fingerprint })
        {
            return;
        }
        // The other forms do not name the key: they stand in order as a whole.
        let key = header(delivery, "cloudEvents_subject").and_then(AMQPValue::as_long_string);
        let key = key.map_or(delivery.routing_key.as_str().as_bytes(), |key| key.as_bytes());
        let newest = self.newest.entry(crate::fingerprint(&[key])).or_insert(offset);
        if offset < *newest {
            self.disordered
                .add(format_args!("offset {offset} first stands behind offset {newest} of the same key"));
        }
        *newest = offset.max(*newest);
    }

    /// Whether an event may be gone for a reason: nobody takes messages from a stream, but its retention removes old ones.
    fn is_unseen(&self, offset: u64) -> bool {
        let may_lack = self.settings.queue_type != QueueType::Stream || self.begins_late;
        may_lack && self.first_offset.is_none_or(|first| offset < first)
    }

    /// What there is to say about the events that could not be seen, and about the order.
    fn report(&mut self, findings: &mut Findings) {
        let unseen_count = self.unseen_count;
        match self.first_offset {
            Some(first) if unseen_count > 0 && self.begins_late => findings.notes.push(format!(
                "{unseen_count} events below offset {first}, the lowest in the stream, were removed by its retention"
            )),
            Some(first) if unseen_count > 0 => findings.notes.push(format!(
                "{unseen_count} events below offset {first}, the lowest in the queue, count as taken by consumers"
            )),
            _ => {}
        }
        let disordered = std::mem::take(&mut self.disordered);
        if self.settings.queue_type == QueueType::Stream {
            findings.different.merge(disordered);
        } else if let Some(example) = disordered.examples.first() {
            let count = disordered.count;
            findings.notes.push(format!(
                "{count} events are out of order, as after messages that were refused or given back: {example}"
            ));
        }
        if self.alien_count > 0 {
            findings.notes.push(format!("{} messages are none of this log's", self.alien_count));
        }
    }

    fn read_stream(&mut self, link: &Link, source: &Source) -> Result<(), TargetError> {
        link.ask(READING, link.channel.basic_qos(STREAM_PREFETCH, BasicQosOptions::default()))?;
        let mut arguments = FieldTable::default();
        arguments.insert("x-stream-offset".into(), AMQPValue::LongString("first".into()));
        let mut consumer = link.ask(READING, consume(&link.channel, &self.settings.queue, arguments))?;
        link.runtime().block_on(async {
            while let Ok(Some(delivery)) = tokio::time::timeout(QUIET, consumer.next()).await {
                let delivery = delivery.map_err(|error| unavailable(READING, &error))?;
                self.store(source, &delivery);
                let acknowledged = delivery.acker.ack(BasicAckOptions::default()).await;
                acknowledged.map_err(|error| unavailable(READING, &error))?;
            }
            Ok(())
        })
    }

    /// Reads until nothing is left to give out.
    fn read_queue(&mut self, link: &Link, source: &Source, mut ready_count: u32) -> Result<(), TargetError> {
        link.ask(READING, link.channel.basic_qos(PREFETCH, BasicQosOptions::default()))?;
        let mut full: Vec<Consumer> = Vec::new();
        let mut consumer = None;
        let mut held_count = 0;
        if self.settings.queue_type == QueueType::Quorum && ready_count > 0 {
            // Alone, so that a refusal gives only this one back.
            let got = link.channel.basic_get(self.settings.queue.as_str().into(), BasicGetOptions::default());
            if let Some(got) = link.ask(READING, got)? {
                self.take(source, &got.delivery)?;
                ready_count -= 1;
            }
        }
        while ready_count > 0 {
            for _ in 0..ready_count {
                if consumer.is_none() || held_count == PREFETCH {
                    full.extend(consumer.take());
                    let begun = consume(&link.channel, &self.settings.queue, FieldTable::default());
                    consumer = Some(link.ask(READING, begun)?);
                    held_count = 0;
                }
                let next = consumer.as_mut().expect("made just now").next();
                let delivery = link.ask(READING, async { Ok(next.await) })?;
                let delivery = delivery.ok_or_else(|| late(READING))?;
                self.take(source, &delivery.map_err(|error| unavailable(READING, &error))?)?;
                held_count += 1;
            }
            ready_count = read_counts(link, &self.settings.queue)?.0;
        }
        Ok(())
    }
}

impl Audit for RabbitMqAuditor {
    fn open(&mut self, source: &Source, from: u64, to: u64) -> Result<u64, TargetError> {
        (self.from, self.to) = (from, to);
        self.source = Some(source.clone());
        if self.settings.queue.is_empty() {
            return Err(TargetError::Refused("the sink has no queue of its own that could be read".into()));
        }
        let link = Link::connect(&self.settings, &format!("onrush reconcile {}", source.sink))?;
        let (ready_count, consumer_count) = read_counts(&link, &self.settings.queue)?;
        if self.settings.queue_type == QueueType::Stream {
            self.read_stream(&link, source)?;
        } else if consumer_count > 0 {
            let reason = format!("the queue has {consumer_count} consumers: stop them for the comparison");
            return Err(TargetError::Refused(reason));
        } else {
            self.read_queue(&link, source, ready_count)?;
        }
        // Now everything goes back, and not when the broker notices that nobody is there any more.
        link.ask("give the messages back", link.channel.close(200, "read".into()))?;
        Ok(to)
    }

    fn expect(&mut self, event: &SinkEvent<'_>) -> Result<(), TargetError> {
        let Some(payload) = payload(event, self.settings.message_format) else { return Ok(()) };
        if self.is_unseen(event.offset) {
            self.unseen_count += 1;
            return Ok(());
        }
        self.compared_count += 1;
        let routing_key = routing_key(event, &self.settings);
        let parts = [event_type(event).as_bytes(), routing_key.as_bytes(), &payload].map(<[u8]>::to_vec);
        let fingerprint = fingerprint(&parts.each_ref().map(Vec::as_slice));
        self.ledger.expect(StoredEvent { offset: event.offset, fingerprint });
        Ok(())
    }

    fn excuse(&mut self, skipped: &Skipped) -> Result<(), TargetError> {
        self.ledger.excuse(skipped.from, skipped.to);
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<Findings, TargetError> {
        if self.compared_count == 0 && self.unseen_count > 0 {
            let queue = if self.message_count == 0 { "is empty" } else { "holds nothing of the sink's" };
            let reason = format!("the queue {queue}: what was in it cannot be seen");
            return Err(TargetError::Unavailable(reason));
        }
        let mut findings = std::mem::take(&mut self.ledger).finish(self.from, self.to);
        self.report(&mut findings);
        Ok(findings)
    }
}

async fn consume(channel: &Channel, queue: &str, arguments: FieldTable) -> lapin::Result<Consumer> {
    channel.basic_consume(queue.into(), "".into(), BasicConsumeOptions::default(), arguments).await
}

/// How many messages wait in the queue, and how many consumers it has.
fn read_counts(link: &Link, queue: &str) -> Result<(u32, u32), TargetError> {
    let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    let queue =
        link.ask(READING, link.channel.queue_declare(queue.into(), options, FieldTable::default()))?;
    Ok((queue.message_count(), queue.consumer_count()))
}

/// The offset in a message's id, if it is one of this log and partition.
fn offset_of(source: &Source, delivery: &Delivery) -> Option<u64> {
    let from = header(delivery, "cloudEvents_source")?.as_long_string()?;
    if from.as_bytes() != source_uri(source).as_bytes() {
        return None;
    }
    offset_in_id(source.partition, delivery.properties.message_id().as_ref()?.as_str())
}

fn header<'d>(delivery: &'d Delivery, name: &str) -> Option<&'d AMQPValue> {
    delivery.properties.headers().as_ref()?.inner().get(name)
}

fn as_number(value: &AMQPValue) -> Option<i64> {
    match value {
        AMQPValue::LongLongInt(number) => Some(*number),
        AMQPValue::LongInt(number) => Some((*number).into()),
        AMQPValue::ShortInt(number) => Some((*number).into()),
        AMQPValue::ShortShortInt(number) => Some((*number).into()),
        AMQPValue::LongUInt(number) => Some((*number).into()),
        AMQPValue::ShortUInt(number) => Some((*number).into()),
        AMQPValue::ShortShortUInt(number) => Some((*number).into()),
        _ => None,
    }
}
