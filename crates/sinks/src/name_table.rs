//! What the numbers in records stand for: the names of sales and stocks, and what held reservations claim. A small fold of the
//! log, from which every event can be told whole without the state.

use std::collections::HashMap;

use compact_str::CompactString;
use onrush_core::{
    Event, Fact, Incarnation, Incarnations, Line, Lines, ReclaimedClaim, ReservationNo, ReservationRef,
    ReservationStatus, SaleNo, SaleTerms, StockNumbers,
};
use smallvec::SmallVec;

use crate::event::{Change, Claim, ReservationSubject, SinkEvent, SinkLine};
use onrush_node::ReservationIds;
use onrush_node::record::{Record, encode_fact};

/// The names as of one offset.
pub(crate) struct NameTable {
    ids: ReservationIds,
    incarnation: Incarnation,
    sales: HashMap<SaleNo, NamedSale>,
    holds: HashMap<ReservationNo, Hold>,
}

/// A sale that is not archived.
struct NamedSale {
    sale: CompactString,
    /// With the stocks in the order of their names.
    terms: SaleTerms,
    stock_numbers: StockNumbers,
    /// Reservations of it that are held, so that they go with it.
    held_count: usize,
    incarnations: Incarnations,
}

/// A reservation that is held: what it claims is described again when its status changes.
struct Hold {
    customer: CompactString,
    lines: SmallVec<[Line; 2]>,
    details: Box<[u8]>,
    key: Box<[u8]>,
}

