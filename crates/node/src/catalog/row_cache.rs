//! Rows of a source in memory, and what is known of how new they are. It is stepped: it has no thread, no clock and no connection, so all
//! its interleavings can be gone through.
//!
//! A change tells which keys to read again, and a read of the source tells which transactions it has seen. So a row is only clean once a
//! read has seen every change of its key that the feed has told of, whichever of the two came first.

mod eviction;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::{Duration, Instant};

use compact_str::CompactString;
use onrush_core::{Row, RowCollection};

use super::absent::AbsentKeys;
use super::late_changes::{Change, Changes, LateChanges};
use super::read_marks::ReadMarks;
use super::snapshot::Snapshot;
pub(super) use eviction::row_bytes;

/// Changes of keys that were told and that no read has seen yet. With more the collection is loaded anew: some 150 MB.
pub(super) const CHANGES_MAX: usize = 4_000_000;

/// Readers that wait for rows of one collection. One more is told that the source is not available.
pub(super) const WAITERS_MAX: usize = 65_536;

/// Bounds of a collection that is kept coherent with a source.
#[derive(Clone, Copy, Debug)]
pub struct CacheBounds {
    /// Keys, JSON and what belongs to them.
    pub bytes_max: u64,
    /// How long it is remembered that no row has a key.
    pub absent_for: Duration,
    /// Of how many keys that is remembered.
    pub absent_count_max: usize,
}

/// A key, and what of it has to be read.
#[derive(Clone)]
struct Wanted<W> {
    waiters: Vec<W>,
    /// Those who asked for a row of the source while a read of it was under way, which may have begun before a change that they know.
    next_waiters: Vec<W>,
    is_out: bool,
    /// Changes that no read of this key has seen.
    changes: Changes,
}

#[derive(Clone)]
enum Phase {
    /// Nothing is known of the rows.
    Lost,
    /// They are being read, all as this snapshot saw them.
    Loading(Snapshot),
    /// They were read as this snapshot saw them, or later.
    Loaded(Snapshot),
}

/// What is known of a key at once.
pub(super) enum Known {
    Row(Row),
    Absent,
    /// It will be read.
    Asked,
    /// Too many wait, or the source could not give the row a moment ago.
    Refused,
}

/// Keys to read, and of which life of the collection the read is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetch {
    /// Of which life of the collection the read is: another begins whenever the rows are lost.
    pub life: u64,
    /// Each once.
    pub keys: Vec<CompactString>,
}

/// The rows of a collection, those that are wanted, and how far the feed is. `W` waits for a row.
#[derive(Clone)]
pub(super) struct RowCache<W> {
    bounds: CacheBounds,
    phase: Phase,
    life: u64,
    rows: RowCollection,
    bytes: u64,
    /// Whether the rows are all that the source has.
    is_whole: bool,
    absent: AbsentKeys,
    /// Keys whose rows the source could not give. One of them makes a whole statement fail, so it is not asked again at once.
    unreadable: AbsentKeys,
    wanted: HashMap<CompactString, Wanted<W>>,
    queue: VecDeque<CompactString>,
    waiter_count: usize,
    /// Changes of keys that nobody wants.
    late: LateChanges,
    /// Changes of those that are wanted.
    change_count: usize,
    /// How many keys wait for a change at this place to be read.
    held_back: BTreeMap<u64, usize>,
    /// How often a read did not see all that had been told of its key.
    early_count: u64,
    /// How far the feed has come.
    received: u64,
    random: u64,
}

impl<W> Wanted<W> {
    fn new() -> Self {
        Self { waiters: Vec::new(), next_waiters: Vec::new(), is_out: false, changes: Changes::new() }
    }
}

impl<W> RowCache<W> {
    pub(super) fn new(seed: u64, bounds: CacheBounds) -> Self {
        let keys = |turn| AbsentKeys::new(seed.rotate_left(turn), bounds.absent_for, bounds.absent_count_max);
        Self {
            bounds,
            phase: Phase::Lost,
            life: 0,
            rows: RowCollection::seeded(seed),
            bytes: 0,
            is_whole: false,
            absent: keys(7),
            unreadable: keys(11),
            wanted: HashMap::new(),
            queue: VecDeque::new(),
            waiter_count: 0,
            late: LateChanges::default(),
            change_count: 0,
            held_back: BTreeMap::new(),
            early_count: 0,
            received: 0,
            random: seed | 1,
        }
    }

