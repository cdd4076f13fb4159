//! What writers and readers of rows saw, and whether it fits together. Pure: it is fed false histories by its own tests.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};

/// The number of a row.
pub(crate) type Key = u32;

/// A change that a writer committed. Those of a key have rising numbers from 1 on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Written {
    pub(crate) key: Key,
    pub(crate) count: u64,
    /// Whether it left no row.
    pub(crate) is_deletion: bool,
    /// When the writer began it, and when the database said that it was done; nothing if it never said so.
    pub(crate) begun_ns: u64,
    pub(crate) done_ns: Option<u64>,
}

/// A row, or none, that a reader got.
#[derive(Clone, Copy, Debug)]
pub(super) struct Read {
    pub(super) key: Key,
    /// How often the row had been changed; nothing if there was none.
    pub(super) count: Option<u64>,
    /// The version that it asked to wait for was from after this moment.
    pub(super) asked_for_ns: Option<u64>,
    pub(super) sent_ns: u64,
    pub(super) ended_ns: u64,
    /// How far the answer may be behind the source, as it says, or as the settings say.
    pub(super) lag_ns: u64,
}

/// All changes, by key, in their order.
#[derive(Debug, Default)]
pub(super) struct History {
    written: BTreeMap<Key, Vec<Written>>,
}

impl History {
    /// Takes the changes of one writer, which alone changes these keys, in their order.
    pub(super) fn absorb(&mut self, changes: impl IntoIterator<Item = Written>) {
        for change in changes {
            self.written.entry(change.key).or_default().push(change);
        }
    }

    /// Checks the reads of one connection, in their order.
    pub(super) fn check(&self, reads: &[Read]) -> Result<()> {
        let mut newest: BTreeMap<Key, u64> = BTreeMap::new();
        for read in reads {
            let known = newest.entry(read.key).or_default();
            let promised = self.promised(read).max(*known);
            if let Some(count) = read.count {
                ensure!(count >= promised, "{read:?}: an answer of {count} after {promised}");
                ensure!(self.was_begun(read, count), "{read:?}: nobody had written that");
                *known = count;
            } else {
                let deletion = self.deletion(read, promised);
                *known = deletion.with_context(|| {
                    format!("{read:?}: a row is missing that nobody deleted after {promised}")
                })?;
            }
        }
        Ok(())
    }

    /// The newest change of the key that an answer has to have: it was done before what the answer says that it is of.
    fn promised(&self, read: &Read) -> u64 {
        let as_of = read.sent_ns.saturating_sub(read.lag_ns).max(read.asked_for_ns.unwrap_or_default());
        let done = self.of(read.key).iter().filter(|change| change.done_ns.is_some_and(|done| done < as_of));
        done.map(|change| change.count).max().unwrap_or_default()
    }

    /// Whether a change was begun before the answer came. 0 stands for how it was at first.
    fn was_begun(&self, read: &Read, count: u64) -> bool {
        count == 0
            || self
                .of(read.key)
                .iter()
                .any(|change| change.count == count && !change.is_deletion && change.begun_ns < read.ended_ns)
    }

    /// The oldest deletion, from this change on, that the answer can be of.
    fn deletion(&self, read: &Read, from: u64) -> Option<u64> {
        let deletions = self.of(read.key).iter().filter(|change| change.is_deletion && change.count >= from);
        deletions.filter(|change| change.begun_ns < read.ended_ns).map(|change| change.count).min()
    }

    fn of(&self, key: Key) -> &[Written] {
        self.written.get(&key).map_or(&[], Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(count: u64, is_deletion: bool, begun_ns: u64, done_ns: Option<u64>) -> Written {
        Written { key: 1, count, is_deletion, begun_ns, done_ns }
    }

    fn read(count: Option<u64>, sent_ns: u64, lag_ns: u64) -> Read {
        Read { key: 1, count, asked_for_ns: None, sent_ns, ended_ns: sent_ns + 10, lag_ns }
    }

    fn history() -> History {
        let mut history = History::default();
        history.absorb([
            written(1, false, 100, Some(200)),
            written(2, true, 300, Some(400)),
            written(3, false, 500, None),
        ]);
        history
    }

    #[test]
    fn true_histories_are_taken() {
        for reads in [
            vec![read(Some(0), 150, 0)],
            vec![read(Some(0), 250, 60), read(Some(1), 250, 0)],
            vec![read(None, 350, 0), read(Some(3), 550, 0)],
            vec![read(Some(1), 350, 0), read(None, 350, 0)],
            vec![read(Some(3), 495, 0)],
        ] {
            assert!(history().check(&reads).is_ok(), "{reads:?}");
        }
    }

    #[test]
    fn false_histories_are_noticed() {
        for reads in [
            // Older than it says.
            vec![read(Some(0), 250, 40)],
            vec![read(Some(1), 450, 10)],
            // Backwards on one connection.
            vec![read(Some(1), 180, 0), read(Some(0), 190, 0)],
            vec![read(None, 350, 0), read(Some(1), 360, 200)],
            // Before anybody wrote it, or as nobody did.
            vec![read(Some(3), 480, 0)],
            vec![read(Some(2), 350, 0)],
            vec![read(Some(9), 600, 0)],
            // Missing, and not deleted.
            vec![read(None, 250, 0)],
            vec![read(Some(3), 600, 0), read(None, 610, 0)],
            // It asked to wait for more.
            vec![Read { asked_for_ns: Some(450), ..read(Some(1), 450, 1_000) }],
        ] {
            assert!(history().check(&reads).is_err(), "{reads:?}");
        }
    }
}
