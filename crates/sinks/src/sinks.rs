//! All sinks of a partition: how they are started, asked and stopped.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use onrush_log::{Log, LogReader};
use onrush_node::{Clock, Retention, Stopwatch, spawn};

use crate::handle::SinkHandle;
use crate::leading::{IdsWhileLeading, wait_to_lead};
use crate::runner::Runner;
use crate::settings::SinkSettings;
use crate::status::{SinkRefusal, SinkStatus};
use crate::target::Target;

/// How often a stop looks whether the threads have ended.
const JOIN_INTERVAL: Duration = Duration::from_millis(2);

/// The sinks of a partition, running.
pub struct Sinks {
    handles: Vec<Arc<SinkHandle>>,
    reader: Option<Mutex<Box<dyn LogReader>>>,
    clock: Arc<dyn Clock>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// The sinks of the settings before their threads start: the log is kept for them already.
pub struct PreparedSinks {
    handles: Vec<Arc<SinkHandle>>,
}

impl PreparedSinks {
    /// Starts a thread for each sink; `targets` are in the order of the settings. A sink writes while `leads` gives it the ids of
    /// the reservations in the log.
    ///
    /// # Errors
    /// A thread cannot be started. A target that cannot be reached is no error: its sink goes on trying.
    pub fn start(
        self,
        log: &Arc<dyn Log>,
        leads: &IdsWhileLeading,
        clock: &Arc<dyn Clock>,
        targets: Vec<Box<dyn Target>>,
    ) -> io::Result<Arc<Sinks>> {
        let handles = self.handles;
        assert_eq!(handles.len(), targets.len(), "every sink has a target");
        let mut threads = Vec::with_capacity(handles.len());
        for (handle, target) in handles.iter().zip(targets) {
            {
                let mut shown = handle.shown();
                (shown.kind, shown.caught_up_at) = (target.kind(), clock.wall_ms());
            }
            let (sink, log) = (Arc::clone(handle), Arc::clone(log));
            let (leads, clock) = (Arc::clone(leads), Arc::clone(clock));
            let thread = spawn(&format!("sink-{}", handle.settings.name), move || {
                let Some(ids) = wait_to_lead(&sink, &leads, &*log) else { return };
                Runner::new(&sink, target, log, ids, leads, clock).run();
            })?;
            handle.set_thread(thread.thread().clone());
            threads.push(thread);
        }
        Ok(Arc::new(Sinks {
            // A reader holds the log: without sinks there is none.
            reader: (!handles.is_empty()).then(|| Mutex::new(log.reader())),
            handles,
            clock: Arc::clone(clock),
            threads: Mutex::new(threads),
        }))
    }
}

impl Sinks {
    /// Reads where each sink was, and keeps the log for it from there on. Before the partition is opened with this retention.
    ///
    /// # Errors
    /// The files of a sink in the data directory cannot be read.
    pub fn prepare(
        settings: Vec<SinkSettings>,
        data: &Path,
        retention: &Retention,
    ) -> io::Result<PreparedSinks> {
        let handle = |settings| SinkHandle::new(settings, data, retention);
        Ok(PreparedSinks { handles: settings.into_iter().map(handle).collect::<io::Result<_>>()? })
    }

    /// All sinks as of now, in the order of the settings.
    pub fn statuses(&self) -> Vec<SinkStatus> {
        self.handles.iter().map(|handle| self.status_of(handle)).collect()
    }

    /// One sink as of now.
    pub fn status(&self, sink: &str) -> Option<SinkStatus> {
        self.handle(sink).ok().map(|handle| self.status_of(handle))
    }

    /// Lets a stopped or waiting sink try again at once.
    ///
    /// # Errors
    /// There is no such sink.
    pub fn retry(&self, sink: &str) -> Result<SinkStatus, SinkRefusal> {
        let handle = self.handle(sink)?;
        handle.retry();
        Ok(self.status_of(handle))
    }

    /// Leaves out what the sink stopped at, which must be at `offset`, and lets it go on. What is left out is recorded first.
    ///
    /// # Errors
    /// There is no such sink, it is not stopped there, or it cannot be recorded.
    pub fn skip(&self, sink: &str, offset: u64) -> Result<SinkStatus, SinkRefusal> {
        let handle = self.handle(sink)?;
        handle.skip(offset, self.clock.wall_ms())?;
        Ok(self.status_of(handle))
    }

    /// Lets every sink write what is in the log and stops it; what is not written after `limit` is written after the
    /// next start. Threads that still wait for their target then are left behind: the process is about to end.
    pub fn stop(&self, limit: Duration) {
        for handle in &self.handles {
            handle.stop(limit);
        }
        let stopwatch = Stopwatch::start();
        let mut threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        while !threads.is_empty() && stopwatch.elapsed() < limit + limit / 4 {
            threads.retain(|thread| !thread.is_finished());
            std::thread::park_timeout(JOIN_INTERVAL);
        }
        if !threads.is_empty() {
            tracing::warn!(
                count = threads.len(),
                "sinks still wait for their targets; they go on after the next start"
            );
        }
    }

    fn handle(&self, sink: &str) -> Result<&Arc<SinkHandle>, SinkRefusal> {
        self.handles.iter().find(|handle| handle.settings.name == sink).ok_or(SinkRefusal::NotFound)
    }

    fn status_of(&self, handle: &Arc<SinkHandle>) -> SinkStatus {
        let (durable_offset, backlog_bytes) = match &self.reader {
            None => (0, 0),
            Some(reader) => {
                let reader = reader.lock().unwrap_or_else(PoisonError::into_inner);
                (reader.durable_offset(), handle.backlog_bytes(&**reader))
            }
        };
        handle.status(self.clock.wall_ms(), durable_offset, backlog_bytes)
    }
}
