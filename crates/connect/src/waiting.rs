//! Waiting for the other side from a sink's thread, never for ever.

use std::future::Future;
use std::time::Duration;

use onrush_sinks::{EXCHANGE_TIMEOUT, TargetError};

/// An event loop of a sink's own, driven only while the sink waits.
pub(crate) struct Waiter {
    runtime: tokio::runtime::Runtime,
}

impl Waiter {
    pub(crate) fn new() -> Result<Self, TargetError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime =
            runtime.map_err(|error| TargetError::Unavailable(format!("start an event loop: {error}")))?;
        Ok(Self { runtime })
    }

    /// Waits for `work` up to [`EXCHANGE_TIMEOUT`]; `doing` is a verb phrase for the error.
    pub(crate) fn wait<T>(
        &self,
        doing: &str,
        work: impl Future<Output = Result<T, TargetError>>,
    ) -> Result<T, TargetError> {
        self.wait_for(EXCHANGE_TIMEOUT, doing, work)
    }

    /// The same with a limit of its own.
    pub(crate) fn wait_for<T>(
        &self,
        limit: Duration,
        doing: &str,
        work: impl Future<Output = Result<T, TargetError>>,
    ) -> Result<T, TargetError> {
        self.runtime.block_on(async {
            tokio::time::timeout(limit, work).await.unwrap_or_else(|_| {
                Err(TargetError::Unavailable(format!("{doing}: no answer within {} s", limit.as_secs())))
            })
        })
    }
}
