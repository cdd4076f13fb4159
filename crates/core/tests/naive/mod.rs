//! The rules once more, as simply as they can be said: whole structs in ordered maps, every sum taken anew from the
//! reservations and from the times of single requests.

use std::collections::BTreeMap;

use onrush_core::{
    ADD_MAX, Answer, Ceiling, DETAILS_BYTES_MAX, DenialKind, Incarnation, Limits, Now, QUANTITY_MAX, Refusal,
    ReservationNo, ReservationRef, ReservationStatus, SaleNo, SaleTerms, TermsField, WindowShape, is_name,
    is_new_name,
};

mod accounts;
mod changes;
pub(crate) mod denials;
pub(crate) mod explained;
mod gate;
mod left_out;
mod reclaim;
pub(crate) mod rows;
pub(crate) mod seen;
pub(crate) mod steps;

use self::left_out::check_left_out;
use self::seen::Seen;
use self::steps::{Claim, Pick, Step};

#[derive(Default)]
pub(crate) struct Model {
    pub(crate) time: u64,
    is_created: bool,
    incarnation: Incarnation,
    pub(crate) counters: BTreeMap<&'static str, u64>,
    pub(crate) windows: BTreeMap<&'static str, Window>,
    pub(crate) sales: BTreeMap<&'static str, Sale>,
    sales_ever: u32,
    pub(crate) denials: BTreeMap<(DenialKind, &'static str), denials::Denial>,
    pub(crate) accounts: BTreeMap<&'static str, &'static [u8]>,
    pub(crate) collections: BTreeMap<&'static str, rows::Collection>,
    seen: Seen,
}

pub(crate) struct Window {
    pub(crate) shape: WindowShape,
    hits: Vec<u64>,
}

pub(crate) struct Sale {
    pub(crate) no: SaleNo,
    pub(crate) terms: SaleTerms,
    pub(crate) reservations: Vec<Reservation>,
}

pub(crate) struct Reservation {
    pub(crate) claim: Claim,
    pub(crate) status: ReservationStatus,
    pub(crate) incarnation: Incarnation,
    pub(crate) created_at: u64,
    pub(crate) hold_until: Option<u64>,
}

impl Model {
    /// Decides a step and makes it so.
    pub(crate) fn run(&mut self, limits: &Limits, step: &Step, now: Now) -> Result<Answer, Refusal> {
        let Now { partition, wall } = now;
        let now = partition.max(self.time);
        let (answer, is_new) = match step {
            Step::CreatePartition => self.create_partition(),
            Step::Begin(incarnation) => Ok(self.begin(*incarnation)),
            Step::Add { counter, by } => self.add(limits, counter, *by),
            Step::Hit { window, shape } => self.hit(limits, window, *shape, now),
            Step::PutWindow { window, shape } => self.put_window(limits, window, *shape),
            Step::PutSale { sale, terms, left_out, condition } => {
                self.put_sale_if(limits, sale, terms, left_out, *condition)
            }
            Step::Archive { sale, condition } => self.archive_if(sale, wall, *condition),
            Step::Reserve(claim) => self.reserve(limits, claim, now, wall),
            Step::Confirm { sale, pick, asker } => self.confirm(sale, self.find(sale, *pick), *asker, now),
            Step::Reclaim { sale, pick } => self.reclaim(sale, self.find(sale, *pick), now),
            Step::Release { sale, pick, asker } => self.release(sale, self.find(sale, *pick), *asker, now),
            Step::CreateAccount { customer, password } => self.create_account(limits, customer, password),
            Step::PutRows { collection, rows } => self.put_rows(collection, rows),
            Step::DeleteRow { collection, key } => self.delete_row(collection, key),
            Step::ChangeDenylist(step) => self.change_denylist(limits, step, wall),
            _ => unreachable!("no command"),
        }?;
        if is_new {
            self.time = now;
        }
        Ok(answer)
    }

