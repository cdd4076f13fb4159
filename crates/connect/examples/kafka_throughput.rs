//! How many events a second the Kafka target takes, alone: `cargo run --release -p onrush-connect --features kafka --example
//! kafka_throughput -- 127.0.0.1:9092 TOPIC`. Compare with `kafka-producer-perf-test.sh` for records of 300 bytes, with
//! `acks=all enable.idempotence=true compression.type=lz4 linger.ms=5`.

#[cfg(feature = "kafka")]
#[allow(clippy::disallowed_methods, reason = "it measures")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    use std::time::Instant;

    use onrush_connect::Form;
    use onrush_connect::kafka::{Kafka, Settings};
    use onrush_node::sinks::{Change, SinkEvent, Source, Target as _};

    const EVENT_COUNT: u64 = 1_000_000;
    const ROUNDS: u64 = 5;
    let arguments: Vec<String> = std::env::args().collect();
    let [_, brokers, topic] = &arguments[..] else { return Err("say BROKERS TOPIC".into()) };
    let mut target = Kafka::new(Settings {
        brokers: brokers.clone(),
        topic: topic.clone(),
        form: Form::Events,
        username: None,
        password: None,
        properties_file: None,
    });
    let source =
        Source { log_id: "01JAVXN0WZ9Q4T8S7R6P5M4K3H".to_owned(), partition: 0, sink: "shop".to_owned() };
    target.open(&source)?;
    let counters: Vec<String> =
        (0..64).map(|no| format!("a-counter-with-a-name-of-some-length-{no}")).collect();
    for round in 0..ROUNDS {
        let begun = Instant::now();
        for offset in round * EVENT_COUNT..(round + 1) * EVENT_COUNT {
            let counter = &counters[usize::try_from(offset % 64)?];
            let change = Change::CounterAdded { counter, by: 1, value: offset };
            target.push(&SinkEvent { offset, at: 1_760_000_000_000 + offset / 100, change })?;
            if offset % 4_096 == 4_095 {
                target.send(offset + 1)?;
            }
        }
        target.send((round + 1) * EVENT_COUNT)?;
        target.settle()?;
        println!("{} events in {:?}", EVENT_COUNT, begun.elapsed());
    }
    Ok(())
}

#[cfg(not(feature = "kafka"))]
fn main() {
    println!("build it with --features kafka");
}
