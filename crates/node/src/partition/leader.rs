//! The one that decides. It owns the state of a partition and knows no thread, file or clock: it is told the time,
//! handed calls, and asked for the batch that its answers rest on.

mod claims;
mod rows;

use std::collections::BTreeSet;
use std::sync::Arc;

use onrush_core::{
    Answer, Command, Denial, DenialKind, Event, HOLD_SEARCH_MAX, Incarnation, Now, PasswordHash,
    Precondition, Refusal, RefusalCode, SaleNo, SaleTerms, State, TermsField, TimeMs, WindowShape,
    change_terms, decide, decide_denial_expiry, decide_expiry, decide_hold_end, explain, row_line_bytes,
    shadow_refusal,
};

use super::batch::{ClosedBatch, OpenBatch};
use super::identity::Identity;
use super::shown_denylist::DenialChange;
use super::used_challenges::UsedChallenges;
use super::views::{Counts, ViewChange};
use crate::limits::{
    DENIALS_FORGOTTEN_PER_TURN_MAX, EXPIRIES_PER_TURN_MAX, HOLDS_ENDED_PER_CALL_MAX, OPEN_BATCH_BYTES_MAX,
    RECORD_BYTES_MAX, STOCK_BYTES_MAX,
};
use crate::{Asker, Call, Failure, Outcome, Reply, ReservationIds, StoredPassword};

/// Decides for one partition.
pub(crate) struct Leader {
    state: State,
    ids: ReservationIds,
    default_shape: WindowShape,
    now: Now,
    batch: OpenBatch,
    /// To be begun before the next event.
    next_incarnation: Option<Incarnation>,
    /// Holds are due that this turn did not get to; nothing else is decided before them.
    expiries_left: bool,
    /// Sales that the open batch changed, some of them more than once.
    changed_sales: Vec<SaleNo>,
    /// Names of sales that it archived.
    archived_sales: Vec<Arc<str>>,
    /// Denials that it changed, by kind and value.
    changed_denials: Vec<(DenialKind, Box<str>)>,
    /// Names of collections of the catalogue that it changed.
    changed_collections: BTreeSet<Box<str>>,
    /// What the gate of a sale in shadow mode would have refused the last call for.
    shadow_refusal: Option<RefusalCode>,
}

impl Leader {
    /// Takes up a state. A partition that was never created is, under the secret of `identity`. Where it was created by
    /// another process, the first event begins the incarnation of this one.
    pub(crate) fn new(
        state: State,
        time: TimeMs,
        default_shape: WindowShape,
        partition: u16,
        identity: Identity,
    ) -> Self {
        let now = Now::both(time.max(state.time()));
        let id_key = state.id_key().unwrap_or(identity.id_key);
        let ids = ReservationIds::new(partition, id_key);
        let is_founder = id_key == identity.id_key;
        let has_begun = is_founder || state.incarnation() == identity.incarnation;
        let mut leader = Self {
            state,
            ids,
            default_shape,
            now,
            batch: OpenBatch::default(),
            next_incarnation: (!has_begun).then_some(identity.incarnation),
            expiries_left: false,
            changed_sales: Vec::new(),
            archived_sales: Vec::new(),
            changed_denials: Vec::new(),
            changed_collections: BTreeSet::new(),
            shadow_refusal: None,
        };
        if leader.state.id_key().is_none() {
            let created = leader.decide_and_apply(&Command::CreatePartition { id_key });
            assert!(created.is_ok(), "a partition without a secret can be created");
        }
        leader
    }

    pub(crate) fn state(&self) -> &State {
        &self.state
    }

    /// What the gate of a sale in shadow mode would have refused the last call for.
    pub(crate) fn take_shadow_refusal(&mut self) -> Option<RefusalCode> {
        self.shadow_refusal.take()
    }

    pub(crate) fn ids(&self) -> &ReservationIds {
        &self.ids
    }

    /// The partition's time: the latest that it was ever told.
    pub(crate) fn time(&self) -> TimeMs {
        self.now.partition
    }

