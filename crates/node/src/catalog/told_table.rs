//! Rows of a source that tells each change with the row that it leaves, and what is known of their order. Whoever tells them may tell some
//! again, from an earlier place on, and in another order than they were made in; a row never goes back because of that.

use std::collections::{HashMap, VecDeque};

use compact_str::CompactString;
use onrush_core::{Row, RowCollection};

use super::gtid::TransactionNumber;
use super::row_cache::row_bytes;

/// What the place of a row counts for, beside the row.
const PLACE_BYTES: u64 = 96;

/// Removed rows whose places are remembered, so that an earlier change that is told again does not bring one back: some 20 MB.
const REMOVED_MAX: usize = 1 << 18;

/// Rows that cannot be read whose keys are remembered. With more, no key is known to have no row.
const UNREADABLE_MAX: usize = 1 << 16;

/// No statement takes longer than that: ten minutes. A change that was made so much later and has a lower number is of a server that counts anew.
const STATEMENT_MS_MAX: u64 = 10 * 60 * 1_000;

/// Where a change stands in its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChangePlace {
    /// The place in the source's log.
    pub position: u64,
    /// Which of the changes that the source wrote at that place.
    pub index: u64,
    /// When it was committed, in milliseconds of Unix time by the source's clock.
    pub committed_ms: u64,
    /// Of which transaction it was, if the source numbers them.
    pub number: Option<TransactionNumber>,
}

impl ChangePlace {
    /// Whether this was made before the other, of the same row.
    ///
    /// A server numbers transactions in their order, whenever their statements began, and gives higher numbers than it got from the server that it
    /// follows. A lower number of another server can be that of a change which got lost there. Then, as without numbers, the places of one log tell, and a
    /// new log has lower places and later times.
    fn is_before(self, other: Self) -> bool {
        let (is_lower, later_ms) =
            (self.is_lower(other), self.committed_ms.saturating_sub(other.committed_ms));
        match self.number.zip(other.number).filter(|(own, other)| own.domain == other.domain) {
            Some((own, other)) if own.number > other.number => false,
            // A machine that lost the end of its log gives numbers again, in the next file.
            Some((own, other)) if own.number < other.number && own.server == other.server => {
                later_ms <= if is_lower { STATEMENT_MS_MAX } else { 0 }
            }
            _ => is_lower && later_ms == 0,
        }
    }

    fn is_lower(self, other: Self) -> bool {
        (self.position, self.index) < (other.position, other.index)
    }
}

/// See the module.
pub(super) struct ToldTable {
    rows: RowCollection,
    bytes: u64,
    bytes_max: u64,
    /// The newest change of every row that is there, and of some that are not.
    places: HashMap<CompactString, ChangePlace>,
    /// Those that are not, the oldest first.
    removed: VecDeque<(CompactString, ChangePlace)>,
    removed_max: usize,
    /// There was no room for all rows.
    lacks_rows: bool,
    /// Rows that are not known, with the place of the change that did not tell them, if that is.
    unreadable: HashMap<CompactString, Option<ChangePlace>>,
    /// The newest change that removed all rows.
    emptied_at: Option<ChangePlace>,
}

/// What became of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// The row is as the change left it.
    Stored,
    /// The row has a newer change.
    Repeated,
    /// The row is as the change left it, and the source has begun a new log since the change before.
    InNewLog,
}

impl ToldTable {
    pub(super) fn new(seed: u64, bytes_max: u64) -> Self {
        Self {
            rows: RowCollection::seeded(seed),
            bytes: 0,
            bytes_max,
            places: HashMap::new(),
            removed: VecDeque::new(),
            removed_max: REMOVED_MAX,
            lacks_rows: false,
            unreadable: HashMap::new(),
            emptied_at: None,
        }
    }

    pub(super) fn rows(&self) -> &RowCollection {
        &self.rows
    }

