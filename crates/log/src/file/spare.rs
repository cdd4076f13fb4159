//! The spare segment: a file of zeros that is ready before it is needed, made by a thread of its own.
//!
//! Zeros are written, not only allocated: a write into allocated but never written blocks pays for metadata at its
//! sync. Trimmed segments are kept and become the spare as they are; their old frames never verify in a new segment.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use crate::error::StorageError;
use crate::file::segment::{SPARE_NAME, SPARE_UNFINISHED_NAME, is_reserve, reserve_name};
use crate::file::storage::{Storage, while_doing};
use crate::limits::{RESERVE_COUNT_MAX, SPARE_CHUNK_BYTES};

/// Between two attempts while the disk is full.
const RETRY: Duration = Duration::from_millis(500);
/// Between two chunks of zeros, so that the syncs of batches have the disk for themselves half of the time.
const PAUSE: Duration = Duration::from_millis(2);

/// Who makes spare segments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SpareMaking {
    /// A thread, ahead of need.
    #[default]
    Background,
    /// The calling thread, within `open` and `append`: slower, and every run does the same calls in the same order.
    Inline,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// There is none, and one is to be made.
    Wanted,
    /// One is being made.
    Making,
    /// The last attempt failed; the next waits.
    Failed,
    /// `spare.seg` is there.
    Ready,
    /// Whoever took it is renaming it.
    Taken,
}

struct SpareState {
    stage: Stage,
    /// Names of the trimmed segments that are kept to become the spare.
    reserve: Vec<String>,
    /// Somebody waits for the spare: no pauses.
    urgent: bool,
    /// The last attempt failed and was reported.
    failing: bool,
    stopping: bool,
}

/// What the log, the trimmer and the thread share.
pub(crate) struct Spare {
    storage: Arc<dyn Storage>,
    segment_bytes: u64,
    making: SpareMaking,
    state: Mutex<SpareState>,
    changed: Condvar,
}

/// Stops and joins the thread when dropped.
pub(crate) struct SpareThread {
    spare: Arc<Spare>,
    thread: Option<JoinHandle<()>>,
}

impl Spare {
    /// Starts with the spare and the reserve that are in the directory; files of another size are removed.
    pub(crate) fn new(
        storage: Arc<dyn Storage>,
        segment_bytes: u64,
        making: SpareMaking,
    ) -> Result<Arc<Self>, StorageError> {
        let (mut found, mut reserve) = (Stage::Wanted, Vec::new());
        for name in storage.list().map_err(while_doing(&*storage, "list", ""))? {
            if name != SPARE_NAME && !is_reserve(&name) {
                continue;
            }
            let length = storage.open(&name).and_then(|file| file.len());
            if length.map_err(while_doing(&*storage, "measure", &name))? != segment_bytes {
                storage.remove(&name).map_err(while_doing(&*storage, "remove", &name))?;
            } else if name == SPARE_NAME {
                found = Stage::Ready;
            } else {
                reserve.push(name);
            }
        }
        let state =
            Mutex::new(SpareState { stage: found, reserve, urgent: false, failing: false, stopping: false });
        Ok(Arc::new(Self { storage, segment_bytes, making, state, changed: Condvar::new() }))
    }

    /// Whether a file of this size can be the spare.
    pub(crate) fn fits(&self, bytes: u64) -> bool {
        bytes == self.segment_bytes
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.state().stage == Stage::Ready
    }

    /// Whether a thread makes the spare, and its last attempt did not fail.
    pub(crate) fn is_coming(&self) -> bool {
        let state = self.state();
        matches!(state.stage, Stage::Wanted | Stage::Making)
            && !state.failing
            && self.making == SpareMaking::Background
    }

    /// Takes the spare, waiting for one that is being made; `false` when there is none and the disk is full.
    /// After `true` the caller renames `spare.seg` and calls `renamed`.
    pub(crate) fn take(&self) -> bool {
        if self.making == SpareMaking::Inline {
            self.make_inline();
        }
        let mut state = self.state();
        while matches!(state.stage, Stage::Wanted | Stage::Making) && self.making == SpareMaking::Background {
            state.urgent = true;
            self.changed.notify_all();
            state = self.changed.wait(state).expect("no thread panics with the spare");
        }
        state.urgent = false;
        if state.stage == Stage::Ready {
            state.stage = Stage::Taken;
            return true;
        }
        false
    }

    /// The taken spare has another name now, so that the next can be made.
    pub(crate) fn renamed(&self) {
        self.state().stage = Stage::Wanted;
        self.changed.notify_all();
    }

    /// Makes a spare within this call if there is none and no thread does it.
    pub(crate) fn make_inline(&self) {
        if self.making == SpareMaking::Background {
            return;
        }
        let mut state = self.state();
        if matches!(state.stage, Stage::Wanted | Stage::Failed) {
            state.stage = Stage::Making;
            drop(state);
            self.attempt();
        }
    }

