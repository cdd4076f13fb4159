//! The shared log in memory: what its moves do, and that it keeps the contract.

use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use onrush_log::shared::memory::{AckForm, MemoryCounts, MemorySharedLog};
use onrush_log::shared::{
    Acked, Acks, Progress, RecordNo, SharedAppender, SharedBounds, SharedError, SharedLog,
};

const BOUNDS: SharedBounds =
    SharedBounds { record_bytes_max: 10, outstanding_max: 5, numbers_are_dense: true };

#[derive(Default)]
struct Told(Mutex<Vec<(u64, Result<Acked, SharedError>)>>);

impl Acks for Told {
    fn ack(&self, ticket: u64, acked: Result<Acked, SharedError>) {
        self.0.lock().expect("nobody panics").push((ticket, acked));
    }
}

struct World {
    log: MemorySharedLog,
    told: Arc<Told>,
    appender: Box<dyn SharedAppender>,
}

impl World {
    /// With three records on their way.
    fn new(refuses_misplaced: bool) -> Self {
        let log = MemorySharedLog::new(BOUNDS, refuses_misplaced);
        let told = Arc::new(Told::default());
        let mut appender = log.appender(0, Arc::clone(&told) as Arc<dyn Acks>).expect("a way in");
        for (ticket, record) in [(1, b"a"), (2, b"b"), (3, b"c")] {
            appender.append(ticket, RecordNo(ticket - 1), record).expect("room");
        }
        Self { log, told, appender }
    }

    fn told(&self) -> Vec<(u64, Result<Acked, SharedError>)> {
        std::mem::take(&mut self.told.0.lock().expect("nobody panics"))
    }

    fn read(&self) -> (String, Progress) {
        let mut found = String::new();
        let mut reader = self.log.reader(0, RecordNo(0)).expect("a reader");
        let read = reader.read(Duration::ZERO, &mut |no, record| {
            assert_eq!(no.0, found.len() as u64);
            found.push_str(std::str::from_utf8(record).expect("a letter"));
            ControlFlow::Continue(())
        });
        (found, read.expect("it can be read"))
    }
}

fn there(no: u64) -> Acked {
    Acked { no: Some(RecordNo(no)), appended_at_ms: None }
}

#[test]
fn records_get_numbers_as_they_are_stored_and_are_read_as_they_are_shown() {
    let mut world = World::new(false);
    assert_eq!((world.log.store(2, false), world.log.store(0, true)), (Some(RecordNo(0)), Some(RecordNo(1))));
    assert_eq!(
        (world.log.store(1, false), world.log.store(0, false)),
        (Some(RecordNo(2)), Some(RecordNo(3)))
    );
    assert_eq!(world.log.store_junk(b"?"), RecordNo(4));
    let counts = MemoryCounts { on_the_way: 0, due_acks: 3, records: 5, hidden: 5 };
    assert_eq!(world.log.counts(), counts, "one acknowledgement for each record, however often it is there");
    assert_eq!(world.read(), (String::new(), Progress { next: RecordNo(0), is_level: true }));
    world.log.show(3);
    world.log.set_frozen(true);
    assert_eq!(world.read(), (String::new(), Progress { next: RecordNo(0), is_level: false }));
    world.log.set_frozen(false);
    world.log.show(9);
    assert_eq!(world.read(), ("caba?".to_owned(), Progress { next: RecordNo(5), is_level: true }));
    (0..3).for_each(|_| world.log.acknowledge(0, AckForm::Whole));
    assert_eq!(world.told(), [(3, Ok(there(0))), (1, Ok(there(1))), (2, Ok(there(2)))]);
    let too_large = world.appender.append(4, RecordNo(5), &[0; 11]);
    assert_eq!(too_large, Err(SharedError::TooLarge { bytes: 11, bytes_max: 10 }));
}

#[test]
fn each_record_is_told_of_once() {
    let world = World::new(false);
    world.log.time_out(0);
    world.log.time_out(0);
    world.log.lose(1);
    world.log.store(0, false);
    world.log.store(0, false);
    assert_eq!(
        world.log.describe_ack(1),
        "record 2 of appender 0: the log does not answer: the record is lost"
    );
    for form in [AckForm::Whole, AckForm::WithoutNumber, AckForm::WithoutNumber] {
        world.log.acknowledge(0, form);
    }
    let told = world.told();
    assert!(matches!(told[0], (1, Err(SharedError::Unknown(_)))), "{told:?}");
    assert!(matches!(told[1], (2, Err(SharedError::Unknown(_)))), "{told:?}");
    assert_eq!(told[2], (3, Ok(Acked { no: None, appended_at_ms: None })));
}

#[test]
fn an_acknowledgement_that_is_lost_is_unknown_in_the_end() {
    let world = World::new(false);
    world.log.store(0, false);
    world.log.store(0, false);
    world.log.forget_ack(0);
    world.log.acknowledge(0, AckForm::TimedOut);
    assert!(matches!(world.told()[..], [(2, Err(SharedError::Unknown(_)))]));
    world.log.remember();
    world.log.remember();
    assert!(matches!(world.told()[..], [(1, Err(SharedError::Unknown(_)))]));
}

#[test]
fn a_log_that_can_refuses_what_would_get_another_number() {
    let world = World::new(true);
    assert_eq!(world.log.store(1, false), None);
    assert_eq!(world.log.store(0, true), Some(RecordNo(0)));
    assert_eq!(world.log.store(0, false), None, "it is there already");
    assert_eq!(world.log.store(0, false), None);
    (0..3).for_each(|_| world.log.acknowledge(0, AckForm::Whole));
    let misplaced =
        |expected, next| Err(SharedError::Misplaced { expected: RecordNo(expected), next: RecordNo(next) });
    assert_eq!(world.told(), [(2, misplaced(1, 0)), (1, Ok(there(0))), (3, misplaced(2, 1))]);
}

#[test]
fn a_reader_goes_on_behind_the_record_at_which_it_broke_off() {
    let world = World::new(false);
    for _ in 0..3 {
        world.log.store(0, false);
    }
    world.log.show(3);
    let mut reader = world.log.reader(0, RecordNo(1)).expect("a reader");
    for (next, is_level) in [(2, false), (3, true), (3, true)] {
        let read = reader.read(Duration::ZERO, &mut |_, _| ControlFlow::Break(())).expect("it can be read");
        assert_eq!(read, Progress { next: RecordNo(next), is_level });
    }
}
