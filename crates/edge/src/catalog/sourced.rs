//! Reads of a collection whose rows are from a source.

use std::time::{Duration, Instant};

use compact_str::CompactString;
use onrush_core::Row;
use onrush_node::catalog::{FetchFailure, Freshness, Waiter};
use smallvec::SmallVec;
use tokio::sync::oneshot;

use super::{Age, MinVersion, ROWS_INLINE, Rows, Source};
use crate::problem::Problem;

type Fetched = Result<Option<Row>, FetchFailure>;

/// Rows of which some are awaited.
struct Begun {
    rows: Rows,
    /// Those that are, by their places.
    awaited: Vec<(usize, oneshot::Receiver<Fetched>)>,
}

/// Gives the rows of these keys to `read`, if the memory says for certain how they are.
pub(super) fn look<R>(
    source: &Source,
    keys: &[&str],
    now: Instant,
    read: impl FnOnce(Age, &[Option<&Row>]) -> R,
) -> Option<R> {
    let shown = source.shown();
    let Freshness::Coherent(lag) = shown.freshness(now) else { return None };
    let mut rows = SmallVec::<[_; ROWS_INLINE]>::new();
    shown.rows.rows(keys, |row| rows.push(row));
    if !shown.is_whole && rows.iter().any(Option::is_none) {
        return None;
    }
    for (key, _) in keys.iter().zip(&rows).filter(|(_, row)| row.is_some()) {
        source.mark_read(&shown, key);
    }
    Some(read(Age { version: Some(shown.rows.version()), lag }, &rows))
}

/// The rows of these keys, and how many of them were found by asking the source.
pub(super) async fn rows(
    source: &Source,
    keys: &[String],
    wait_max: Duration,
) -> Result<(Rows, usize), Problem> {
    let began_at = now();
    let Begun { mut rows, awaited } = begin(source, keys, began_at);
    if awaited.is_empty() {
        return Ok((rows, 0));
    }
    let all = async {
        let mut from_source_count = 0;
        for (at, receiver) in awaited {
            // A feed that is gone without an answer is no source to read from.
            let row = receiver.await.unwrap_or(Err(FetchFailure::Unavailable))?;
            from_source_count += usize::from(row.is_some());
            rows.rows[at] = row;
        }
        Ok::<_, FetchFailure>(from_source_count)
    };
    let waited = tokio::time::timeout(wait_max, all).await.unwrap_or(Err(FetchFailure::Unavailable));
    let from_source_count = waited.map_err(|failure| match failure {
        FetchFailure::Unavailable => Problem::source_unavailable(),
        FetchFailure::Incoherent => Problem::not_coherent(),
    })?;
    // All of them are as they were when this began, or newer.
    rows.age.lag += now().saturating_duration_since(began_at);
    Ok((rows, from_source_count))
}

/// Takes what is known from memory, and asks for all the rest at once.
fn begin(source: &Source, keys: &[String], now: Instant) -> Begun {
    let shown = source.shown();
    let lag = match shown.freshness(now) {
        Freshness::Coherent(lag) => Some(lag),
        Freshness::Incoherent => None,
    };
    let version = lag.map(|_| shown.rows.version());
    let (mut found, mut wanted, mut awaited) = (Vec::new(), Vec::new(), Vec::new());
    for (at, key) in keys.iter().enumerate() {
        let row = lag.and_then(|_| shown.rows.row(key));
        if row.is_some() {
            source.mark_read(&shown, key);
        } else if lag.is_none() || !shown.is_whole {
            let (sender, receiver) = oneshot::channel();
            // The receiver is dropped only if nobody waits any more.
            let waiter: Waiter = Box::new(move |fetched| drop(sender.send(fetched)));
            wanted.push((CompactString::from(key.as_str()), waiter));
            awaited.push((at, receiver));
        }
        found.push(row.cloned());
    }
    drop(shown);
    if !wanted.is_empty() {
        source.want(wanted, now);
    }
    let age = Age { version, lag: lag.unwrap_or_default() };
    Begun { rows: Rows { age, rows: found }, awaited }
}

/// Whether the rows are coherent, and of this version or a later one.
pub(super) fn has_version(source: &Source, min_version: &MinVersion) -> bool {
    let shown = source.shown();
    let is_there = match min_version {
        MinVersion::Number(number) => shown.rows.version() >= *number,
        MinVersion::Transactions(wanted) => shown.has_transactions(wanted),
    };
    is_there && matches!(shown.freshness(now()), Freshness::Coherent(_))
}

#[allow(
    clippy::disallowed_methods,
    reason = "how old rows are is told as of now, and no turn has read the clock for this request"
)]
pub(super) fn now() -> Instant {
    Instant::now()
}
