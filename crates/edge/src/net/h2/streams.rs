//! The streams of one HTTP/2 connection: how many are open, and how many bytes of answers wait in them.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, SemaphorePermit};

use crate::limits::{H2_READ_STREAMS_MAX, H2_READS_MAX, H2_UNSENT_BYTES_MAX, H2_WAITING_READS_MAX};
use crate::net::counters::CutOff;
use crate::net::deadlines::{Activity, Deadline, Unsent};

use super::frames::Frames;

/// Shared by the streams of a connection.
pub(super) struct Streams {
    open_count: Cell<usize>,
    deadline: Deadline,
    frames: RefCell<Frames>,
    /// Told whenever an answer is gone.
    answer_gone: Notify,
    reads: Semaphore,
    waiting_reads: Semaphore,
    read_while_answered: Arc<Semaphore>,
}

impl Streams {
    pub(super) fn new(deadline: Deadline) -> Rc<Self> {
        deadline.enter(Activity::IdleHttp2);
        let frames = RefCell::new(Frames::new(deadline.now_ms()));
        Rc::new(Self {
            open_count: Cell::new(0),
            deadline,
            frames,
            answer_gone: Notify::new(),
            reads: Semaphore::new(H2_READS_MAX),
            waiting_reads: Semaphore::new(H2_WAITING_READS_MAX),
            read_while_answered: Arc::new(Semaphore::new(H2_READ_STREAMS_MAX)),
        })
    }

    /// Whether nothing is asked and nothing is on its way.
    pub(super) fn are_idle(&self) -> bool {
        self.open_count.get() == 0 && self.deadline.unsent_bytes() == 0
    }

    /// Waits until the client has taken enough of its answers for another one to be made.
    pub(super) async fn room(&self) {
        while self.deadline.unsent_bytes() >= H2_UNSENT_BYTES_MAX {
            self.answer_gone.notified().await;
        }
    }

    /// Waits for the turn of a read whose answer may be long.
    pub(super) async fn turn_to_read(&self) -> Option<SemaphorePermit<'_>> {
        self.reads.acquire().await.ok()
    }

    /// The same for one that may first wait for what it reads.
    pub(super) async fn turn_to_wait(&self) -> Option<SemaphorePermit<'_>> {
        self.waiting_reads.acquire().await.ok()
    }

    /// A place for a stream that is read while it is answered; nothing if there are as many as may be.
    pub(super) fn take_read_stream(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.read_while_answered).try_acquire_owned().ok()
    }

    /// Whether an answer, or the next part of one, of `bytes` may be begun.
    pub(super) fn make_room(&self, bytes: usize) -> bool {
        self.deadline.make_room(bytes)
    }

    /// Counts an answer until it is dropped.
    pub(super) fn hold(self: &Rc<Self>, bytes: usize) -> HeldAnswer {
        HeldAnswer { unsent: Some(self.deadline.hold(bytes)), streams: Rc::clone(self) }
    }

    /// Counts the frames that begin in bytes just read; false if there are too many of them.
    pub(super) fn count_frames(&self, bytes: &[u8]) -> bool {
        let counted = self.frames.borrow_mut().read(bytes, self.deadline.now_ms());
        if counted.is_err() {
            self.deadline.cut_off(CutOff::Quiet);
        }
        counted.is_ok()
    }

    fn enter_activity(&self) {
        self.deadline.enter(if self.are_idle() { Activity::IdleHttp2 } else { Activity::Busy });
    }
}

/// A stream from its request to its answer.
pub(super) struct OpenStream(Rc<Streams>);

impl OpenStream {
    pub(super) fn new(streams: &Rc<Streams>) -> Self {
        streams.open_count.set(streams.open_count.get() + 1);
        streams.enter_activity();
        Self(Rc::clone(streams))
    }

    pub(super) fn streams(&self) -> &Rc<Streams> {
        &self.0
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.0.open_count.set(self.0.open_count.get() - 1);
        self.0.enter_activity();
    }
}

/// The memory of one answer, until the client's system has taken all of it.
pub(super) struct HeldAnswer {
    /// Absent only while this is dropped.
    unsent: Option<Unsent>,
    streams: Rc<Streams>,
}

impl HeldAnswer {
    /// Some of it was taken.
    pub(super) fn take(&self, bytes: usize) {
        if let Some(unsent) = &self.unsent {
            unsent.take(bytes);
        }
        self.streams.frames.borrow_mut().answer_taken();
    }
}

impl Drop for HeldAnswer {
    fn drop(&mut self) {
        self.unsent = None;
        self.streams.enter_activity();
        self.streams.answer_gone.notify_waiters();
    }
}
