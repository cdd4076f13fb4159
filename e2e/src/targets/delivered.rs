//! What a broker gave to a reader, in its order: every event at least once, in order for each key, and repeats only under the
//! same id with the same content.

use anyhow::{Result, ensure};
use std::collections::{BTreeMap, HashMap};

use super::{Events, Kept, Stored};

/// Everything delivered so far.
#[derive(Debug, Default)]
pub(crate) struct Delivered {
    events: Events,
    /// Offsets by key, repeats included, in the order of delivery.
    sequences: HashMap<String, Vec<u64>>,
    /// Messages whose id had come before.
    pub repeat_count: u64,
}

impl Delivered {
    /// Takes the next message.
    pub(crate) fn take(&mut self, stored: &Stored) -> Result<()> {
        let kept = stored.kept();
        self.sequences.entry(stored.key.clone()).or_default().push(stored.offset);
        match self.events.get(&stored.offset) {
            None => {
                self.events.insert(stored.offset, kept);
            }
            Some(first) => {
                self.repeat_count += 1;
                ensure!(*first == kept, "another content came under the id of {stored:?}");
            }
        }
        Ok(())
    }

    /// How many different ids came.
    pub(crate) fn distinct_count(&self) -> usize {
        self.events.len()
    }

    /// Whether everything in `truth` came.
    pub(crate) fn has_all(&self, truth: &Events) -> bool {
        truth.keys().all(|offset| self.events.contains_key(offset))
    }

    /// The events by offset.
    pub(crate) fn events(&self) -> &Events {
        &self.events
    }

    /// Checks the order of each key: after an event comes its successor, or a run begins again with an earlier one.
    pub(crate) fn check_order(&self, truth: &Events) -> Result<()> {
        let mut by_key = BTreeMap::<&str, Vec<u64>>::new();
        for (offset, Kept { key, .. }) in truth {
            by_key.entry(key).or_default().push(*offset);
        }
        for (key, offsets) in by_key {
            let Some(sequence) = self.sequences.get(key) else { continue };
            let mut previous = None::<u64>;
            for offset in sequence {
                let reached =
                    previous.map_or(0, |previous| offsets.partition_point(|place| *place <= previous));
                let expected = offsets.get(reached);
                let repeat = previous.is_some_and(|previous| *offset <= previous);
                ensure!(
                    repeat || expected == Some(offset),
                    "of {key}, {offset} came after {previous:?}, where {expected:?} belongs"
                );
                previous = Some(*offset);
            }
            ensure!(
                previous == offsets.last().copied(),
                "of {key}, a run of repeats ended with {previous:?} and not with the newest"
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Delivers `offsets` of one key, of which 1, 2, 5 and 7 exist; `expected` is a part of the violation, or empty.
    fn check(offsets: &[u64], expected: &str) {
        let event = |offset| Stored {
            offset,
            kind: "counter.added".into(),
            key: "home".into(),
            at: String::new(),
            body: format!("{{\"value\":{offset}}}"),
        };
        let truth = [1, 2, 5, 7].map(|offset| (offset, event(offset).kept())).into_iter().collect();
        let mut delivered = Delivered::default();
        for offset in offsets {
            delivered.take(&event(*offset)).expect("the same content");
        }
        match delivered.check_order(&truth) {
            Ok(()) => assert_eq!(expected, "", "not noticed: {offsets:?}"),
            Err(error) => assert!(!expected.is_empty() && error.to_string().contains(expected), "{error}"),
        }
    }

    #[test]
    fn repeated_runs_pass_and_gaps_do_not() {
        check(&[1, 2, 5, 7], "");
        check(&[1, 2, 1, 2, 5, 2, 5, 7], "");
        check(&[1, 2, 2, 5, 7, 1, 2, 5, 7], "");
        check(&[2, 5, 7], "2 came after None");
        check(&[1, 5, 2, 5, 7], "5 came after Some(1)");
        check(&[1, 2, 5, 7, 2], "ended with Some(2)");
        check(&[1, 2, 5], "ended with Some(5)");
        check(&[1, 2, 3, 5, 7], "3 came after Some(2)");
    }

    #[test]
    fn another_content_under_an_id_is_noticed() {
        let first = Stored {
            offset: 1,
            kind: "k".into(),
            key: "a".into(),
            at: String::new(),
            body: r#"{"x":1,"y":2}"#.into(),
        };
        let mut delivered = Delivered::default();
        delivered.take(&first).expect("the first");
        let repeat = Stored { body: r#"{ "y": 2, "x": 1 }"#.into(), ..first.clone() };
        delivered.take(&repeat).expect("a repeat");
        assert_eq!((delivered.repeat_count, delivered.distinct_count()), (1, 1));
        assert!(delivered.take(&Stored { body: "{}".into(), ..first }).is_err());
    }
}