    /// The reservation that a step means.
    pub(crate) fn find(&self, sale: &str, pick: Pick) -> ReservationRef {
        match (pick, self.sales.get(sale)) {
            (Pick::Newest(back), Some(sale)) => {
                let count = u32::try_from(sale.reservations.len()).expect("few");
                sale.named(count.saturating_sub(1).saturating_sub(back))
            }
            (Pick::Newest(_), None) => ReservationNo { sale: SaleNo(0), seq: 0 }.into(),
            (Pick::Named(reservation), _) => reservation,
        }
    }

    /// Expires what is due, and tells it in the order in which it came due.
    pub(crate) fn expire(&mut self, now: u64) -> Vec<ReservationNo> {
        let now = now.max(self.time);
        let mut due = Vec::new();
        for sale in self.sales.values_mut() {
            for (seq, reservation) in (0..).zip(&mut sale.reservations) {
                if reservation.is_held() && reservation.hold_until.is_some_and(|until| until <= now) {
                    reservation.status = ReservationStatus::Expired;
                    due.push((reservation.hold_until, ReservationNo { sale: sale.no, seq }));
                }
            }
        }
        if !due.is_empty() {
            self.time = now;
        }
        due.sort();
        due.into_iter().map(|(_, number)| number).collect()
    }

    fn create_partition(&mut self) -> Result<(Answer, bool), Refusal> {
        ensure(!self.is_created, || Refusal::PartitionExists)?;
        self.is_created = true;
        Ok((Answer::PartitionCreated, true))
    }

    fn begin(&mut self, incarnation: Incarnation) -> (Answer, bool) {
        let before = std::mem::replace(&mut self.incarnation, incarnation);
        (Answer::IncarnationBegun, before != incarnation)
    }

    fn add(&mut self, limits: &Limits, counter: &'static str, by: u32) -> Result<(Answer, bool), Refusal> {
        ensure((1..=ADD_MAX).contains(&by), || Refusal::Invalid {
            field: "by",
            rule: "must be 1 to 1000000",
        })?;
        if !self.counters.contains_key(counter) {
            check_new_name("counter", counter)?;
            check_ceiling(self.counters.len(), limits.counters_max, Ceiling::Counters)?;
        }
        let value = self.counters.entry(counter).or_default();
        *value += u64::from(by);
        Ok((Answer::Counter { value: *value }, true))
    }

    fn hit(
        &mut self,
        limits: &Limits,
        name: &'static str,
        shape: WindowShape,
        now: u64,
    ) -> Result<(Answer, bool), Refusal> {
        if !self.windows.contains_key(name) {
            return self.put_window(limits, name, shape);
        }
        let window = self.windows.get_mut(name).expect("it is there");
        window.hits.push(now);
        Ok((Answer::Window { count: window.count(now), shape: window.shape }, true))
    }

    fn put_window(
        &mut self,
        limits: &Limits,
        name: &'static str,
        shape: WindowShape,
    ) -> Result<(Answer, bool), Refusal> {
        let created = !self.windows.contains_key(name);
        if created {
            check_new_name("window", name)?;
        }
        shape.check()?;
        if created {
            check_ceiling(self.windows.len(), limits.windows_max, Ceiling::Windows)?;
        }
        let answer = Answer::WindowPut { created, shape };
        if self.windows.get(name).is_some_and(|window| window.shape == shape) {
            return Ok((answer, false));
        }
        self.windows.insert(name, Window { shape, hits: Vec::new() });
        Ok((answer, true))
    }

