//! What is RabbitMQ's own: queues of every type, forms, refusals, the lock of a sink's connection, and comparing a queue that is
//! read by consumers.

#![allow(
    unreachable_pub,
    dead_code,
    reason = "nobody is outside of a test, and not all of the suite's parts are used"
)]

mod broker;
#[path = "../conformance/events.rs"]
mod events;
#[path = "../conformance/harness.rs"]
mod harness;
mod rotation;
#[path = "../conformance/services.rs"]
mod services;
mod settings;
mod tls;

use onrush_connect::rabbitmq::{QueueType, RabbitMq, RabbitMqAuditor, Settings};
use onrush_connect::{Audit as _, Findings, MessageFormat};
use onrush_proxy::Proxy;
use onrush_sinks::{Target as _, TargetError};

use broker::Broker;
use events::{Story, new_source};

fn write(target: &mut RabbitMq, story: &Story) -> Result<u64, TargetError> {
    for batch in story.events.chunks(40) {
        for event in batch {
            event.lend(|event| target.push(event))?;
        }
        target.send(batch.last().expect("a chunk has an event").offset + 1)?;
    }
    target.wait_until_durable()
}

fn written(settings: &Settings, story: &Story) {
    let mut target = RabbitMq::new(settings.clone());
    assert_eq!(target.open(&story.source).expect("the broker is there"), None);
    assert_eq!(write(&mut target, story).expect("nothing is in the way"), story.end());
}

fn audit(settings: &Settings, story: &Story) -> Result<Findings, TargetError> {
    let mut auditor = RabbitMqAuditor::new(settings.clone());
    auditor.open(&story.source, 0, story.end())?;
    for event in &story.events {
        event.lend(|event| auditor.expect(event))?;
    }
    Box::new(auditor).finish()
}

#[test]
fn every_type_of_queue_takes_everything() {
    let Some(broker) = Broker::new() else { return };
    for queue_type in [QueueType::Classic, QueueType::Quorum, QueueType::Stream] {
        let settings = Settings { queue_type, ..broker.settings(queue_type.name()) };
        let story = Story::new(1, 300);
        written(&settings, &story);
        for _ in 0..2 {
            broker.wait_for(&settings.queue, 300);
            let findings = audit(&settings, &story).expect("the queue can be read");
            assert!(findings.agree(), "{queue_type:?}: {findings:?}");
            assert_eq!((findings.compared_count, findings.notes.len()), (300, 0), "{queue_type:?}");
        }
        // A comparison gave everything back.
        broker.wait_for(&settings.queue, 300);
    }
}

#[test]
fn a_queue_that_is_lost_with_its_messages_is_filled_again() {
    let Some(broker) = Broker::new() else { return };
    for queue_type in [QueueType::Classic, QueueType::Quorum, QueueType::Stream] {
        let settings = Settings { queue_type, ..broker.settings(queue_type.name()) };
        let story = Story::new(14, 60);
        let mut target = RabbitMq::new(settings.clone());
        assert_eq!(target.open(&story.source).expect("the broker is there"), None);
        assert_eq!(write(&mut target, &story).expect("nothing is in the way"), story.end());
        assert_eq!(target.open(&story.source).expect("the queue is there"), None, "{queue_type:?}");
        for _ in 0..2 {
            broker.delete_queue(&settings.queue);
            let opened = target.open(&story.source).expect("the broker is there");
            assert_eq!(opened, Some(story.events[0].offset), "{queue_type:?}");
            assert_eq!(write(&mut target, &story).expect("nothing is in the way"), story.end());
            broker.wait_for(&settings.queue, 60);
        }
        drop(target);
        // Who did not make it cannot know since when it was filled.
        let mut other = RabbitMq::new(settings.clone());
        assert_eq!(other.open(&story.source).expect("the broker is there"), None, "{queue_type:?}");
        broker.delete_queue(&settings.queue);
        assert_eq!(other.open(&story.source).expect("the broker is there"), None, "{queue_type:?}");
    }
}

