//! The machine, stepped by hand on a log in memory: no thread, no clock, no wait.

use std::sync::Arc;
use std::time::Duration;

use onrush_core::{
    ChallengeKind, ChallengeTerms, Digest, GateChange, GateMode, GateTerms, Incarnation, Limits,
    Precondition, Refusal, RefusalCode, SaleTerms, SessionTerms, State, StockTerms, TermsChange, WindowShape,
};
use onrush_log::Format;

use super::*;
use crate::partition::identity::Identity;
use crate::partition::port::Port;
use crate::partition::views::{View, ViewWriter};
use crate::record::{DecodeError, decode_records};
use crate::{Asker, Call, ChallengeCall, LineCall, Name, Outcome, ReserveCall};

const START: Duration = Duration::from_secs(1_700_000_000);
const IDENTITY: Identity = Identity { id_key: [7; 16], incarnation: Incarnation(9) };
const SHAPE: WindowShape = WindowShape { span_ms: 1_000, precision_ms: 100 };

/// A machine with a log that does as it is told.
struct Stepper {
    machine: Machine,
    reading: ClockReading,
    port: Arc<Port>,
    /// Payloads of the batches that are in force, with their times.
    log: Vec<(Vec<u8>, TimeMs)>,
    view: ViewWriter,
    next_token: u32,
}

impl Stepper {
    fn new() -> Self {
        let reading = ClockReading { wall: START, steady: Duration::from_secs(5) };
        let leader = Leader::new(State::new(Limits::default(), 1), 0, SHAPE, 0, IDENTITY);
        let clock = PartitionClock::start(leader.time(), reading);
        let view = ViewWriter::of(leader.state(), clock);
        let mut machine = Machine::new(Some(leader), false, clock);
        machine.set_capacity(capacity(1 << 30, 1));
        let mut stepper =
            Self { machine, reading, port: Port::new(|| {}), log: Vec::new(), view, next_token: 0 };
        stepper.write_all();
        stepper.pass(Duration::from_secs(1));
        stepper.write_all();
        stepper
    }

    fn pass(&mut self, time: Duration) {
        self.reading.wall += time;
        self.reading.steady += time;
        self.machine.advance(self.reading);
    }

    /// Runs one call; its reply, if there is one at once.
    fn call(&mut self, call: Call) -> Option<Reply> {
        self.machine.advance(self.reading);
        let token = self.next_token;
        self.next_token += 1;
        let mut outbox = Outbox::default();
        let reply_to = ReplyTo::Port(Arc::clone(&self.port));
        self.machine.call(Submission { reply_to, calls: vec![(token, call)] }, &mut outbox);
        outbox.deliver(None);
        self.port.take().into_iter().next().map(|(answered, reply)| {
            assert_eq!(answered, token);
            reply
        })
    }

    fn add(&mut self) -> Option<Reply> {
        self.call(Call::AddToCounter { counter: Name::from("c"), by: 1 })
    }

    fn reserve(&mut self, sale: &str, customer: u32) -> Option<Reply> {
        self.reserve_with(sale, customer, ChallengeCall::Missing)
    }

    fn reserve_with(&mut self, sale: &str, customer: u32, challenge: ChallengeCall) -> Option<Reply> {
        self.call(Call::Reserve(Box::new(ReserveCall {
            sale: Name::from(sale),
            asker: Asker::Anyone,
            customer: Name::from(customer.to_string()),
            lines: [LineCall { stock: Name::from("a"), quantity: 1 }].into_iter().collect(),
            details: Box::from(&b""[..]),
            challenge,
            key: None,
        })))
    }

    fn put(&mut self, sale: &str, hold_ttl_ms: u32, closes_at: Option<u64>) {
        let stock = |stock: &str| StockTerms {
            stock: stock.into(),
            title: String::new(),
            starts_at: None,
            ends_at: None,
            closes_at: None,
            quantity_total: 1_000,
        };
        let terms = SaleTerms {
            title: String::new(),
            opens_at: None,
            closes_at,
            per_customer_max: None,
            hold_ttl_ms,
            gate: GateTerms::default(),
            stocks: vec![stock("a"), stock("b")],
        };
        // Terms that are not new are answered at once.
        drop(self.call(Call::PutSale {
            sale: Name::from(sale),
            terms: Box::new(terms),
            left_out: Vec::new(),
            only_if: Precondition::None,
        }));
    }

