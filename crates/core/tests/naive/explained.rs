//! What is explained is what is decided.

use onrush_core::{
    Asker, BroughtChallenge, Command, LineRequest, Now, Refusal, Reserve, SaleCheck, SaleView, State,
    Verdict, decide, explain,
};

/// Holds what is explained of a sale to this customer against what is decided for them, stock by stock. Returns the refusal that was
/// explained, if it was one.
pub(crate) fn explained(state: &State, sale: &SaleView, customer: &str, now: Now) -> Option<Refusal> {
    let checks = explain(state, &sale.sale, Some(customer), now).expect("the sale is there");
    let refused = checks.iter().find_map(|(check, verdict)| match verdict {
        Verdict::Refused(refusal) => Some(refusal.clone()),
        Verdict::Passed | Verdict::RefusedInShadow(_) => None,
        Verdict::NotAsked => {
            assert!(matches!(check, SaleCheck::Challenge { .. }), "a customer was named");
            None
        }
    });
    let decided: Vec<_> =
        sale.stocks.iter().map(|stock| refusal_of(state, sale, customer, &stock.stock, now)).collect();
    match &refused {
        Some(refusal) => {
            assert!(decided.contains(&Some(refusal.clone())), "{refusal:?} is none of {decided:?}");
            assert!(
                decided.iter().all(Option::is_some),
                "{refusal:?} is not that of every stock: {decided:?}"
            );
        }
        None => assert!(decided.contains(&None), "nobody refuses, and yet {decided:?}"),
    }
    let without_customer = explain(state, &sale.sale, None, now).expect("the sale is there");
    for (about_all, about_one) in without_customer.iter().zip(&checks) {
        assert!(matches!(about_all.1, Verdict::NotAsked) || about_all.1 == about_one.1, "{about_all:?}");
    }
    refused
}

/// What a claim of one unit is refused for, by the rules of the sale. How much there may be of everything is not one of them.
fn refusal_of(state: &State, sale: &SaleView, customer: &str, stock: &str, now: Now) -> Option<Refusal> {
    let solved = sale.gate.challenge.kinds().first().copied().map(BroughtChallenge::Solved);
    let claim = Reserve {
        sale: &sale.sale,
        asker: Asker::Customer(customer),
        customer,
        lines: &[LineRequest { stock, quantity: 1 }],
        details: b"",
        challenge: solved.unwrap_or_default(),
        key: None,
    };
    match decide(state, &Command::Reserve(claim), now) {
        Ok(_) | Err(Refusal::CeilingReached(_)) => None,
        Err(refusal) => Some(refusal),
    }
}
