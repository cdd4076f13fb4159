//! What an event means for the state. Every event that [`crate::decide()`] made applies; anything else breaks an invariant,
//! and the process stops rather than go on from a state that cannot be.

use std::sync::Arc;

use crate::{
    Denial, DenialKind, Event, GateMode, ReservationNo, ReservationStatus, SaleNo, SaleTerms, TimeMs,
    state::{Claim, Expiry, Sale, State},
};

impl State {
    /// Applies an event that was decided at `at`.
    ///
    /// # Panics
    /// If the event cannot follow from this state: units would be sold twice, a number would not be the next one, a
    /// reservation would come back.
    pub fn apply(&mut self, event: &Event<'_>, at: TimeMs) {
        self.advance_time(at);
        match *event {
            Event::PartitionCreated { id_key } => {
                assert!(self.id_key.replace(id_key).is_none(), "a partition is created once");
            }
            Event::IncarnationBegun { incarnation } => self.incarnation = incarnation,
            Event::CounterAdded { counter, by, value } => self.counters.add(&self.hash, counter, by, value),
            Event::WindowPut { window, shape } => self.windows.put(&self.hash, window, shape),
            Event::WindowHit { window, pane, by } => self.windows.hit(&self.hash, window, pane, by),
            Event::SalePut { sale_no, sale, terms } => self.apply_sale_put(sale_no, sale, terms),
            Event::SaleArchived { sale_no } => self.apply_sale_archived(sale_no),
            Event::Reserved { reservation, customer, ref lines, expires_at, key, details } => {
                let claim = Claim {
                    customer,
                    status: if expires_at.is_some() {
                        ReservationStatus::Held
                    } else {
                        ReservationStatus::Confirmed
                    },
                    lines,
                    created_at: self.time,
                    hold_until: expires_at,
                    key,
                    details,
                };
                let incarnation = self.incarnation;
                self.add_reservation(reservation, &claim, |sale| {
                    sale.incarnations.begin(reservation.seq, incarnation);
                    sale.begin_version(incarnation);
                });
            }
            Event::Confirmed { reservation } => self.transition(reservation, ReservationStatus::Confirmed),
            Event::Reclaimed { reservation, .. } => self.reclaim(reservation),
            Event::Released { reservation } => self.transition(reservation, ReservationStatus::Released),
            Event::Expired { reservation } => self.transition(reservation, ReservationStatus::Expired),
            Event::Denied { kind, value, reason, expires_at } => {
                let (value, reason) = (value.into(), reason.into());
                let denial = Denial { kind, value, reason, expires_at };
                let says_when = kind != DenialKind::Session || denial.sessions_ended_at().is_some();
                assert!(says_when, "sessions were ended at a moment");
                self.denylist.put(Arc::new(denial));
            }
            Event::AccountCreated { customer, password } => self.accounts.add(customer, password),
            Event::RowsPut { collection, ref rows } => self.rows.put(&self.hash, collection, rows),
            Event::RowDeleted { collection, key } => self.rows.delete(&self.hash, collection, key),
            Event::Undenied { kind, value } => drop(self.remove_denial(kind, value)),
            Event::DenialExpired { kind, value } => {
                let denial = self.remove_denial(kind, value);
                assert!(!denial.is_live(self.time), "a denial lasts until its end");
            }
        }
    }

    fn remove_denial(&mut self, kind: DenialKind, value: &str) -> Arc<Denial> {
        self.denylist.remove(kind, value).expect("what is taken off the denylist is on it")
    }

    /// Adds the next reservation of a sale, and counts it. `then` changes the sale that has it.
    pub(crate) fn add_reservation(
        &mut self,
        number: ReservationNo,
        claim: &Claim<'_>,
        then: impl FnOnce(&mut Sale),
    ) {
        let added = self.sales.change(&self.hash, number.sale, |sale| {
            assert_eq!(number.seq, sale.reservations.len(), "reservations have no gaps");
            sale.add(&self.hash, claim);
            then(sale);
        });
        added.expect("a reservation has a sale");
        let units: u64 = claim.lines.iter().map(|line| u64::from(line.quantity)).sum();
        match claim.status {
            ReservationStatus::Held => {
                let at = claim.hold_until.expect("what is held is held until some time");
                let is_new = self.expiries.insert(Expiry { at, sale: number.sale, seq: number.seq });
                assert!(is_new, "a reservation expires once");
                self.unit_totals.held += units;
            }
            ReservationStatus::Confirmed => self.unit_totals.confirmed += units,
            ReservationStatus::Released | ReservationStatus::Expired => {}
        }
        self.reservation_count += 1;
        self.details_bytes += claim.details.len() as u64;
    }

