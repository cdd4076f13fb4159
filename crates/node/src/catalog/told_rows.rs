//! A collection whose feed tells each change with the row that it leaves, as readers, the feed and operators share it.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, Guard};
use compact_str::CompactString;
use onrush_core::Row;

use super::gtid::GtidSet;
use super::shown_rows::{Freshness, ShownRows};
use super::source_rows::{FetchFailure, SourceState, Waiter};
use super::told_table::{ChangePlace, Taken, ToldTable};

/// What an operator may set about such a collection.
#[derive(Clone, Copy, Debug)]
pub struct ToldSettings {
    /// Bytes of rows, with what belongs to them. Rows beyond it are left out, and whoever asks for one is told that the source is not
    /// available.
    pub bytes_max: u64,
    /// How far an answer may be behind the source.
    pub lag_max: Duration,
}

/// Rows of a source that tells them.
pub struct ToldRows {
    settings: ToldSettings,
    seed: u64,
    shown: ArcSwap<ShownRows>,
    inner: Mutex<Inner>,
}

struct Inner {
    table: ToldTable,
    is_loaded: bool,
    as_of: Option<Instant>,
    gtids: Option<Arc<GtidSet>>,
    loading_count: Option<u64>,
    last_error: Option<String>,
    /// What is wrong as long as it is not known how new the rows are.
    trouble: Option<String>,
}

impl ToldRows {
    /// Without rows, until a feed tells them. The seed is for hashes, and nobody outside should know it.
    pub fn new(settings: ToldSettings, seed: u64) -> Self {
        let table = ToldTable::new(seed, settings.bytes_max);
        let shown = ShownRows {
            rows: table.rows().clone(),
            is_whole: false,
            gtids: None,
            as_of: None,
            lag_max: settings.lag_max,
        };
        let inner = Inner {
            table,
            is_loaded: false,
            as_of: None,
            gtids: None,
            loading_count: None,
            last_error: None,
            trouble: None,
        };
        Self { settings, seed, shown: ArcSwap::from_pointee(shown), inner: Mutex::new(inner) }
    }

    /// What may be read without waiting.
    pub fn shown(&self) -> Guard<Arc<ShownRows>> {
        self.shown.load()
    }

    /// Answers for rows that were not among those shown. Nobody can be asked for them, so each waiter is called at once.
    pub fn want(&self, wanted: impl IntoIterator<Item = (CompactString, Waiter)>, now: Instant) {
        let inner = self.lock();
        let is_coherent = matches!(self.shown().freshness(now), Freshness::Coherent(_));
        let answers: Vec<_> = wanted
            .into_iter()
            .map(|(key, waiter)| {
                let answer = match inner.table.rows().row(&key) {
                    _ if !is_coherent => Err(FetchFailure::Incoherent),
                    Some(row) => Ok(Some(row.clone())),
                    None if inner.table.is_known_absent(&key) => Ok(None),
                    None => Err(FetchFailure::Unavailable),
                };
                (waiter, answer)
            })
            .collect();
        drop(inner);
        for (waiter, answer) in answers {
            waiter(answer);
        }
    }

    /// How the collection stands.
    pub fn state(&self, now: Instant) -> SourceState {
        let freshness = self.shown().freshness(now);
        let inner = self.lock();
        SourceState {
            freshness,
            loading_count: inner.loading_count,
            bytes: inner.table.bytes(),
            fetch_count: 0,
            fetched_count: 0,
            last_error: inner.trouble.clone().or_else(|| inner.last_error.clone()),
        }
    }

    /// The row of a key as the newest change left it. For the feed.
    pub fn newest(&self, key: &str) -> Option<Row> {
        self.lock().table.rows().row(key).cloned()
    }

    /// What would become of a change of this key at this place.
    pub fn order(&self, key: &str, place: ChangePlace) -> Taken {
        self.lock().table.order(key, place)
    }

    /// Takes a row as a change left it. Nothing is shown before [`ToldRows::publish`].
    pub fn put(&self, row: Row, place: ChangePlace) -> Taken {
        self.lock().table.put(row, place)
    }

