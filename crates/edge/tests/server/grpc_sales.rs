//! Sales and reservations over gRPC: the same answers and the same refusals as over HTTP.

#![allow(clippy::struct_field_names, reason = "the names are those of the protocol files")]

use onrush_edge::{Components, GateSettings};
use onrush_gate::{Algorithm, GroupRates, RateLimitSettings};
use prost::Message;

use crate::grpc::{Answer, call, told};
use crate::grpc_messages::{Claim, Line, ManyReservations, OneClaim, OneReservation, Reservation, unit_for};
use crate::sessions::{ANN, hour};
use crate::support::{Rig, Settings, call_json, call_with, settings};

#[derive(Clone, PartialEq, Message)]
struct Two {
    #[prost(string, tag = "1")]
    first: String,
    #[prost(string, tag = "2")]
    second: String,
}

#[derive(Clone, PartialEq, Message)]
struct Page {
    #[prost(uint32, tag = "1")]
    limit: u32,
    #[prost(string, tag = "2")]
    cursor: String,
}

#[derive(Clone, PartialEq, Message)]
struct Sale {
    #[prost(string, tag = "1")]
    sale: String,
    #[prost(uint32, optional, tag = "5")]
    per_customer_max: Option<u32>,
    #[prost(uint32, tag = "6")]
    hold_ttl_ms: u32,
    #[prost(int32, tag = "8")]
    status: i32,
    #[prost(message, repeated, tag = "9")]
    stocks: Vec<Stock>,
}

#[derive(Clone, PartialEq, Message)]
struct Stock {
    #[prost(string, tag = "1")]
    stock: String,
    #[prost(uint32, tag = "6")]
    total: u32,
    #[prost(uint32, tag = "7")]
    held: u32,
    #[prost(uint32, tag = "8")]
    confirmed: u32,
    #[prost(uint32, tag = "9")]
    available: u32,
}

#[derive(Clone, PartialEq, Message)]
struct OneSale {
    #[prost(message, tag = "1")]
    sale: Option<Sale>,
}

#[derive(Clone, PartialEq, Message)]
struct SalesPage {
    #[prost(message, repeated, tag = "1")]
    sales: Vec<Sale>,
    #[prost(string, tag = "2")]
    next_cursor: String,
}

fn two(first: &str, second: &str) -> Two {
    Two { first: first.into(), second: second.into() }
}

fn reserve(rig: &Rig, fields: &[(&str, &str)], claim: Claim) -> Answer {
    let asked = OneClaim { sale: "s".into(), claim: Some(claim) };
    call(rig, "/onrush.v1.Reservations/Reserve", fields, &asked)
}

fn reservations(rig: &Rig, method: &str, first: &str, second: &str) -> Answer {
    call(rig, &format!("/onrush.v1.Reservations/{method}"), &[], &two(first, second))
}

fn reason(answer: &Answer) -> (u32, &str) {
    (answer.status, &answer.reason)
}