    /// The next step, without mail.
    fn step(&mut self) -> (Step, ClosedBatch) {
        let mut batch = ClosedBatch::default();
        (self.machine.next_step(&mut batch, false), batch)
    }

    /// The batch is in force: the replies.
    fn append(&mut self, number: u64, mut batch: ClosedBatch) -> Vec<Reply> {
        self.log.push((batch.payload.clone(), batch.time));
        self.view.apply(&mut batch.view_change);
        let mut outbox = Outbox::default();
        self.machine.appended(number, &batch, Duration::from_micros(100), &mut outbox);
        outbox.deliver(None);
        self.port.take().into_iter().map(|(_, reply)| reply).collect()
    }

    /// The mark is in force.
    fn marked(&mut self, number: u64, time: TimeMs) {
        let mut outbox = Outbox::default();
        self.machine.marked(number, time, &mut outbox);
        outbox.deliver(None);
    }

    /// Writes what there is to write; the step that is none.
    fn write_all(&mut self) -> Step {
        loop {
            match self.step() {
                (Step::Append { number }, batch) => drop(self.append(number, batch)),
                (Step::Mark { number, time }, _) => self.marked(number, time),
                (Step::Wait { at_most }, _) if at_most == GATHER_DELAY => {}
                (step, _) => return step,
            }
        }
    }

    fn view(&self) -> &View {
        self.view.view()
    }

    fn state(&self) -> &State {
        self.machine.leader().expect("the log works").state()
    }

    /// A state that is made of the log alone.
    fn replayed(&self) -> State {
        let mut state = State::new(Limits::default(), 2);
        for (payload, time) in &self.log {
            decode_records::<DecodeError>(Format::NEWEST, payload, *time, |record| {
                state.apply(&record.event, record.at);
                Ok(())
            })
            .expect("the log can be read");
        }
        state
    }

    fn digest(&self) -> Digest {
        self.state().digest()
    }

    /// The view is what the state in force would answer.
    fn check_view(&self) {
        let wall = self.reading.wall_ms();
        let page = self.state().sales_after(None, 100, wall);
        assert_eq!(self.view().sales_after(None, 100, wall), page);
        for sale in page.sales {
            assert_eq!(self.view().sale(&sale.sale, wall).as_ref(), Some(&sale));
            let rest = self.state().sales_after(Some(&sale.sale), 1, wall);
            assert_eq!(self.view().sales_after(Some(&sale.sale), 1, wall), rest);
        }
        assert_eq!(self.view().counts(), crate::partition::views::Counts::of(self.state()));
    }
}

fn capacity(bytes: usize, batch_count: usize) -> Capacity {
    Capacity { bytes: bytes as u64, is_growing: false, batch_count }
}

fn count_of(reply: &Reply) -> u64 {
    match reply {
        Ok(Outcome::Counter { value }) => *value,
        other => panic!("{other:?}"),
    }
}

#[test]
fn nothing_is_told_before_its_batch_is_in_force() {
    let mut stepper = Stepper::new();
    assert!(stepper.add().is_none());
    let read = Call::ReadCounter { counter: Name::from("c") };
    assert!(stepper.call(read).is_none(), "it rests on the addition");
    let refused = Call::ReadCounter { counter: Name::from("other") };
    assert!(stepper.call(refused).is_none(), "a refusal as well");
    let (Step::Append { number }, batch) = stepper.step() else { panic!("there is a batch") };
    assert!(stepper.machine.has_waiting());
    // What is decided meanwhile goes into the next batch.
    assert!(stepper.add().is_none());
    let replies = stepper.append(number, batch);
    assert_eq!((replies.len(), count_of(&replies[0]), count_of(&replies[1])), (3, 1, 1));
    assert!(matches!(replies[2], Err(Failure::Refused { .. })));
    let (step, batch) = stepper.step();
    assert_eq!(step, Step::Append { number: number + 1 });
    assert_eq!(stepper.append(number + 1, batch).iter().map(count_of).collect::<Vec<_>>(), [2]);
    let at_once = stepper.call(Call::ReadCounter { counter: Name::from("c") });
    assert_eq!(count_of(&at_once.expect("it rests on nothing that is on its way")), 2);
    assert_eq!(stepper.replayed().digest(), stepper.digest());
}

