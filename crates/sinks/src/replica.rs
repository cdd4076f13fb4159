//! Reading back from a replica of a target, for routes that answer what the shop's database knows.

use std::future::Future;
use std::pin::Pin;

use onrush_core::TimeMs;

/// A read-only copy of a target, some way behind it.
pub trait Replica: Send + Sync {
    /// The newest row of a counter's history; `None` if it has none yet. The error is a sentence without credentials. Ends
    /// within a few seconds, whatever the replica does.
    fn newest(&self, counter: &str) -> ReplicaAnswer<Option<CounterRow>>;
}

/// What a replica will have answered.
pub type ReplicaAnswer<T> = Pin<Box<dyn Future<Output = Result<T, String>> + Send>>;

/// A row of a counter's history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CounterRow {
    /// Growing, unique among all rows.
    pub id: u64,
    /// When it was counted, milliseconds since the Unix epoch.
    pub at: TimeMs,
    /// The counter's total then.
    pub value: u64,
    /// How far the replica is behind its primary, milliseconds, if it can tell; 0 if it has all it knows of.
    pub lag_ms: Option<u64>,
}
