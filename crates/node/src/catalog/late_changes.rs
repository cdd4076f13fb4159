//! Changes that a feed told of and that a read which begins now may not see yet: a source tells of a transaction when it is on the disk,
//! which can be before others see it.

use std::collections::HashMap;

use compact_str::CompactString;
use smallvec::SmallVec;

use super::snapshot::Snapshot;

/// A change that the feed told of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Change {
    pub(super) xid: u64,
    /// Where it stands in the source.
    pub(super) position: u64,
    /// Whether a row of its key is shown, or that there is none: then answers are of an earlier version until it has been read.
    pub(super) holds_back: bool,
}

/// Changes of one key.
pub(super) type Changes = SmallVec<[Change; 1]>;

/// Those of keys that nobody reads now.
#[derive(Clone, Default)]
pub(super) struct LateChanges {
    by_key: HashMap<CompactString, Changes>,
    count: usize,
    /// Transactions that did not say what they changed: numbers and places.
    unknown: Vec<(u64, u64)>,
}

impl LateChanges {
    pub(super) fn count(&self) -> usize {
        self.count
    }

    pub(super) fn note(&mut self, key: CompactString, change: Change) {
        self.by_key.entry(key).or_default().push(change);
        self.count += 1;
    }

    /// Notes a transaction that did not say what it changed.
    pub(super) fn note_unknown(&mut self, xid: u64, position: u64) {
        self.unknown.push((xid, position));
    }

    /// Whether there is a transaction that did not say what it changed.
    pub(super) fn has_unknown(&self) -> bool {
        !self.unknown.is_empty()
    }

    /// Whether something of this key may be missing in what a statement with this snapshot found.
    pub(super) fn may_miss(&self, key: &str, snapshot: &Snapshot) -> bool {
        let of_key = self.by_key.get(key).into_iter().flatten().map(|change| change.xid);
        of_key.chain(self.unknown.iter().map(|(xid, _)| *xid)).any(|xid| !snapshot.sees(xid))
    }

    /// Forgets what every statement from now on sees.
    pub(super) fn forget_seen(&mut self, snapshot: &Snapshot) {
        self.by_key.retain(|_, changes| {
            changes.retain(|change| !snapshot.sees(change.xid));
            !changes.is_empty()
        });
        self.count = self.by_key.values().map(SmallVec::len).sum();
        self.unknown.retain(|(xid, _)| !snapshot.sees(*xid));
    }

    /// The changes of a key, for whoever reads it from now on.
    pub(super) fn take(&mut self, key: &str) -> Changes {
        let changes = self.by_key.remove(key).unwrap_or_default();
        self.count -= changes.len();
        changes
    }

    /// All changes, by key.
    pub(super) fn take_all(&mut self) -> HashMap<CompactString, Changes> {
        self.count = 0;
        std::mem::take(&mut self.by_key)
    }

    /// The places of all of them.
    pub(super) fn positions(&self) -> impl Iterator<Item = u64> {
        let of_keys = self.by_key.values().flatten().map(|change| change.position);
        of_keys.chain(self.unknown.iter().map(|(_, position)| *position))
    }

    /// What later steps depend on.
    #[cfg(test)]
    pub(super) fn digest(&self) -> String {
        let mut entries: Vec<_> = self.by_key.iter().map(|entry| format!("{entry:?}")).collect();
        entries.sort();
        format!("{entries:?}{:?}", self.unknown)
    }
}
