//! What a sink's thread shares with those who look at it and give it orders.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::Thread;
use std::time::Duration;

use onrush_core::TimeMs;
use onrush_log::LogReader;
use onrush_node::{Retention, RetentionHold, Stopwatch};

use crate::files::SinkFiles;
use crate::settings::SinkSettings;
use crate::status::{SLOW_ANSWER, SinkRefusal, SinkState, SinkStatus, Stop};
use crate::target::Skipped;

/// One sink, as the partition, the operator and its own thread know it.
pub(crate) struct SinkHandle {
    pub(crate) settings: SinkSettings,
    pub(crate) files: SinkFiles,
    /// From where on the log is kept for it.
    pub(crate) kept: RetentionHold,
    shown: Mutex<Shown>,
    orders: Mutex<Orders>,
    /// Held while something is skipped, so that one order is done after the other.
    skipping: Mutex<()>,
    thread: OnceLock<Thread>,
}

/// What is shown of it.
#[derive(Clone)]
pub(crate) struct Shown {
    pub(crate) kind: &'static str,
    pub(crate) state: SinkState,
    pub(crate) sink_offset: u64,
    /// When it had everything last; before that, since when it is known to be behind.
    pub(crate) caught_up_at: TimeMs,
    pub(crate) written_count: u64,
    pub(crate) failure_count: u64,
    pub(crate) skipped_count: u64,
    pub(crate) last_error: Option<(TimeMs, String)>,
    /// What its target is asked for, and since when.
    asked: Option<(&'static str, Stopwatch)>,
}

/// What its thread is to do.
#[derive(Default)]
struct Orders {
    retry: bool,
    stop: Option<(Stopwatch, Duration)>,
}

/// Whether and how fast a sink has to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StopOrder {
    GoOn,
    /// When it has written what the log holds.
    WhenCaughtUp,
    Now,
}

impl SinkHandle {
    /// A sink that goes on from what its files say, with the log kept from there on.
    pub(crate) fn new(
        settings: SinkSettings,
        data: &Path,
        retention: &Retention,
    ) -> std::io::Result<Arc<Self>> {
        let files = SinkFiles::new(data, &settings.name);
        let sink_snapshot_offset = files.sink_snapshot_offset()?.unwrap_or(0);
        // A record that makes no sense stops its sink, which reads it again; the server does without.
        let skipped = files.read_skipped().unwrap_or_default();
        let skipped_count = skipped.iter().map(|skipped| skipped.to - skipped.from).sum();
        let shown = Shown {
            kind: "",
            state: SinkState::Starting,
            sink_offset: files.read_offset()?.map_or(0, |noted| noted.offset).max(sink_snapshot_offset),
            caught_up_at: 0,
            written_count: 0,
            failure_count: 0,
            skipped_count,
            last_error: None,
            asked: None,
        };
        Ok(Arc::new(Self {
            settings,
            files,
            kept: retention.hold(sink_snapshot_offset),
            shown: Mutex::new(shown),
            orders: Mutex::default(),
            skipping: Mutex::default(),
            thread: OnceLock::new(),
        }))
    }

    pub(crate) fn shown(&self) -> MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn orders(&self) -> MutexGuard<'_, Orders> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Names the sink's thread; once, when it starts.
    pub(crate) fn set_thread(&self, thread: Thread) {
        assert!(self.thread.set(thread).is_ok(), "a sink has one thread");
    }

    fn wake(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }

    /// The sink as of now, in a log whose durable offset and bytes kept for it are these.
    pub(crate) fn status(&self, now: TimeMs, durable_offset: u64, backlog_bytes: u64) -> SinkStatus {
        let mut shown = self.shown().clone();
        shown.note_slow_answer(now);
        let lag_events = durable_offset.saturating_sub(shown.sink_offset);
        SinkStatus {
            name: self.settings.name.clone(),
            kind: shown.kind,
            state: shown.state,
            sink_offset: shown.sink_offset,
            lag_events,
            lag_ms: if lag_events == 0 { 0 } else { now.saturating_sub(shown.caught_up_at) },
            backlog_bytes,
            written_count: shown.written_count,
            failure_count: shown.failure_count,
            skipped_count: shown.skipped_count,
            last_error: shown.last_error,
        }
    }

    /// Its target is asked for something until what this returns is dropped.
    pub(crate) fn ask(&self, what: &'static str) -> Asked<'_> {
        self.shown().asked = Some((what, Stopwatch::start()));
        Asked(self)
    }

    /// Lets a stopped or waiting sink try again at once.
    pub(crate) fn retry(&self) {
        self.orders().retry = true;
        self.wake();
    }

    /// Has what the sink stopped at left out, recorded before anything else happens.
    pub(crate) fn skip(&self, offset: u64, now: TimeMs) -> Result<(), SinkRefusal> {
        let _one_at_a_time = self.skipping.lock().unwrap_or_else(PoisonError::into_inner);
        let SinkState::Stopped(stop) = self.shown().state.clone() else {
            return Err(SinkRefusal::NotStoppedThere);
        };
        if stop.skippable() != Some(offset) {
            return Err(SinkRefusal::NotStoppedThere);
        }
        let to = match stop {
            Stop::Trimmed { to, .. } => to,
            _ => offset + 1,
        };
        let skipped = Skipped { from: offset, to, at: now, reason: stop.reason() };
        self.files.add_skipped(&skipped).map_err(|error| SinkRefusal::Unrecorded(error.to_string()))?;
        tracing::warn!(
            sink = self.settings.name,
            from = offset,
            to,
            "an operator had events left out of the sink"
        );
        {
            let mut shown = self.shown();
            shown.skipped_count += to - offset;
            shown.state = SinkState::Retrying;
        }
        self.retry();
        Ok(())
    }

    /// Has the sink stop when it has caught up with the log, after `limit` at the latest.
    pub(crate) fn stop(&self, limit: Duration) {
        self.orders().stop = Some((Stopwatch::start(), limit));
        self.wake();
    }

    pub(crate) fn stop_order(&self) -> StopOrder {
        match &self.orders().stop {
            None => StopOrder::GoOn,
            Some((since, limit)) if since.elapsed() < *limit => StopOrder::WhenCaughtUp,
            Some(_) => StopOrder::Now,
        }
    }

    /// Whether somebody asked to try again; asked once, done once.
    pub(crate) fn takes_retry(&self) -> bool {
        std::mem::take(&mut self.orders().retry)
    }

    /// Log kept for the sink.
    pub(crate) fn backlog_bytes(&self, reader: &dyn LogReader) -> u64 {
        self.kept.offset().map_or(0, |offset| reader.bytes_from(offset))
    }
}

impl Shown {
    /// A target that does not answer is no failure yet, but somebody who looks has to see it.
    fn note_slow_answer(&mut self, now: TimeMs) {
        let Some((what, since)) = self.asked else { return };
        let waited = since.elapsed();
        if waited < SLOW_ANSWER {
            return;
        }
        self.state = SinkState::Waiting;
        self.last_error = Some((now, format!("{what}: no answer for {} s so far", waited.as_secs())));
    }
}

/// A question to a target that is under way.
pub(crate) struct Asked<'h>(&'h SinkHandle);

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        self.0.shown().asked = None;
    }
}