    fn transition(&mut self, number: ReservationNo, to: ReservationStatus) {
        let incarnation = self.incarnation;
        let sale = self.sales.get_mut(&self.hash, number.sale).expect("a reservation has a sale");
        let from = sale.transition(number.seq, to, incarnation);
        let record = sale.reservations.get(number.seq).expect("it has just moved on");
        let units = record.units();
        if from == ReservationStatus::Held {
            let at = record.hold_until().expect("what was held was held until some time");
            let is_over = at <= self.time;
            assert_eq!(
                to == ReservationStatus::Expired,
                is_over,
                "a hold lasts until its time and no longer"
            );
            assert!(
                self.expiries.remove(&Expiry { at, sale: number.sale, seq: number.seq }),
                "what is held will expire"
            );
            self.unit_totals.held -= units;
        } else {
            self.unit_totals.confirmed -= units;
        }
        if to == ReservationStatus::Confirmed {
            self.unit_totals.confirmed += units;
        }
    }

    fn reclaim(&mut self, number: ReservationNo) {
        let incarnation = self.incarnation;
        let sale = self.sales.get_mut(&self.hash, number.sale).expect("a reservation has a sale");
        self.unit_totals.confirmed += sale.reclaim(number.seq, incarnation);
    }

    fn apply_sale_put(&mut self, sale_no: SaleNo, name: &str, terms: &SaleTerms) {
        let incarnation = self.incarnation;
        let changed = self.sales.change(&self.hash, sale_no, |sale| {
            assert_eq!(&*sale.name, name, "a sale keeps its name");
            let before = (sale.unit_totals(), sale.terms.stocks.len(), sale.is_shadow());
            sale.put_terms(terms, incarnation);
            before
        });
        let before = changed.unwrap_or_else(|| {
            assert_eq!(sale_no.0, self.sales_ever, "sales have no gaps");
            self.sales_ever += 1;
            self.sales.insert(&self.hash, Sale::new(sale_no, name, terms, incarnation));
            Default::default()
        });
        let total: u64 = terms.stocks.iter().map(|stock| u64::from(stock.quantity_total)).sum();
        self.unit_totals.total = self.unit_totals.total - before.0.total + total;
        self.stock_count = self.stock_count - stock_count(before.1) + stock_count(terms.stocks.len());
        self.shadow_sale_count -= u32::from(before.2);
        self.shadow_sale_count += u32::from(terms.gate.mode == GateMode::Shadow);
    }

    fn apply_sale_archived(&mut self, sale_no: SaleNo) {
        let sale = self.sales.remove(&self.hash, sale_no).expect("what is archived is there");
        let units = sale.unit_totals();
        // A log written before may have archived a sale with holds.
        if units.held > 0 {
            for (seq, record) in (0..).zip(sale.reservations.iter()) {
                if let Some(at) = record.expires_at() {
                    assert!(
                        self.expiries.remove(&Expiry { at, sale: sale_no, seq }),
                        "what is held will expire"
                    );
                }
            }
        }
        self.unit_totals.total -= units.total;
        self.unit_totals.held -= units.held;
        self.unit_totals.confirmed -= units.confirmed;
        self.stock_count -= stock_count(sale.terms.stocks.len());
        self.shadow_sale_count -= u32::from(sale.is_shadow());
        self.reservation_count -= sale.reservations.len();
        self.details_bytes -= sale.reservations.details_bytes();
    }
}

fn stock_count(stocks: usize) -> u32 {
    u32::try_from(stocks).expect("a sale has at most 1000 stocks")
}
