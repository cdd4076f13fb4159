//! The names against the state: whatever is put and reserved, both know the same numbers by the same names.

use std::collections::BTreeSet;

use onrush_core::{
    Event, Fact, GateTerms, Incarnation, Limits, Line, Lines, ReclaimedClaim, ReservationNo,
    ReservationStatus, SaleNo, SaleTerms, State, StockNo, StockTerms,
};
use onrush_log::Format;
use proptest::prelude::*;

use super::NameTable;
use crate::event::{Change, SinkEvent};
use onrush_node::ReservationIds;
use onrush_node::record::{FactDecoder, Record};

/// One step: a sale is put with these stocks, or one of its stocks is reserved, or a hold ends.
#[derive(Clone, Debug)]
enum Step {
    Put { sale: u32, stocks: BTreeSet<u8> },
    Reserve { sale: u32, stock: usize, held: bool },
    EndHold { sale: u32, seq: u32, confirms: bool },
    Begin(u32),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..3_u32, prop::collection::btree_set(0..6_u8, 1..5))
            .prop_map(|(sale, stocks)| Step::Put { sale, stocks }),
        (0..3_u32, 0..5_usize, any::<bool>()).prop_map(|(sale, stock, held)| Step::Reserve {
            sale,
            stock,
            held
        }),
        (0..3_u32, 0..8_u32, any::<bool>()).prop_map(|(sale, seq, confirms)| Step::EndHold {
            sale,
            seq,
            confirms
        }),
        (0..3_u32).prop_map(Step::Begin),
    ]
}

fn terms(stocks: &BTreeSet<u8>) -> SaleTerms {
    let stock = |n: &u8| StockTerms {
        stock: format!("stock-{}", 9 - n),
        title: String::new(),
        starts_at: None,
        ends_at: None,
        closes_at: None,
        quantity_total: 1_000,
    };
    SaleTerms {
        title: String::new(),
        opens_at: None,
        closes_at: None,
        per_customer_max: None,
        hold_ttl_ms: 0,
        gate: GateTerms::default(),
        stocks: stocks.iter().map(stock).collect(),
    }
}

/// What the state knows of a sale: stocks by number, and reservations.
#[derive(Default)]
struct Known {
    stocks: Vec<(StockNo, String)>,
    reservations: Vec<ReservationStatus>,
    reserved: BTreeSet<String>,
}

fn known(state: &State, sale: u32) -> Known {
    let mut known = Known::default();
    state.facts(&mut |fact| match fact {
        Fact::Sale { sale_no: SaleNo(no), terms, stock_nos, .. } if no == sale => {
            let names = terms.stocks.iter().map(|stock| stock.stock.clone());
            known.stocks = stock_nos.iter().copied().zip(names).collect();
        }
        Fact::Reservation { reservation, status, lines, .. } if reservation.sale.0 == sale => {
            known.reservations.push(status);
            let stock = known.stocks.iter().find(|(no, _)| *no == lines[0].stock);
            known.reserved.insert(stock.expect("a reserved stock stays").1.clone());
        }
        _ => {}
    });
    known
}

struct Both {
    state: State,
    names: NameTable,
    offset: u64,
}

