//! Each check in words.

use onrush_core::DenialKind;

use super::*;
use crate::gate::check_of;

fn limit(limited: Limited, remaining: Option<u32>) -> Left {
    Left { limited, burst: 1_000, remaining }
}

#[test]
fn rate_limits_say_what_is_left() {
    use Limited::{Address, Customer, Route};
    for (limits, verdict, detail) in [
        (vec![], Verdict::Passed, "No rate limit of reservations is on."),
        (
            vec![limit(Address, Some(12))],
            Verdict::Passed,
            "12 of 1,000 requests of this address's burst are left.",
        ),
        (
            vec![limit(Address, None), limit(Route, Some(1_000)), limit(Customer, Some(0))],
            Verdict::Refused,
            "1,000 of 1,000 requests of the burst of all clients are left; \
             0 of 1,000 requests of this customer's burst are left.",
        ),
        (
            vec![limit(Address, None), limit(Customer, None)],
            Verdict::NotAsked,
            "The limits are by address or by customer, and none was named.",
        ),
    ] {
        let told = of_rate_limits(&limits);
        assert_eq!((told.verdict, told.detail.as_str()), (verdict, detail));
        assert_eq!(told.code, (verdict == Verdict::Refused).then_some("rate_limited"));
    }
}

#[test]
fn the_denylist_says_who_and_why() {
    let denial = |kind, value: &str, reason: &str, expires_at| Denial {
        kind,
        value: value.into(),
        reason: reason.into(),
        expires_at,
    };
    let network = denial(DenialKind::Address, "192.0.2.0/24", "a \"bot\"", Some(1_621_123_200_000)).into();
    let customer = denial(DenialKind::Customer, "ada", "", None).into();
    let of_network =
        "The denylist has address 192.0.2.0/24 until 2021-05-16T00:00:00.000Z (reason: a \"bot\").";
    let of_customer = "The denylist has customer ada.";
    for (denials, detail) in [
        (vec![Arc::clone(&network)], of_network.to_owned()),
        (vec![Arc::clone(&customer)], of_customer.to_owned()),
        (vec![network, customer], format!("{of_network} {of_customer}")),
    ] {
        let told = of_denylist(true, &denials);
        assert_eq!(
            (told.verdict, told.code, told.detail.as_str()),
            (Verdict::Refused, Some("denied"), detail.as_str())
        );
    }
    assert_eq!(of_denylist(true, &[]).verdict, Verdict::Passed);
    assert_eq!(of_denylist(false, &[]).verdict, Verdict::NotAsked);
}

/// Whoever wonders why nobody can buy is told.
#[test]
fn a_sale_that_takes_a_session_takes_nobody_while_sessions_are_off() {
    let rules = |asked| [(SaleCheck::Session { asked }, onrush_core::Verdict::Passed)];
    for (asked, has_sessions, verdict) in [
        (SessionTerms::Required, true, Verdict::Passed),
        (SessionTerms::Required, false, Verdict::Refused),
        (SessionTerms::Optional, false, Verdict::Passed),
    ] {
        let told = of_sale(Some(&rules(asked)), has_sessions);
        assert_eq!(told[0].verdict, verdict, "{asked:?} {has_sessions}");
        assert_eq!(told[0].detail.contains("gate.accounts"), verdict == Verdict::Refused);
    }
}

#[test]
fn rules_of_a_sale_say_their_figures() {
    use onrush_core::Verdict::{NotAsked, Passed, Refused, RefusedInShadow};
    let cooldown = SaleCheck::Cooldown { cooldown_ms: 10_000 };
    let limit = SaleCheck::CustomerLimit { quantity_taken: 4, per_customer_max: Some(4) };
    let cooling = |left_ms| Refusal::CoolingDown { left_ms };
    for (check, verdict, expected) in [
        (cooldown, Refused(cooling(4_150)), "refused cooling_down The customer's cool-down ends in 4.2 s."),
        (cooldown, Refused(cooling(1)), "refused cooling_down The customer's cool-down ends in 0.1 s."),
        (
            cooldown,
            RefusedInShadow(cooling(3_600_000)),
            "passed cooling_down The customer's cool-down ends in 3,600.0 s. The sale is in shadow mode and refuses nobody for it.",
        ),
        (cooldown, NotAsked, "not_asked - No customer was named."),
        (SaleCheck::Cooldown { cooldown_ms: 0 }, Passed, "passed - The sale has no cool-down."),
        (
            SaleCheck::Session { asked: SessionTerms::Required },
            Passed,
            "passed - The sale asks for a session of the customer. A request without one is refused with session_required.",
        ),
        (
            SaleCheck::SaleOpen { opens_at: None, closes_at: Some(0) },
            Passed,
            "passed - The sale is open until 1970-01-01T00:00:00.000Z.",
        ),
        (
            SaleCheck::SaleOpen { opens_at: Some(0), closes_at: None },
            Refused(Refusal::SaleNotOpen { opens_at: 0 }),
            "refused sale_not_open The sale opens at 1970-01-01T00:00:00.000Z.",
        ),
        (
            SaleCheck::HoldsUnpaid { unpaid_count: 2, holds_unpaid_max: Some(2) },
            Refused(Refusal::HoldsUnpaid { holds_unpaid_max: 2 }),
            "refused holds_unpaid 2 holds of the customer ran out unpaid; at 2 nothing more is reserved.",
        ),
        (
            SaleCheck::StockOpen { stock_count: 30, open_count: 0 },
            Refused(Refusal::StockClosed { line: 0, closes_at: 0 }),
            "refused stock_closed Every stock of the sale has closed.",
        ),
        (
            limit,
            Refused(Refusal::CustomerLimitReached { per_customer_max: 4, quantity_taken: 4 }),
            "refused customer_limit_reached The customer has 4 of 4 units.",
        ),
        (
            SaleCheck::Stock { quantity_available: 1_234_567 },
            Passed,
            "passed - 1,234,567 units are left in stocks that are open.",
        ),
    ] {
        let told = of_rule(&check, &verdict);
        let said = format!("{} {} {}", told.verdict.as_str(), told.code.unwrap_or("-"), told.detail);
        assert_eq!((told.check, said.as_str()), (check.as_str(), expected));
        if let Refused(refusal) = verdict {
            assert_eq!(check_of(refusal.code()), told.check, "figures have the same names");
        }
    }
}

#[test]
fn without_a_sale_its_rules_are_told_as_not_asked() {
    let told = of_sale(None, true);
    assert_eq!(told.iter().map(|told| told.check).collect::<Vec<_>>(), CHECKS[2..]);
    assert!(told.iter().all(|told| told.verdict == Verdict::NotAsked && told.code.is_none()));
}