    /// Starts a turn at `now`: holds that are due expire first, so that no unit counts as free before
    /// the log says so. Those that the batch or the log has no room for stay held, and nothing is sold meanwhile.
    pub(crate) fn begin_turn(&mut self, now: Now, room_bytes: usize) {
        self.now = Now { partition: self.now.partition.max(now.partition), ..now };
        self.expiries_left = false;
        self.expire_holds(room_bytes);
        if !self.expiries_left {
            self.forget_denials(room_bytes);
        }
    }

    fn expire_holds(&mut self, room_bytes: usize) {
        for count in 0.. {
            if self.state.next_expiry().is_none_or(|due| due > self.time()) {
                return;
            }
            if count == EXPIRIES_PER_TURN_MAX || self.batch.bytes() >= OPEN_BATCH_BYTES_MAX {
                self.expiries_left = true;
                return;
            }
            if self.batch.bytes() + RECORD_BYTES_MAX > room_bytes {
                return;
            }
            let Some(event) = decide_expiry(&self.state, self.time()) else { return };
            self.begin_incarnation();
            self.apply_and_record(&event);
        }
    }

    /// Forgets denials that are over. Nothing waits for that: they deny nobody any more.
    fn forget_denials(&mut self, room_bytes: usize) {
        for _ in 0..DENIALS_FORGOTTEN_PER_TURN_MAX {
            if self.batch.bytes() + RECORD_BYTES_MAX > room_bytes.min(OPEN_BATCH_BYTES_MAX) {
                return;
            }
            let Some(denial) = decide_denial_expiry(&self.state, self.now) else { return };
            self.begin_incarnation();
            self.apply_and_record(&denial.expired());
        }
    }

    /// What is decided from now on is told apart from what an older copy of the log, or a younger one, comes to. Costs an
    /// event, so it waits until there is another.
    fn begin_incarnation(&mut self) {
        if let Some(incarnation) = self.next_incarnation.take() {
            self.apply_and_record(&Event::IncarnationBegun { incarnation });
        }
    }

    /// When the next hold expires.
    pub(crate) fn next_expiry(&self) -> Option<TimeMs> {
        self.state.next_expiry()
    }

    /// Whether the open batch has to go to the log before more is decided: it is large, or half of the room that the
    /// log has for it is taken, or not all due holds have expired yet.
    pub(crate) fn is_full(&self, room_bytes: usize) -> bool {
        let most = OPEN_BATCH_BYTES_MAX.min(room_bytes / 2);
        self.expiries_left || (self.has_batch() && self.batch.bytes() >= most)
    }

    /// Bytes that the open batch takes in the log at most.
    pub(crate) fn batch_bytes(&self) -> usize {
        self.batch.bytes()
    }

    pub(crate) fn has_batch(&self) -> bool {
        !self.batch.is_empty()
    }

    /// Closes the open batch into `recycled`; whether there was one.
    pub(crate) fn close_batch(&mut self, recycled: &mut ClosedBatch) -> bool {
        if !self.has_batch() {
            return false;
        }
        if self.batch.has_merged() {
            // Merged records are dated when the batch closes, so that is when a replay will have applied them.
            self.state.advance_time(self.time());
        }
        self.batch.close_into(recycled, self.time());
        self.describe_change(&mut recycled.view_change);
        true
    }