    /// The rows, with the version up to which every change has been read.
    pub(super) fn shown(&mut self) -> &RowCollection {
        let first_unread = self.held_back.keys().next();
        self.rows.set_version(first_unread.map_or(self.received, |first| (first - 1).min(self.received)));
        &self.rows
    }

    pub(super) fn is_loaded(&self) -> bool {
        matches!(self.phase, Phase::Loaded(_))
    }

    pub(super) fn is_whole(&self) -> bool {
        self.is_whole
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Takes a transaction of the source: its number, the place behind it, and the keys whose rows it may have changed. Whether they could
    /// be noted: otherwise the collection is lost, and has to be loaded.
    #[must_use]
    pub(super) fn commit(
        &mut self,
        xid: u64,
        position: u64,
        keys: impl IntoIterator<Item = CompactString>,
    ) -> bool {
        // What was told again after a new start stands in the rows since they were loaded.
        let is_news = !self.is_in_load(xid);
        for key in keys.into_iter().filter(|_| is_news) {
            self.absent.remove(&key);
            self.unreadable.remove(&key);
            let is_shown = self.is_loaded() && (self.is_whole || self.rows.row(&key).is_some());
            let change = Change { xid, position, holds_back: is_shown };
            if is_shown {
                self.make_dirty(key, change);
            } else if let Some(wanted) =
                self.wanted.get_mut(&key).filter(|_| matches!(self.phase, Phase::Loaded(_)))
            {
                wanted.changes.push(change);
                self.change_count += 1;
            } else {
                self.note_late(key, change);
            }
        }
        self.advance(position);
        self.change_count + self.late.count() <= CHANGES_MAX
    }

    /// Takes a transaction that does not say which keys it changed. Whether the rows may stay.
    #[must_use]
    pub(super) fn commit_unknown(&mut self, xid: u64, position: u64) -> bool {
        if self.is_in_load(xid) {
            return true;
        }
        self.late.note_unknown(xid, position);
        !self.is_loaded()
    }

    /// The source has nothing for this collection up to here.
    pub(super) fn advance(&mut self, position: u64) {
        self.received = self.received.max(position);
    }

    /// A statement that begins after this sees all that `snapshot` saw.
    pub(super) fn saw(&mut self, snapshot: &Snapshot) {
        // A load, or a read that somebody waits for meanwhile, may have begun before.
        if self.is_loaded() {
            self.late.forget_seen(snapshot);
        }
    }

    /// Up to where the source may forget what it told: all changes before have been seen by some read, so every later one sees them.
    pub(super) fn settled(&self) -> u64 {
        let of_wanted = self.wanted.values().flat_map(|wanted| &wanted.changes);
        let unseen = of_wanted.map(|change| change.position).chain(self.late.positions()).min();
        unseen.map(|unseen| unseen - 1).map_or(self.received, |unseen| unseen.min(self.received))
    }

    /// Asks for a row: from memory if `is_coherent`, else from the source.
    pub(super) fn want(
        &mut self,
        key: &CompactString,
        is_coherent: bool,
        waiter: impl FnOnce() -> W,
        now: Instant,
    ) -> Known {
        if is_coherent && self.is_loaded() {
            if let Some(row) = self.rows.row(key) {
                return Known::Row(row.clone());
            }
            if self.is_whole || self.absent.has(key, now) {
                return Known::Absent;
            }
        }
        if self.waiter_count >= WAITERS_MAX || self.unreadable.has(key, now) {
            return Known::Refused;
        }
        self.waiter_count += 1;
        if let Some(wanted) = self.wanted.get_mut(key) {
            let is_late = wanted.is_out && !is_coherent;
            if is_late { &mut wanted.next_waiters } else { &mut wanted.waiters }.push(waiter());
            return Known::Asked;
        }
        let changes = if self.is_loaded() { self.late.take(key) } else { Changes::new() };
        self.change_count += changes.len();
        self.wanted.insert(key.clone(), Wanted { waiters: vec![waiter()], changes, ..Wanted::new() });
        self.queue.push_back(key.clone());
        Known::Asked
    }

    pub(super) fn early_count(&self) -> u64 {
        self.early_count
    }

    /// Whether keys wait to be read.
    pub(super) fn has_queue(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Takes keys to read, at most `count_max`; nothing if none are wanted.
    pub(super) fn begin_fetch(&mut self, count_max: usize) -> Option<Fetch> {
        let mut keys = Vec::new();
        while keys.len() < count_max {
            let Some(key) = self.queue.pop_front() else { break };
            if let Some(wanted) = self.wanted.get_mut(&key).filter(|wanted| !wanted.is_out) {
                wanted.is_out = true;
                keys.push(key);
            }
        }
        (!keys.is_empty()).then_some(Fetch { life: self.life, keys })
    }

    /// Takes what a statement with this snapshot found. Returns whoever waited for rows that are known now.
    pub(super) fn end_fetch(
        &mut self,
        fetch: Fetch,
        snapshot: &Snapshot,
        rows: impl IntoIterator<Item = Row>,
        marks: &ReadMarks,
        now: Instant,
    ) -> Vec<(W, Option<Row>)> {
        let mut answered = Vec::new();
        if fetch.life != self.life {
            return answered;
        }
        let mut found: HashMap<_, _> =
            rows.into_iter().map(|row| (CompactString::from(row.key()), row)).collect();
        for key in fetch.keys {
            let row = found.remove(&key);
            let Some(wanted) = self.wanted.get_mut(&key) else { continue };
            wanted.is_out = false;
            let (seen, unseen): (Changes, Changes) =
                wanted.changes.drain(..).partition(|change| snapshot.sees(change.xid));
            // What was told while nothing is known of the rows is noted among the late ones.
            let is_early = self.late.may_miss(&key, snapshot);
            let is_clean = unseen.is_empty() && !is_early;
            (wanted.changes, self.change_count) = (unseen, self.change_count - seen.len());
            let next_waiters = std::mem::take(&mut wanted.next_waiters);
            let waiters = std::mem::replace(&mut wanted.waiters, next_waiters);
            if is_clean {
                if wanted.waiters.is_empty() {
                    self.wanted.remove(&key);
                } else {
                    self.queue.push_back(key.clone());
                }
                self.waiter_count -= waiters.len();
                answered.extend(waiters.into_iter().map(|waiter| (waiter, row.clone())));
            } else {
                wanted.waiters.extend(waiters);
                self.early_count += 1;
                self.queue.push_back(key.clone());
            }
            for change in seen {
                self.release(change);
            }
            self.store(&key, row, is_clean, now);
        }
        self.evict(marks);
        answered
    }

    /// The source did not answer. Returns whoever waited; rows that were shown and have changed are read again.
    pub(super) fn fail_fetch(&mut self, fetch: Fetch) -> Vec<W> {
        let mut failed = Vec::new();
        if fetch.life != self.life {
            return failed;
        }
        for key in fetch.keys {
            let Some(wanted) = self.wanted.get_mut(&key) else { continue };
            wanted.is_out = false;
            failed.append(&mut wanted.waiters);
            failed.append(&mut wanted.next_waiters);
            if wanted.changes.iter().any(|change| change.holds_back) {
                self.queue.push_back(key);
            } else if let Some(Wanted { changes, .. }) = self.wanted.remove(&key) {
                self.note_all_late(&key, changes);
            }
        }
        self.waiter_count -= failed.len();
        failed
    }

    /// The source cannot give these rows, whatever else it can. They are no longer shown, so nothing waits for their changes; whoever asks
    /// for one later, or after a change of it, asks the source again. Returns whoever waited.
    pub(super) fn give_up(&mut self, fetch: &Fetch, now: Instant) -> Vec<W> {
        let mut failed = Vec::new();
        if fetch.life != self.life {
            return failed;
        }
        for key in &fetch.keys {
            let Some(Wanted { waiters, next_waiters, changes, .. }) = self.wanted.remove(key) else {
                continue;
            };
            failed.extend(waiters.into_iter().chain(next_waiters));
            for change in &changes {
                self.release(*change);
            }
            self.note_all_late(key, changes);
            self.unreadable.insert(key, now);
            self.is_whole = false;
            if let Some(row) = self.rows.remove(key) {
                self.bytes -= row_bytes(&row);
            }
        }
        self.waiter_count -= failed.len();
        failed
    }

    /// Nothing is known of the rows any more. Whoever waits goes on waiting.
    pub(super) fn lose(&mut self) {
        self.life += 1;
        self.phase = Phase::Lost;
        (self.rows, self.bytes, self.is_whole) = (self.rows.emptied(), 0, false);
        self.absent.clear();
        self.unreadable.clear();
        self.held_back.clear();
        self.queue.clear();
        let mut noted = Vec::new();
        self.wanted.retain(|key, wanted| {
            noted.push((key.clone(), std::mem::take(&mut wanted.changes)));
            wanted.is_out = false;
            wanted.waiters.append(&mut wanted.next_waiters);
            !wanted.waiters.is_empty()
        });
        for (key, changes) in noted {
            self.note_all_late(&key, changes);
        }
        self.queue.extend(self.wanted.keys().cloned());
    }

    /// The feed begins here, and has told nothing before.
    pub(super) fn restart(&mut self, position: u64) {
        self.lose();
        (self.late, self.received) = (LateChanges::default(), position);
    }

    /// All rows are read from now on, as this snapshot saw them.
    pub(super) fn begin_load(&mut self, snapshot: Snapshot) {
        self.lose();
        self.late.forget_seen(&snapshot);
        self.phase = Phase::Loading(snapshot);
    }

    /// Takes the rows that were read, all of them or as many as there is room for. Whether they can be used.
    #[must_use]
    pub(super) fn end_load(&mut self, rows: RowCollection, bytes: u64, is_whole: bool) -> bool {
        let Phase::Loading(snapshot) = &self.phase else { return false };
        if self.late.has_unknown() {
            self.lose();
            return false;
        }
        self.phase = Phase::Loaded(snapshot.clone());
        (self.rows, self.bytes, self.is_whole) = (rows, bytes, is_whole);
        for (key, changes) in self.late.take_all() {
            let is_shown = is_whole || self.rows.row(&key).is_some();
            let is_wanted = is_shown || self.wanted.contains_key(&key);
            for change in changes {
                if is_wanted {
                    self.make_dirty(key.clone(), Change { holds_back: is_shown, ..change });
                } else {
                    self.late.note(key.clone(), change);
                }
            }
        }
        true
    }

    /// Whether the load that goes on, or the last one, has this transaction.
    fn is_in_load(&self, xid: u64) -> bool {
        match &self.phase {
            Phase::Lost => false,
            Phase::Loading(snapshot) | Phase::Loaded(snapshot) => snapshot.sees(xid),
        }
    }

    /// Keeps the changes of a key that is no longer wanted.
    fn note_all_late(&mut self, key: &CompactString, changes: Changes) {
        self.change_count -= changes.len();
        for change in changes {
            self.note_late(key.clone(), change);
        }
    }

    fn note_late(&mut self, key: CompactString, change: Change) {
        if !self.is_in_load(change.xid) {
            self.late.note(key, Change { holds_back: false, ..change });
        }
    }

    fn make_dirty(&mut self, key: CompactString, change: Change) {
        if change.holds_back {
            *self.held_back.entry(change.position).or_default() += 1;
        }
        self.change_count += 1;
        let queue = &mut self.queue;
        let wanted = self.wanted.entry(key).or_insert_with_key(|key| {
            queue.push_back(key.clone());
            Wanted::new()
        });
        wanted.changes.push(change);
    }

    fn release(&mut self, change: Change) {
        if let Some(count) = self.held_back.get_mut(&change.position).filter(|_| change.holds_back) {
            *count -= 1;
            if *count == 0 {
                self.held_back.remove(&change.position);
            }
        }
    }

    /// Keeps what was read of a key, if the rows are known.
    fn store(&mut self, key: &CompactString, row: Option<Row>, is_clean: bool, now: Instant) {
        if !self.is_loaded() {
            return;
        }
        let before = match row {
            Some(row) if is_clean || self.rows.row(key).is_some() => {
                self.bytes += row_bytes(&row);
                self.rows.insert(row)
            }
            Some(_) => None,
            None => {
                if is_clean && !self.is_whole {
                    self.absent.insert(key, now);
                }
                self.rows.remove(key)
            }
        };
        self.bytes -= before.as_ref().map_or(0, row_bytes);
    }
}

#[cfg(test)]
#[path = "row_cache_tests.rs"]
mod tests;