/// As after a kill of the broker which nothing follows.
#[test]
fn a_sink_without_events_notices_that_its_connection_broke() {
    let Some(broker) = Broker::new() else { return };
    let proxy = Proxy::start(broker.address()).expect("the proxy starts");
    let settings = broker.settings("idle");
    let mut url: url::Url = settings.url.parse().expect("a url");
    url.set_port(Some(proxy.address().port())).expect("it has a port");
    let settings = Settings { url: url.to_string(), ..settings };
    let story = Story::new(15, 20);
    let mut target = RabbitMq::new(settings.clone());
    assert_eq!(target.open(&story.source).expect("the broker is there"), None);
    assert_eq!(write(&mut target, &story).expect("nothing is in the way"), story.end());
    assert_eq!(target.wait_until_durable().expect("nothing is in the way"), story.end());
    broker.delete_queue(&settings.queue);
    proxy.cut();
    let is_noticed = broker::comes_true(|| target.wait_until_durable().is_err());
    assert!(is_noticed, "the connection is gone, and nobody said so");
    assert_eq!(target.open(&story.source).expect("the broker is there"), Some(story.events[0].offset));
}

#[test]
fn what_consumers_took_is_not_missing() {
    let Some(broker) = Broker::new() else { return };
    for queue_type in [QueueType::Classic, QueueType::Quorum] {
        let settings = Settings { queue_type, ..broker.settings(queue_type.name()) };
        let story = Story::new(2, 100);
        written(&settings, &story);
        broker.take(&settings.queue, 30, |_| true);
        let findings = audit(&settings, &story).expect("the queue can be read");
        assert!(findings.agree(), "{findings:?}");
        assert_eq!(findings.compared_count, 70);
        assert!(findings.notes[0].contains("30 events"), "{findings:?}");

        broker.wait_for(&settings.queue, 70);
        broker.take(&settings.queue, 10, |at| at == 4);
        broker.wait_for(&settings.queue, 69);
        let findings = audit(&settings, &story).expect("the queue can be read");
        assert_eq!(findings.missing.count, 1, "{findings:?}");
        let lost = story.events[34].offset.to_string();
        assert!(findings.missing.examples[0].contains(&lost), "{findings:?}");

        broker.wait_for(&settings.queue, 69);
        broker.take(&settings.queue, 69, |_| true);
        assert_unseen(&audit(&settings, &story), "the queue is empty: what was in it cannot be seen");
        written(&settings, &Story::new(11, 5));
        broker.wait_for(&settings.queue, 5);
        assert_unseen(&audit(&settings, &story), "the queue holds nothing of the sink's: what was in it");
    }
}

fn assert_unseen(outcome: &Result<Findings, TargetError>, reason: &str) {
    let is_unseen = matches!(outcome, Err(TargetError::Unavailable(text)) if text.starts_with(reason));
    assert!(is_unseen, "{outcome:?}");
}

#[test]
fn a_quorum_queue_is_compared_ten_times() {
    let Some(broker) = Broker::new() else { return };
    let settings = broker.settings("often");
    let story = Story::new(14, 8);
    written(&settings, &story);
    for _ in 0..10 {
        broker.wait_for(&settings.queue, 8);
        let findings = audit(&settings, &story).expect("the queue can be read");
        assert!(findings.agree() && findings.compared_count == 8, "{findings:?}");
    }
    broker.wait_for(&settings.queue, 8);
    let refused = audit(&settings, &story);
    assert!(
        matches!(&refused, Err(TargetError::Refused(text)) if text.contains("given back 10 times")),
        "{refused:?}"
    );
    broker.wait_for(&settings.queue, 8);
}

#[test]
fn whatever_a_stream_lacks_is_missing() {
    let Some(broker) = Broker::new() else { return };
    let story = Story::new(12, 50);
    for lacking in [50, 20] {
        let settings = Settings { queue_type: QueueType::Stream, ..broker.settings("lacking") };
        let mut late = Story::new(12, 50);
        late.source = story.source.clone();
        late.events.drain(..lacking);
        if late.events.is_empty() {
            RabbitMq::new(settings.clone()).open(&story.source).expect("the broker is there");
        } else {
            written(&settings, &late);
        }
        let findings = audit(&settings, &story).expect("the queue can be read");
        assert_eq!(findings.missing.count, lacking as u64, "{findings:?}");
        assert_eq!((findings.compared_count, findings.notes.len()), (50, 0), "{findings:?}");
    }
}

