//! A collection that is kept coherent with a source, as readers, its feed and operators share it.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, Guard};
use compact_str::CompactString;
use onrush_core::{Row, RowCollection};

use super::read_marks::ReadMarks;
use super::row_cache::{CacheBounds, Fetch, Known, RowCache, row_bytes};
use super::shown_rows::{Freshness, ShownRows};
use super::snapshot::Snapshot;

/// Called once with the row that was waited for, or with why it could not be read.
pub type Waiter = Box<dyn FnOnce(Result<Option<Row>, FetchFailure>) + Send>;

/// Why a row could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchFailure {
    /// The source did not answer, or too many wait for it.
    Unavailable,
    /// The feed is behind its bound, and reads may not go to the source.
    Incoherent,
}

/// Questions to the source how far it is that the feed has not come to.
const PROBES_MAX: usize = 64;

/// What an operator may set about a collection of a source.
#[derive(Clone, Copy, Debug)]
pub struct SourceSettings {
    /// How much is kept.
    pub bounds: CacheBounds,
    /// How far an answer may be behind the source.
    pub lag_max: Duration,
    /// Whether reads go to the source while the rows in memory are not known to be coherent.
    pub reads_through: bool,
}

/// How a collection stands, for operators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceState {
    /// How new the rows are.
    pub freshness: Freshness,
    /// Rows that were read since loading began, while it goes on.
    pub loading_count: Option<u64>,
    /// Keys, JSON and what belongs to them.
    pub bytes: u64,
    /// Statements that read rows.
    pub fetch_count: u64,
    /// Rows that changes or readers asked for and that were read.
    pub fetched_count: u64,
    /// What went wrong last, as a sentence.
    pub last_error: Option<String>,
}

/// Rows of a source.
pub struct SourceRows {
    settings: SourceSettings,
    seed: u64,
    shown: ArcSwap<ShownRows>,
    marks: ReadMarks,
    inner: Mutex<Inner>,
    wake: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

struct Inner {
    cache: RowCache<Waiter>,
    /// How far the source was when it was asked, and when that was.
    probes: VecDeque<(u64, Instant)>,
    /// When the source was asked how far it is, and the rows had come there later.
    as_of: Option<Instant>,
    /// When a read was last answered past the rows in memory. What it showed may be newer than they are.
    read_through_at: Option<Instant>,
    loading_count: Option<u64>,
    fetch_count: u64,
    fetched_count: u64,
    last_error: Option<String>,
}

/// Rows that are being loaded, as many as there is room for.
pub struct LoadedRows {
    rows: RowCollection,
    bytes: u64,
    bytes_max: u64,
    is_whole: bool,
}

impl LoadedRows {
    /// Adds a row. Whether there was room; from then on the rows are not all.
    pub fn insert(&mut self, row: Row) -> bool {
        let bytes = row_bytes(&row);
        if self.bytes + bytes > self.bytes_max {
            self.is_whole = false;
            return false;
        }
        self.bytes += bytes;
        self.bytes -= self.rows.insert(row).as_ref().map_or(0, row_bytes);
        true
    }

    /// Says that the source may have others.
    pub fn leave_out(&mut self) {
        self.is_whole = false;
    }
}

impl SourceRows {
    /// Without rows, until a feed loads them. The seed is for hashes, and nobody outside should know it.
    pub fn new(settings: SourceSettings, seed: u64) -> Self {
        let mut cache = RowCache::new(seed, settings.bounds);
        let shown = ShownRows {
            rows: cache.shown().clone(),
            is_whole: false,
            gtids: None,
            as_of: None,
            lag_max: settings.lag_max,
        };
        let inner = Inner {
            cache,
            probes: VecDeque::new(),
            as_of: None,
            read_through_at: None,
            loading_count: None,
            fetch_count: 0,
            fetched_count: 0,
            last_error: None,
        };
        Self {
            settings,
            seed,
            shown: ArcSwap::from_pointee(shown),
            marks: ReadMarks::new(),
            inner: Mutex::new(inner),
            wake: OnceLock::new(),
        }
    }

    /// What may be read without waiting.
    pub fn shown(&self) -> Guard<Arc<ShownRows>> {
        self.shown.load()
    }

    /// Notes that the row of this key was read, so that it stays.
    pub fn mark_read(&self, shown: &ShownRows, key: &str) {
        if !shown.is_whole {
            self.marks.mark(key);
        }
    }