    fn put_sale(
        &mut self,
        limits: &Limits,
        name: &'static str,
        terms: &SaleTerms,
        left_out: &[TermsField],
    ) -> Result<(Answer, bool), Refusal> {
        check_name("sale", name)?;
        terms.check()?;
        let mut sorted = terms.clone();
        sorted.stocks.sort_by_key(|stock| stock.stock.clone());
        let stock_count: usize = self.sales.values().map(|sale| sale.terms.stocks.len()).sum();
        let Some(sale) = self.sales.get_mut(name) else {
            check_new_name("sale", name)?;
            check_ceiling(self.sales.len(), limits.sales_max, Ceiling::Sales)?;
            let has_room = stock_count + terms.stocks.len() <= limits.stocks_max as usize;
            ensure(has_room, || Refusal::CeilingReached(Ceiling::Stocks))?;
            let no = SaleNo(self.sales_ever);
            self.sales_ever += 1;
            self.sales.insert(name, Sale { no, terms: sorted, reservations: Vec::new() });
            return Ok((Answer::SalePut { created: true }, true));
        };
        check_left_out(&sale.terms, terms, left_out)?;
        if sale.terms == sorted {
            return Ok((Answer::SalePut { created: false }, false));
        }
        for old in &sale.terms.stocks {
            let new = sorted.stocks.iter().find(|new| new.stock == old.stock);
            let ever = sale.reservations.iter().any(|reservation| reservation.units(&old.stock) > 0);
            let stock = || old.stock.as_str().into();
            let (quantity_held, quantity_confirmed) = sale.held_and_confirmed(&old.stock);
            let is_enough = new.is_none_or(|new| quantity_held + quantity_confirmed <= new.quantity_total);
            ensure(is_enough, || Refusal::QuantityBelowReserved {
                stock: stock(),
                quantity_held,
                quantity_confirmed,
            })?;
            ensure(new.is_some() || !ever, || Refusal::StockInUse {
                stock: stock(),
                quantity_held,
                quantity_confirmed,
            })?;
        }
        let added = terms.stocks.len().saturating_sub(sale.terms.stocks.len());
        let has_room = added == 0 || stock_count + added <= limits.stocks_max as usize;
        ensure(has_room, || Refusal::CeilingReached(Ceiling::Stocks))?;
        sale.terms = sorted;
        Ok((Answer::SalePut { created: false }, true))
    }

    fn archive(&mut self, name: &str, wall: u64) -> Result<(Answer, bool), Refusal> {
        let sale = self.sale(name)?;
        ensure(sale.terms.closes_at.is_some_and(|closes_at| closes_at <= wall), || Refusal::SaleOpen)?;
        let held: Vec<_> = sale.reservations.iter().filter(|reservation| reservation.is_held()).collect();
        ensure(held.is_empty(), || Refusal::HoldsPending {
            quantity_held: held.iter().flat_map(|held| &held.claim.lines).map(|line| u64::from(line.1)).sum(),
            held_count: u32::try_from(held.len()).expect("few"),
            held_until: sale
                .reservations
                .iter()
                .filter_map(|one| one.hold_until)
                .max()
                .expect("some are held"),
        })?;
        self.sales.remove(name);
        Ok((Answer::SaleArchived, true))
    }

    /// Ends every hold of a closed sale: it expires if its time is over, and is released otherwise.
    fn end_holds(&mut self, name: &str, now: Now) -> Result<Vec<ReservationNo>, Refusal> {
        let sale = self.sale(name)?;
        ensure(sale.terms.closes_at.is_some_and(|closes_at| closes_at <= now.wall), || Refusal::SaleOpen)?;
        let time = now.partition.max(self.time);
        let mut ended = Vec::new();
        let sale = self.sales.get_mut(name).expect("it was found above");
        for (seq, held) in (0..).zip(&mut sale.reservations).filter(|(_, one)| one.is_held()) {
            let is_over = held.hold_until <= Some(time);
            held.status = if is_over { ReservationStatus::Expired } else { ReservationStatus::Released };
            ended.push(ReservationNo { sale: sale.no, seq });
        }
        if !ended.is_empty() {
            self.time = time;
        }
        Ok(ended)
    }

