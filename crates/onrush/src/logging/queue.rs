//! Messages on their way to standard error. Whoever has a message puts it into a bounded queue and goes on; one thread
//! writes. A disk that is full, a reader that died and a reader that does not read cost messages, which are counted, and
//! nothing else.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use tracing_subscriber::fmt::MakeWriter;

/// Lines that wait to be written; one more is lost.
const QUEUED_LINES_MAX: usize = 4_096;

/// Bytes of all lines that wait to be written; a line that would exceed them is lost.
const QUEUED_BYTES_MAX: usize = 1 << 20;

/// How long a thread that panics waits until its message is written: the process may end right after it.
const PANIC_WAIT: Duration = Duration::from_millis(500);

/// The way to standard error, for any number of threads.
#[derive(Clone)]
pub(crate) struct MessageQueue {
    entries: SyncSender<Entry>,
    figures: Arc<Figures>,
}

enum Entry {
    Line(Vec<u8>),
    /// Everything before it was written or lost.
    Reached(SyncSender<()>),
}

#[derive(Default)]
struct Figures {
    queued_bytes: AtomicUsize,
    lost_line_count: Arc<AtomicU64>,
    /// A wait has run out and nothing was written since.
    stalled: AtomicBool,
}

impl MessageQueue {
    /// Starts the thread that writes to `target`. The thread lives as long as the process.
    pub(super) fn start(target: impl Write + Send + 'static) -> io::Result<Self> {
        let (entries, queued) = sync_channel(QUEUED_LINES_MAX);
        let figures = Arc::new(Figures::default());
        let queue = Self { entries, figures: Arc::clone(&figures) };
        thread::Builder::new()
            .name("messages".to_owned())
            .spawn(move || write_entries(&queued, target, &figures))?;
        Ok(queue)
    }

    /// How many lines were lost so far.
    pub(crate) fn lost_line_count(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.figures.lost_line_count)
    }

    /// Waits until everything that was said before is written or lost. Gives up after `wait_max`, and at once if an
    /// earlier wait ran out and nothing was written since.
    pub(crate) fn flush(&self, wait_max: Duration) {
        let (reached, waiting) = sync_channel(1);
        if !self.figures.stalled.load(Ordering::Relaxed)
            && self.entries.try_send(Entry::Reached(reached)).is_ok()
            && waiting.recv_timeout(wait_max).is_err()
        {
            self.figures.stalled.store(true, Ordering::Relaxed);
        }
    }

    fn put(&self, line: &[u8]) {
        let figures = &self.figures;
        let before = figures.queued_bytes.fetch_add(line.len(), Ordering::Relaxed);
        if before + line.len() > QUEUED_BYTES_MAX
            || self.entries.try_send(Entry::Line(line.to_vec())).is_err()
        {
            figures.queued_bytes.fetch_sub(line.len(), Ordering::Relaxed);
            figures.lost_line_count.fetch_add(1, Ordering::Relaxed);
        } else if thread::panicking() {
            self.flush(PANIC_WAIT);
        }
    }
}

impl<'a> MakeWriter<'a> for MessageQueue {
    type Writer = QueueWriter<'a>;

    fn make_writer(&'a self) -> QueueWriter<'a> {
        QueueWriter(self)
    }
}

/// Takes one line with each write, and never fails.
pub(crate) struct QueueWriter<'a>(&'a MessageQueue);

