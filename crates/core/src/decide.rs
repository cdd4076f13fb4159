//! What may happen: from a state, a command and a time to an event or a refusal.

mod accounts;
mod denials;
mod explain;
mod gate;
mod replay;
mod reservations;
mod rows;
mod sales;

pub use denials::decide_denial_expiry;
pub use explain::{SaleCheck, Verdict, explain};
pub use gate::{shadow_refusal, verifies_challenge};
pub use sales::{HoldEnd, change_terms, decide_hold_end};

use crate::{
    ADD_MAX, Ceiling, Command, Event, Incarnation, InvalidTerms, Now, Refusal, ReservationNo, ReservationRef,
    ReservationStatus, State, TimeMs, WindowShape, is_name, is_new_name, state::Sale,
};

/// The outcome of a command that was not refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision<'a> {
    /// What to record and apply; absent if the state already is as asked.
    pub event: Option<Event<'a>>,
    /// What to tell the asker once the event is durable.
    pub answer: Answer,
}

/// What the asker is told.
#[expect(missing_docs, reason = "the doc of a variant speaks of its fields")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The partition was created.
    PartitionCreated,
    /// What is decided from now on is of the incarnation.
    IncarnationBegun,
    /// The counter's total, this addition included.
    Counter { value: u64 },
    /// The window's count, this request included.
    Window { count: u64, shape: WindowShape },
    /// The window has the shape.
    WindowPut { created: bool, shape: WindowShape },
    /// The sale has the terms.
    SalePut { created: bool },
    /// The sale is gone.
    SaleArchived,
    /// The claim was made, now or, if `replayed`, by an earlier command with this key; `status` and `expires_at` (only while it
    /// is held) say where it stands now.
    Reserved {
        reservation: ReservationRef,
        status: ReservationStatus,
        created_at: TimeMs,
        expires_at: Option<TimeMs>,
        replayed: bool,
    },
    /// The reservation is confirmed.
    Confirmed { reservation: ReservationRef },
    /// The reservation is released.
    Released { reservation: ReservationRef },
    /// The denial is on the list; `created` if there was none that was not over.
    Denied { created: bool },
    /// The denial is off the list.
    Undenied,
    /// The customer has an account.
    AccountCreated,
    /// The rows are in the collection, whose version is this now.
    RowsPut { version: u64 },
    /// The row is out of the collection, whose version is this now.
    RowDeleted { version: u64 },
}

/// Decides about a command at `now`. Nothing changes until the event is applied, at the partition's time of the same `now`.
///
/// # Errors
/// The first rule that the command breaks. A reservation is checked in this order: the sale exists; its session; replay of
/// a known key; open and not closed; cool-down and unpaid holds; challenge; customer, lines and details valid; customer limit; stock; ceilings.
pub fn decide<'a>(state: &State, command: &Command<'a>, now: Now) -> Result<Decision<'a>, Refusal> {
    let now = Now { partition: state.clamp(now.partition), ..now };
    match *command {
        Command::CreatePartition { id_key } => match state.id_key {
            None => Ok(Decision::new(Event::PartitionCreated { id_key }, Answer::PartitionCreated)),
            Some(_) => Err(Refusal::PartitionExists),
        },
        Command::BeginIncarnation { incarnation } => Ok(decide_incarnation(state, incarnation)),
        Command::AddToCounter { counter, by } => decide_add(state, counter, by),
        Command::HitWindow { window, default_shape } => {
            decide_hit(state, window, default_shape, now.partition)
        }
        Command::PutWindow { window, shape } => decide_put_window(state, window, shape),
        Command::PutSale { sale, terms, left_out, only_if } => {
            sales::decide_put(state, sale, terms, left_out, only_if)
        }
        Command::ArchiveSale { sale, only_if } => sales::decide_archive(state, sale, only_if, now.wall),
        Command::Reserve(ref claim) => reservations::decide_reserve(state, claim, now),
        Command::Confirm { sale, reservation, asker } => {
            reservations::decide_confirm(state, sale, reservation, asker, now.partition)
        }
        Command::Reclaim { sale, reservation } => {
            reservations::decide_reclaim(state, sale, reservation, now.partition)
        }
        Command::Release { sale, reservation, asker } => {
            reservations::decide_release(state, sale, reservation, asker, now.partition)
        }
        Command::Deny { kind, value, reason, expires_at } => {
            denials::decide_deny(state, kind, value, reason, expires_at, now.wall)
        }
        Command::CreateAccount { customer, password } => accounts::decide_create(state, customer, password),
        Command::PutRows { collection, rows } => rows::decide_put(state, collection, rows),
        Command::DeleteRow { collection, key } => rows::decide_delete(state, collection, key),
        Command::Undeny { kind, value } => denials::decide_undeny(state, kind, value, now.wall),
    }
}