    /// Takes the end of a row. A change without a place comes after whatever was told of the key before.
    pub fn remove(&self, key: &str, place: Option<ChangePlace>) -> Taken {
        self.lock().table.remove(key, place)
    }

    /// Takes a change that does not say how it left the row, for this reason. The row cannot be read until a change does.
    pub fn spoil(&self, key: &str, place: Option<ChangePlace>, why: String) -> Taken {
        let mut inner = self.lock();
        inner.last_error = Some(why);
        inner.table.spoil(key, place)
    }

    /// Takes a change that removed all rows.
    pub fn empty(&self, place: ChangePlace) {
        self.lock().table.empty(place);
    }

    /// All rows that the source had at this place were told again, with it, and with a later time if its log is a new one. The others go.
    pub fn end_snapshot(&self, place: ChangePlace, is_in_new_log: bool) {
        self.lock().table.end_snapshot(place, is_in_new_log);
    }

    /// Notes what went wrong, until the rows are known to be as new as they say.
    pub fn report(&self, error: String) {
        self.lock().trouble = Some(error);
    }

    /// Notes what is wrong with the rows, however new they are.
    pub fn complain(&self, error: String) {
        self.lock().last_error = Some(error);
    }

    /// How many rows were told and are there.
    pub fn row_count(&self) -> usize {
        self.lock().table.rows().row_count()
    }

    /// Whether there was no room for all rows.
    pub fn lacks_rows(&self) -> bool {
        self.lock().table.lacks_rows()
    }

    /// All rows are told from now on. None is shown before [`ToldRows::end_load`].
    pub fn begin_load(&self) {
        let mut inner = self.lock();
        inner.forget(ToldTable::new(self.seed, self.settings.bytes_max));
        inner.loading_count = Some(0);
        self.show(inner);
    }

    /// Says how many changes were told since loading began.
    pub fn loading(&self, count: u64) {
        self.lock().loading_count = Some(count);
    }

    /// All rows were told. They are shown once it is known how new they are.
    pub fn end_load(&self) {
        let mut inner = self.lock();
        (inner.is_loaded, inner.loading_count) = (true, None);
    }

    /// Nothing is known of the rows any more, for this reason.
    pub fn lose(&self, why: String) {
        let mut inner = self.lock();
        inner.forget(ToldTable::new(self.seed, self.settings.bytes_max));
        inner.trouble = Some(why);
        self.show(inner);
    }

    /// The rows are as the source was at this moment or later, and have every change up to this version and of these transactions. Shows them.
    pub fn reach(&self, as_of: Instant, version: u64, gtids: Option<Arc<GtidSet>>) {
        let mut inner = self.lock();
        inner.as_of = inner.as_of.max(Some(as_of));
        inner.gtids = gtids;
        inner.trouble = None;
        inner.table.set_version(version);
        self.show(inner);
    }

    /// Shows what was taken.
    pub fn publish(&self) {
        self.show(self.lock());
    }

    fn show(&self, inner: MutexGuard<'_, Inner>) {
        let lag_max = self.settings.lag_max;
        let shown = if inner.is_loaded {
            let (rows, is_whole) = (inner.table.rows().clone(), inner.table.is_whole());
            ShownRows { rows, is_whole, gtids: inner.gtids.clone(), as_of: inner.as_of, lag_max }
        } else {
            // A copy of rows that are still being told would make each of the next ones cost more.
            ShownRows {
                rows: inner.table.rows().emptied(),
                is_whole: false,
                gtids: None,
                as_of: None,
                lag_max,
            }
        };
        let before = self.shown.swap(Arc::new(shown));
        // It may be many rows, and nobody should wait while they are freed.
        drop(inner);
        drop(before);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn forget(&mut self, table: ToldTable) {
        (self.table, self.is_loaded, self.loading_count) = (table, false, None);
        (self.as_of, self.gtids) = (None, None);
    }
}

impl fmt::Debug for ToldRows {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ToldRows").field("settings", &self.settings).finish_non_exhaustive()
    }
}