    /// Decides or reads. `room_bytes` is what the log is certain to take for the open batch; a call that could need
    /// more is not decided.
    pub(crate) fn run(&mut self, call: Call, room_bytes: usize, used: &mut UsedChallenges) -> Reply {
        if let Some(bytes) = record_bytes_max(&call)
            && self.batch.bytes() + bytes > room_bytes
        {
            return Err(Failure::LogUnavailable);
        }
        match call {
            Call::AddToCounter { counter, by } => {
                self.answer(&Command::AddToCounter { counter: &counter, by })
            }
            Call::HitWindow { window } => self.hit_window(&window),
            Call::PutWindow { window, shape } => self.answer(&Command::PutWindow { window: &window, shape }),
            Call::PutSale { sale, terms, left_out, only_if } => {
                self.put_sale(&sale, &terms, &left_out, &only_if)
            }
            // A change becomes the terms that it makes, which is what goes to the log.
            Call::ChangeSale { sale, change, only_if } => {
                let terms = change_terms(&self.state, &sale, &change, &only_if).map_err(refused)?;
                let (terms, only_if) = (Box::new(terms), Precondition::None);
                self.run(Call::PutSale { sale, terms, left_out: Vec::new(), only_if }, room_bytes, used)
            }
            Call::EndHolds { sale, only_if, from } => self.end_holds(&sale, &only_if, from),
            Call::ArchiveSale { sale, only_if } => {
                self.answer(&Command::ArchiveSale { sale: &sale, only_if: &only_if })
            }
            Call::Reserve(call) => self.reserve(call, used),
            Call::VerifyChallenge { sale, challenge } => self.verify_challenge(&sale, challenge, used),
            Call::Confirm { sale, reservation, asker } => self.confirm(&sale, reservation, &asker),
            Call::Reclaim { sale, reservation } => self.reclaim(&sale, reservation),
            Call::Release { sale, reservation, asker } => {
                let release = Command::Release { sale: &sale, reservation, asker: asker.as_core() };
                self.decide_and_apply(&release).map_err(refused)?;
                self.reservation(&sale, reservation)
            }
            Call::ReadCounter { counter } => {
                let value = self.state.counter(&counter).ok_or(refused(Refusal::CounterNotFound))?;
                Ok(Outcome::Counter { value })
            }
            Call::ReadWindow { window } => {
                let view = self.state.window(&window, self.time()).ok_or(refused(Refusal::WindowNotFound))?;
                Ok(Outcome::Window { count: view.count, shape: view.shape })
            }
            Call::ReadSale { sale } => Ok(Outcome::Sale(self.sale(&sale)?)),
            Call::ListSales { after, count_max } => {
                Ok(Outcome::Sales(self.state.sales_after(after.as_deref(), count_max.into(), self.now.wall)))
            }
            Call::Deny(denial) => self.deny(&denial),
            Call::CreateAccount { customer, password } => self.create_account(&customer, &password),
            Call::PutRows { collection, rows } => self.put_rows(&collection, &rows),
            Call::DeleteRow { collection, key } => self.delete_row(&collection, &key),
            Call::ReadAccount { customer } => Ok(self.account(&customer)),
            Call::CheckLead => Ok(Outcome::Leads),
            Call::Undeny { kind, value } => self.answer(&Command::Undeny { kind, value: &value }),
            Call::ReadDenial { kind, value } => self.denial(kind, &value).map(Outcome::Denial),
            Call::ListDenials { after, count_max } => {
                let after = after.as_ref().map(|(kind, value)| (*kind, value.as_str()));
                Ok(Outcome::Denials(self.state.denials_after(after, count_max.into(), self.now.wall)))
            }
            Call::ReadReservation { sale, reservation, asker } => {
                self.read_reservation(&sale, reservation, &asker)
            }
            Call::ReadCustomer { sale, customer, asker } => {
                self.state.check_reader(&sale, &customer, asker.as_core()).map_err(refused)?;
                let found = self.state.reservations_of(&sale, &customer);
                Ok(Outcome::Reservations(found.ok_or(refused(Refusal::SaleNotFound))?))
            }
            Call::Explain { sale, customer } => self.explain(&sale, customer.as_deref()),
            Call::ListReservations { sale, before, count_max } => {
                let found = self.state.reservations_before(&sale, before, count_max.into());
                Ok(Outcome::Reservations(found.ok_or(refused(Refusal::SaleNotFound))?))
            }
        }
    }

    fn put_sale(
        &mut self,
        sale: &str,
        terms: &SaleTerms,
        left_out: &[TermsField],
        only_if: &Precondition,
    ) -> Reply {
        match self.decide_and_apply(&Command::PutSale { sale, terms, left_out, only_if }) {
            Ok(Answer::SalePut { created }) => Ok(Outcome::SalePut { created, sale: self.sale(sale)? }),
            other => unexpected(other),
        }
    }

    /// Looks through so many reservations, and ends so many holds, as do not keep other calls waiting.
    fn end_holds(&mut self, sale: &str, only_if: &Precondition, from: u32) -> Reply {
        let (mut next, until) = (Some(from), from.saturating_add(HOLD_SEARCH_MAX));
        for _ in 0..HOLDS_ENDED_PER_CALL_MAX {
            let Some(from) = next.filter(|next| *next < until) else { break };
            let end = decide_hold_end(&self.state, sale, only_if, from, self.now).map_err(refused)?;
            if let Some(event) = &end.event {
                self.begin_incarnation();
                self.apply_and_record(event);
            }
            next = end.next;
        }
        Ok(Outcome::HoldsEnded { next })
    }

