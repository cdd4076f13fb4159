//! Counts over the last span, by name.
//!
//! A window keeps its nonempty panes, oldest first, each with the number of requests before it since the window got its
//! shape. So a count at any time is one subtraction and one search, and a hit costs the same however wide the window is.

use std::collections::VecDeque;

use super::{
    chunked::{Address, Chunked},
    index::{Index, KeyedHash},
    names::Names,
};
use crate::{TimeMs, WindowShape};

/// Requests in the panes of a stored window; leaves room to count for ever.
const RESTORED_TOTAL_MAX: u64 = 1 << 63;

/// All windows of a partition. None is ever taken out.
pub(crate) struct Windows {
    entries: Chunked<Window, 8>,
    names: Names,
    by_name: Index,
    /// Panes that there is room for, in all windows together.
    pane_capacity: usize,
}

/// One window.
pub(crate) struct Window {
    name: Address,
    pub(crate) shape: WindowShape,
    panes: VecDeque<Pane>,
    /// Requests since the window got its shape, those in panes that were dropped included.
    total: u64,
}

#[derive(Clone, Copy)]
struct Pane {
    pane: u64,
    total_before: u64,
}

impl Windows {
    pub(crate) const fn new() -> Self {
        Self { entries: Chunked::new(), names: Names::new(), by_name: Index::new(), pane_capacity: 0 }
    }

    pub(crate) fn count(&self) -> u32 {
        self.entries.len()
    }

    pub(crate) fn get(&self, hash: &KeyedHash, name: &str) -> Option<&Window> {
        self.find(hash.of_bytes(name.as_bytes()), name).map(|entry| &self.entries[entry])
    }

    /// Gives a window, created if need be, a shape and empties it.
    pub(crate) fn put(&mut self, hash: &KeyedHash, name: &str, shape: WindowShape) {
        let name_hash = hash.of_bytes(name.as_bytes());
        match self.find(name_hash, name) {
            Some(entry) => {
                let window = &mut self.entries[entry];
                self.pane_capacity -= window.panes.capacity();
                *window = Window { name: window.name, shape, panes: VecDeque::new(), total: 0 };
            }
            None => self.insert(hash, name_hash, name, shape),
        }
    }

    /// Counts `by` requests in a pane of a window.
    pub(crate) fn hit(&mut self, hash: &KeyedHash, name: &str, pane: u64, by: u64) {
        let entry =
            self.find(hash.of_bytes(name.as_bytes()), name).expect("a window exists before it is hit");
        self.pane_capacity += self.entries[entry].hit(pane, by);
    }

    /// Takes a window back from a stored state, its panes to follow: in the order of names, or not at all.
    pub(crate) fn restore(
        &mut self,
        hash: &KeyedHash,
        name: &str,
        shape: WindowShape,
    ) -> Result<(), &'static str> {
        if self.entries.last().is_some_and(|last| self.names.get(last.name) >= name) {
            return Err("windows are not in the order of their names");
        }
        self.insert(hash, hash.of_bytes(name.as_bytes()), name, shape);
        Ok(())
    }

    /// Takes a pane of the last window back, into a state that is at `time`.
    pub(crate) fn restore_pane(&mut self, time: TimeMs, pane: u64, count: u64) -> Result<(), &'static str> {
        let window = self.entries.last_mut().ok_or("a pane has no window")?;
        if pane > window.shape.pane(time) {
            return Err("a pane is later than the state's time");
        }
        if count == 0 || window.total.saturating_add(count) > RESTORED_TOTAL_MAX {
            return Err("a pane's count is out of bounds");
        }
        if window.panes.back().is_some_and(|last| last.pane >= pane) {
            return Err("panes are not in order");
        }
        if window.panes.front().is_some_and(|first| first.pane < window.shape.oldest_pane(pane)) {
            return Err("panes are further apart than the window is wide");
        }
        self.pane_capacity += window.hit(pane, count);
        Ok(())
    }

    /// Names and windows in the order of names.
    pub(crate) fn sorted(&self) -> Vec<(&str, &Window)> {
        let mut all: Vec<_> =
            self.entries.iter().map(|window| (self.names.get(window.name), window)).collect();
        all.sort_unstable_by_key(|(name, _)| *name);
        all
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        self.entries.heap_bytes()
            + self.names.heap_bytes()
            + self.by_name.heap_bytes()
            + self.pane_capacity * size_of::<Pane>()
    }

    pub(crate) fn check_bytes(&self) {
        self.entries.check_bytes();
        self.names.check_bytes();
        self.by_name.check_bytes();
        let panes: usize = self.entries.iter().map(|window| window.panes.capacity()).sum();
        assert_eq!(self.pane_capacity, panes, "panes of windows");
    }

    fn find(&self, name_hash: u64, name: &str) -> Option<u32> {
        self.by_name.find(name_hash, |entry| self.names.bytes(self.entries[entry].name) == name.as_bytes())
    }

    fn insert(&mut self, hash: &KeyedHash, name_hash: u64, name: &str, shape: WindowShape) {
        let entry = self.entries.len();
        let name = self.names.add(name);
        self.entries.push(Window { name, shape, panes: VecDeque::new(), total: 0 });
        let (entries, names) = (&self.entries, &self.names);
        self.by_name
            .insert(name_hash, entry, |all| names.hashes(hash, all.iter().map(|&entry| entries[entry].name)));
    }
}

impl Window {
    /// Requests in the panes that the window covers at `now`.
    pub(crate) fn count(&self, now: TimeMs) -> u64 {
        let oldest = self.shape.oldest_pane(self.shape.pane(now));
        let first = match self.panes.front() {
            Some(front) if front.pane >= oldest => Some(front),
            _ => self.panes.get(self.panes.partition_point(|pane| pane.pane < oldest)),
        };
        first.map_or(0, |pane| self.total - pane.total_before)
    }

    /// Whether a hit in this pane makes the window take more memory.
    pub(crate) fn grows_at(&self, pane: u64) -> bool {
        let is_full = self.panes.len() == self.panes.capacity();
        let is_new = || self.panes.back().is_none_or(|newest| newest.pane != pane);
        let keeps_all = || self.panes.front().is_none_or(|front| front.pane >= self.shape.oldest_pane(pane));
        is_full && is_new() && keeps_all()
    }

    /// Panes that hold requests with their counts, oldest first.
    pub(crate) fn panes(&self) -> impl Iterator<Item = (u64, u64)> {
        let ends = self.panes.iter().skip(1).map(|next| next.total_before).chain([self.total]);
        self.panes.iter().zip(ends).map(|(pane, end)| (pane.pane, end - pane.total_before))
    }

    /// Counts `by` requests. Returns for how many more panes there is room than before.
    fn hit(&mut self, pane: u64, by: u64) -> usize {
        assert!(by > 0, "a hit counts something");
        let capacity_before = self.panes.capacity();
        match self.panes.back() {
            Some(newest) if newest.pane == pane => {}
            newest => {
                assert!(newest.is_none_or(|newest| newest.pane < pane), "time does not run backwards");
                let oldest = self.shape.oldest_pane(pane);
                while self.panes.front().is_some_and(|front| front.pane < oldest) {
                    self.panes.pop_front();
                }
                self.panes.push_back(Pane { pane, total_before: self.total });
            }
        }
        self.total += by;
        self.panes.capacity() - capacity_before
    }
}
