//! The writing end over a log in memory, of which the test says what it acknowledges.

use onrush_log::shared::memory::{AckForm, MemorySharedLog};
use onrush_log::shared::{Acks, LogId, SharedLog as _};
use onrush_node::MachineClock;

use super::*;
use crate::board::TermAcks;
use crate::notes::Notes;

const BOUNDS: SharedBounds =
    SharedBounds { record_bytes_max: 1 << 20, outstanding_max: 5, numbers_are_dense: true };
const EPOCH: RecordNo = RecordNo(0);

/// A writer of a term that began with the first record of the log.
fn leading() -> (MemorySharedLog, Arc<Board>, ClusterWriter) {
    let log = MemorySharedLog::new(BOUNDS, false);
    log.store_junk(b"the claim");
    let board = Board::new(0, 0, Notes::default());
    let clock: Arc<dyn Clock> = Arc::new(MachineClock);
    let acks = Arc::new(TermAcks::new(Arc::clone(&board), Arc::clone(&clock)));
    acks.begin_term(EPOCH);
    let appender = log.appender(0, acks as Arc<dyn Acks>).unwrap();
    board.begin_term(EPOCH, LogId(7), 0, BOUNDS, appender);
    let appender = board.in_term(EPOCH, |term| term.appender.take()).flatten().unwrap();
    let writer = ClusterWriter {
        board: Arc::clone(&board),
        appender,
        clock,
        bounds: BOUNDS,
        partition: 0,
        node: NodeId(1),
        epoch: EPOCH,
        handed: Handed::default(),
        record: Vec::new(),
    };
    (log, board, writer)
}

fn batch() -> Batch<'static> {
    Batch { event_count: 1, time_ms: 5, told_ms: 5, payload: b"event" }
}

/// The oldest record on its way arrives.
fn arrive(log: &MemorySharedLog) {
    log.store(0, false).unwrap();
    log.acknowledge(0, AckForm::Whole);
}

/// Another note would be due.
fn second_passes(writer: &mut ClusterWriter) {
    writer.handed.since_note = None;
}

#[test]
fn notes_take_no_place_of_what_the_caller_hands_over() {
    let (log, board, mut writer) = leading();
    let batch_count = writer.capacity().batch_count;
    for round in 0..3_u8 {
        for number in 0..batch_count {
            board.note("orders", &[round, u8::try_from(number).unwrap()]);
            second_passes(&mut writer);
            writer.append(batch()).expect("the log said that it takes as many");
        }
        assert_eq!(log.counts().on_the_way, batch_count + 1, "and one note");
        for _ in 0..=batch_count {
            arrive(&log);
        }
        let handed = (u64::from(round) + 1) * batch_count as u64;
        assert_eq!(writer.in_force().unwrap(), handed, "notes do not count");
    }
}

#[test]
fn what_was_noted_is_said_until_it_is_read() {
    let (log, board, mut writer) = leading();
    board.note("orders", &[1]);
    writer.append(batch()).unwrap();
    // Another sink's note keeps the first one's, which was not read yet.
    board.note("bookings", &[2]);
    arrive(&log);
    arrive(&log);
    writer.in_force().unwrap();
    second_passes(&mut writer);
    writer.append(batch()).unwrap();
    assert_eq!(log.counts().on_the_way, 2, "a note and the batch");
    arrive(&log);
    let note = log.with_record(RecordNo(3), |bytes| {
        let record = SharedRecord::decode(bytes).unwrap();
        assert_eq!(record.kind, RecordKind::Note);
        Notes::decode(record.payload).unwrap()
    });
    assert_eq!((note.get("orders"), note.get("bookings")), (Some(vec![1]), Some(vec![2])));
    board.state().notes = note;
    arrive(&log);
    writer.in_force().unwrap();
    second_passes(&mut writer);
    writer.append(batch()).unwrap();
    assert_eq!(log.counts().on_the_way, 1, "there is nothing new to note");
}

#[test]
fn nothing_is_handed_over_when_the_term_is_over() {
    let (log, board, mut writer) = leading();
    writer.append(batch()).unwrap();
    log.lose(0);
    log.acknowledge(0, AckForm::Whole);
    assert!(matches!(writer.in_force(), Err(AppendError::Unknown(_))));
    assert!(matches!(writer.append(batch()), Err(AppendError::Closed)));
    board.end_term();
    assert!(matches!(writer.append(batch()), Err(AppendError::Fenced)));
    assert!(matches!(writer.check(), Err(AppendError::Fenced)));
    assert_eq!(writer.capacity().bytes, 0);
}
