//! What arrived in the four targets, compared with one another entry by entry: four writers, four readers, one history.

use anyhow::{Context as _, Result, ensure};
use std::fmt;
use std::time::{Duration, Instant};

use crate::targets::delivered::Delivered;
use crate::targets::received::Received;
use crate::targets::{Events, Stored, Targets, compare};

/// How long a broker may take to give what it has taken.
const DELIVERY_TIMEOUT: Duration = Duration::from_mins(2);

/// Silence after which a queue counts as read.
const QUIET: Duration = Duration::from_millis(700);

/// Everything read so far.
#[derive(Debug, Default)]
pub(crate) struct Arrived {
    rows: Events,
    entries: Events,
    queue: Delivered,
    topic: Delivered,
}

impl fmt::Display for Arrived {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} events in each target, repeated {} times in RabbitMQ and {} times in Kafka",
            self.rows.len(),
            self.queue.repeat_count,
            self.topic.repeat_count
        )
    }
}

impl Arrived {
    /// Reads what is new and checks everything; the sinks have caught up. With `whole`, rows and entries are read again from
    /// the beginning.
    pub(crate) fn check(&mut self, targets: &mut Targets, whole: bool) -> Result<()> {
        if whole {
            self.rows.clear();
            self.entries.clear();
        }
        let next = |events: &Events| events.last_key_value().map_or(0, |(offset, _)| offset + 1);
        let (rows, entries) = (next(&self.rows), next(&self.entries));
        take(&mut self.rows, &targets.postgres.events(rows)?).context("PostgreSQL")?;
        take(&mut self.entries, &targets.redis.events(entries)?).context("Redis")?;
        ensure!(!self.rows.is_empty(), "nothing arrived");
        compare(("PostgreSQL", &self.rows), ("Redis", &self.entries))?;
        read_all(&mut self.queue, &self.rows, || {
            targets.rabbitmq.read(QUIET)?.iter().map(Received::stored).collect()
        })
        .context("RabbitMQ")?;
        read_all(&mut self.topic, &self.rows, || {
            targets.kafka.read()?.iter().map(Received::stored).collect()
        })
        .context("Kafka")?;
        for (name, delivered) in [("RabbitMQ", &self.queue), ("Kafka", &self.topic)] {
            compare(("PostgreSQL", &self.rows), (name, delivered.events()))?;
            delivered.check_order(&self.rows).context(name)?;
        }
        Ok(())
    }
}

/// Rows and entries come once each, in order.
fn take(events: &mut Events, stored: &[Stored]) -> Result<()> {
    for event in stored {
        let last = events.last_key_value().map(|(offset, _)| *offset);
        ensure!(last.is_none_or(|last| event.offset > last), "{} came after {last:?}", event.offset);
        events.insert(event.offset, event.kept());
    }
    Ok(())
}

fn read_all(
    delivered: &mut Delivered,
    truth: &Events,
    mut read: impl FnMut() -> Result<Vec<Stored>>,
) -> Result<()> {
    let started = Instant::now();
    loop {
        for event in read()? {
            delivered.take(&event)?;
        }
        if delivered.has_all(truth) {
            return Ok(());
        }
        ensure!(
            started.elapsed() < DELIVERY_TIMEOUT,
            "of {} events only {} came",
            truth.len(),
            delivered.distinct_count()
        );
    }
}