    /// Keeps the trimmed segment file `name` to be written over, unless there are enough; `false` when there are.
    /// Called by one thread at a time.
    pub(crate) fn recycle(&self, name: &str) -> io::Result<bool> {
        if self.state().reserve.len() >= RESERVE_COUNT_MAX {
            return Ok(false);
        }
        let reserve = reserve_name(name);
        self.storage.rename(name, &reserve)?;
        // Nobody may write over it while a crash could still bring it back as a segment of the log.
        self.storage.sync_dir()?;
        let mut state = self.state();
        state.reserve.push(reserve);
        if state.stage == Stage::Failed {
            state.stage = Stage::Wanted;
        }
        drop(state);
        self.changed.notify_all();
        self.make_inline();
        Ok(true)
    }

    fn state(&self) -> MutexGuard<'_, SpareState> {
        self.state.lock().expect("no thread panics with the spare")
    }

    /// Makes a spare; whoever calls has set the state to `Making` under the lock that it found `Wanted` with, so that
    /// no other file becomes the spare meanwhile.
    fn attempt(&self) {
        let made = self.make();
        let mut state = self.state();
        match &made {
            Err(error) if !state.failing && !state.stopping => {
                tracing::warn!(%error, "cannot make a spare segment");
            }
            Ok(()) if state.failing => tracing::info!("a spare segment could be made again"),
            _ => {}
        }
        state.failing = made.is_err();
        state.stage = if made.is_ok() { Stage::Ready } else { Stage::Failed };
        drop(state);
        self.changed.notify_all();
    }

    fn make(&self) -> Result<(), StorageError> {
        let storage = &*self.storage;
        let reserve = self.state().reserve.pop();
        if let Some(reserve) = reserve {
            return storage.rename(&reserve, SPARE_NAME).map_err(while_doing(storage, "rename", &reserve));
        }
        let made = self.write_zeros().map_err(while_doing(storage, "fill", SPARE_UNFINISHED_NAME));
        if made.is_err() {
            // What it claimed may be the room that a snapshot needs; a failed removal is met again at the next attempt.
            let _ = storage.remove(SPARE_UNFINISHED_NAME);
            return made;
        }
        storage.rename(SPARE_UNFINISHED_NAME, SPARE_NAME).map_err(while_doing(
            storage,
            "rename",
            SPARE_UNFINISHED_NAME,
        ))
    }

    fn write_zeros(&self) -> io::Result<()> {
        if self.storage.list()?.iter().any(|name| name == SPARE_UNFINISHED_NAME) {
            self.storage.remove(SPARE_UNFINISHED_NAME)?;
        }
        let file = self.storage.create(SPARE_UNFINISHED_NAME)?;
        file.preallocate(self.segment_bytes)?;
        let zeros = vec![0; SPARE_CHUNK_BYTES];
        let mut position = 0;
        while position < self.segment_bytes {
            let count = (self.segment_bytes - position).min(zeros.len() as u64);
            file.write_at(&zeros[..usize::try_from(count).expect("at most a chunk")], position)?;
            file.sync()?;
            position += count;
            let state = self.state();
            if state.stopping {
                return Err(io::ErrorKind::Interrupted.into());
            }
            if self.making == SpareMaking::Background && !state.urgent {
                drop(self.changed.wait_timeout(state, PAUSE).expect("no thread panics with the spare"));
            }
        }
        Ok(())
    }

    fn run(&self) {
        let mut state = self.state();
        while !state.stopping {
            match state.stage {
                Stage::Wanted => {
                    state.stage = Stage::Making;
                    drop(state);
                    self.attempt();
                    state = self.state();
                }
                Stage::Failed => {
                    state =
                        self.changed.wait_timeout(state, RETRY).expect("no thread panics with the spare").0;
                    if state.stage == Stage::Failed {
                        state.stage = Stage::Wanted;
                    }
                }
                Stage::Ready | Stage::Taken | Stage::Making => {
                    state = self.changed.wait(state).expect("no thread panics with the spare");
                }
            }
        }
    }
}

impl SpareThread {
    /// Starts the thread that keeps `spare` ready, if there is to be one.
    pub(crate) fn start(spare: &Arc<Spare>) -> io::Result<Self> {
        let thread = match spare.making {
            SpareMaking::Inline => None,
            SpareMaking::Background => {
                let spare = Arc::clone(spare);
                Some(Builder::new().name("spare-segment".to_owned()).spawn(move || spare.run())?)
            }
        };
        Ok(Self { spare: Arc::clone(spare), thread })
    }
}

impl Drop for SpareThread {
    fn drop(&mut self) {
        self.spare.state().stopping = true;
        self.spare.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            // A panic there has been reported by the panic hook and must not become a second one here.
            let _ = thread.join();
        }
    }
}