    fn hit_window(&mut self, window: &str) -> Reply {
        let hit = Command::HitWindow { window, default_shape: self.default_shape };
        match self.decide_and_apply(&hit) {
            // Creating it is an event of its own.
            Ok(Answer::WindowPut { .. }) => self.answer(&hit),
            other => to_reply(other),
        }
    }

    fn create_account(&mut self, customer: &str, password: &StoredPassword) -> Reply {
        self.answer(&Command::CreateAccount { customer, password: PasswordHash(&password.0) })
    }

    fn account(&self, customer: &str) -> Outcome {
        let password = self.state.account(customer);
        Outcome::Account(password.map(|password| StoredPassword(password.0.into())))
    }

    fn deny(&mut self, denial: &Denial) -> Reply {
        let Denial { kind, value, reason, expires_at } = denial;
        let deny = Command::Deny { kind: *kind, value, reason, expires_at: *expires_at };
        match self.decide_and_apply(&deny) {
            Ok(Answer::Denied { created }) => {
                Ok(Outcome::DenialPut { created, denial: self.denial(*kind, value)? })
            }
            other => unexpected(other),
        }
    }

    fn denial(&self, kind: DenialKind, value: &str) -> Result<Arc<Denial>, Failure> {
        self.state.denial(kind, value, self.now.wall).cloned().ok_or(refused(Refusal::DenialNotFound))
    }

    fn explain(&self, sale: &str, customer: Option<&str>) -> Reply {
        explain(&self.state, sale, customer, self.now).map(Outcome::Explanation).map_err(refused)
    }

    fn answer(&mut self, command: &Command<'_>) -> Reply {
        to_reply(self.decide_and_apply(command))
    }

    fn decide_and_apply(&mut self, command: &Command<'_>) -> Result<Answer, Refusal> {
        if self.state.has_shadow_sales() {
            self.shadow_refusal = shadow_refusal(&self.state, command, self.now);
        }
        let mut decision = decide(&self.state, command, self.now)?;
        if decision.event.is_some() && self.next_incarnation.is_some() {
            self.begin_incarnation();
            decision = decide(&self.state, command, self.now)?;
        }
        if let Some(event) = &decision.event {
            self.apply_and_record(event);
        }
        Ok(decision.answer)
    }

    fn apply_and_record(&mut self, event: &Event<'_>) {
        self.note_change(event);
        self.state.apply(event, self.time());
        self.batch.record(event, self.time());
    }

    /// Remembers which sale or denial an event changes; before it is applied.
    fn note_change(&mut self, event: &Event<'_>) {
        let sale = match *event {
            Event::SaleArchived { sale_no } => {
                return self.archived_sales.extend(self.state.sale_name(sale_no));
            }
            Event::SalePut { sale_no, .. } => sale_no,
            Event::Reserved { reservation, .. }
            | Event::Confirmed { reservation }
            | Event::Reclaimed { reservation, .. }
            | Event::Released { reservation }
            | Event::Expired { reservation } => reservation.sale,
            Event::Denied { kind, value, .. }
            | Event::Undenied { kind, value }
            | Event::DenialExpired { kind, value } => {
                return self.changed_denials.push((kind, value.into()));
            }
            Event::RowsPut { collection, .. } | Event::RowDeleted { collection, .. } => {
                return self.note_collection(collection);
            }
            Event::PartitionCreated { .. }
            | Event::IncarnationBegun { .. }
            | Event::CounterAdded { .. }
            | Event::WindowPut { .. }
            | Event::WindowHit { .. }
            | Event::AccountCreated { .. } => return,
        };
        if self.changed_sales.last() != Some(&sale) {
            self.changed_sales.push(sale);
        }
    }