#[test]
fn after_a_failure_nothing_that_waited_is_known_and_the_log_is_right() {
    let mut stepper = Stepper::new();
    assert!(stepper.add().is_none());
    let (Step::Append { number }, batch) = stepper.step() else { panic!("there is a batch") };
    stepper.append(number, batch);
    assert!(stepper.add().is_none());
    let (Step::Append { .. }, _lost) = stepper.step() else { panic!("there is a batch") };
    assert!(stepper.add().is_none());
    let mut outbox = Outbox::default();
    stepper.machine.failed(&mut outbox);
    outbox.deliver(None);
    let replies = stepper.port.take();
    assert_eq!(replies.len(), 2);
    assert!(replies.iter().all(|(_, reply)| matches!(reply, Err(Failure::LogUnavailable))));
    assert!(matches!(stepper.add(), Some(Err(Failure::LogUnavailable))));
    assert!(matches!(stepper.step().0, Step::Wait { .. }));
    let time = stepper.log.iter().map(|(_, time)| *time).max().expect("there are batches");
    stepper.machine.reopened(Leader::new(stepper.replayed(), time, SHAPE, 0, IDENTITY), stepper.reading);
    stepper.machine.set_capacity(capacity(1 << 30, 1));
    assert!(stepper.add().is_none());
    let (Step::Append { number: 1 }, batch) = stepper.step() else { panic!("batches count anew") };
    assert_eq!(count_of(&stepper.append(1, batch)[0]), 2, "what was lost did not happen");
    assert_eq!(stepper.machine.tally().reopened_count, 1);
}

#[test]
fn a_challenge_is_used_once_also_when_the_log_is_opened_again() {
    let mut stepper = Stepper::new();
    stepper.put("s", 0, None);
    let gate = GateChange { challenge: Some(ChallengeTerms::Image), ..GateChange::default() };
    let change = Box::new(TermsChange { gate, ..TermsChange::default() });
    let sale = Name::from("s");
    drop(stepper.call(Call::ChangeSale { sale, change, only_if: Precondition::None }));
    stepper.write_all();
    let solved = |number| ChallengeCall::Answered { number, kind: ChallengeKind::Image, is_solved: true };
    let wrong = |number| ChallengeCall::Answered { number, kind: ChallengeKind::Image, is_solved: false };
    let refusal = |reply: Option<Reply>| match reply {
        Some(Err(Failure::Refused { refusal, .. })) => refusal,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        refusal(stepper.reserve("s", 1)),
        Refusal::ChallengeRequired { challenge: ChallengeTerms::Image }
    );
    assert!(stepper.reserve_with("s", 1, solved(7)).is_none(), "it waits for the log");
    stepper.write_all();
    assert_eq!(refusal(stepper.reserve_with("s", 2, solved(7))), Refusal::ChallengeFailed);
    assert_eq!(refusal(stepper.reserve_with("s", 1, wrong(8))), Refusal::ChallengeFailed);
    assert_eq!(refusal(stepper.reserve_with("s", 1, solved(8))), Refusal::ChallengeFailed);
    let verify = |challenge| Call::VerifyChallenge { sale: Name::from("s"), challenge };
    let verified = stepper.call(verify(solved(9)));
    assert!(matches!(verified, Some(Ok(Outcome::ChallengeVerified))), "{verified:?}");
    for challenge in [solved(9), wrong(11), solved(11), ChallengeCall::Unreadable, ChallengeCall::Missing] {
        assert_eq!(refusal(stepper.call(verify(challenge))), Refusal::ChallengeFailed, "{challenge:?}");
    }
    stepper.machine.failed(&mut Outbox::default());
    let time = stepper.log.iter().map(|(_, time)| *time).max().expect("there are batches");
    stepper.machine.reopened(Leader::new(stepper.replayed(), time, SHAPE, 0, IDENTITY), stepper.reading);
    stepper.machine.set_capacity(capacity(1 << 30, 1));
    for number in [7, 8, 9, 11] {
        assert_eq!(refusal(stepper.reserve_with("s", 3, solved(number))), Refusal::ChallengeFailed);
    }
    assert!(stepper.reserve_with("s", 3, solved(10)).is_none());
}

