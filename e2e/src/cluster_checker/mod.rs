//! Holds what clients of several nodes were told against the log that these share, read raw: with a decoder, a fence and a fold of its
//! own, none of which is the server's. Pure: records and answers go in, and what does not fit comes out as an error. Its own tests feed it
//! false histories.

mod asked;
mod bytes;
mod events;
mod fence;
mod places;
mod record;
mod rows;
mod shop;
mod timeline;
mod told;

use anyhow::{Context as _, Result, ensure};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::fmt;

use crate::api::Reservation;
use asked::{Asked, Cause};
use events::Event;
use fence::Fence;
use places::Place;
use record::{Kind, Record};
use shop::Shop;

pub(crate) use record::is_batch;
pub(crate) use rows::EventRow;
pub(crate) use told::{Answer, Told};

/// A batch as a node's own copy has it.
#[derive(Debug)]
pub(crate) struct Kept {
    /// Of its first event.
    pub(crate) offset: u64,
    pub(crate) event_count: u64,
    pub(crate) time_ms: u64,
    pub(crate) payload: Vec<u8>,
}

/// Everything that is known of a log and its clients.
#[derive(Debug, Clone, Default)]
pub(crate) struct Checker {
    next_no: u64,
    fence: Fence,
    shop: Shop,
    asked: Asked,
    /// Causes of the events since answers were last judged.
    causes: Vec<Cause>,
    /// Batches in force, by offset: how many events, when, and a checksum of the payload.
    batches: BTreeMap<u64, (u64, u64, u32)>,
    /// Events of which sinks are told, in their order.
    rows: Vec<EventRow>,
    /// No answer to a later question has a place before this.
    lower: Place,
    answer_count: usize,
    placed_count: usize,
}

impl fmt::Display for Checker {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} answers, {} of them with a place among {} events; {} records, {} reigns, dropped: ",
            self.answer_count,
            self.placed_count,
            self.fence.next_offset,
            self.next_no,
            self.fence.reign_count
        )?;
        let dropped = self.fence.dropped.iter().map(|(reason, count)| format!("{count} {reason}"));
        formatter.write_str(&dropped.collect::<Vec<_>>().join(", "))
    }
}

impl Checker {
    /// The number of the record that is to be read next.
    pub(crate) fn next_no(&self) -> u64 {
        self.next_no
    }

    /// The number of events in force.
    pub(crate) fn next_offset(&self) -> u64 {
        self.fence.next_offset
    }

    /// Takes the next record of the log.
    pub(crate) fn read(&mut self, no: u64, bytes: &[u8]) -> Result<()> {
        ensure!(no == self.next_no, "after record {} comes {no}", self.next_no);
        self.next_no += 1;
        let record = record::read(bytes).with_context(|| format!("read record {no}"))?;
        let Some(record) = record else {
            self.fence.drop_one("junk");
            return Ok(());
        };
        let offset = self.fence.next_offset;
        if self.fence.passes(no, &record)? && record.kind == Kind::Batch {
            self.apply(offset, &record).with_context(|| format!("the events of record {no}"))?;
        }
        Ok(())
    }

    /// Takes all questions that were asked and answered, or given up, since it was last called, and finds a place for each answer. Whatever
    /// they had for an effect has been read.
    pub(crate) fn judge(&mut self, mut answers: Vec<Answer>) -> Result<()> {
        self.answer_count += answers.len();
        for answer in &answers {
            self.asked.take(answer, &self.shop).with_context(|| format!("{answer:?}"))?;
        }
        self.asked.check_numbers(&self.shop)?;
        let first = self.fence.next_offset - self.causes.len() as u64;
        // Until when everything up to an event can have been decided without knowing of a later question.
        let mut latest_ns = Vec::with_capacity(self.causes.len());
        for (offset, cause) in (first..).zip(&self.causes) {
            let sent_ns = self.asked.sent_ns(offset, cause, &self.shop);
            let sent_ns = sent_ns.with_context(|| format!("the event of offset {offset}"))?;
            latest_ns.push(sent_ns.max(latest_ns.last().copied().unwrap_or_default()));
        }
        answers.sort_by_key(|answer| answer.times.sent_ns);
        let mut ended = BinaryHeap::new();
        for answer in &answers {
            while let Some(Reverse((ended_ns, place))) = ended.peek().copied()
                && ended_ns < answer.times.sent_ns
            {
                self.lower = self.lower.max(place);
                ended.pop();
            }
            let upper = first + latest_ns.partition_point(|sent| *sent <= answer.times.ended_ns) as u64;
            let place = places::find(answer, &self.shop, &self.asked, (self.lower, upper));
            if let Some(place) = place.with_context(|| format!("{answer:?}"))? {
                ended.push(Reverse((answer.times.ended_ns, place)));
                self.placed_count += 1;
            }
        }
        self.lower = ended.into_iter().map(|Reverse((_, place))| place).fold(self.lower, u64::max);
        self.causes.clear();
        Ok(())
    }