impl Write for QueueWriter<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.put(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write_entries(queued: &Receiver<Entry>, mut target: impl Write, figures: &Figures) {
    let mut torn = false;
    let mut reported_lost_count = 0;
    for entry in queued {
        let line = match entry {
            Entry::Line(line) => line,
            Entry::Reached(waiting) => {
                // Whoever no longer waits does not need to know.
                let _ = waiting.send(());
                continue;
            }
        };
        // The rest of a line that was torn must not swallow the next one.
        let written = if torn { target.write_all(b"\n") } else { Ok(()) };
        let written = written.map_err(|_| torn).and_then(|()| write_line(&mut target, &line));
        figures.queued_bytes.fetch_sub(line.len(), Ordering::Relaxed);
        torn = written == Err(true);
        if written.is_err() {
            figures.lost_line_count.fetch_add(1, Ordering::Relaxed);
            continue;
        }
        figures.stalled.store(false, Ordering::Relaxed);
        let lost_line_count = figures.lost_line_count.load(Ordering::Relaxed);
        if lost_line_count != reported_lost_count {
            reported_lost_count = lost_line_count;
            tracing::warn!(
                lost_line_count,
                "messages were lost: standard error was not read or not writable"
            );
        }
    }
}

/// The error says whether a part was written.
fn write_line(target: &mut impl Write, line: &[u8]) -> Result<(), bool> {
    let mut written = 0;
    while written < line.len() {
        match target.write(&line[written..]) {
            Ok(0) => return Err(written > 0),
            Ok(count) => written += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return Err(written > 0),
        }
    }
    Ok(())
}

/// Standard error without the lock that `std` puts around it: a write that blocks must not block whoever else writes
/// there.
pub(super) struct StandardError(File);

impl StandardError {
    pub(super) fn open() -> io::Result<Self> {
        Ok(Self(io::stderr().as_fd().try_clone_to_owned()?.into()))
    }
}

impl Write for StandardError {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match self.0.write(bytes) {
                // Whoever shares the descriptor has set it not to block.
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    poll(&mut [PollFd::new(&self.0, PollFlags::OUT)], None)?;
                }
                outcome => return outcome,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Longer than any test takes; a wait that should not run out.
    const LONG: Duration = Duration::from_mins(1);

    /// A target whose every write waits for a permit that says what becomes of it.
    struct Gated {
        permits: Receiver<io::Result<usize>>,
        written: SyncSender<Vec<u8>>,
    }

    impl Write for Gated {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let count = self.permits.recv().expect("a permit")?.min(bytes.len());
            self.written.send(bytes[..count].to_vec()).expect("the test listens");
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn gated() -> (MessageQueue, SyncSender<io::Result<usize>>, Receiver<Vec<u8>>) {
        let (permits, receiver) = sync_channel(QUEUED_LINES_MAX * 2);
        let (written, lines) = sync_channel(QUEUED_LINES_MAX * 2);
        let queue = MessageQueue::start(Gated { permits: receiver, written }).expect("start the thread");
        (queue, permits, lines)
    }

    fn say(queue: &MessageQueue, line: &[u8]) {
        queue.make_writer().write_all(line).expect("the queue takes everything");
    }

    fn lost(queue: &MessageQueue) -> u64 {
        queue.lost_line_count().load(Ordering::Relaxed)
    }

    #[test]
    fn lines_are_written_in_order() {
        let (queue, permits, lines) = gated();
        for line in [b"one\n", b"two\n"] {
            say(&queue, line);
            permits.send(Ok(usize::MAX)).expect("the thread lives");
        }
        queue.flush(LONG);
        assert_eq!(lines.try_iter().collect::<Vec<_>>(), [b"one\n", b"two\n"]);
        assert_eq!(lost(&queue), 0);
    }

    #[test]
    fn a_target_that_does_not_take_anything_costs_lines_beyond_the_bound_only() {
        let (queue, permits, lines) = gated();
        // One line is with the thread at most.
        for _ in 0..QUEUED_LINES_MAX + 1 + 7 {
            say(&queue, b"x\n");
        }
        assert!((7..=8).contains(&lost(&queue)), "{}", lost(&queue));
        let written_count = QUEUED_LINES_MAX + 8 - usize::try_from(lost(&queue)).expect("a small number");
        for _ in 0..written_count {
            permits.send(Ok(usize::MAX)).expect("the thread lives");
        }
        assert_eq!(lines.iter().take(written_count).count(), written_count);
    }

    #[test]
    fn long_lines_have_a_bound_together() {
        let (queue, _permits, _lines) = gated();
        let line = vec![b'x'; QUEUED_BYTES_MAX / 4];
        for _ in 0..6 {
            say(&queue, &line);
        }
        assert_eq!(lost(&queue), 2);
        say(&queue, b"a short one fits no more\n");
        assert_eq!(lost(&queue), 3);
    }

    #[test]
    fn a_write_that_fails_costs_its_line_and_no_other() {
        let (queue, permits, lines) = gated();
        for (line, outcome) in [("one\n", Err(ErrorKind::BrokenPipe.into())), ("two\n", Ok(usize::MAX))] {
            say(&queue, line.as_bytes());
            permits.send(outcome).expect("the thread lives");
        }
        queue.flush(LONG);
        assert_eq!(lines.try_iter().collect::<Vec<_>>(), [b"two\n"]);
        assert_eq!(lost(&queue), 1);
    }

    #[test]
    fn a_torn_line_does_not_swallow_the_next() {
        let (queue, permits, lines) = gated();
        for outcome in [Ok(2), Err(ErrorKind::StorageFull.into()), Ok(usize::MAX), Ok(usize::MAX)] {
            permits.send(outcome).expect("the thread lives");
        }
        say(&queue, b"one\n");
        say(&queue, b"two\n");
        queue.flush(LONG);
        assert_eq!(lines.try_iter().collect::<Vec<_>>().concat(), b"on\ntwo\n");
    }

    #[test]
    fn a_panic_waits_for_a_stalled_target_once() {
        let (queue, permits, lines) = gated();
        let shared = queue.clone();
        let panicked = thread::spawn(move || {
            let _last_words = LastWords(shared);
            std::panic::resume_unwind(Box::new("no hook is called"));
        });
        assert!(panicked.join().is_err());
        assert!(queue.figures.stalled.load(Ordering::Relaxed));
        // Nobody waits for a target that is known to be stalled.
        queue.flush(Duration::MAX);
        permits.send(Ok(usize::MAX)).expect("the thread lives");
        assert_eq!(lines.recv().expect("the line is written"), b"a panic\n");
    }

    /// Says a line while its thread panics.
    struct LastWords(MessageQueue);

    impl Drop for LastWords {
        fn drop(&mut self) {
            say(&self.0, b"a panic\n");
        }
    }
}