    fn reserve(
        &mut self,
        limits: &Limits,
        claim: &Claim,
        now: u64,
        wall: u64,
    ) -> Result<(Answer, bool), Refusal> {
        let all = || self.sales.values().flat_map(|sale| &sale.reservations);
        let reservation_count = all().count();
        let details_bytes: usize = all().map(|reservation| reservation.claim.details.len()).sum();
        let sale = self.sale(claim.sale)?;
        sale.check_session(claim.asker, claim.customer)?;
        if let Some(answer) = sale.replay(claim, now)? {
            return Ok((answer, false));
        }
        sale.check(claim, now, wall)?;
        check_ceiling(reservation_count, limits.reservations_max, Ceiling::Reservations)?;
        let has_room = claim.details.is_empty()
            || (details_bytes + claim.details.len()) as u64 <= limits.details_bytes_max;
        ensure(has_room, || Refusal::CeilingReached(Ceiling::DetailsBytes))?;

        let sale = self.sales.get_mut(claim.sale).expect("it was found above");
        let reservation =
            ReservationNo { sale: sale.no, seq: u32::try_from(sale.reservations.len()).expect("few") };
        let ttl = u64::from(sale.terms.hold_ttl_ms);
        let hold_until = (ttl > 0).then_some(now + ttl);
        let status = if ttl > 0 { ReservationStatus::Held } else { ReservationStatus::Confirmed };
        let (claim, incarnation) = (claim.clone(), self.incarnation);
        sale.reservations.push(Reservation { claim, status, incarnation, created_at: now, hold_until });
        let reservation = ReservationRef { no: reservation, incarnation };
        let answer = Answer::Reserved {
            reservation,
            status,
            created_at: now,
            expires_at: hold_until,
            replayed: false,
        };
        Ok((answer, true))
    }

    fn sale(&self, name: &str) -> Result<&Sale, Refusal> {
        check_name("sale", name)?;
        self.sales.get(name).ok_or(Refusal::SaleNotFound)
    }

    fn reservation(&mut self, sale: &str, asked: ReservationRef) -> Result<&mut Reservation, Refusal> {
        self.sale(sale)?;
        let sale = self.sales.get_mut(sale).expect("it was found above");
        let is_of_sale = sale.no == asked.no.sale;
        let found = sale.reservations.get_mut(asked.no.seq as usize);
        found
            .filter(|found| is_of_sale && found.incarnation == asked.incarnation)
            .ok_or(Refusal::ReservationNotFound)
    }
}

impl Window {
    pub(crate) fn count(&self, now: u64) -> u64 {
        let (span, precision) = (u64::from(self.shape.span_ms), u64::from(self.shape.precision_ms));
        let newest = now / precision;
        let is_in = |hit: &&u64| *hit / precision <= newest && newest - *hit / precision <= span / precision;
        self.hits.iter().filter(is_in).count() as u64
    }
}

impl Sale {
    /// The reservation of this ordinal as its id names it.
    pub(crate) fn named(&self, seq: u32) -> ReservationRef {
        let found = self.reservations.get(seq as usize);
        let incarnation = found.map_or(Incarnation::FIRST, |found| found.incarnation);
        ReservationRef { no: ReservationNo { sale: self.no, seq }, incarnation }
    }

    /// Units of a stock that are held, and units that are confirmed.
    pub(crate) fn held_and_confirmed(&self, stock: &str) -> (u32, u32) {
        let units = |takes: fn(&Reservation) -> bool| {
            let units: u64 =
                self.reservations.iter().filter(|one| takes(one)).map(|one| one.units(stock)).sum();
            u32::try_from(units).expect("a stock's total fits 32 bits")
        };
        (units(Reservation::is_held), units(Reservation::is_confirmed))
    }

    /// Units of a stock that are held and confirmed.
    pub(crate) fn taken(&self, stock: &str) -> u64 {
        let (held, confirmed) = self.held_and_confirmed(stock);
        u64::from(held) + u64::from(confirmed)
    }

    /// Units of any stock that a customer holds and has confirmed.
    pub(crate) fn taken_by(&self, customer: &str) -> u64 {
        let takes = |reservation: &&Reservation| reservation.is_held() || reservation.is_confirmed();
        let of_customer =
            self.reservations.iter().filter(|reservation| reservation.claim.customer == customer);
        let lines = of_customer.filter(takes).flat_map(|reservation| &reservation.claim.lines);
        lines.map(|(_, quantity)| u64::from(*quantity)).sum()
    }