#[test]
fn what_retention_removed_from_a_stream_is_noted() {
    let Some(broker) = Broker::new() else { return };
    let settings = Settings { queue: String::new(), ..broker.settings("retained") };
    let story = Story::new(15, 3_000);
    let mut target = RabbitMq::new(settings.clone());
    target.open(&story.source).expect("the broker is there");
    broker.declare_short_stream(&settings.exchange, 200_000);
    assert_eq!(write(&mut target, &story).expect("the stream takes all"), story.end());
    let settings =
        Settings { queue: settings.exchange.clone(), queue_type: QueueType::Stream, ..settings.clone() };
    // The broker removes old messages for a moment after the last one came, and some of them while they are being read.
    let mut audits = (0..5).map(|_| audit(&settings, &story).expect("the stream can be read"));
    let findings = audits.find(Findings::agree).expect("an audit after the last removal");
    assert!((1..3_000).contains(&findings.compared_count), "{findings:?}");
    assert!(findings.notes[0].contains("retention"), "{findings:?}");
}

#[test]
fn an_order_that_is_not_the_log_s_is_told() {
    let Some(broker) = Broker::new() else { return };
    let story = Story::new(13, 60);
    for queue_type in [QueueType::Classic, QueueType::Stream] {
        let settings = Settings { queue_type, ..broker.settings("disordered") };
        let mut turned = Story::new(13, 60);
        turned.source = story.source.clone();
        turned.events.reverse();
        let mut target = RabbitMq::new(settings.clone());
        target.open(&story.source).expect("the broker is there");
        write(&mut target, &turned).expect("nothing is in the way");
        let findings = audit(&settings, &story).expect("the queue can be read");
        assert_eq!((findings.compared_count, findings.missing.count), (60, 0), "{findings:?}");
        if queue_type == QueueType::Stream {
            assert!(findings.different.count > 10, "{findings:?}");
            assert!(findings.different.examples[0].contains("of the same key"), "{findings:?}");
        } else {
            assert!(findings.agree() && findings.notes[0].contains("out of order"), "{findings:?}");
        }
    }
}

#[test]
fn a_queue_that_is_being_read_is_not_compared() {
    let Some(broker) = Broker::new() else { return };
    let settings = Settings { queue_type: QueueType::Classic, ..broker.settings("read") };
    let story = Story::new(3, 10);
    written(&settings, &story);
    let consumer = broker.consume(&settings.queue);
    let refused = audit(&settings, &story);
    assert!(
        matches!(&refused, Err(TargetError::Refused(text)) if text.contains("1 consumers")),
        "{refused:?}"
    );
    drop(consumer);
}

#[test]
fn messages_of_other_logs_are_noted() {
    let Some(broker) = Broker::new() else { return };
    let settings = Settings { queue_type: QueueType::Stream, ..broker.settings("both") };
    let (story, other) = (Story::new(4, 40), Story::new(5, 25));
    written(&settings, &story);
    written(&settings, &other);
    let findings = audit(&settings, &story).expect("the queue can be read");
    assert!(findings.agree() && findings.compared_count == 40, "{findings:?}");
    assert_eq!(findings.notes, ["25 messages are none of this log's"]);
}

#[test]
fn forms_have_their_own_messages() {
    let Some(broker) = Broker::new() else { return };
    let story = Story::new(6, 600);
    for (message_format, routing_key, begin) in [
        (MessageFormat::Order, "order", "{\"ProductID\":"),
        (MessageFormat::Booking, "booking", "{\"mysejahteraId\":"),
    ] {
        let settings =
            Settings { message_format, queue_type: QueueType::Classic, ..broker.settings(routing_key) };
        written(&settings, &story);
        let findings = audit(&settings, &story).expect("the queue can be read");
        assert!(findings.agree() && findings.compared_count > 10, "{findings:?}");
        let count = u32::try_from(findings.compared_count).expect("few");
        broker.wait_for(&settings.queue, count);
        let messages = broker.take(&settings.queue, count as usize, |_| true);
        for message in messages {
            assert_eq!(message.routing_key.as_str(), routing_key);
            assert!(message.data.starts_with(begin.as_bytes()));
            assert!(message.properties.message_id().is_some());
        }
        assert_eq!(broker.message_count(&settings.queue), 0);
    }
}

