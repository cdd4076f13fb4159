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
#[cfg(feature = "kafka-tls")]
#[path = "kafka/login.rs"]
mod login;
#[path = "kafka/messages.rs"]
mod messages;
#[path = "kafka/refusals.rs"]
mod refusals;
#[cfg(feature = "kafka-tls")]
#[path = "kafka/rotation.rs"]
mod rotation;
#[cfg(feature = "kafka-tls")]
#[path = "kafka/tls.rs"]
mod tls;

use std::io::Write as _;

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

/// A variable of the broker; the services are up.
#[cfg(feature = "kafka-tls")]
fn service(name: &str) -> String {
    services::variable(&format!("ONRUSH_SERVICES_KAFKA_{name}")).expect("the services are up")
}

/// The offsets of all messages, repeats too, from the smallest.
#[cfg(feature = "kafka-tls")]
fn offsets(place: &place::Place) -> Vec<u64> {
    let mut offsets: Vec<u64> = harness::Harness::seen(place).iter().map(|seen| seen.offset).collect();
    offsets.sort_unstable();
    offsets
}

/// A file of properties for librdkafka.
fn properties(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
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
