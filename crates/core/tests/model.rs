//! Random commands, clocks that step back, batches and restarts: the state must answer as the naive model does, and be the
//! same whether it lived through them, was replayed from its events, or was restored from its facts.
//!
//! `ONRUSH_SEED` repeats a failure, `ONRUSH_CASES` runs more than the usual number.

mod naive;

use std::{cell::RefCell, collections::BTreeMap, env, fmt::Debug, str::FromStr, sync::Arc};

use naive::{
    Model,
    explained::explained,
    seen::Condition,
    steps::{COLLECTIONS, COUNTERS, CUSTOMERS, DENIED, ROW_KEYS, SALES, Step, WINDOWS, limits, step},
};
use onrush_core::{
    Answer, Command, Decision, DenialKind, Event, Limits, Now, Refusal, ReservationView, RowCollection,
    SaleImage, SaleStatus, SaleView, State, UnitTotals, decide, decide_denial_expiry, decide_expiry,
    decide_hold_end, shadow_refusal, verifies_challenge,
};
use proptest::{
    collection::vec,
    test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner},
};

/// Sequences of commands in an ordinary run.
const CASES: u32 = 512;
/// Every outcome that a sequence can come to.
const KINDS: [&str; 84] = [
    "AccountCreated",
    "Accounts",
    "ChallengeFailed",
    "ChallengeRequired",
    "Confirmed",
    "CoolingDown",
    "Counter",
    "Counters",
    "CustomerExists",
    "CustomerLimitReached",
    "CustomerMismatch",
    "DenialNotFound",
    "Denials",
    "Denied",
    "DetailsBytes",
    "Ended false",
    "Ended true",
    "Explained CoolingDown",
    "Explained CustomerLimitReached",
    "Explained HoldsUnpaid",
    "Explained InsufficientStock",
    "Explained Nothing",
    "Explained SaleClosed",
    "Explained SaleNotOpen",
    "Explained StockClosed",
    "HoldExpired",
    "HoldsPending",
    "HoldsUnpaid",
    "IdempotencyKeyReused",
    "IncarnationBegun",
    "InsufficientStock",
    "InvalidName",
    "InvalidTerms",
    "OperatorOnly",
    "PartitionCreated",
    "PartitionExists",
    "PreconditionFailed",
    "QuantityBelowReserved",
    "Reclaimed",
    "Released",
    "Replayed",
    "ReservationNotFound",
    "ReservationNotHeld",
    "Reservations",
    "Reserved",
    "RowDeleted",
    "RowNotFound",
    "RowsPut",
    "SaleArchived",
    "SaleClosed",
    "SaleNotFound",
    "SaleNotOpen",
    "SaleOpen",
    "SalePut",
    "Sales",
    "SessionExpired",
    "SessionRequired",
    "Shadow ChallengeFailed",
    "Shadow ChallengeRequired",
    "Shadow CoolingDown",
    "Shadow CustomerMismatch",
    "Shadow HoldsUnpaid",
    "Shadow OperatorOnly",
    "Shadow SessionExpired",
    "Shadow SessionRequired",
    "StockClosed",
    "StockInUse",
    "StockNotFound",
    "Stocks",
    "Undenied",
    "Window",
    "WindowPut",
    "Windows",
    "address must be an IP address or a network",
    "by must be 1 to 1000000",
    "expires_at must be later than now, and at most 9999-12-31T23:59:59.999Z",
    "idempotency_key must be 1 to 128 bytes",
    "key must be 1 to 128 printable characters",
    "lines must have 1 to 16 entries",
    "lines must not name a stock twice",
    "password must be a hash of 1 to 128 bytes",
    "quantity must be 1 to 1000",
    "row must be a JSON object of at most 16384 bytes",
    "rows must be 1 to 10000",
];