    pub(super) fn set_version(&mut self, version: u64) {
        self.rows.set_version(version);
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether a key without a row is known to have none.
    pub(super) fn is_known_absent(&self, key: &str) -> bool {
        !self.lacks_rows && !self.unreadable.contains_key(key)
    }

    /// Whether that holds for all keys.
    pub(super) fn is_whole(&self) -> bool {
        !self.lacks_rows && self.unreadable.is_empty()
    }

    /// Whether there was no room for all rows.
    pub(super) fn lacks_rows(&self) -> bool {
        self.lacks_rows
    }

    /// What would become of a change of this key.
    pub(super) fn order(&self, key: &str, place: ChangePlace) -> Taken {
        if self.emptied_at.is_some_and(|emptied_at| place.is_before(emptied_at)) {
            return Taken::Repeated;
        }
        match self.places.get(key) {
            Some(newest) if place.is_before(*newest) => Taken::Repeated,
            Some(newest) if place.is_lower(*newest) => Taken::InNewLog,
            _ => Taken::Stored,
        }
    }

    /// Takes a row as a change left it.
    pub(super) fn put(&mut self, row: Row, place: ChangePlace) -> Taken {
        let taken = self.order(row.key(), place);
        if taken == Taken::Repeated {
            return taken;
        }
        let key = CompactString::from(row.key());
        self.unreadable.remove(&key);
        self.take_out(&key);
        let bytes = row_bytes(&row) + PLACE_BYTES;
        if self.bytes + bytes > self.bytes_max {
            self.lacks_rows = true;
            self.note_removed(key, place);
            return taken;
        }
        self.bytes += bytes;
        self.places.insert(key, place);
        let replaced = self.rows.insert(row);
        debug_assert!(replaced.is_none(), "it was taken out");
        taken
    }

    /// Takes the end of a row. A change without a place comes after whatever was told of the key before.
    pub(super) fn remove(&mut self, key: &str, place: Option<ChangePlace>) -> Taken {
        let place = place.or_else(|| self.places.get(key).copied());
        let taken = place.map_or(Taken::Stored, |place| self.order(key, place));
        if taken != Taken::Repeated {
            let key = CompactString::from(key);
            self.unreadable.remove(&key);
            self.take_out(&key);
            if let Some(place) = place {
                self.note_removed(key, place);
            }
        }
        taken
    }

    /// Takes a change that does not say how it left the row.
    pub(super) fn spoil(&mut self, key: &str, place: Option<ChangePlace>) -> Taken {
        let taken = self.remove(key, place);
        if taken != Taken::Repeated {
            if self.unreadable.len() < UNREADABLE_MAX {
                self.unreadable.insert(key.into(), place);
            } else {
                self.lacks_rows = true;
            }
        }
        taken
    }

    /// Takes a change that removed all rows.
    pub(super) fn empty(&mut self, place: ChangePlace) {
        if !self.emptied_at.is_some_and(|emptied_at| place.is_before(emptied_at)) {
            self.emptied_at = Some(place);
        }
        self.remove_all(|newest| !place.is_before(*newest));
    }

    /// All rows that the source had at this place were told again, with it. The others are no longer there.
    pub(super) fn end_snapshot(&mut self, place: ChangePlace, is_in_new_log: bool) {
        self.emptied_at = Some(place);
        if is_in_new_log {
            self.remove_all(|newest| newest.committed_ms < place.committed_ms);
        } else {
            self.remove_all(|newest| newest.is_before(place));
        }
    }

    fn remove_all(&mut self, is_older: impl Fn(&ChangePlace) -> bool) {
        let older = self.places.iter().filter(|(_, newest)| is_older(newest)).map(|(key, _)| key.clone());
        for key in older.collect::<Vec<_>>() {
            self.take_out(&key);
            self.places.remove(&key);
        }
        // Nobody knows whether a change without a place was before.
        self.unreadable.retain(|_, place| !place.as_ref().is_some_and(&is_older));
        self.removed.retain(|(_, newest)| !is_older(newest));
        self.lacks_rows &= self.rows.row_count() > 0;
    }

    fn take_out(&mut self, key: &str) {
        if let Some(row) = self.rows.remove(key) {
            self.bytes -= row_bytes(&row) + PLACE_BYTES;
        }
    }

    fn note_removed(&mut self, key: CompactString, place: ChangePlace) {
        self.places.insert(key.clone(), place);
        self.removed.push_back((key, place));
        while self.removed.len() > self.removed_max {
            let Some((key, place)) = self.removed.pop_front() else { return };
            let is_newest = self.places.get(&key) == Some(&place) && self.rows.row(&key).is_none();
            if is_newest {
                self.places.remove(&key);
            }
        }
    }
}

#[cfg(test)]
#[path = "told_table_tests.rs"]
mod tests;
