//! Events that no decision makes stop the process instead of making a state that cannot be.

use std::panic::{AssertUnwindSafe, catch_unwind};

use onrush_core::{
    Asker, BroughtChallenge, Command, Event, GateTerms, Limits, Line, LineRequest, Lines, Now, Precondition,
    ReclaimedClaim, ReservationNo, Reserve, SaleNo, SaleTerms, State, StockNo, StockTerms, WindowShape,
    decide,
};

#[test]
fn impossible_events_stop_the_process() {
    let number = |sale, seq| ReservationNo { sale: SaleNo(sale), seq };
    let lines = |stock, quantity| Lines::from_iter([Line { stock: StockNo(stock), quantity }]);
    let reserved = |reservation, lines, expires_at| Event::Reserved {
        reservation,
        customer: "c",
        lines,
        expires_at,
        key: None,
        details: &[],
    };
    let reclaimed = |reservation| {
        let (customer, key, details) = (Box::from("c"), Box::default(), Box::default());
        let claim = ReclaimedClaim { customer, lines: lines(0, 3), key, details };
        Event::Reclaimed { reservation, claim: Box::new(claim) }
    };
    let (fewer, without) = (terms(&[("a", 2), ("b", 5)]), terms(&[("b", 5)]));
    let shape = WindowShape { span_ms: 10, precision_ms: 1 };
    let impossible = [
        ("a second founding", Event::PartitionCreated { id_key: [0; 16] }, 100),
        ("a counter that skips", Event::CounterAdded { counter: "home", by: 1, value: 4 }, 100),
        ("a new counter that skips", Event::CounterAdded { counter: "new", by: 1, value: 2 }, 100),
        ("a hit of no window", Event::WindowHit { window: "v", pane: 1, by: 1 }, 100),
        ("a hit of an older pane", Event::WindowHit { window: "w", pane: 9, by: 1 }, 100),
        ("a hit that counts nothing", Event::WindowHit { window: "w", pane: 11, by: 0 }, 100),
        ("a sale's number that skips", Event::SalePut { sale_no: SaleNo(2), sale: "u", terms: &fewer }, 100),
        ("a sale's name given twice", Event::SalePut { sale_no: SaleNo(1), sale: "s", terms: &fewer }, 100),
        ("a sale renamed", Event::SalePut { sale_no: SaleNo(0), sale: "u", terms: &fewer }, 100),
        ("fewer units than reserved", Event::SalePut { sale_no: SaleNo(0), sale: "s", terms: &fewer }, 100),
        ("a reserved stock left out", Event::SalePut { sale_no: SaleNo(0), sale: "s", terms: &without }, 100),
        ("an end of no sale", Event::SaleArchived { sale_no: SaleNo(1) }, 100),
        ("a reservation of no sale", reserved(number(1, 0), lines(0, 1), None), 100),
        ("a reservation's number that skips", reserved(number(0, 3), lines(0, 1), None), 100),
        ("a reservation's number given twice", reserved(number(0, 1), lines(0, 1), None), 100),
        ("a reservation of no stock", reserved(number(0, 2), lines(2, 1), None), 100),
        ("a reservation without lines", reserved(number(0, 2), Lines::new(), None), 100),
        ("a unit sold twice", reserved(number(0, 2), lines(0, 3), None), 100),
        ("a hold that is over at once", reserved(number(0, 2), lines(0, 1), Some(100)), 100),
        ("a hold of more than a day", reserved(number(0, 2), lines(0, 1), Some(86_400_101)), 100),
        ("a confirmation of nothing", Event::Confirmed { reservation: number(0, 2) }, 100),
        ("a confirmation too late", Event::Confirmed { reservation: number(0, 1) }, 1_010),
        ("a payment of what is released", reclaimed(number(0, 0)), 100),
        ("a payment of what is held", reclaimed(number(0, 1)), 100),
        ("a release too late", Event::Released { reservation: number(0, 1) }, 1_010),
        ("an expiry too early", Event::Expired { reservation: number(0, 1) }, 1_009),
        ("an expiry of what is released", Event::Expired { reservation: number(0, 0) }, 5_000),
        ("a second release", Event::Released { reservation: number(0, 0) }, 100),
        ("a confirmation of what is released", Event::Confirmed { reservation: number(0, 0) }, 100),
    ];
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let survived: Vec<_> = impossible
        .iter()
        .filter(|(_, event, at)| {
            let mut state = sample(shape);
            catch_unwind(AssertUnwindSafe(|| state.apply(event, *at))).is_ok()
        })
        .map(|(what, ..)| what)
        .collect();
    std::panic::set_hook(hook);
    assert!(survived.is_empty(), "the state went on after {survived:?}");
}

/// One sale with a released and then a held reservation, both of three units of five.
fn sample(shape: WindowShape) -> State {
    let mut state = State::new(Limits::default(), 1);
    let terms = terms(&[("a", 5), ("b", 5)]);
    let lines = [LineRequest { stock: "a", quantity: 3 }];
    let claim = Command::Reserve(Reserve {
        asker: Asker::Anyone,
        sale: "s",
        customer: "c",
        lines: &lines,
        details: &[],
        challenge: BroughtChallenge::Missing,
        key: None,
    });
    let released = ReservationNo { sale: SaleNo(0), seq: 0 };
    let mut run = |command: &Command<'_>| {
        let decision = decide(&state, command, Now::both(10)).expect("nothing stands in the way");
        state.apply(&decision.event.expect("it is new"), 10);
    };
    run(&Command::CreatePartition { id_key: [1; 16] });
    run(&Command::AddToCounter { counter: "home", by: 2 });
    run(&Command::PutWindow { window: "w", shape });
    run(&Command::HitWindow { window: "w", default_shape: shape });
    run(&Command::PutSale { sale: "s", terms: &terms, left_out: &[], only_if: &Precondition::None });
    run(&claim);
    run(&Command::Release { sale: "s", reservation: released.into(), asker: Asker::Anyone });
    run(&claim);
    state
}

fn terms(stocks: &[(&str, u32)]) -> SaleTerms {
    let stock = |&(name, quantity_total): &(&str, u32)| StockTerms {
        stock: name.to_owned(),
        title: String::new(),
        starts_at: None,
        ends_at: None,
        closes_at: None,
        quantity_total,
    };
    SaleTerms {
        title: String::new(),
        opens_at: None,
        closes_at: None,
        per_customer_max: None,
        hold_ttl_ms: 1_000,
        gate: GateTerms::default(),
        stocks: stocks.iter().map(stock).collect(),
    }
}
