//! The batch that is open: records of events that were applied and are not yet on their way to the log.

use std::collections::HashMap;

use onrush_core::{Event, TimeMs};

use super::views::ViewChange;
use crate::Name;
use crate::record::{encode_event, encode_time};

/// Collects events as records. Additions to one counter, and hits of one pane, become one record each, so that a
/// batch costs the log as much as it has counters, not as much as it has hits.
#[derive(Debug, Default)]
pub(crate) struct OpenBatch {
    payload: Vec<u8>,
    event_count: u32,
    time: Option<TimeMs>,
    dated: TimeMs,
    merged: Vec<Merged>,
    merged_by_name: HashMap<(Name, Kind), usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Counter,
    Window,
}

#[derive(Debug)]
struct Merged {
    name: Name,
    kind: Kind,
    /// A counter's total, or a window's pane.
    number: u64,
    by: u64,
}

/// A batch on its way to the log, or a mark, which has no events.
#[derive(Default)]
pub(crate) struct ClosedBatch {
    pub(crate) payload: Vec<u8>,
    pub(crate) event_count: u32,
    pub(crate) time: TimeMs,
    /// The latest time at which anything was decided that rests on it.
    pub(crate) told: TimeMs,
    /// What it changes for readers. Empty but for a batch that was closed and is not yet in force.
    pub(crate) view_change: ViewChange,
}

impl ClosedBatch {
    /// Makes a mark of a batch whose memory is free.
    pub(crate) fn make_mark(&mut self, time: TimeMs) {
        self.payload.clear();
        (self.event_count, self.time, self.told) = (0, time, time);
    }
}

impl OpenBatch {
    pub(crate) fn is_empty(&self) -> bool {
        self.event_count == 0 && self.merged.is_empty()
    }

    /// Whether there are records that will be written when the batch closes.
    pub(crate) fn has_merged(&self) -> bool {
        !self.merged.is_empty()
    }

    /// Bytes that the batch will have at most when it closes.
    pub(crate) fn bytes(&self) -> usize {
        /// Kind, length, name with length, two integers.
        const MERGED_BYTES_MAX: usize = 1 + 1 + 1 + onrush_core::NAME_BYTES_MAX + 10 + 10;
        self.payload.len() + self.merged.len() * MERGED_BYTES_MAX
    }

    /// Takes up an event that was decided at `at`.
    pub(crate) fn record(&mut self, event: &Event<'_>, at: TimeMs) {
        self.time.get_or_insert(at);
        match *event {
            Event::CounterAdded { counter, by, value } => self.merge(counter, Kind::Counter, by, value),
            Event::WindowHit { window, pane, by } => self.merge(window, Kind::Window, by, pane),
            Event::WindowPut { .. } => {
                // The hits before it belong to the shape before it.
                self.encode_merged(at);
                self.encode(event, at);
            }
            _ => self.encode(event, at),
        }
    }

    fn merge(&mut self, name: &str, kind: Kind, by: u64, number: u64) {
        let fits =
            |m: &Merged| m.kind == kind && (kind == Kind::Counter || m.number == number) && m.name == name;
        let slot = match self.merged.last() {
            Some(last) if fits(last) => Some(self.merged.len() - 1),
            Some(_) => self.merged_by_name.get(&(Name::from(name), kind)).copied(),
            None => None,
        };
        if let Some(slot) = slot.filter(|slot| fits(&self.merged[*slot])) {
            let merged = &mut self.merged[slot];
            merged.by += by;
            merged.number = number;
        } else {
            self.merged_by_name.insert((Name::from(name), kind), self.merged.len());
            self.merged.push(Merged { name: Name::from(name), kind, number, by });
        }
    }

    fn encode(&mut self, event: &Event<'_>, at: TimeMs) {
        self.date(at);
        encode_event(&mut self.payload, event);
        self.event_count += 1;
    }

    fn date(&mut self, at: TimeMs) {
        let time = *self.time.get_or_insert(at);
        if at != self.dated.max(time) {
            encode_time(&mut self.payload, time, at);
        }
        self.dated = at;
    }

    fn encode_merged(&mut self, at: TimeMs) {
        if self.merged.is_empty() {
            return;
        }
        self.date(at);
        for Merged { name, kind, number, by } in self.merged.drain(..) {
            let event = match kind {
                Kind::Counter => Event::CounterAdded { counter: &name, by, value: number },
                Kind::Window => Event::WindowHit { window: &name, pane: number, by },
            };
            encode_event(&mut self.payload, &event);
            self.event_count += 1;
        }
        self.merged_by_name.clear();
    }

