//! What the auditor finds.

use std::collections::HashMap;

use onrush_connect::kafka::KafkaAuditor;
use onrush_connect::{Audit, Findings};
use onrush_sinks::{Change, Skipped, Source};
use rdkafka::admin::AdminOptions;
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};

use crate::harness::Harness;
use crate::place::{Place, block_on, harness, unique};
use crate::{counter, source, write};

/// Compares the place with a log of the events `offsets`.
fn audit(place: &Place, offsets: std::ops::Range<u64>) -> Findings {
    let mut auditor = place.auditor();
    assert_eq!(auditor.open(&source(), offsets.start, offsets.end).unwrap(), offsets.end);
    for offset in offsets {
        auditor.expect(&counter(offset)).unwrap();
    }
    auditor.finish().unwrap()
}

/// Removes the messages of a partition that are before `offset`, as retention does.
fn trim(place: &Place, partition: i32, offset: i64) {
    let mut bounds = TopicPartitionList::new();
    bounds.add_partition_offset(&place.topic, partition, Offset::Offset(offset)).unwrap();
    block_on(place.admin().delete_records(&bounds, &AdminOptions::new())).unwrap();
}

fn counts(findings: &Findings) -> [u64; 5] {
    let Findings { compared_count, missing, doubled, different, unexpected, .. } = findings;
    [*compared_count, missing.count, doubled.count, different.count, unexpected.count]
}

#[test]
fn a_topic_that_holds_the_log_agrees_also_with_repeats() {
    let Some(place) = harness() else { return };
    write(&mut *place.target(None), 0..100);
    assert_eq!(counts(&audit(&place, 0..100)), [100, 0, 0, 0, 0]);
    write(&mut *place.target(None), 60..120);
    let findings = audit(&place, 0..120);
    assert_eq!(counts(&findings), [120, 0, 0, 0, 0]);
    assert!(findings.agree());
    assert!(findings.notes[0].starts_with("40 repeats"), "{:?}", findings.notes);
}

#[test]
fn what_the_log_has_and_the_topic_lacks_is_missing_and_the_reverse_unexpected() {
    let Some(place) = harness() else { return };
    write(&mut *place.target(None), 0..50);
    assert_eq!(counts(&audit(&place, 0..53)), [53, 3, 0, 0, 0]);
    let mut auditor = place.auditor();
    auditor.open(&source(), 10, 50).unwrap();
    (10..48).for_each(|offset| auditor.expect(&counter(offset)).unwrap());
    let findings = auditor.finish().unwrap();
    assert_eq!(counts(&findings), [38, 0, 0, 0, 2]);
    assert_eq!(findings.unexpected.examples, ["offset 48", "offset 49"]);
}

#[test]
fn what_was_skipped_may_be_absent() {
    let Some(place) = harness() else { return };
    write(&mut *place.target(None), 0..20);
    let mut auditor = place.auditor();
    auditor.open(&source(), 0, 30).unwrap();
    (0..18).for_each(|offset| auditor.expect(&counter(offset)).unwrap());
    auditor.excuse(&Skipped { from: 18, to: 30, at: 0, reason: String::new() }).unwrap();
    assert_eq!(counts(&auditor.finish().unwrap()), [18, 0, 0, 0, 0]);
}

#[test]
fn other_content_is_different() {
    let Some(place) = harness() else { return };
    write(&mut *place.target(None), 0..5);
    let mut auditor = place.auditor();
    auditor.open(&source(), 0, 5).unwrap();
    for offset in 0..5 {
        let mut event = counter(offset);
        if let (3, Change::CounterAdded { value, .. }) = (offset, &mut event.change) {
            *value += 1;
        }
        auditor.expect(&event).unwrap();
    }
    let findings = auditor.finish().unwrap();
    assert_eq!(
        (counts(&findings), &findings.different.examples[..]),
        ([5, 0, 0, 1, 0], &["offset 3".to_owned()][..])
    );
}

#[test]
fn a_key_out_of_order_is_different() {
    let Some(place) = harness() else { return };
    // No runner does this: what comes later in the log came first.
    write(&mut *place.target(None), 5..10);
    write(&mut *place.target(None), 0..10);
    let findings = audit(&place, 0..10);
    assert_eq!(counts(&findings), [10, 0, 0, 5, 0]);
    assert!(findings.different.examples.iter().all(|example| example.contains("behind")), "{findings:?}");
}

#[test]
fn messages_of_another_log_are_left_alone() {
    let Some(place) = harness() else { return };
    write(&mut *place.target(None), 0..5);
    let mut auditor = place.auditor();
    auditor.open(&Source { log_id: "01JAVXN0WZ9Q4T8S7R6P5M4K3J".to_owned(), ..source() }, 0, 5).unwrap();
    let findings = auditor.finish().unwrap();
    assert_eq!(counts(&findings), [0; 5]);
    assert!(findings.notes.contains(&"5 messages are not of this log, and were not compared".to_owned()));
}

#[test]
fn what_retention_removed_is_not_missing() {
    let Some(place) = harness() else { return };
    write(&mut *place.target(None), 0..500);
    let mut partitions: HashMap<i32, u32> = HashMap::new();
    for message in place.messages(&place.topic) {
        *partitions.entry(message.partition()).or_default() += 1;
    }
    let (first, count) = partitions.iter().max_by_key(|(_, count)| **count).unwrap();
    assert!(*count > 30);
    trim(&place, *first, 30);
    let mut removed = 30;
    if let Some((second, count)) = partitions.iter().find(|(partition, _)| *partition != first) {
        trim(&place, *second, i64::from(*count));
        removed += count;
    }
    let findings = audit(&place, 0..500);
    assert_eq!(counts(&findings), [u64::from(500 - removed), 0, 0, 0, 0], "{findings:?}");
    let note = format!("{removed} events were not compared, because they may be among those removed");
    assert!(findings.notes.contains(&note), "{:?}", findings.notes);
}

#[test]
fn a_topic_that_is_not_there_holds_nothing() {
    let Some(place) = Place::named(&unique("absent")) else { return };
    let mut auditor = KafkaAuditor::new(place.settings());
    auditor.open(&source(), 0, 3).unwrap();
    (0..3).for_each(|offset| auditor.expect(&counter(offset)).unwrap());
    assert_eq!(counts(&Box::new(auditor).finish().unwrap()), [3, 3, 0, 0, 0]);
}