#[test]
fn a_reservation_is_made_found_confirmed_and_released() {
    let rig = Rig::start(settings());
    let terms =
        r#"{"per_customer_max":2,"hold_ttl_ms":60000,"stocks":[{"stock":"unit","quantity_total":3}]}"#;
    call_json(rig.operator(), "PUT", "/v1/sales/s", "", terms);
    let claim = Claim { details: br#"{"a": 1}"#.to_vec(), ..unit_for("ann", "k") };
    let made: OneReservation = told(&reserve(&rig, &[], claim.clone()));
    let held = made.reservation.expect("a reservation");
    assert!(!made.replayed && held.expires_at_ms.is_some_and(|at| at == held.created_at_ms + 60_000));
    assert_eq!(
        (&*held.sale, &*held.customer, held.status, &*held.details),
        ("s", "ann", 1, &br#"{"a": 1}"#[..])
    );
    assert_eq!(held.lines, [Line { stock: "unit".into(), quantity: 1 }]);
    let again: OneReservation = told(&reserve(&rig, &[], claim));
    assert_eq!((again.replayed, again.reservation.as_ref()), (true, Some(&held)));
    // The key is that of HTTP.
    let body = r#"{"customer":"ann","lines":[{"stock":"unit","quantity":1}],"details":{"a": 1}}"#;
    let over_http =
        call_json(rig.public(), "POST", "/v1/sales/s/reservations", "Idempotency-Key: k\r\n", body);
    assert_eq!((over_http.status, over_http.body.contains(&held.reservation)), (200, true));
    let one = |answer: &Answer| told::<OneReservation>(answer).reservation.expect("a reservation");
    assert_eq!(one(&reservations(&rig, "Get", "s", &held.reservation)), held);
    let confirmed = one(&reservations(&rig, "Confirm", "s", &held.reservation));
    assert_eq!(confirmed, Reservation { status: 2, expires_at_ms: None, ..held.clone() });
    let all: ManyReservations = told(&reservations(&rig, "List", "s", "ann"));
    assert_eq!(all.reservations, std::slice::from_ref(&confirmed));
    let released = one(&reservations(&rig, "Release", "s", &held.reservation));
    assert_eq!(released, Reservation { status: 3, ..confirmed });
}

#[test]
fn refusals_are_those_of_http() {
    let rig = Rig::start(settings());
    rig.put_sale("s");
    let claim = |customer: &str, stock: &str, quantity| Claim {
        lines: vec![Line { stock: stock.into(), quantity }],
        ..unit_for(customer, "")
    };
    for (claim, expected) in [
        (claim("ann", "none", 1), (5, "stock_not_found")),
        (claim("ann", "unit", 101), (9, "insufficient_stock")),
        (claim("ann", "unit", 0), (3, "invalid_request")),
        (claim("a b", "unit", 1), (3, "invalid_request")),
        (claim("", "unit", 1), (3, "invalid_request")),
        (Claim { lines: Vec::new(), ..unit_for("ann", "") }, (3, "invalid_request")),
        (Claim { details: b"[]".to_vec(), ..unit_for("ann", "") }, (3, "invalid_request")),
        (Claim { details: b"{".to_vec(), ..unit_for("ann", "") }, (3, "invalid_request")),
        (unit_for("ann", "k\n"), (3, "invalid_request")),
    ] {
        assert_eq!(reason(&reserve(&rig, &[], claim.clone())), expected, "{claim:?}");
    }
    assert_eq!(reserve(&rig, &[], unit_for("ann", "k")).status, 0);
    assert_eq!(reason(&reserve(&rig, &[], unit_for("bob", "k"))), (3, "idempotency_key_reused"));
    let elsewhere = OneClaim { sale: "none".into(), claim: Some(unit_for("ann", "")) };
    let answer = call(&rig, "/onrush.v1.Reservations/Reserve", &[], &elsewhere);
    assert_eq!(reason(&answer), (5, "sale_not_found"));
    assert_eq!(reason(&reservations(&rig, "Get", "s", "nothing")), (5, "reservation_not_found"));
    assert_eq!(reason(&reservations(&rig, "List", "none", "ann")), (5, "sale_not_found"));
    call_json(rig.operator(), "PUT", "/v1/denylist/customer/eve", "", "{}");
    assert_eq!(reason(&reserve(&rig, &[], unit_for("eve", ""))), (7, "denied"));
}

#[test]
fn a_session_says_who_reserves() {
    let components = Components { sessions: Some(hour()), ..Components::default() };
    let rig = Rig::start_with(settings(), components);
    let terms = r#"{"gate":{"session":"required"},"stocks":[{"stock":"unit","quantity_total":3}]}"#;
    call_json(rig.operator(), "PUT", "/v1/sales/s", "", terms);
    let ann = [("authorization", &*format!("Bearer {ANN}"))];
    assert_eq!(reason(&reserve(&rig, &[], unit_for("ann", ""))), (16, "session_required"));
    assert_eq!(reason(&reserve(&rig, &ann, unit_for("bob", ""))), (7, "customer_mismatch"));
    let made: OneReservation = told(&reserve(&rig, &ann, unit_for("", "")));
    let made = made.reservation.expect("a reservation");
    assert_eq!(made.customer, "ann");
    let named = two("s", &made.reservation);
    assert_eq!(reason(&reservations(&rig, "Release", "s", &made.reservation)), (16, "session_required"));
    assert_eq!(call(&rig, "/onrush.v1.Reservations/Release", &ann, &named).status, 0);
}

#[test]
fn reservations_have_limits_of_their_own() {
    let rate = |rate: &str| GroupRates { address: rate.parse().ok(), ..GroupRates::default() };
    let rate_limits = RateLimitSettings {
        algorithm: Algorithm::Bucket,
        keys_max: 100,
        reserve: rate("1/m burst 2"),
        pages: rate("1/m burst 3"),
    };
    let gate = GateSettings { rate_limits, ..GateSettings::default() };
    let rig = Rig::start(Settings { gate, ..settings() });
    rig.put_sale("s");
    assert_eq!(reserve(&rig, &[], unit_for("a", "")).status, 0);
    assert_eq!(reserve(&rig, &[], unit_for("b", "")).status, 0);
    assert_eq!(reason(&reserve(&rig, &[], unit_for("c", ""))), (8, "rate_limited"));
    assert_eq!(reservations(&rig, "List", "s", "a").status, 0, "which is one of the other group");
}

#[test]
fn sales_are_read_and_listed() {
    let rig = Rig::start(Settings { scenarios: onrush_edge::Scenarios::default(), ..settings() });
    for sale in ["a", "b", "c"] {
        rig.put_sale(sale);
    }
    call_json(
        rig.public(),
        "POST",
        "/v1/sales/b/reservations",
        "",
        r#"{"customer":"x","lines":[{"stock":"unit","quantity":7}]}"#,
    );
    let get = |sale: &str| call(&rig, "/onrush.v1.Sales/Get", &[], &two(sale, ""));
    let sale = told::<OneSale>(&get("b")).sale.expect("a sale");
    assert_eq!((&*sale.sale, sale.status, sale.per_customer_max, sale.hold_ttl_ms), ("b", 2, None, 0));
    let stock = Stock { stock: "unit".into(), total: 100, held: 0, confirmed: 7, available: 93 };
    assert_eq!(sale.stocks, [stock]);
    assert_eq!((reason(&get("none")), reason(&get("a b"))), ((5, "sale_not_found"), (3, "invalid_request")));
    let list = |limit, cursor: &str| {
        call(&rig, "/onrush.v1.Sales/List", &[], &Page { limit, cursor: cursor.into() })
    };
    let names = |page: &SalesPage| page.sales.iter().map(|sale| sale.sale.clone()).collect::<Vec<_>>();
    let first: SalesPage = told(&list(2, ""));
    assert_eq!(names(&first), ["a", "b"]);
    let over_http = call_with(rig.public(), "GET", "/v1/sales?limit=2", "", "");
    assert!(over_http.body.contains(&format!("\"next_cursor\":\"{}\"", first.next_cursor)));
    let second: SalesPage = told(&list(2, &first.next_cursor));
    assert_eq!((names(&second), &*second.next_cursor), (vec!["c".to_owned()], ""));
    assert_eq!(names(&told(&list(0, ""))).len(), 3);
    assert_eq!((reason(&list(101, "")).0, reason(&list(1, "x")).0), (3, 3));
}