#[test]
fn the_default_exchange_leads_to_the_queue() {
    let Some(broker) = Broker::new() else { return };
    let settings =
        Settings { exchange: String::new(), queue_type: QueueType::Classic, ..broker.settings("default") };
    let story = Story::new(7, 50);
    written(&settings, &story);
    assert!(audit(&settings, &story).expect("the queue can be read").agree());
}

#[test]
fn other_properties_are_refused() {
    let Some(broker) = Broker::new() else { return };
    let settings = Settings { queue_type: QueueType::Classic, ..broker.settings("typed") };
    let source = new_source();
    RabbitMq::new(settings.clone()).open(&source).expect("the broker is there");
    let other_queue = Settings { queue_type: QueueType::Quorum, ..settings.clone() };
    let other_exchange = Settings { exchange: "amq.fanout".into(), ..settings };
    for settings in [other_queue, other_exchange] {
        let refused = RabbitMq::new(settings).open(&source);
        assert!(
            matches!(&refused, Err(TargetError::Refused(text)) if text.contains("inequivalent arg")),
            "{refused:?}"
        );
    }
}

#[test]
fn messages_that_no_queue_takes_are_not_lost() {
    let Some(broker) = Broker::new() else { return };
    let settings = Settings { queue: String::new(), ..broker.settings("unbound") };
    let story = Story::new(8, 200);
    let mut target = RabbitMq::new(settings.clone());
    target.open(&story.source).expect("the broker is there");
    let lost = write(&mut target, &story);
    assert!(matches!(&lost, Err(TargetError::Unavailable(text)) if text.contains("no queue")), "{lost:?}");
    let bound =
        Settings { queue: settings.exchange.clone(), queue_type: QueueType::Classic, ..settings.clone() };
    RabbitMq::new(bound.clone()).open(&new_source()).expect("the broker is there");
    written(&settings, &story);
    assert!(audit(&bound, &story).expect("the queue can be read").agree());
}

#[test]
fn a_full_queue_is_waited_for() {
    let Some(broker) = Broker::new() else { return };
    let settings = Settings { queue: String::new(), ..broker.settings("full") };
    let story = Story::new(9, 200);
    let mut target = RabbitMq::new(settings.clone());
    target.open(&story.source).expect("the broker is there");
    broker.declare_short(&settings.exchange, 50);
    let full = write(&mut target, &story);
    assert!(matches!(&full, Err(TargetError::Unavailable(text)) if text.contains("full")), "{full:?}");
    broker.delete_queue(&settings.exchange);
    broker.declare_short(&settings.exchange, 1_000);
    target.open(&story.source).expect("the broker is there");
    assert_eq!(write(&mut target, &story).expect("there is room"), story.end());
    assert_eq!(broker.message_count(&settings.exchange), 200);
}

#[test]
fn a_sink_has_one_connection() {
    let Some(broker) = Broker::new() else { return };
    let settings = Settings { queue_type: QueueType::Classic, ..broker.settings("one") };
    let story = Story::new(10, 50);
    let mut first = RabbitMq::new(settings.clone());
    first.open(&story.source).expect("the broker is there");
    let mut second = RabbitMq::new(settings.clone());
    let locked = second.open(&story.source);
    assert!(
        matches!(&locked, Err(TargetError::Unavailable(text)) if text.contains("onrush.lock")),
        "{locked:?}"
    );
    write(&mut first, &story).expect("it is still the one");
    drop(first);
    second.open(&story.source).expect("the first is gone");
    second.open(&story.source).expect("it replaces itself");
}