    /// Says what the batch that closes changed.
    fn describe_change(&mut self, change: &mut ViewChange) {
        self.changed_sales.sort_unstable();
        self.changed_sales.dedup();
        let images = self.changed_sales.drain(..).filter_map(|sale| self.state.sale_image(sale));
        change.images.extend(images.map(Arc::new));
        for (kind, value) in self.changed_denials.drain(..) {
            // Whether it is over is for readers to see: at time 0 nothing is.
            let found = self.state.denial(kind, &value, 0).cloned();
            change.denials.push(found.map_or(DenialChange::Gone(kind, value), DenialChange::Put));
        }
        change.collections = self.describe_collections();
        change.archived.append(&mut self.archived_sales);
        change.counts = Counts::of(&self.state);
    }

    fn sale(&self, sale: &str) -> Result<Box<onrush_core::SaleView>, Failure> {
        self.state.sale(sale, self.now.wall).map(Box::new).ok_or(refused(Refusal::SaleNotFound))
    }

    fn read_reservation(&self, sale: &str, reservation: onrush_core::ReservationRef, asker: &Asker) -> Reply {
        let reply = self.reservation(sale, reservation);
        if let Ok(Outcome::Reservation(view)) = &reply {
            self.state.check_reader(sale, &view.customer, asker.as_core()).map_err(refused)?;
        }
        reply
    }

    fn reservation(&self, sale: &str, reservation: onrush_core::ReservationRef) -> Reply {
        let Some(view) = self.state.reservation(sale, reservation) else {
            let refusal =
                if self.state.has_sale(sale) { Refusal::ReservationNotFound } else { Refusal::SaleNotFound };
            return Err(refused(refusal));
        };
        Ok(Outcome::Reservation(Box::new(view)))
    }
}

/// The most bytes that a call can add to a batch; none if it only reads.
fn record_bytes_max(call: &Call) -> Option<usize> {
    match call {
        Call::PutSale { terms, .. } => {
            let stocks: usize =
                terms.stocks.iter().map(|s| s.stock.len() + s.title.len() + STOCK_BYTES_MAX).sum();
            Some(RECORD_BYTES_MAX + terms.title.len() + stocks)
        }
        Call::PutRows { rows, .. } => {
            Some(RECORD_BYTES_MAX + rows.iter().map(|row| row_line_bytes(&row.as_core())).sum::<usize>())
        }
        Call::AddToCounter { .. }
        | Call::HitWindow { .. }
        | Call::PutWindow { .. }
        | Call::EndHolds { .. }
        | Call::ArchiveSale { .. }
        | Call::Reserve(_)
        | Call::Confirm { .. }
        | Call::Reclaim { .. }
        | Call::Release { .. }
        | Call::Deny(_)
        | Call::CreateAccount { .. }
        | Call::DeleteRow { .. }
        | Call::Undeny { .. } => Some(RECORD_BYTES_MAX),
        Call::ChangeSale { .. }
        | Call::VerifyChallenge { .. }
        | Call::ReadCounter { .. }
        | Call::ReadWindow { .. }
        | Call::ReadSale { .. }
        | Call::ListSales { .. }
        | Call::ReadReservation { .. }
        | Call::ReadCustomer { .. }
        | Call::ListReservations { .. }
        | Call::Explain { .. }
        | Call::ReadDenial { .. }
        | Call::ReadAccount { .. }
        | Call::CheckLead
        | Call::ListDenials { .. } => None,
    }
}

fn refused(refusal: Refusal) -> Failure {
    Failure::Refused { refusal, call: None }
}

fn to_reply(answer: Result<Answer, Refusal>) -> Reply {
    match answer.map_err(refused)? {
        Answer::Counter { value } => Ok(Outcome::Counter { value }),
        Answer::Window { count, shape } => Ok(Outcome::Window { count, shape }),
        Answer::WindowPut { created, shape } => Ok(Outcome::WindowPut { created, shape }),
        Answer::SaleArchived => Ok(Outcome::SaleArchived),
        Answer::Undenied => Ok(Outcome::DenialRemoved),
        Answer::AccountCreated => Ok(Outcome::AccountCreated),
        Answer::RowsPut { version } => Ok(Outcome::RowsPut { version }),
        Answer::RowDeleted { version } => Ok(Outcome::RowDeleted { version }),
        other => unexpected(Ok(other)),
    }
}

fn unexpected(answer: Result<Answer, Refusal>) -> Reply {
    match answer {
        Err(refusal) => Err(refused(refusal)),
        Ok(answer) => unreachable!("the core answered a command with {answer:?}"),
    }
}