/// The hold that has been over for longest at `now`, to be recorded and applied before anything else is decided at that
/// time; `None` once no hold is over.
pub fn decide_expiry(state: &State, now: TimeMs) -> Option<Event<'static>> {
    let expiry = state.expiries.first().filter(|expiry| expiry.at <= state.clamp(now))?;
    Some(Event::Expired { reservation: ReservationNo { sale: expiry.sale, seq: expiry.seq } })
}

impl<'a> Decision<'a> {
    fn new(event: Event<'a>, answer: Answer) -> Self {
        Self { event: Some(event), answer }
    }

    /// The state already is as asked.
    fn nothing_new(answer: Answer) -> Self {
        Self { event: None, answer }
    }
}

fn decide_incarnation(state: &State, incarnation: Incarnation) -> Decision<'static> {
    if incarnation == state.incarnation {
        return Decision::nothing_new(Answer::IncarnationBegun);
    }
    Decision::new(Event::IncarnationBegun { incarnation }, Answer::IncarnationBegun)
}

fn decide_add<'a>(state: &State, counter: &'a str, by: u32) -> Result<Decision<'a>, Refusal> {
    if !(1..=ADD_MAX).contains(&by) {
        return Err(Refusal::Invalid { field: "by", rule: "must be 1 to 1000000" });
    }
    let by = u64::from(by);
    let value = if let Some(value) = state.counter(counter) {
        value.checked_add(by).ok_or(Refusal::CeilingReached(Ceiling::CounterValue))?
    } else {
        check_new_name("counter", counter)?;
        check_ceiling(state.counter_count() < state.limits.counters_max, Ceiling::Counters)?;
        check_memory(state)?;
        by
    };
    Ok(Decision::new(Event::CounterAdded { counter, by, value }, Answer::Counter { value }))
}

fn decide_hit<'a>(
    state: &State,
    window: &'a str,
    default: WindowShape,
    now: TimeMs,
) -> Result<Decision<'a>, Refusal> {
    let Some(found) = state.windows.get(&state.hash, window) else {
        return decide_put_window(state, window, default);
    };
    let shape = found.shape;
    let pane = shape.pane(now);
    if found.grows_at(pane) {
        check_memory(state)?;
    }
    let event = Event::WindowHit { window, pane, by: 1 };
    Ok(Decision::new(event, Answer::Window { count: found.count(now) + 1, shape }))
}

fn decide_put_window<'a>(
    state: &State,
    window: &'a str,
    shape: WindowShape,
) -> Result<Decision<'a>, Refusal> {
    let found = state.windows.get(&state.hash, window);
    if found.is_none() {
        check_new_name("window", window)?;
    }
    shape.check()?;
    let answer = Answer::WindowPut { created: found.is_none(), shape };
    match found {
        Some(found) if found.shape == shape => return Ok(Decision::nothing_new(answer)),
        Some(_) => {}
        None => {
            check_ceiling(state.window_count() < state.limits.windows_max, Ceiling::Windows)?;
            check_memory(state)?;
        }
    }
    Ok(Decision::new(Event::WindowPut { window, shape }, answer))
}

fn find_sale<'s>(state: &'s State, name: &str) -> Result<&'s Sale, Refusal> {
    match state.sales.find(&state.hash, name) {
        Some(sale) => Ok(sale),
        None => check_name("sale", name).and(Err(Refusal::SaleNotFound)),
    }
}

fn check_name(field: &'static str, name: &str) -> Result<(), Refusal> {
    if is_name(name) { Ok(()) } else { Err(Refusal::InvalidName { field }) }
}

fn check_new_name(field: &'static str, name: &str) -> Result<(), Refusal> {
    if is_new_name(name) { Ok(()) } else { Err(Refusal::InvalidName { field }) }
}

fn check_ceiling(has_room: bool, ceiling: Ceiling) -> Result<(), Refusal> {
    if has_room { Ok(()) } else { Err(Refusal::CeilingReached(ceiling)) }
}

/// Whether the state may take more memory.
fn check_memory(state: &State) -> Result<(), Refusal> {
    let has_room = (state.memory_bytes() as u64) < state.limits.state_bytes_max;
    check_ceiling(has_room, Ceiling::StateBytes)
}

impl From<InvalidTerms> for Refusal {
    fn from(terms: InvalidTerms) -> Self {
        Self::InvalidTerms(Box::new(terms))
    }
}
