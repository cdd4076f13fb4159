//! Kafka as a target, against the real broker of `cargo xtask services up`: what messages look like, what is rejected, what
//! is created, what errors say, and what the auditor finds.

#![cfg(feature = "kafka")]

#[path = "conformance/harness.rs"]
#[allow(dead_code, unreachable_pub, reason = "it is the conformance suite's, which asks more of it")]
mod harness;
#[path = "conformance/kafka.rs"]
mod place;
#[path = "conformance/services.rs"]
mod services;

#[path = "kafka/auditing.rs"]
mod auditing;
#[path = "kafka/cuts.rs"]
mod cuts;
#[path = "kafka/messages.rs"]
mod messages;
#[path = "kafka/refusals.rs"]
mod refusals;

use onrush_core::{Incarnation, TimeMs};
use onrush_sinks::{Change, SinkEvent, Source, Target};

const AT: TimeMs = 1_760_000_000_123;

fn source() -> Source {
    Source { log_id: "01JAVXN0WZ9Q4T8S7R6P5M4K3H".to_owned(), partition: 0, sink: "shop".to_owned() }
}

/// One of a few keys that do not share a partition.
fn counter(offset: u64) -> SinkEvent<'static> {
    let counter = ["red", "green", "blue", "white", "black"][usize::try_from(offset % 5).unwrap()];
    SinkEvent {
        offset,
        incarnation: Incarnation::FIRST,
        at: AT + offset,
        change: Change::CounterAdded { counter, by: 1, value: offset },
    }
}

/// Writes the events `offsets` as one batch.
fn write(target: &mut dyn Target, offsets: std::ops::Range<u64>) {
    assert_eq!(target.open(&source()).unwrap(), None);
    for offset in offsets.clone() {
        target.push(&counter(offset)).unwrap();
    }
    target.send(offsets.end).unwrap();
    assert_eq!(target.wait_until_durable().unwrap(), offsets.end);
}