#[test]
fn the_state_does_as_the_model_does() {
    let seed: u64 = setting("ONRUSH_SEED", 20_261_121);
    let cases: u32 = setting("ONRUSH_CASES", CASES);
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 4_000, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let outcomes = RefCell::new(BTreeMap::new());
    let result = runner.run(&(limits(), vec(step(), 200)), |(limits, steps)| {
        Run::new(limits, &outcomes).steps(&steps);
        Ok(())
    });
    match result {
        Ok(()) => assert_all_were_met(&outcomes.into_inner(), cases),
        Err(TestError::Fail(reason, (limits, steps))) => panic!(
            "{reason}\nlimits: {limits:?}\nsteps: {steps:#?}\n\
             repeat with: ONRUSH_SEED={seed} ONRUSH_CASES={cases} cargo test -p onrush-core --test model"
        ),
        Err(TestError::Abort(reason)) => panic!("{reason}"),
    }
}

/// The state, the model, and the log of the batches so far.
struct Run<'a> {
    limits: Limits,
    state: State,
    model: Model,
    clock: u64,
    /// How far the wall clock is ahead of the partition's.
    wall_ahead: i64,
    log: Vec<(Event<'a>, u64)>,
    batch: Vec<(Event<'a>, u64)>,
    next_seed: u64,
    outcomes: &'a RefCell<BTreeMap<String, u32>>,
}

impl<'a> Run<'a> {
    fn new(limits: Limits, outcomes: &'a RefCell<BTreeMap<String, u32>>) -> Self {
        let state = State::new(limits, 0);
        Self {
            limits,
            state,
            model: Model::default(),
            clock: 1_000,
            wall_ahead: 0,
            log: Vec::new(),
            batch: Vec::new(),
            next_seed: 1,
            outcomes,
        }
    }

    fn steps(mut self, steps: &'a [Step]) {
        for step in steps.iter().chain([&Step::EndBatch, &Step::Replay, &Step::Restore]) {
            match step {
                Step::Clock(by) => self.clock = self.clock.saturating_add_signed(*by),
                Step::Wall(by) => self.wall_ahead += *by,
                Step::EndHolds { sale, condition } => self.end_holds(sale, *condition),
                Step::EndBatch => self.end_batch(),
                Step::Replay => self.restart(Self::replayed),
                Step::Restore => self.restart(Self::restored),
                command => self.command(command),
            }
        }
    }

    fn now(&self) -> Now {
        Now { partition: self.clock, wall: self.clock.saturating_add_signed(self.wall_ahead) }
    }

    fn command(&mut self, step: &'a Step) {
        let find = |sale: &str, pick| self.model.find(sale, pick);
        let require = |sale: &str, condition| self.model.precondition(sale, condition);
        let asked = step.with_command(find, require, |command| {
            let verifies = match command {
                Command::Reserve(claim) => verifies_challenge(&self.state, claim, self.now()),
                _ => false,
            };
            let in_shadow = shadow_refusal(&self.state, command, self.now());
            (decide(&self.state, command, self.now()), in_shadow, verifies)
        });
        let (decision, in_shadow, verifies) = asked.expect("the step is a command");
        assert_eq!(verifies, self.model.verifies_challenge(step, self.now()), "to {step:?}");
        assert_eq!(in_shadow, self.model.shadow_refusal(step, self.now()), "to {step:?}");
        if let Some(code) = in_shadow {
            *self.outcomes.borrow_mut().entry(format!("Shadow {code:?}")).or_default() += 1;
        }
        let expected = self.model.run(&self.limits, step, self.now());
        let answer = decision.map(|Decision { event, answer }| {
            if let Some(event) = event {
                if matches!(event, Event::Reclaimed { .. }) {
                    *self.outcomes.borrow_mut().entry("Reclaimed".to_owned()).or_default() += 1;
                }
                self.apply_and_record(event);
            }
            answer
        });
        assert_eq!(answer, expected, "at {} by the clock {}, to {step:?}", self.model.time, self.clock);
        assert_eq!(self.state.time(), self.model.time);
        *self.outcomes.borrow_mut().entry(kind(&answer)).or_default() += 1;
        if let (Ok(Answer::Reserved { replayed: false, .. }), Step::Reserve(claim)) = (&answer, step) {
            let sale = &self.model.sales[claim.sale];
            let max = sale.terms.per_customer_max.map_or(u64::MAX, u64::from);
            assert!(sale.taken_by(claim.customer) <= max, "the customer has more than the limit");
        }
    }

    /// Ends the holds of a sale as far as a leader would in one call.
    fn end_holds(&mut self, sale: &str, condition: Condition) {
        let only_if = self.model.precondition(sale, condition);
        let (mut from, mut ended, mut refused) = (Some(0), Vec::new(), None);
        while let Some(at) = from {
            match decide_hold_end(&self.state, sale, &only_if, at, self.now()) {
                Ok(end) => {
                    from = end.next;
                    ended.extend(end.event.iter().map(|event| match event {
                        Event::Released { reservation } | Event::Expired { reservation } => *reservation,
                        other => panic!("{other:?} ends no hold"),
                    }));
                    end.event.into_iter().for_each(|event| self.apply_and_record(event));
                }
                Err(refusal) => {
                    refused = Some(refusal);
                    break;
                }
            }
        }
        let ended = refused.map_or(Ok(ended), Err);
        *self.outcomes.borrow_mut().entry(format!("Ended {}", ended.is_ok())).or_default() += 1;
        assert_eq!(ended, self.model.end_holds_if(sale, self.now(), condition));
        assert_eq!(self.state.time(), self.model.time);
    }

    fn apply_and_record(&mut self, event: Event<'a>) {
        self.state.apply(&event, self.clock);
        self.batch.push((event, self.state.time()));
    }

    /// Writes the batch to the log, compares everything, and begins the next batch with what is due.
    fn end_batch(&mut self) {
        let batch = std::mem::take(&mut self.batch);
        self.log.extend(coalesce(batch));
        self.compare();
        let mut expired = Vec::new();
        while let Some(event) = decide_expiry(&self.state, self.clock) {
            let Event::Expired { reservation } = event else { panic!("{event:?} is no expiry") };
            expired.push(reservation);
            self.apply_and_record(event);
        }
        assert_eq!(expired, self.model.expire(self.clock));
        self.forget_denials();
        assert!(self.state.next_expiry().is_none_or(|next| next > self.clock.max(self.state.time())));
    }

    /// Forgets denials that are over, as a leader does, and compares those that are left.
    fn forget_denials(&mut self) {
        let mut forgotten = Vec::new();
        while let Some(denial) = decide_denial_expiry(&self.state, self.now()) {
            let value = *DENIED.iter().find(|value| ***value == *denial.value).expect("it was denied");
            self.apply_and_record(Event::DenialExpired { kind: denial.kind, value });
            forgotten.push(value);
        }
        assert_eq!(forgotten, self.model.forget_denials(self.now()));
    }

    fn compare_denials(&self) {
        assert_eq!(self.state.denial_count() as usize, self.model.denials.len());
        let wall = self.now().wall;
        for (kind, value) in DenialKind::ALL.into_iter().flat_map(|kind| DENIED.map(|value| (kind, value))) {
            let found =
                self.state.denial(kind, value, wall).map(|denial| (&*denial.reason, denial.expires_at));
            let expected = self.model.denied(kind, value, wall);
            assert_eq!(found, expected.map(|denial| (denial.reason, denial.expires_at)), "{kind:?} {value}");
        }
    }

    fn compare_rows(&self) {
        for collection in COLLECTIONS {
            let found = self.state.collection(collection);
            let expected = self.model.collections.get(collection);
            assert_eq!(found.map(RowCollection::version), expected.map(|found| found.version));
            let row = |key| found.and_then(|found| found.row(key)).map(onrush_core::Row::json);
            for key in ROW_KEYS {
                assert_eq!(row(key), expected.and_then(|found| found.rows.get(key).copied()), "{key}");
            }
        }
        assert_eq!(self.state.row_count(), self.model.row_count());
    }

    fn restart(&mut self, renew: fn(&Self) -> State) {
        self.end_batch();
        self.log.append(&mut self.batch);
        let state = renew(self);
        assert_eq!(state.digest(), self.state.digest());
        self.state = state;
        self.next_seed += 1;
        self.compare();
    }

    fn replayed(&self) -> State {
        let mut state = State::new(self.limits, self.next_seed);
        for (event, at) in &self.log {
            state.apply(event, *at);
        }
        state
    }

    fn restored(&self) -> State {
        let mut state = State::restore(self.limits, self.next_seed);
        self.state.facts(&mut |fact| state.restore_fact(&fact).expect("a state's own facts are sound"));
        state
    }

    fn compare(&self) {
        self.state.check_memory_bytes();
        self.compare_denials();
        self.compare_rows();
        assert_eq!(self.state.account_count() as usize, self.model.accounts.len());
        for customer in CUSTOMERS {
            let password = self.state.account(customer).map(|password| password.0);
            assert_eq!(password, self.model.accounts.get(customer).copied(), "{customer}");
        }
        let now = self.clock.max(self.model.time);
        for counter in COUNTERS {
            assert_eq!(self.state.counter(counter), self.model.counters.get(counter).copied());
        }
        for window in WINDOWS {
            let expected = self.model.windows.get(window).map(|window| (window.shape, window.count(now)));
            assert_eq!(self.state.window(window, self.clock).map(|view| (view.shape, view.count)), expected);
        }
        let (mut totals, mut reservation_count) = (UnitTotals::default(), 0);
        for sale in SALES {
            let view = self.state.sale(sale, self.now().wall);
            assert_eq!(view.is_some(), self.model.sales.contains_key(sale));
            if let Some(view) = view {
                self.compare_sale(&view);
                for stock in &view.stocks {
                    totals.total += u64::from(stock.quantity_total);
                    totals.held += u64::from(stock.quantity_held);
                    totals.confirmed += u64::from(stock.quantity_confirmed);
                }
                reservation_count += self.model.sales[sale].reservations.len();
            }
        }
        assert_eq!(self.state.unit_totals(), totals);
        assert_eq!(self.state.reservation_count() as usize, reservation_count);
        let names: Vec<_> =
            self.state.sales_after(None, 10, now).sales.into_iter().map(|view| view.sale).collect();
        assert!(names.iter().eq(self.model.sales.keys()));
        let images: Vec<_> = self.state.sale_images().collect();
        assert_eq!(
            SaleImage::page(images.into_iter().map(Arc::new), 3, now),
            self.state.sales_after(None, 3, now),
            "images make the same pages"
        );
    }

    fn compare_sale(&self, view: &SaleView) {
        let sale = &self.model.sales[view.sale.as_str()];
        assert_eq!(view.sale_no, sale.no);
        let wall = self.now().wall;
        let mut has_any = false;
        for stock in &view.stocks {
            let units = |is_it: fn(&naive::Reservation) -> bool| -> u64 {
                let those = sale.reservations.iter().filter(|reservation| is_it(reservation));
                those.map(|reservation| reservation.units(&stock.stock)).sum()
            };
            assert_eq!(u64::from(stock.quantity_held), units(naive::Reservation::is_held));
            assert_eq!(u64::from(stock.quantity_confirmed), units(naive::Reservation::is_confirmed));
            assert!(
                stock.quantity_held + stock.quantity_confirmed <= stock.quantity_total,
                "a unit was sold twice"
            );
            let closes_at =
                sale.terms.stocks.iter().find(|one| one.stock == stock.stock).and_then(|s| s.closes_at);
            let is_closed = closes_at.is_some_and(|closes_at| closes_at <= wall);
            assert_eq!((stock.closes_at, stock.is_closed), (closes_at, is_closed));
            has_any |= !is_closed && stock.quantity_held + stock.quantity_confirmed < stock.quantity_total;
        }
        let status = match (sale.terms.opens_at, sale.terms.closes_at) {
            (_, Some(closes_at)) if closes_at <= wall => SaleStatus::Closed,
            (Some(opens_at), _) if wall < opens_at => SaleStatus::Scheduled,
            _ if has_any => SaleStatus::Open,
            _ => SaleStatus::SoldOut,
        };
        assert_eq!(view.status, status);
        for customer in CUSTOMERS.into_iter().filter(|customer| !customer.is_empty()) {
            let refused = explained(&self.state, view, customer, self.now());
            let kind = refused.map_or("Nothing".to_owned(), |refusal| first_word(&format!("{refusal:?}")));
            *self.outcomes.borrow_mut().entry(format!("Explained {kind}")).or_default() += 1;
        }
        let image = self.state.sale_image(view.sale_no).expect("the sale is there");
        assert_eq!((&**image.name(), image.view(wall)), (view.sale.as_str(), view.clone()));

        let mut by_customer: BTreeMap<&str, Vec<ReservationView>> = BTreeMap::new();
        for (seq, reservation) in (0..).zip(&sale.reservations) {
            let named = sale.named(seq);
            let claim = &reservation.claim;
            let expected = ReservationView {
                reservation: named,
                sale: view.sale.clone(),
                customer: claim.customer.into(),
                status: reservation.status,
                lines: claim.lines.iter().map(|&(stock, quantity)| (stock.into(), quantity)).collect(),
                details: claim.details.clone(),
                created_at: reservation.created_at,
                expires_at: reservation.hold_until.filter(|_| reservation.is_held()),
            };
            assert_eq!(self.state.reservation(&view.sale, named).as_ref(), Some(&expected));
            by_customer.entry(claim.customer).or_default().push(expected);
        }
        for customer in CUSTOMERS {
            let expected = by_customer.remove(customer).unwrap_or_default();
            assert_eq!(self.state.reservations_of(&view.sale, customer), Some(expected));
        }
    }
}

/// Folds additions to one counter, and hits of one window and pane, as a leader does with the events of a batch.
fn coalesce(batch: Vec<(Event<'_>, u64)>) -> Vec<(Event<'_>, u64)> {
    let mut folded: Vec<(Event<'_>, u64)> = Vec::new();
    for (event, at) in batch {
        let fits = |earlier: &Event<'_>| match (earlier, &event) {
            (Event::CounterAdded { counter, .. }, Event::CounterAdded { counter: same, .. }) => {
                counter == same
            }
            (
                Event::WindowHit { window, pane, .. },
                Event::WindowHit { window: same, pane: same_pane, .. },
            ) => window == same && pane == same_pane,
            _ => false,
        };
        let resets = |earlier: &Event<'_>| match (earlier, &event) {
            (Event::WindowPut { window, .. }, Event::WindowHit { window: same, .. }) => window == same,
            _ => false,
        };
        let found = folded.iter().rposition(|(earlier, _)| fits(earlier) || resets(earlier));
        let earlier = found.filter(|&at| fits(&folded[at].0)).map(|at| folded.remove(at).0);
        folded.push((earlier.map_or(event.clone(), |earlier| fold(earlier, event)), at));
    }
    folded
}

fn fold<'a>(earlier: Event<'a>, later: Event<'a>) -> Event<'a> {
    match (earlier, later) {
        (Event::CounterAdded { by, .. }, Event::CounterAdded { counter, by: more, value }) => {
            Event::CounterAdded { counter, by: by + more, value }
        }
        (Event::WindowHit { by, .. }, Event::WindowHit { window, pane, by: more }) => {
            Event::WindowHit { window, pane, by: by + more }
        }
        (earlier, later) => panic!("{earlier:?} does not take in {later:?}"),
    }
}

/// The first word of an outcome, with the ceiling or the fact that it is a replay.
fn kind(answer: &Result<Answer, Refusal>) -> String {
    match answer {
        Ok(Answer::Reserved { replayed: true, .. }) => "Replayed".into(),
        Err(Refusal::CeilingReached(ceiling)) => format!("{ceiling:?}"),
        Err(Refusal::Invalid { field, rule }) => format!("{field} {rule}"),
        Ok(answer) => first_word(&format!("{answer:?}")),
        Err(refusal) => first_word(&format!("{refusal:?}")),
    }
}

fn first_word(text: &str) -> String {
    text.chars().take_while(|letter| letter.is_alphanumeric()).collect()
}

/// A model that is never asked about something proves nothing about it.
fn assert_all_were_met(outcomes: &BTreeMap<String, u32>, cases: u32) {
    let is_missing = |kind: &&&str| !outcomes.contains_key(**kind);
    let missing: Vec<_> = KINDS.iter().filter(is_missing).collect();
    assert!(
        missing.is_empty() || cases < CASES,
        "these never came about: {missing:?}; these did: {outcomes:#?}"
    );
}

fn setting<T: FromStr<Err: Debug>>(name: &str, default: T) -> T {
    env::var(name)
        .map_or(default, |text| text.parse().unwrap_or_else(|error| panic!("{name}={text}: {error:?}")))
}