    /// Asks for rows. Each waiter is called once, at once if the answer is known.
    pub fn want(&self, wanted: impl IntoIterator<Item = (CompactString, Waiter)>, now: Instant) {
        let mut known = Vec::new();
        let mut inner = self.lock();
        let is_coherent = inner.is_coherent(now, self.settings.lag_max);
        let mut is_asked = false;
        for (key, waiter) in wanted {
            if !is_coherent && !self.settings.reads_through {
                known.push((waiter, Err(FetchFailure::Incoherent)));
                continue;
            }
            let mut waiter = Some(waiter);
            let found = inner.cache.want(&key, is_coherent, || waiter.take().expect("it is taken once"), now);
            let answer = match found {
                Known::Row(row) => Ok(Some(row)),
                Known::Absent => Ok(None),
                Known::Refused => Err(FetchFailure::Unavailable),
                Known::Asked => {
                    is_asked = true;
                    continue;
                }
            };
            known.extend(waiter.map(|waiter| (waiter, answer)));
        }
        drop(inner);
        if is_asked {
            self.wake();
        }
        for (waiter, answer) in known {
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
            bytes: inner.cache.bytes(),
            fetch_count: inner.fetch_count,
            fetched_count: inner.fetched_count,
            last_error: inner.last_error.clone(),
        }
    }

    /// Calls this whenever rows are wanted. The first that is given stays.
    pub fn on_wanted(&self, wake: impl Fn() + Send + Sync + 'static) {
        let _ = self.wake.set(Box::new(wake));
    }

    /// Takes a transaction of the feed: its number, the place behind it, and the keys whose rows it may have changed. Whether they could be
    /// noted; otherwise too much has changed, and all rows have to be loaded. Nothing is shown before [`SourceRows::publish`].
    #[must_use]
    pub fn commit(&self, xid: u64, position: u64, keys: impl IntoIterator<Item = CompactString>) -> bool {
        self.lock().cache.commit(xid, position, keys)
    }

    /// Takes a transaction of the feed that does not say which keys it changed. Whether the rows may stay: otherwise all have to be loaded.
    #[must_use]
    pub fn commit_unknown(&self, xid: u64, position: u64) -> bool {
        self.lock().cache.commit_unknown(xid, position)
    }

    /// The feed has come to this place, and told all that is before it.
    pub fn advance(&self, position: u64) {
        self.lock().cache.advance(position);
    }

    /// Takes the source's answer how far it is and what it sees, which was asked for at `asked_at`, and shows what that makes known.
    ///
    /// Returns when the oldest question was asked whose place the feed has not come to.
    pub fn probed(&self, position: u64, snapshot: &Snapshot, asked_at: Instant) -> Option<Instant> {
        let mut inner = self.lock();
        inner.cache.saw(snapshot);
        if inner.probes.len() < PROBES_MAX {
            inner.probes.push_back((position, asked_at));
        }
        inner.reach();
        let unreached = inner.probes.front().map(|(_, asked_at)| *asked_at);
        self.show(inner);
        unreached
    }

    /// Up to where the feed may tell its source that all was taken.
    pub fn settled(&self) -> u64 {
        self.lock().cache.settled()
    }

    /// Shows what was taken, and wakes whoever reads what it changed.
    pub fn publish(&self) {
        let inner = self.lock();
        let is_wanted = inner.cache.has_queue();
        self.show(inner);
        if is_wanted {
            self.wake();
        }
    }

    /// Begins at this place of a feed that has told nothing yet.
    pub fn restart(&self, position: u64) {
        let mut inner = self.lock();
        inner.cache.restart(position);
        inner.forget();
        self.show(inner);
    }

    /// Nothing is known of the rows any more, for this reason.
    pub fn lose(&self, why: String) {
        let mut inner = self.lock();
        inner.cache.lose();
        inner.forget();
        inner.last_error = Some(why);
        self.show(inner);
    }

    /// Notes what went wrong.
    pub fn report(&self, error: String) {
        self.lock().last_error = Some(error);
    }

    /// All rows are read from now on, as this snapshot saw them. Changes may be told meanwhile.
    pub fn begin_load(&self, snapshot: Snapshot) -> LoadedRows {
        let mut inner = self.lock();
        inner.cache.begin_load(snapshot);
        inner.forget();
        inner.loading_count = Some(0);
        self.show(inner);
        let bytes_max = self.settings.bounds.bytes_max;
        LoadedRows { rows: RowCollection::seeded(self.seed), bytes: 0, bytes_max, is_whole: true }
    }

