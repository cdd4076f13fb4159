//! Who is denied, by value, and when that is over.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound::{Excluded, Unbounded},
    sync::Arc,
};

use crate::{
    DENIALS_SEARCH_MAX, Denial, DenialKind, DenialsPage, REASON_BYTES_MAX, TERMS_TIME_MS_MAX, TimeMs,
};

/// All denials of a partition, those that are over and not yet forgotten among them.
pub(crate) struct Denylist {
    /// By kind.
    by_value: [BTreeMap<Arc<str>, Arc<Denial>>; DenialKind::ALL.len()],
    /// Of denials that have an end.
    expiries: BTreeSet<(TimeMs, DenialKind, Arc<str>)>,
    bytes: usize,
}

impl Denylist {
    pub(crate) const fn new() -> Self {
        Self { by_value: [const { BTreeMap::new() }; _], expiries: BTreeSet::new(), bytes: 0 }
    }

    pub(crate) fn count(&self) -> u32 {
        u32::try_from(self.by_value.iter().map(BTreeMap::len).sum::<usize>())
            .expect("fewer than 2^32 denials")
    }

    pub(crate) fn get(&self, kind: DenialKind, value: &str) -> Option<&Arc<Denial>> {
        self.by_value[kind as usize].get(value)
    }

    /// The denial whose end comes first.
    pub(crate) fn first_to_expire(&self) -> Option<&Arc<Denial>> {
        let (_, kind, value) = self.expiries.first()?;
        self.get(*kind, value)
    }

    /// Adds a denial, in place of the one with the same kind and value.
    pub(crate) fn put(&mut self, denial: Arc<Denial>) {
        let _ = self.remove(denial.kind, &denial.value);
        self.bytes += bytes_of(&denial);
        if let Some(expires_at) = denial.expires_at {
            self.expiries.insert((expires_at, denial.kind, Arc::clone(&denial.value)));
        }
        self.by_value[denial.kind as usize].insert(Arc::clone(&denial.value), denial);
    }

    pub(crate) fn remove(&mut self, kind: DenialKind, value: &str) -> Option<Arc<Denial>> {
        let denial = self.by_value[kind as usize].remove(value)?;
        self.bytes -= bytes_of(&denial);
        if let Some(expires_at) = denial.expires_at {
            let was_there = self.expiries.remove(&(expires_at, kind, Arc::clone(&denial.value)));
            assert!(was_there, "what has an end will expire");
        }
        Some(denial)
    }

    /// Takes a denial back from a stored state: in the order of kinds and values, or not at all.
    pub(crate) fn restore(&mut self, denial: Denial) -> Result<(), &'static str> {
        let of_kind = &self.by_value[denial.kind as usize];
        let later_kinds = &self.by_value[denial.kind as usize + 1..];
        let is_next = of_kind.last_key_value().is_none_or(|(last, _)| **last < *denial.value)
            && later_kinds.iter().all(BTreeMap::is_empty);
        if !is_next {
            return Err("denials are not in the order of their values");
        }
        let is_in_bounds = denial.kind.takes(&denial.value)
            && denial.reason.len() <= REASON_BYTES_MAX
            && (denial.kind != DenialKind::Session || denial.sessions_ended_at().is_some())
            && denial.expires_at.is_none_or(|at| at <= TERMS_TIME_MS_MAX);
        if !is_in_bounds {
            return Err("a denial is out of bounds");
        }
        self.put(Arc::new(denial));
        Ok(())
    }

    /// All denials, by kind and value.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Denial>> {
        self.by_value.iter().flat_map(BTreeMap::values)
    }

    /// At most `count_max` denials that are not over at `wall`, from the first behind `after`. Looks at so many that nobody is
    /// kept waiting.
    pub(crate) fn page(
        &self,
        after: Option<(DenialKind, &str)>,
        count_max: usize,
        wall: TimeMs,
    ) -> DenialsPage {
        let behind = |kind: DenialKind| {
            let from = match after {
                Some((after, value)) if after == kind => Some(Excluded(value)),
                Some((after, _)) if after > kind => None,
                _ => Some(Unbounded),
            };
            from.into_iter().flat_map(move |from| {
                self.by_value[kind as usize].range::<str, _>((from, Unbounded)).map(|(_, denial)| denial)
            })
        };
        let mut rest = DenialKind::ALL.into_iter().flat_map(behind).peekable();
        let (mut denials, mut last) = (Vec::new(), None);
        for denial in rest.by_ref().take(DENIALS_SEARCH_MAX) {
            last = Some((denial.kind, Arc::clone(&denial.value)));
            if denial.is_live(wall) {
                denials.push(Arc::clone(denial));
            }
            if denials.len() >= count_max {
                break;
            }
        }
        DenialsPage { denials, next_after: last.filter(|_| rest.peek().is_some()) }
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn check_bytes(&self) {
        assert_eq!(self.bytes, self.iter().map(|denial| bytes_of(denial)).sum::<usize>(), "bytes of denials");
        let ending_count = self.iter().filter(|denial| denial.expires_at.is_some()).count();
        assert_eq!(self.expiries.len(), ending_count, "denials that have an end");
    }
}

/// What a denial takes, with its places in trees whose leaves are half full.
fn bytes_of(denial: &Denial) -> usize {
    /// The two counts of an `Arc`.
    const SHARED: usize = 2 * size_of::<usize>();
    const VALUE_PLACE: usize = 2 * size_of::<(Arc<str>, Arc<Denial>)>();
    const EXPIRY_PLACE: usize = 2 * size_of::<(TimeMs, DenialKind, Arc<str>)>();
    let expiry = if denial.expires_at.is_some() { EXPIRY_PLACE } else { 0 };
    VALUE_PLACE + 2 * SHARED + size_of::<Denial>() + denial.value.len() + denial.reason.len() + expiry
}