/// A record that does not follow from those before it. The log was checked, so this is a bug or another version's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the event does not follow from those before it: {0}")]
pub(crate) struct Unknown(&'static str);

const UNKNOWN_SALE: Unknown = Unknown("its sale is not known");
const UNKNOWN_STOCK: Unknown = Unknown("its stock is not known");
const UNKNOWN_HOLD: Unknown = Unknown("its reservation was not held");

impl NameTable {
    /// Of a log without events, whose ids are these.
    pub(crate) fn new(ids: ReservationIds) -> Self {
        Self { ids, incarnation: Incarnation::FIRST, sales: HashMap::new(), holds: HashMap::new() }
    }

    /// In which what comes next is decided, unless it begins another.
    pub(crate) fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    /// Learns from one fact of a snapshot, a sink's or a partition's; facts that name nothing are passed over.
    pub(crate) fn restore(&mut self, fact: &Fact<'_>) -> Result<(), &'static str> {
        match fact {
            Fact::Sale { sale_no, sale, terms, stock_nos, stocks_ever, .. } => {
                if stock_nos.iter().any(|no| no.0 >= *stocks_ever) {
                    return Err("a stock's number was never given");
                }
                let named = NamedSale {
                    sale: CompactString::from(*sale),
                    terms: (*terms).clone(),
                    stock_numbers: StockNumbers::restore(stock_nos.to_vec(), *stocks_ever),
                    held_count: 0,
                    incarnations: Incarnations::default(),
                };
                self.sales.insert(*sale_no, named);
            }
            Fact::Reservation { reservation, customer, status, lines, key, details, .. } => {
                if *status == ReservationStatus::Held {
                    let key = key.as_ref().map_or(&[][..], |key| key.key);
                    self.hold(*reservation, customer, lines, details, key).map_err(|unknown| unknown.0)?;
                }
            }
            Fact::Partition { incarnation, .. } => self.incarnation = *incarnation,
            Fact::Incarnation { first, incarnation } => {
                let named = self.sales.get_mut(&first.sale).ok_or("an incarnation has no sale")?;
                named.incarnations.begin(first.seq, *incarnation);
            }
            Fact::Counter { .. }
            | Fact::Window { .. }
            | Fact::Pane { .. }
            | Fact::Denial { .. }
            | Fact::Account { .. }
            | Fact::Collection { .. }
            | Fact::Row { .. } => {}
        }
        Ok(())
    }

    /// Appends facts from which [`NameTable::restore`] makes the same names again.
    pub(crate) fn write_facts(&self, out: &mut Vec<u8>) {
        let incarnation = self.incarnation;
        encode_fact(out, &Fact::Partition { id_key: None, time: 0, sales_ever: 0, incarnation });
        for (sale_no, named) in &self.sales {
            encode_fact(
                out,
                &Fact::Sale {
                    sale_no: *sale_no,
                    sale: &named.sale,
                    terms: &named.terms,
                    stock_nos: named.stock_numbers.nos(),
                    stocks_ever: named.stock_numbers.stocks_ever(),
                    version: 0,
                },
            );
            for (seq, incarnation) in named.incarnations.iter() {
                let first = ReservationNo { sale: *sale_no, seq };
                encode_fact(out, &Fact::Incarnation { first, incarnation });
            }
        }
        for (reservation, hold) in &self.holds {
            let fact = Fact::Reservation {
                reservation: *reservation,
                customer: &hold.customer,
                status: ReservationStatus::Held,
                lines: hold.lines.iter().copied().collect(),
                created_at: 0,
                hold_until: None,
                key: (!hold.key.is_empty())
                    .then_some(onrush_core::IdempotencyKey { key: &hold.key, fingerprint: 0 }),
                details: &hold.details,
            };
            encode_fact(out, &fact);
        }
    }

    /// Learns from a record, and gives the event whole to `visit` unless it is not for sinks.
    pub(crate) fn describe<R>(
        &mut self,
        offset: u64,
        record: &Record<'_>,
        visit: impl FnOnce(&SinkEvent<'_>) -> R,
    ) -> Result<Option<R>, Unknown> {
        let (at, incarnation) = (record.at, self.incarnation);
        let give = |change: Change<'_>| visit(&SinkEvent { offset, incarnation, at, change });
        Ok(match &record.event {
            // Who is denied and why is for operators alone.
            Event::PartitionCreated { .. }
            | Event::Denied { .. }
            | Event::Undenied { .. }
            | Event::DenialExpired { .. }
            // What a password is checked against is for nobody.
            | Event::AccountCreated { .. }
            // Rows come from the shop and are no outcome.
            | Event::RowsPut { .. }
            | Event::RowDeleted { .. } => None,
            Event::IncarnationBegun { incarnation } => {
                self.incarnation = *incarnation;
                None
            }
            Event::CounterAdded { counter, by, value } => {
                Some(give(Change::CounterAdded { counter, by: *by, value: *value }))
            }
            Event::WindowPut { window, shape } => Some(give(Change::WindowPut { window, shape: *shape })),
            Event::WindowHit { window, pane, by } => {
                Some(give(Change::WindowHit { window, pane: *pane, by: *by }))
            }
            Event::SalePut { sale_no, sale, terms } => {
                let named = self.put_sale(*sale_no, sale, terms);
                let (terms, stock_nos) = (&named.terms, named.stock_numbers.nos());
                Some(give(Change::SalePut { sale_no: *sale_no, sale, terms, stock_nos }))
            }
            Event::SaleArchived { sale_no } => {
                let named = self.sales.remove(sale_no).ok_or(UNKNOWN_SALE)?;
                if named.held_count > 0 {
                    self.holds.retain(|reservation, _| reservation.sale != *sale_no);
                }
                Some(give(Change::SaleArchived { sale_no: *sale_no, sale: &named.sale }))
            }
            Event::Reserved { .. } => Some(self.describe_reserved(&record.event, give)?),
            Event::Reclaimed { reservation, claim } => {
                Some(self.describe_reclaimed(*reservation, claim, give)?)
            }
            Event::Confirmed { reservation }
            | Event::Released { reservation }
            | Event::Expired { reservation } => {
                Some(self.describe_status_change(&record.event, *reservation, give)?)
            }
        })
    }

    fn put_sale(&mut self, sale_no: SaleNo, sale: &str, terms: &SaleTerms) -> &NamedSale {
        let named = self.sales.entry(sale_no).or_insert_with(|| NamedSale {
            sale: CompactString::from(sale),
            terms: SaleTerms { stocks: Vec::new(), ..terms.clone() },
            stock_numbers: StockNumbers::default(),
            held_count: 0,
            incarnations: Incarnations::default(),
        });
        (named.terms, _) = named.stock_numbers.put(&named.terms, terms);
        named
    }

    fn describe_reserved<R>(
        &mut self,
        event: &Event<'_>,
        give: impl FnOnce(Change<'_>) -> R,
    ) -> Result<R, Unknown> {
        let Event::Reserved { reservation, customer, lines, expires_at, key, details } = event else {
            unreachable!("the caller matched on the kind")
        };
        let key = key.as_ref().map_or(&[][..], |key| key.key);
        if expires_at.is_some() {
            self.hold(*reservation, customer, lines, details, key)?;
        }
        let named = self.sales.get_mut(&reservation.sale).ok_or(UNKNOWN_SALE)?;
        named.incarnations.begin(reservation.seq, self.incarnation);
        let named = &*named;
        let lines = named.lines(lines)?;
        let claim = Claim { customer, lines: &lines, details, idempotency_key: key_text(key) };
        let subject = named.subject(&self.ids, *reservation);
        Ok(give(Change::Reserved { subject, claim, expires_at: *expires_at }))
    }

    /// To a sink it is confirmed like another: it was told that it had expired.
    fn describe_reclaimed<R>(
        &self,
        reservation: ReservationNo,
        claim: &ReclaimedClaim,
        give: impl FnOnce(Change<'_>) -> R,
    ) -> Result<R, Unknown> {
        let named = self.sales.get(&reservation.sale).ok_or(UNKNOWN_SALE)?;
        let ReclaimedClaim { customer, lines, key, details } = claim;
        let lines = named.lines(lines)?;
        let claim = Claim { customer, lines: &lines, details, idempotency_key: key_text(key) };
        Ok(give(Change::Confirmed { subject: named.subject(&self.ids, reservation), claim }))
    }

    fn describe_status_change<R>(
        &mut self,
        event: &Event<'_>,
        reservation: ReservationNo,
        give: impl FnOnce(Change<'_>) -> R,
    ) -> Result<R, Unknown> {
        let hold = self.holds.remove(&reservation);
        if hold.is_some() {
            self.sales.get_mut(&reservation.sale).ok_or(UNKNOWN_SALE)?.held_count -= 1;
        }
        let named = self.sales.get(&reservation.sale).ok_or(UNKNOWN_SALE)?;
        let subject = named.subject(&self.ids, reservation);
        let lines = hold.as_ref().map(|hold| named.lines(&hold.lines)).transpose()?;
        let claim = hold.as_ref().zip(lines.as_ref()).map(|(hold, lines)| Claim {
            customer: &hold.customer,
            lines,
            details: &hold.details,
            idempotency_key: key_text(&hold.key),
        });
        Ok(give(match event {
            Event::Confirmed { .. } => Change::Confirmed { subject, claim: claim.ok_or(UNKNOWN_HOLD)? },
            Event::Expired { .. } => Change::Expired { subject, claim: claim.ok_or(UNKNOWN_HOLD)? },
            _ => Change::Released { subject, claim },
        }))
    }

    fn hold(
        &mut self,
        reservation: ReservationNo,
        customer: &str,
        lines: &Lines,
        details: &[u8],
        key: &[u8],
    ) -> Result<(), Unknown> {
        self.sales.get_mut(&reservation.sale).ok_or(UNKNOWN_SALE)?.held_count += 1;
        let hold = Hold {
            customer: CompactString::from(customer),
            lines: lines.iter().copied().collect(),
            details: details.into(),
            key: key.into(),
        };
        self.holds.insert(reservation, hold);
        Ok(())
    }
}

impl NamedSale {
    fn subject(&self, ids: &ReservationIds, no: ReservationNo) -> ReservationSubject<'_> {
        let incarnation = self.incarnations.of(no.seq);
        let reservation = ids.write(ReservationRef { no, incarnation });
        ReservationSubject { reservation_no: no, reservation, sale: &self.sale }
    }

    fn lines(&self, lines: &[Line]) -> Result<SmallVec<[SinkLine<'_>; 4]>, Unknown> {
        let named = |line: &Line| {
            let place = self.stock_numbers.place_of(line.stock).ok_or(UNKNOWN_STOCK)?;
            let stock = &self.terms.stocks[place].stock;
            Ok(SinkLine { stock_no: line.stock, stock, quantity: line.quantity })
        };
        lines.iter().map(named).collect()
    }
}

/// Keys were checked to be printable ASCII before they were recorded.
fn key_text(key: &[u8]) -> &str {
    std::str::from_utf8(key).expect("idempotency keys are ASCII")
}

#[cfg(test)]
#[path = "name_table_tests.rs"]
mod tests;