    /// A batch that was written before, as a leader with a fault would write it once more, behind everything that was read. Nothing if these
    /// bytes are no batch, or nobody leads.
    pub(crate) fn forged(&self, batch: &[u8]) -> Result<Option<Vec<u8>>> {
        let record = record::read(batch)?.filter(|record| record.kind == Kind::Batch);
        let next = record.and_then(|record| self.fence.next_of(record));
        Ok(next.map(|next| record::moved(batch, &next)))
    }

    /// Compares the copy of a node with what is in force, from the first batch that the node has kept on.
    pub(crate) fn check_copy(&self, copy: &[Kept]) -> Result<()> {
        let first = copy.first().context("it has no batch")?.offset;
        let mut expected = self.batches.range(first..);
        for kept in copy {
            let found =
                (kept.offset, (kept.event_count, kept.time_ms, record::checksum(kept.payload.iter())));
            let (offset, batch) = expected.next().context("it has more than is in force")?;
            ensure!(found == (*offset, *batch), "it has {found:?}, and in force is {:?}", (offset, batch));
        }
        let lacking = expected.next();
        ensure!(lacking.is_none(), "it lacks the batch in force at {lacking:?}");
        Ok(())
    }

    /// Compares the tables of a sink that has caught up with what is in force: the events, each once, and the reservations.
    pub(crate) fn check_rows(&self, events: &[EventRow], reservations: &[Reservation]) -> Result<()> {
        rows::check_events(&self.rows, events)?;
        rows::check_reservations(&self.shop, reservations)
    }

    fn apply(&mut self, offset: u64, record: &Record) -> Result<()> {
        ensure!(record.format == 2, "a payload of format {}", record.format);
        let events = events::read(&record.payload, record.time_ms)?;
        let event_count = u64::from(record.event_count);
        ensure!(events.len() as u64 == event_count, "{} events are said to be {event_count}", events.len());
        let batch = (event_count, record.time_ms, record::checksum(record.payload.iter()));
        self.batches.insert(offset, batch);
        for (offset, (at_ms, event)) in (offset..).zip(events) {
            ensure!(
                at_ms <= record.told_ms,
                "an event of {at_ms} ms in a record that tells of {} ms",
                record.told_ms
            );
            self.causes.push(cause_of(&event));
            self.rows.extend(rows::row_of(offset, &event, &self.shop));
            self.shop.apply(offset, at_ms, event).with_context(|| format!("the event of offset {offset}"))?;
        }
        Ok(())
    }
}

fn cause_of(event: &Event) -> Cause {
    use crate::ledger::Verb;
    match event {
        Event::CounterAdded { counter, .. } => Cause::Add(format!("counters/{counter}")),
        Event::WindowHit { window, .. } => Cause::Add(format!("windows/{window}")),
        Event::Reserved(reserved) => Cause::Reserve(reserved.reservation),
        Event::Confirmed(reservation) => Cause::Step(Verb::Confirm, *reservation),
        Event::Released(reservation) => Cause::Step(Verb::Release, *reservation),
        Event::WindowPut { .. } | Event::SalePut { .. } | Event::Expired(_) | Event::Other => Cause::Server,
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod written;