    fn replay(&self, claim: &Claim, now: u64) -> Result<Option<Answer>, Refusal> {
        let Some((key, fingerprint)) = claim.key else { return Ok(None) };
        let invalid = || Refusal::Invalid { field: "idempotency_key", rule: "must be 1 to 128 bytes" };
        ensure(!key.is_empty() && key.len() <= 128, invalid)?;
        for (seq, first) in (0..).zip(&self.reservations) {
            if let Some((known, print)) = first.claim.key
                && known == key
            {
                ensure(print == fingerprint, || Refusal::IdempotencyKeyReused)?;
                let reservation = self.named(seq);
                let is_held = first.is_held() && first.hold_until > Some(now);
                let status = match first.status {
                    ReservationStatus::Held if !is_held => ReservationStatus::Expired,
                    status => status,
                };
                return Ok(Some(Answer::Reserved {
                    reservation,
                    status,
                    created_at: first.created_at,
                    expires_at: first.hold_until.filter(|_| is_held),
                    replayed: true,
                }));
            }
        }
        Ok(None)
    }

    fn check_open(&self, wall: u64) -> Result<(), Refusal> {
        if let Some(opens_at) = self.terms.opens_at {
            ensure(opens_at <= wall, || Refusal::SaleNotOpen { opens_at })?;
        }
        if let Some(closes_at) = self.terms.closes_at {
            ensure(wall < closes_at, || Refusal::SaleClosed { closes_at })?;
        }
        Ok(())
    }

    fn check(&self, claim: &Claim, now: u64, wall: u64) -> Result<(), Refusal> {
        self.check_open(wall)?;
        let terms = &self.terms;
        self.check_customer(claim, now)?;
        self.check_challenge(claim)?;
        check_new_name("customer", claim.customer)?;

        let lines = &claim.lines;
        let invalid = |field, rule| Refusal::Invalid { field, rule };
        ensure((1..=16).contains(&lines.len()), || invalid("lines", "must have 1 to 16 entries"))?;
        let quantities_fit = lines.iter().all(|(_, quantity)| (1..=QUANTITY_MAX).contains(quantity));
        ensure(quantities_fit, || invalid("quantity", "must be 1 to 1000"))?;
        for (line, (stock, _)) in (0..).zip(lines) {
            ensure(terms.stocks.iter().any(|terms| terms.stock == *stock), || Refusal::StockNotFound {
                line,
            })?;
        }
        let is_single =
            |(stock, _): &(&str, u32)| lines.iter().filter(|(other, _)| other == stock).count() == 1;
        ensure(lines.iter().all(is_single), || invalid("lines", "must not name a stock twice"))?;
        for (line, (stock, _)) in (0..).zip(lines) {
            let closes_at = terms.stocks.iter().find(|terms| terms.stock == *stock).and_then(|s| s.closes_at);
            if let Some(closes_at) = closes_at {
                ensure(wall < closes_at, || Refusal::StockClosed { line, closes_at })?;
            }
        }
        let details_fit = claim.details.len() <= DETAILS_BYTES_MAX;
        ensure(details_fit, || invalid("details", "must be at most 4096 bytes"))?;

        self.check_units(claim)
    }
}

impl Reservation {
    pub(crate) fn is_held(&self) -> bool {
        self.status == ReservationStatus::Held
    }

    pub(crate) fn is_confirmed(&self) -> bool {
        self.status == ReservationStatus::Confirmed
    }

    /// Units of a stock that were asked for, whatever became of them.
    pub(crate) fn units(&self, stock: &str) -> u64 {
        self.claim
            .lines
            .iter()
            .filter(|(name, _)| *name == stock)
            .map(|(_, quantity)| u64::from(*quantity))
            .sum()
    }
}

fn check_name(field: &'static str, name: &str) -> Result<(), Refusal> {
    ensure(is_name(name), || Refusal::InvalidName { field })
}

fn check_new_name(field: &'static str, name: &str) -> Result<(), Refusal> {
    ensure(is_new_name(name), || Refusal::InvalidName { field })
}

fn check_ceiling(count: usize, max: u32, ceiling: Ceiling) -> Result<(), Refusal> {
    ensure(count < max as usize, || Refusal::CeilingReached(ceiling))
}

fn ensure(holds: bool, refusal: impl FnOnce() -> Refusal) -> Result<(), Refusal> {
    if holds { Ok(()) } else { Err(refusal()) }
}
