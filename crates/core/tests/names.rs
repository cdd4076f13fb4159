//! Names that were given before dot segments were refused: what has them goes on.

use onrush_core::{
    Command, Event, GateTerms, Limits, Now, Precondition, Refusal, SaleNo, SaleTerms, State, StockTerms,
    decide,
};

fn terms(quantity_total: u32) -> SaleTerms {
    let stock = ".".into();
    SaleTerms {
        title: String::new(),
        opens_at: None,
        closes_at: None,
        per_customer_max: None,
        hold_ttl_ms: 0,
        gate: GateTerms::default(),
        stocks: vec![StockTerms {
            stock,
            title: String::new(),
            starts_at: None,
            ends_at: None,
            closes_at: None,
            quantity_total,
        }],
    }
}

#[test]
fn dot_segments_that_were_given_go_on() {
    let mut state = State::new(Limits::default(), 1);
    let before = terms(1);
    for event in [
        Event::CounterAdded { counter: ".", by: 1, value: 1 },
        Event::SalePut { sale_no: SaleNo(0), sale: "..", terms: &before },
    ] {
        state.apply(&event, 1);
    }
    let mut restored = State::restore(Limits::default(), 2);
    state.facts(&mut |fact| restored.restore_fact(&fact).expect("the names are in use"));
    assert_eq!(restored.digest(), state.digest());

    let refused = |command| decide(&restored, &command, Now::both(1)).err();
    let after = terms(2);
    assert_eq!(refused(Command::AddToCounter { counter: ".", by: 1 }), None);
    assert_eq!(
        refused(Command::PutSale { sale: "..", terms: &after, left_out: &[], only_if: &Precondition::None }),
        None
    );
    assert_eq!(
        refused(Command::AddToCounter { counter: "..", by: 1 }),
        Some(Refusal::InvalidName { field: "counter" })
    );
    assert_eq!(
        refused(Command::PutSale { sale: ".", terms: &after, left_out: &[], only_if: &Precondition::None }),
        Some(Refusal::InvalidName { field: "sale" })
    );
}