#[test]
fn holds_expire_when_nobody_calls() {
    let mut stepper = Stepper::new();
    stepper.put("s", 300, None);
    assert!(stepper.reserve("s", 1).is_none());
    stepper.write_all();
    stepper.pass(MARK_DELAY);
    stepper.write_all();
    let (Step::Wait { at_most }, _) = stepper.step() else { panic!("nothing to write") };
    assert_eq!(at_most, Duration::from_millis(300).saturating_sub(MARK_DELAY), "until the hold is over");
    assert!(stepper.view().is_current(stepper.reading));
    stepper.reading.wall += at_most;
    stepper.reading.steady += at_most;
    assert!(!stepper.view().is_current(stepper.reading), "the view shows a hold that is over");
    stepper.machine.advance(stepper.reading);
    assert!(matches!(stepper.write_all(), Step::Wait { .. }));
    assert!(stepper.view().is_current(stepper.reading));
    assert_eq!(stepper.view().sale("s", 0).expect("it is there").stocks[0].quantity_held, 0);
    assert_eq!(stepper.replayed().digest(), stepper.digest());
}

#[test]
fn a_quiet_log_is_marked_once_and_a_time_that_was_told_is_written_down() {
    let mut stepper = Stepper::new();
    stepper.add();
    let (Step::Append { number }, batch) = stepper.step() else { panic!("there is a batch") };
    stepper.append(number, batch);
    assert_eq!(stepper.step().0, Step::Wait { at_most: MARK_DELAY });
    stepper.pass(MARK_DELAY);
    let (Step::Mark { number, time }, _) = stepper.step() else { panic!("the batch was not marked") };
    assert_eq!(time, stepper.reading.wall_ms());
    stepper.marked(number, time);
    assert_eq!(stepper.step().0, Step::Wait { at_most: IDLE_INTERVAL });
    stepper.pass(Duration::from_mins(1));
    assert_eq!(stepper.step().0, Step::Wait { at_most: IDLE_INTERVAL }, "nobody was told anything");
    assert!(stepper.call(Call::ReadCounter { counter: Name::from("c") }).is_some());
    assert_eq!(stepper.step().0, Step::Wait { at_most: IDLE_INTERVAL });
    stepper.pass(TIME_MARK_DELAY);
    assert!(matches!(stepper.step().0, Step::Mark { time, .. } if time == stepper.reading.wall_ms()));
}

#[test]
fn in_a_rush_a_batch_waits_for_half_of_those_who_lately_waited() {
    let mut stepper = Stepper::new();
    for _ in 0..40 {
        stepper.add();
    }
    let (Step::Append { number }, batch) = stepper.step() else { panic!("there is a batch") };
    assert_eq!(stepper.append(number, batch).len(), 40);
    for _ in 0..19 {
        stepper.add();
    }
    assert_eq!(stepper.step().0, Step::Wait { at_most: GATHER_DELAY });
    assert!(!stepper.machine.wants_writer(), "too few");
    stepper.add();
    assert!(stepper.machine.wants_writer());
    assert!(!stepper.machine.wants_writer(), "only one wakes it");
    let (Step::Append { number }, batch) = stepper.step() else { panic!("the writer was woken") };
    assert_eq!(stepper.append(number, batch).len(), 20);
    // It waits once for each batch, however few come.
    stepper.add();
    assert_eq!(stepper.step().0, Step::Wait { at_most: GATHER_DELAY });
    assert!(matches!(stepper.step().0, Step::Append { .. }));
}

#[test]
fn in_a_rush_the_batch_behind_one_that_is_outstanding_waits_as_well() {
    let mut stepper = Stepper::new();
    for _ in 0..40 {
        stepper.add();
    }
    let (Step::Append { number }, batch) = stepper.step() else { panic!("there is a batch") };
    assert_eq!(stepper.append(number, batch).len(), 40);
    stepper.machine.set_capacity(capacity(1 << 30, 2));
    for _ in 0..20 {
        stepper.add();
    }
    let (Step::Append { number: first }, first_batch) = stepper.step() else { panic!("it is half") };
    stepper.add();
    assert_eq!(stepper.step().0, Step::Wait { at_most: GATHER_DELAY }, "more may come, as after any batch");
    let (Step::Append { number: second }, second_batch) = stepper.step() else { panic!("it waited") };
    stepper.add();
    assert_eq!(stepper.step().0, Step::Wait { at_most: ASK_INTERVAL }, "the log takes no more");
    assert!(!stepper.machine.wants_writer(), "the log wakes it");
    assert_eq!(stepper.append(first, first_batch).len(), 20);
    assert_eq!(stepper.append(second, second_batch).len(), 1);
    assert!(matches!(stepper.write_all(), Step::Wait { .. }));
    assert_eq!(stepper.replayed().digest(), stepper.digest());
}

