//! The log of a partition, as a node of several has it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use onrush_log::shared::{LogId, RecordNo, SharedAppender, SharedLog};
use onrush_log::{
    BrokenOff, Entry, Format, Log, LogReader, OpenError, Opened, Opening, SnapshotError, SnapshotReader,
    SnapshotWriter, StorageError, Visit, VisitError,
};
use onrush_node::{Clock, spawn};

use crate::board::{Board, Seen, Term};
use crate::follower::{Beginning, Follower};
use crate::inspector::Inspector;
use crate::opening::{CopyPlace, OpenCopy, random, refuse_single_server, system};
use crate::place_file::PlaceFile;
use crate::settings::{NodeSettings, SharedLogs};
use crate::snapshots::{Keeper, KeeperParts};
use crate::status::{NodeRole, NodeStatus};
use crate::writer::{ClusterWriter, Handed};

/// How often whoever waits to lead looks whether it is to stop.
const WAIT: Duration = Duration::from_millis(100);
/// Looks whether the thread has ended that sends snapshots.
const KEEPER_LOOKS: u32 = 10;
/// Events that are visited before it is looked again.
const VISITED_AT_ONCE: u64 = 100_000;

/// A log that this node follows, and leads if it is its turn. Clones are the same log.
#[derive(Clone)]
pub struct ClusterLog {
    shared: Arc<dyn SharedLog>,
    partition: u32,
    settings: NodeSettings,
    copy: Arc<dyn Log>,
    board: Arc<Board>,
    clock: Arc<dyn Clock>,
    threads: Arc<Mutex<Vec<JoinHandle<()>>>>,
    /// Nobody waits for long until it ends.
    keeping: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl ClusterLog {
    /// Begins to follow a shared log, from where the copy in the directory of `settings` ends. A copy that is not there, or that a power
    /// cut has left behind what was noted of it, is made anew from the newest snapshot, which takes as long as that is large.
    ///
    /// # Errors
    /// The directory has the log of a single server, is in use, or cannot be written to; or the shared log cannot be reached at
    /// all, or has no snapshot though it begins with a later record.
    pub fn start(
        shared: SharedLogs,
        partition: u32,
        settings: NodeSettings,
        segment_bytes: u64,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, OpenError> {
        refuse_single_server(&settings.directory)?;
        let directory = copy_in(&settings.directory);
        let place_file = PlaceFile::in_directory(&settings.directory);
        let place = CopyPlace { directory: &directory, partition, segment_bytes, place_file: &place_file };
        let OpenCopy { log: copy_log, copy, reached, made_from } = place.open(&shared)?;
        let board = Board::new(copy.end(), reached.told_ms, reached.notes.clone());
        let keeper = Keeper::new(
            KeeperParts {
                log: Arc::clone(&shared.records),
                snapshots: shared.snapshots,
                copy: Arc::clone(&copy_log),
                board: Arc::clone(&board),
                retention: settings.retention.clone(),
                partition,
                node: settings.node,
                snapshot_bytes: settings.snapshot_bytes,
                interval: settings.snapshot_interval,
            },
            made_from,
        );
        let shared = shared.records;
        let beginning = Beginning {
            reached,
            copy,
            place_file,
            board: Arc::clone(&board),
            clock: Arc::clone(&clock),
            tag: random()?,
            new_log_id: LogId(u128::from(random()?) << 64 | u128::from(random()?)),
        };
        let follower = Follower::new(Arc::clone(&shared), partition, &settings, beginning)
            .map_err(|error| OpenError::Unavailable(error.to_string()))?;
        let inspector = Inspector {
            log: Arc::clone(&shared),
            board: Arc::clone(&board),
            may_lead_unsafely: settings.may_lead_unsafely,
        };
        inspector.look();
        let started = |source| system("start a thread", &settings.directory, source);
        let following = spawn("log-follower", move || follower.run()).map_err(started)?;
        let inspecting = spawn("log-inspector", move || inspector.run()).map_err(started)?;
        let keeping = spawn("log-snapshots", move || keeper.run()).map_err(started)?;
        let threads = Arc::new(Mutex::new(vec![following, inspecting]));
        let keeping = Arc::new(Mutex::new(Some(keeping)));
        Ok(Self { shared, partition, settings, copy: copy_log, board, clock, threads, keeping })
    }

    /// Does not begin to lead from now on: whoever waits for that in [`Log::open_visiting`] is told so. A term that has begun goes on.
    pub fn stand_down(&self) {
        let now = self.clock.read().steady;
        self.board.change(|state| {
            state.is_standing_down = true;
            state.left_at = state.term.is_some().then_some(now);
        });
    }

    /// After this node has stood down and resigned: waits until another one leads, for two seconds at most.
    pub fn wait_for_next(&self) {
        while self.is_vacant() {
            drop(self.board.wait(self.board.state(), WAIT / 10));
        }
    }

    /// Leads no more and follows no more, from now on.
    pub fn leave(&self) {
        self.board.change(|state| state.is_leaving = true);
        let keeping = self.keeping.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(keeping) = &keeping {
            keeping.thread().unpark();
        }
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            thread.thread().unpark();
            if thread.join().is_err() {
                tracing::error!("a thread that follows the shared log has failed");
            }
        }
        for _ in 0..KEEPER_LOOKS {
            if keeping.as_ref().is_none_or(JoinHandle::is_finished) {
                return;
            }
            std::thread::park_timeout(WAIT);
        }
        tracing::warn!("a snapshot for new nodes is given up in the middle");
    }

    /// The node as of now.
    pub fn status(&self) -> NodeStatus {
        let state = self.board.state();
        let Seen { place, leader_url, leads, since_ms, term_count, dropped, .. } = state.seen.clone();
        let role = match (&state.problem, leads) {
            (Some(_), _) => NodeRole::Stopped,
            (None, true) => NodeRole::Leading,
            (None, false) => NodeRole::Following,
        };
        NodeStatus {
            node: self.settings.node,
            url: self.settings.url.clone(),
            role,
            since_ms,
            leader: place.leader,
            leader_url,
            epoch: place.epoch,
            next_no: place.next_no,
            offset: place.next_offset,
            told_ms: state.told_ms,
            term_count,
            dropped,
            snapshot_offset: state.snapshot_offset,
            problem: [&state.problem, &state.unsafe_settings, &state.same_number, &state.snapshot_trouble]
                .into_iter()
                .find_map(Clone::clone),
        }
    }

    /// Waits for something to do after everything below `at` was visited.
    fn next_task(&self, at: u64) -> Result<Task, OpenError> {
        let mut state = self.board.state();
        loop {
            if state.is_standing_down || state.is_leaving {
                return Err(OpenError::StandingDown);
            }
            if at < state.copied {
                // In between it is looked whether the server stops.
                return Ok(Task::Visit { to: state.copied.min(at + VISITED_AT_ONCE) });
            }
            state.is_warm = true;
            let told_ms = state.told_ms;
            // A term that another one has ended may be there for a moment still.
            let is_open = |term: &&mut Term| !term.is_given_up && term.next_offset == at;
            let taken = state
                .term
                .as_mut()
                .filter(is_open)
                .and_then(|term| Some((term.epoch, term.appender.take()?)));
            if let Some((epoch, appender)) = taken {
                state.is_warm = false;
                return Ok(Task::Lead { epoch, appender, told_ms });
            }
            state = self.board.wait(state, WAIT);
        }
    }

    fn lead(&self, epoch: RecordNo, appender: Box<dyn SharedAppender>) -> ClusterWriter {
        ClusterWriter {
            board: Arc::clone(&self.board),
            appender,
            clock: Arc::clone(&self.clock),
            bounds: self.shared.bounds(),
            partition: self.partition,
            node: self.settings.node,
            epoch,
            handed: Handed::default(),
            record: Vec::new(),
        }
    }
}

/// Where the copy of a node with this directory is.
pub fn copy_in(directory: &Path) -> PathBuf {
    directory.join("copy")
}

/// What whoever waits to lead does next.
enum Task {
    /// Go on to here.
    Visit { to: u64 },
    /// This node leads.
    Lead { epoch: RecordNo, appender: Box<dyn SharedAppender>, told_ms: u64 },
}

impl Log for ClusterLog {
    fn open_visiting(
        &self,
        opening: Opening,
        visit: &mut Visit<'_>,
    ) -> Result<Opened, VisitError<OpenError, BrokenOff>> {
        self.board.change(|state| state.is_warm = false);
        let mut reader = self.copy.reader();
        let mut at = opening.from_offset;
        loop {
            match self.next_task(at).map_err(VisitError::Log)? {
                Task::Visit { to } => {
                    at = reader.read_visiting(at, to, visit).map_err(|error| match error {
                        VisitError::Log(error) => VisitError::Log(OpenError::from(error)),
                        VisitError::Refused(refused) => VisitError::Refused(refused),
                    })?;
                }
                Task::Lead { epoch, appender, told_ms } => {
                    // The time that clients were told by whoever led before.
                    let _ = visit(Entry {
                        format: Format::V1,
                        epoch: epoch.0,
                        base_offset: at,
                        event_count: 0,
                        time_ms: told_ms,
                        payload: b"",
                    });
                    return Ok(Opened {
                        writer: Box::new(self.lead(epoch, appender)),
                        next_offset: at,
                        epoch: epoch.0,
                        torn_at: None,
                    });
                }
            }
        }
    }

    fn has_rivals(&self) -> bool {
        true
    }

    fn is_vacant(&self) -> bool {
        self.board.is_vacant(self.settings.node, self.clock.read().steady)
    }

    fn note(&self, name: &str, value: &[u8]) {
        self.board.note(name, value);
    }

    fn noted(&self, name: &str) -> Option<Vec<u8>> {
        self.board.state().notes.get(name)
    }

    fn reader(&self) -> Box<dyn LogReader> {
        self.copy.reader()
    }

    fn snapshots(&self) -> Result<Vec<u64>, StorageError> {
        self.copy.snapshots()
    }

    fn read_snapshot(&self, offset: u64) -> Result<Box<dyn SnapshotReader>, SnapshotError> {
        self.copy.read_snapshot(offset)
    }

    fn write_snapshot(&self, offset: u64, time_ms: u64) -> Result<Box<dyn SnapshotWriter>, SnapshotError> {
        self.copy.write_snapshot(offset, time_ms)
    }

    fn trim(&self, before: u64) -> Result<u64, StorageError> {
        self.copy.trim(before)
    }
}