    /// Closes the batch at `at` and puts it in place of `recycled`, whose memory serves the next one.
    pub(crate) fn close_into(&mut self, recycled: &mut ClosedBatch, at: TimeMs) {
        self.encode_merged(at);
        recycled.payload.clear();
        std::mem::swap(&mut recycled.payload, &mut self.payload);
        recycled.event_count = std::mem::take(&mut self.event_count);
        (recycled.time, recycled.told) = (self.time.take().unwrap_or(at), at);
        self.dated = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{DecodeError, decode_records};
    use onrush_core::WindowShape;
    use onrush_log::Format;

    fn replay(batch: &ClosedBatch) -> Vec<String> {
        let mut seen = Vec::new();
        decode_records::<DecodeError>(Format::NEWEST, &batch.payload, batch.time, |record| {
            seen.push(format!("{}@{} {:?}", record.index, record.at, record.event));
            Ok(())
        })
        .unwrap();
        assert_eq!(seen.len(), batch.event_count as usize);
        seen
    }

    #[test]
    fn hits_of_one_counter_become_one_record() {
        let mut open = OpenBatch::default();
        open.record(&Event::CounterAdded { counter: "a", by: 1, value: 5 }, 10);
        open.record(&Event::CounterAdded { counter: "b", by: 2, value: 2 }, 10);
        open.record(&Event::CounterAdded { counter: "a", by: 3, value: 8 }, 12);
        let mut closed = ClosedBatch::default();
        open.close_into(&mut closed, 12);
        assert_eq!(
            replay(&closed),
            [
                r#"0@12 CounterAdded { counter: "a", by: 4, value: 8 }"#,
                r#"1@12 CounterAdded { counter: "b", by: 2, value: 2 }"#
            ]
        );
        assert!(open.is_empty());
    }

    #[test]
    fn hits_of_a_window_stay_in_their_pane_and_before_the_next_shape() {
        let mut open = OpenBatch::default();
        let shape = WindowShape { span_ms: 10, precision_ms: 1 };
        open.record(&Event::WindowHit { window: "w", pane: 1, by: 1 }, 1);
        open.record(&Event::WindowHit { window: "v", pane: 1, by: 1 }, 1);
        open.record(&Event::WindowHit { window: "w", pane: 1, by: 1 }, 1);
        open.record(&Event::WindowHit { window: "w", pane: 2, by: 1 }, 2);
        open.record(&Event::WindowHit { window: "w", pane: 2, by: 1 }, 2);
        open.record(&Event::WindowPut { window: "w", shape }, 3);
        open.record(&Event::WindowHit { window: "w", pane: 3, by: 1 }, 3);
        let mut closed = ClosedBatch::default();
        open.close_into(&mut closed, 3);
        let seen = replay(&closed);
        assert_eq!(seen.len(), 5, "{seen:?}");
        assert_eq!(seen[0], r#"0@3 WindowHit { window: "w", pane: 1, by: 2 }"#);
        assert_eq!(seen[2], r#"2@3 WindowHit { window: "w", pane: 2, by: 2 }"#);
        assert!(seen[3].starts_with("3@3 WindowPut"));
        assert_eq!(seen[4], r#"4@3 WindowHit { window: "w", pane: 3, by: 1 }"#);
    }

    #[test]
    fn each_event_keeps_the_time_of_its_turn() {
        let mut open = OpenBatch::default();
        open.record(&Event::PartitionCreated { id_key: [0; 16] }, 7);
        open.record(&Event::SaleArchived { sale_no: onrush_core::SaleNo(0) }, 7);
        open.record(&Event::SaleArchived { sale_no: onrush_core::SaleNo(1) }, 9);
        let mut closed = ClosedBatch::default();
        open.close_into(&mut closed, 9);
        let seen = replay(&closed);
        assert!(
            seen[0].starts_with("0@7") && seen[1].starts_with("1@7") && seen[2].starts_with("2@9"),
            "{seen:?}"
        );
        // The next batch starts afresh.
        open.record(&Event::SaleArchived { sale_no: onrush_core::SaleNo(2) }, 9);
        open.close_into(&mut closed, 9);
        assert!(replay(&closed)[0].starts_with("0@9"));
    }
}
