//! Lists that readers get end before they hold anybody up, and say so.

use onrush_core::{
    Asker, BroughtChallenge, CUSTOMER_DETAILS_BYTES_MAX, CUSTOMER_RESERVATIONS_MAX, Command,
    DETAILS_BYTES_MAX, GateTerms, Limits, LineRequest, Now, Precondition, Reserve, SaleTerms, State,
    StockTerms, decide,
};

fn decide_and_apply(state: &mut State, command: &Command<'_>) {
    let decision = decide(state, command, Now::both(1_000)).unwrap();
    state.apply(&decision.event.unwrap(), 1_000);
}

fn put(state: &mut State, sale: &str, stock_count: usize) {
    let stock = |n: usize| StockTerms {
        stock: format!("stock-{n}"),
        title: String::new(),
        starts_at: None,
        ends_at: None,
        closes_at: None,
        quantity_total: 1_000_000,
    };
    let terms = SaleTerms {
        title: String::new(),
        opens_at: None,
        closes_at: None,
        per_customer_max: None,
        hold_ttl_ms: 0,
        gate: GateTerms::default(),
        stocks: (0..stock_count).map(stock).collect(),
    };
    decide_and_apply(
        state,
        &Command::PutSale { sale, terms: &terms, left_out: &[], only_if: &Precondition::None },
    );
}

fn reserve(state: &mut State, details: &[u8]) {
    let lines = [LineRequest { stock: "stock-0", quantity: 1 }];
    let claim = Reserve {
        asker: Asker::Anyone,
        sale: "s",
        customer: "c",
        lines: &lines,
        details,
        challenge: BroughtChallenge::Missing,
        key: None,
    };
    decide_and_apply(state, &Command::Reserve(claim));
}

#[test]
fn a_customer_sees_the_newest_reservations() {
    let mut state = State::new(Limits::default(), 1);
    put(&mut state, "s", 1);
    for _ in 0..CUSTOMER_RESERVATIONS_MAX + 200 {
        reserve(&mut state, b"");
    }
    let views = state.reservations_of("s", "c").unwrap();
    assert_eq!(views.len(), CUSTOMER_RESERVATIONS_MAX);
    assert_eq!(views[0].reservation.no.seq, 200);
    assert!(views.is_sorted_by_key(|view| view.reservation.no.seq));
}

#[test]
fn the_reservations_of_a_sale_come_newest_first() {
    let mut state = State::new(Limits::default(), 1);
    put(&mut state, "s", 1);
    for _ in 0..5 {
        reserve(&mut state, b"");
    }
    let ordinals = |before, limit| {
        let views = state.reservations_before("s", before, limit).unwrap();
        views.iter().map(|view| view.reservation.no.seq).collect::<Vec<_>>()
    };
    assert_eq!(ordinals(None, 2), [4, 3]);
    assert_eq!(ordinals(Some(3), 10), [2, 1, 0]);
    assert_eq!(ordinals(Some(9), 1), [4]);
    assert_eq!(ordinals(Some(0), 10), [0; 0]);
    assert_eq!(state.reservations_before("t", None, 10), None);
}

#[test]
fn a_customer_with_many_details_sees_fewer() {
    let mut state = State::new(Limits::default(), 1);
    put(&mut state, "s", 1);
    for _ in 0..100 {
        reserve(&mut state, &[b'x'; DETAILS_BYTES_MAX]);
    }
    let views = state.reservations_of("s", "c").unwrap();
    assert_eq!(views.len(), CUSTOMER_DETAILS_BYTES_MAX / DETAILS_BYTES_MAX + 1);
    assert_eq!(views.last().unwrap().reservation.no.seq, 99);
}

#[test]
fn a_page_of_sales_ends_by_count_or_by_stocks() {
    let mut state = State::new(Limits::default(), 1);
    for sale in ["a", "b", "c", "d"] {
        put(&mut state, sale, 600);
    }
    let names = |after, limit| {
        let page = state.sales_after(after, limit, 1_000);
        (page.sales.iter().map(|sale| sale.sale.clone()).collect::<Vec<_>>().concat(), page.has_more)
    };
    assert_eq!(names(None, 1), ("a".into(), true));
    assert_eq!(names(None, 100), ("ab".into(), true));
    assert_eq!(names(Some("b"), 100), ("cd".into(), false));
    assert_eq!(names(Some("c"), 1), ("d".into(), false));
    assert_eq!(names(Some("d"), 1), (String::new(), false));
}