    /// Says how many rows were read so far.
    pub fn loading(&self, row_count: u64) {
        self.lock().loading_count = Some(row_count);
    }

    /// Takes the rows that were read. Before the next question to the source has been answered they are not shown. Whether they can be
    /// used: otherwise something changed meanwhile that nobody can name, and they have to be loaded again.
    #[must_use]
    pub fn end_load(&self, loaded: LoadedRows) -> bool {
        let LoadedRows { rows, bytes, is_whole, .. } = loaded;
        let mut inner = self.lock();
        let is_usable = inner.cache.end_load(rows, bytes, is_whole);
        inner.forget();
        self.show(inner);
        self.wake();
        is_usable
    }

    /// Takes keys to read, at most `count_max`.
    pub fn begin_fetch(&self, count_max: usize) -> Option<Fetch> {
        self.lock().cache.begin_fetch(count_max)
    }

    /// Takes what a statement with this snapshot found of those keys. Whether it was too early for some, which it did not see all
    /// changes of that were told: they are wanted again.
    pub fn end_fetch(&self, fetch: Fetch, snapshot: &Snapshot, rows: Vec<Row>, now: Instant) -> bool {
        let mut inner = self.lock();
        let early_count = inner.cache.early_count();
        inner.fetch_count += 1;
        inner.fetched_count += fetch.keys.len() as u64;
        let answered = inner.cache.end_fetch(fetch, snapshot, rows, &self.marks, now);
        if !answered.is_empty() && !inner.is_coherent(now, self.settings.lag_max) {
            inner.read_through_at = Some(now);
        }
        let was_early = inner.cache.early_count() > early_count;
        self.show(inner);
        for (waiter, row) in answered {
            waiter(Ok(row));
        }
        was_early
    }

    /// The source answers, but not this, for this reason. These rows are no longer shown.
    pub fn give_up(&self, fetch: &Fetch, why: String, now: Instant) {
        let mut inner = self.lock();
        inner.last_error = Some(why);
        let failed = inner.cache.give_up(fetch, now);
        self.show(inner);
        for waiter in failed {
            waiter(Err(FetchFailure::Unavailable));
        }
    }

    /// The source did not answer, for this reason.
    pub fn fail_fetch(&self, fetch: Fetch, why: String) {
        let mut inner = self.lock();
        inner.last_error = Some(why);
        let failed = inner.cache.fail_fetch(fetch);
        drop(inner);
        for waiter in failed {
            waiter(Err(FetchFailure::Unavailable));
        }
    }

    /// Shows what is known.
    fn show(&self, mut inner: MutexGuard<'_, Inner>) {
        inner.reach();
        let is_shown = inner.cache.is_loaded();
        let as_of = inner.shown_as_of().filter(|_| is_shown);
        let (rows, is_whole) = (inner.cache.shown().clone(), inner.cache.is_whole());
        let shown = ShownRows { rows, is_whole, gtids: None, as_of, lag_max: self.settings.lag_max };
        let before = self.shown.swap(Arc::new(shown));
        // It may be many rows, and nobody should wait while they are freed.
        drop(inner);
        drop(before);
    }

    fn wake(&self) {
        if let Some(wake) = self.wake.get() {
            wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Takes note of the questions to the source whose places the rows have come to.
    fn reach(&mut self) {
        let version = self.cache.shown().version();
        while let Some((_, asked_at)) = self.probes.front().filter(|(position, _)| *position <= version) {
            self.as_of = Some(*asked_at);
            self.probes.pop_front();
        }
    }

    /// A moment as which the rows may be shown: nobody has been shown any that may be newer.
    fn shown_as_of(&self) -> Option<Instant> {
        self.as_of.filter(|as_of| self.read_through_at.is_none_or(|read_at| read_at < *as_of))
    }

    fn is_coherent(&self, now: Instant, lag_max: Duration) -> bool {
        self.cache.is_loaded()
            && self.shown_as_of().is_some_and(|as_of| now.saturating_duration_since(as_of) <= lag_max)
    }

    /// What was asked before says nothing of the rows that come now.
    fn forget(&mut self) {
        self.probes.clear();
        (self.as_of, self.loading_count) = (None, None);
    }
}

impl fmt::Debug for SourceRows {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SourceRows").field("settings", &self.settings).finish_non_exhaustive()
    }
}
