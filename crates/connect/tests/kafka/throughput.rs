//! How many events a second the target takes, alone. Compare with `kafka-producer-perf-test.sh` for records of the printed size,
//! with `acks=all enable.idempotence=true compression.type=lz4`.

use std::time::Instant;

use onrush_connect::write_event_data;
use onrush_node::sinks::{Change, SinkEvent};

use crate::harness::Harness;
use crate::place::{harness, unique};
use crate::{AT, counter, source};

#[test]
#[ignore = "it measures, and says nothing about right and wrong"]
#[allow(clippy::disallowed_methods, reason = "it measures")]
fn throughput() {
    const EVENT_COUNT: u64 = 1_000_000;
    let Some(place) = harness() else { return };
    let mut target = place.target(None);
    target.open(&source()).unwrap();
    let names: Vec<String> = (0..64).map(|_| unique("a-counter-with-a-name-of-some-length")).collect();
    for round in 0..3 {
        let begun = Instant::now();
        for offset in round * EVENT_COUNT..(round + 1) * EVENT_COUNT {
            let counter = &names[usize::try_from(offset % 64).unwrap()];
            let change = Change::CounterAdded { counter, by: 1, value: offset };
            target.push(&SinkEvent { offset, at: AT + offset / 100, change }).unwrap();
            if offset % 4_096 == 4_095 {
                target.send(offset + 1).unwrap();
            }
        }
        target.send((round + 1) * EVENT_COUNT).unwrap();
        target.settle().unwrap();
        let seconds = begun.elapsed().as_secs_f64();
        println!("{:.0} events/s", 1e6 / seconds);
    }
    let mut payload = Vec::new();
    write_event_data(&mut payload, &counter(1_000_000));
    println!("payload about {} bytes, with key and headers about {}", payload.len(), payload.len() + 260);
}