#[test]
fn a_writer_that_waits_is_wanted_for_the_first_batch() {
    let mut stepper = Stepper::new();
    assert!(matches!(stepper.step().0, Step::Wait { .. }));
    assert!(!stepper.machine.wants_writer(), "there is nothing to write");
    stepper.add();
    assert!(stepper.machine.wants_writer());
}

#[test]
fn a_log_without_room_refuses_what_it_could_not_take_and_still_answers_reads() {
    let mut stepper = Stepper::new();
    stepper.add();
    stepper.write_all();
    stepper.machine.set_capacity(capacity(RECORD_BYTES_MAX - 1, 1));
    assert!(matches!(stepper.add(), Some(Err(Failure::LogUnavailable))));
    assert!(!stepper.machine.has_room());
    let read = stepper.call(Call::ReadCounter { counter: Name::from("c") });
    assert_eq!(count_of(&read.expect("it rests on nothing")), 1);
    let growing = Capacity { is_growing: true, ..capacity(RECORD_BYTES_MAX - 1, 1) };
    stepper.machine.set_capacity(growing);
    assert!(stepper.machine.is_full(), "calls wait in the mailbox for the room that is coming");
    assert!(matches!(stepper.step(), (Step::Wait { .. }, _)));
    assert!(
        stepper.machine.wants_writer(),
        "whoever has a call for which there is no room yet wakes the writer"
    );
    assert!(matches!(stepper.step(), (Step::Wait { .. }, _)));
    stepper.machine.set_capacity(growing);
    assert!(!stepper.machine.wants_writer(), "which does not wake itself when it looks for room");
    assert!(stepper.machine.has_room());
}

#[test]
fn it_finishes_when_everything_is_written_and_refuses_what_comes_later() {
    let mut stepper = Stepper::new();
    stepper.add();
    stepper.machine.stop();
    let (Step::Append { number }, batch) = stepper.step() else { panic!("there is a batch") };
    assert_eq!(stepper.append(number, batch).len(), 1);
    let mut batch = ClosedBatch::default();
    assert!(
        matches!(stepper.machine.next_step(&mut batch, true), Step::Wait { .. }),
        "mail is decided first"
    );
    assert_eq!(stepper.machine.next_step(&mut batch, false), Step::Finish);
    assert!(matches!(stepper.add(), Some(Err(Failure::Draining))));
}

#[test]
fn each_batch_changes_the_view_as_it_changes_the_state() {
    let mut stepper = Stepper::new();
    let sales = ["a", "b", "c", "d", "e"];
    let mut chance = 1_u32;
    for round in 0..400_u32 {
        for _ in 0..6 {
            chance = chance.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let sale = sales[(chance >> 16) as usize % sales.len()];
            match (chance >> 24) % 8 {
                0 => stepper.put(sale, 50 * (chance >> 28), (chance >> 20).is_multiple_of(3).then_some(5)),
                1 => drop(
                    stepper.call(Call::ArchiveSale { sale: Name::from(sale), only_if: Precondition::None }),
                ),
                2 => drop(stepper.add()),
                _ => drop(stepper.reserve(sale, round)),
            }
        }
        stepper.write_all();
        stepper.check_view();
        assert_eq!(stepper.replayed().digest(), stepper.digest());
        stepper.pass(Duration::from_millis(u64::from(chance >> 26)));
        stepper.write_all();
        stepper.check_view();
    }
    assert!(stepper.log.len() > 400 && stepper.state().sale_count() > 0, "something happened");
}

#[test]
fn what_a_gate_in_shadow_mode_would_refuse_is_counted_and_done() {
    let mut stepper = Stepper::new();
    stepper.put("s", 0, None);
    stepper.write_all();
    let gate = GateChange {
        session: Some(SessionTerms::Required),
        mode: Some(GateMode::Shadow),
        ..GateChange::default()
    };
    let change = Box::new(TermsChange { gate, ..TermsChange::default() });
    let only_if = Precondition::None;
    drop(stepper.call(Call::ChangeSale { sale: Name::from("s"), change, only_if }));
    drop(stepper.reserve("s", 1));
    drop(stepper.add());
    stepper.write_all();
    let replies = stepper.port.take();
    assert!(replies.iter().all(|(_, reply)| reply.is_ok()), "{replies:?}");
    let tally = stepper.machine.tally();
    assert_eq!(tally.shadow_refusals[RefusalCode::SessionRequired as usize], 1);
    assert_eq!(tally.shadow_refusals.iter().sum::<u64>(), 1);
    assert_eq!(tally.refusals.iter().sum::<u64>(), 0);
}