impl Both {
    /// Applies an event to the state and tells it by the names; the text of what was described.
    fn apply(&mut self, event: Event<'_>) -> String {
        self.state.apply(&event, 1);
        let record = Record { index: 0, at: 1, event };
        self.offset += 1;
        let described =
            self.names.describe(self.offset, &record, |event: &SinkEvent<'_>| match &event.change {
                Change::SalePut { terms, stock_nos, .. } => stock_nos
                    .iter()
                    .zip(&terms.stocks)
                    .map(|(no, stock)| format!("{}={}", no.0, stock.stock))
                    .collect::<Vec<_>>()
                    .join(" "),
                Change::Reserved { subject, claim, .. }
                | Change::Confirmed { subject, claim }
                | Change::Released { subject, claim: Some(claim) } => {
                    let reservation = ReservationIds::new(0, [7; 16]).read(subject.id()).expect("its own id");
                    assert!(
                        self.state.reservation(subject.sale, reservation).is_some(),
                        "the state knows the id"
                    );
                    format!("{} {}", claim.customer, claim.lines[0].stock)
                }
                _ => String::new(),
            });
        described.expect("it follows").expect("it is for sinks")
    }

    /// Writes the names down and reads them back.
    fn restart(&mut self) {
        let mut facts = Vec::new();
        self.names.write_facts(&mut facts);
        let mut names = NameTable::new(ReservationIds::new(0, [7; 16]));
        FactDecoder::new(Format::NEWEST)
            .decode(&facts, |fact| names.restore(fact))
            .expect("what was written reads back");
        self.names = names;
    }

    fn step(&mut self, step: &Step) -> Result<(), TestCaseError> {
        match step {
            Step::Put { sale, stocks } => {
                let before = known(&self.state, *sale);
                let terms = terms(stocks);
                let keeps =
                    before.reserved.iter().all(|name| terms.stocks.iter().any(|stock| stock.stock == *name));
                // Numbers of sales are given in order.
                let exists = !before.stocks.is_empty();
                if !keeps || (!exists && *sale != self.state.sale_count()) {
                    return Ok(());
                }
                let name = format!("sale-{sale}");
                let described =
                    self.apply(Event::SalePut { sale_no: SaleNo(*sale), sale: &name, terms: &terms });
                let after = known(&self.state, *sale).stocks;
                let expected: Vec<_> = after.iter().map(|(no, name)| format!("{}={name}", no.0)).collect();
                prop_assert_eq!(described, expected.join(" "));
            }
            Step::Begin(tag) => {
                let event = Event::IncarnationBegun { incarnation: Incarnation(*tag) };
                self.state.apply(&event, 1);
                let record = Record { index: 0, at: 1, event };
                self.offset += 1;
                let described = self.names.describe(self.offset, &record, |_| ()).expect("it follows");
                prop_assert_eq!(described, None);
            }
            Step::Reserve { sale, stock, held } => {
                let before = known(&self.state, *sale);
                let Some((no, name)) = before.stocks.get(*stock) else { return Ok(()) };
                let seq = u32::try_from(before.reservations.len()).expect("few");
                let customer = format!("c{seq}");
                let described = self.apply(Event::Reserved {
                    reservation: ReservationNo { sale: SaleNo(*sale), seq },
                    customer: &customer,
                    lines: [Line { stock: *no, quantity: 1 }].into_iter().collect(),
                    expires_at: held.then_some(1_000),
                    key: None,
                    details: b"{}",
                });
                prop_assert_eq!(described, format!("{customer} {name}"));
            }
            Step::EndHold { sale, seq, confirms } => {
                let before = known(&self.state, *sale);
                if before.reservations.get(*seq as usize) != Some(&ReservationStatus::Held) {
                    return Ok(());
                }
                let reservation = ReservationNo { sale: SaleNo(*sale), seq: *seq };
                let event = if *confirms {
                    Event::Confirmed { reservation }
                } else {
                    Event::Released { reservation }
                };
                let described = self.apply(event);
                prop_assert!(described.starts_with(&format!("c{seq} stock-")), "{}", described);
            }
        }
        Ok(())
    }
}

proptest! {
    #[test]
    fn names_and_state_agree(steps in prop::collection::vec((step(), prop::bool::weighted(0.1)), 1..60)) {
        let ids = ReservationIds::new(0, [7; 16]);
        let mut both =
            Both { state: State::new(Limits::default(), 1), names: NameTable::new(ids), offset: 0 };
        for (step, restarts) in &steps {
            both.step(step)?;
            if *restarts {
                both.restart();
            }
        }
    }
}

#[test]
fn what_is_reclaimed_is_told_whole_though_its_hold_is_forgotten() {
    let ids = ReservationIds::new(0, [7; 16]);
    let mut both = Both { state: State::new(Limits::default(), 1), names: NameTable::new(ids), offset: 0 };
    let reservation = ReservationNo { sale: SaleNo(0), seq: 0 };
    let lines: Lines = [Line { stock: StockNo(0), quantity: 1 }].into_iter().collect();
    let terms = terms(&BTreeSet::from([9]));
    both.apply(Event::SalePut { sale_no: SaleNo(0), sale: "sale-0", terms: &terms });
    both.apply(Event::Reserved {
        reservation,
        customer: "ann",
        lines: lines.clone(),
        expires_at: Some(2),
        key: None,
        details: b"{}",
    });
    both.state.advance_time(2);
    both.apply(Event::Expired { reservation });
    both.restart();
    let (customer, key, details) = ("ann".into(), Box::default(), b"{}"[..].into());
    let claim = Box::new(ReclaimedClaim { customer, lines, key, details });
    assert_eq!(both.apply(Event::Reclaimed { reservation, claim }), "ann stock-0");
}

#[test]
fn what_does_not_follow_is_refused() {
    let mut names = NameTable::new(ReservationIds::new(0, [7; 16]));
    let reservation = ReservationNo { sale: SaleNo(0), seq: 0 };
    for event in [
        Event::SaleArchived { sale_no: SaleNo(0) },
        Event::Confirmed { reservation },
        Event::Expired { reservation },
        Event::Reserved {
            reservation,
            customer: "c",
            lines: [Line { stock: StockNo(0), quantity: 1 }].into_iter().collect(),
            expires_at: None,
            key: None,
            details: b"",
        },
    ] {
        let record = Record { index: 0, at: 1, event };
        assert!(names.describe(1, &record, |_| ()).is_err());
    }
}
