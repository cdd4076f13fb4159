//! What a rush asks for is answered by its bytes or by the router, and both answers are the same.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::Instant;

use onrush_core::{Ceiling, Denial, InvalidTerms, Refusal, RefusalCode, RowCollection, TimeMs, Unmet};
use onrush_gate::jwt::{JwtKeys, JwtRules};
use onrush_gate::session::{Cipher, KeyId, NONCE_BYTES, Session, SessionKey, SessionKeys};
use onrush_node::{Call, Failure, MetricsSnapshot, Readiness, ReservationIds, ReserveCall};

use super::sending::{exchange, fields, parse};
use super::shop::{Shop, catalog};
use super::{ALL, PEER, public_router};
use crate::api::app::{App, Backend, Done};
use crate::api::{hot_table, public_routes};
use crate::catalog::{Catalog, RowSource};
use crate::gate::{Denylist, Gate, PublicGate, SessionSettings, Sessions};
use crate::hot::{self, Hot, HotTable, Sender};
use crate::http::request;
use crate::metrics::EdgeMetrics;

/// A secret of HS256.
const JWT_KEY: &str = r#"{"kty":"oct","k":"BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc"}"#;

/// The answer by bytes: status, fields in alphabetical order, and body. Nothing if the request is one for the router.
fn answer_hot(
    backend: &dyn Backend,
    gate: &Arc<PublicGate>,
    request: &str,
) -> Option<(u16, Vec<String>, String)> {
    let (parts, body) = parse(request);
    let mut body_out = Vec::new();
    let request = request::Request::of_http2(&parts, body.as_bytes(), PEER);
    let table = hot_table(ALL);
    let head = match decoded(&table, &request, backend, gate) {
        Hot::Call(call, rendering) => {
            let (tell, told) = sync_channel(1);
            backend.call(call, Box::new(move |reply| tell.send(reply).expect("somebody who waits")));
            let reply = told.recv().expect("an answer");
            rendering.render(reply, backend.ids(""), backend.now_ms(), &mut body_out)
        }
        Hot::Ready(ready) => {
            body_out.extend(ready.body);
            ready.head
        }
        Hot::Problem(problem) => hot::write_problem_of(table.find(&request))(&problem, &mut body_out),
        Hot::Routed => return None,
    };
    let mut fields: Vec<String> =
        head.fields.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    fields.extend(head.content_type.map(|content_type| format!("content-type: {content_type}")));
    fields.sort();
    Some((head.status, fields, String::from_utf8(body_out).expect("UTF-8")))
}

/// A request is answered by its bytes, and the router says the same.
fn check_equal(backend: &Arc<dyn Backend>, gate: &Arc<PublicGate>, request: &str) {
    let Some((status, hot_fields, body)) = answer_hot(&**backend, gate, request) else {
        panic!("{request} is not hot")
    };
    let mut app = App::over(Arc::clone(backend), ALL, None, Arc::new(EdgeMetrics::default));
    app.gate = Arc::clone(gate);
    let app = app.with_catalog(catalog());
    let (parts, routed_body) = exchange(&public_router(Arc::new(app)), request);
    let mut routed_fields = fields(&parts);
    routed_fields.sort();
    let of_router = (parts.status.as_u16(), routed_fields, routed_body);
    assert_eq!((status, hot_fields, body), of_router, "{request}");
}

/// What a request turns out to be.
pub(super) fn decoded(
    table: &HotTable,
    request: &request::Request<'_>,
    backend: &dyn Backend,
    gate: &Arc<PublicGate>,
) -> Hot {
    let (gate, started) = (Gate::Public(Arc::clone(gate)), started());
    let catalog = Catalog::new(catalog(), Arc::new(Shop::default()));
    let sender = Sender {
        gate: &gate,
        denylist: backend,
        catalog: &catalog,
        now: backend.now_ms(),
        clock: &|| started,
    };
    hot::decode(request, table.find(request), &sender)
}

#[allow(clippy::disallowed_methods, reason = "the only way to have any time of this clock")]
fn started() -> Instant {
    Instant::now()
}

/// Without sessions, and with them.
pub(super) fn gates() -> [Arc<PublicGate>; 2] {
    let jwt_rules = JwtRules { issuer: None, audience: None, customer_claim: "sub".into(), clock_skew_ms: 0 };
    let settings = SessionSettings { ttl_ms: 1_000, secure_cookies: false, jwt_rules };
    let sessions = Sessions::new(settings, session_keys(), JwtKeys::parse(JWT_KEY).expect("a key"));
    let with_sessions = PublicGate::open().with_sessions(Some(Arc::new(sessions)));
    [PublicGate::open(), with_sessions].map(Arc::new)
}

fn session_keys() -> SessionKeys {
    SessionKeys::one(SessionKey::new(KeyId(1), Cipher::default(), &[1; 32], 0).expect("a key"))
}

/// The field with the session of `customer`, which ends so many milliseconds from now.
fn cookie(customer: &str, left_ms: u64) -> String {
    let now = Shop::default().now_ms();
    let session = Session::new(customer, now - 1_000, now + left_ms).expect("a session");
    format!("cookie: onrush_session={}", session_keys().seal(&session, &[7; NONCE_BYTES]))
}

/// Every hot route by its name, as in `GET /v1/counters/{counter}`, with a table of it alone.
fn hot_routes() -> Vec<(String, HotTable)> {
    let named = |route: &crate::api::route::Route| {
        let name = format!("{} {}", route.method().unwrap_or("ANY"), route.path);
        route.bytes().filter(|_| route.is_hot()).map(|hot| (name, HotTable::new([hot])))
    };
    public_routes(ALL).iter().filter_map(named).collect()
}

/// Whether this request is a hot one of the route.
fn takes(table: &HotTable, request: &str) -> bool {
    let (parts, body) = parse(request);
    let request = request::Request::of_http2(&parts, body.as_bytes(), PEER);
    !matches!(decoded(table, &request, &Shop::default(), &gates()[1]), Hot::Routed)
}

/// Fails if a hot route gets none of these requests.
fn check_that_every_route_is_asked(requests: &[String]) {
    for (name, table) in hot_routes() {
        assert!(requests.iter().any(|request| takes(&table, request)), "no request for {name}");
    }
}

fn reserve(body: &str) -> String {
    format!("POST /v1/sales/PWTC/reservations\ncontent-type: application/json\n\n{body}")
}

/// Two units for a customer.
fn reserve_for(customer: &str) -> String {
    reserve(&format!(r#"{{"customer":"{customer}","lines":[{{"stock":"2021-05-16","quantity":2}}]}}"#))
}

fn book(customer: &str, location: &str) -> String {
    let fields = format!(
        r#""mysejahteraId":"{customer}","firstName":"A","lastName":"B","address":"C","location":"{location}","phoneNumber":"D","date":"20210516""#
    );
    format!("POST /booking\ncontent-type: application/json\n\n{{{fields}}}")
}

/// What proxies ask.
fn proxied() -> Vec<String> {
    let [ann, expired, denied, ended] = [("ann", 1_000), ("ann", 0), ("denied", 1_000), ("ended", 1_000)]
        .map(|(name, left_ms)| cookie(name, left_ms));
    let senders = [
        String::new(),
        format!("\n{ann}"),
        format!("\n{expired}"),
        format!("\n{denied}"),
        format!("\n{ended}"),
        "\ncookie: onrush_session=none".to_owned(),
        "\nauthorization: Bearer none".to_owned(),
        format!("\n{ann}\nsec-fetch-site: cross-site"),
        format!("\n{ann}\nsec-fetch-site: cross-site\nx-original-method: POST\nx-forwarded-method: POST"),
        format!("\n{ann}\nsec-fetch-site: same-origin\nx-original-method: POST\nx-forwarded-method: POST"),
    ];
    let mut requests = Vec::new();
    for target in ["GET /v1/gate/check", "GET /v1/gate/forward", "PUT /v1/gate/forward"] {
        for query in ["", "?", "?session=optional", "?session=required", "?session=maybe", "?x=1"] {
            requests.extend(senders.iter().map(|sender| format!("{target}{query}{sender}")));
        }
    }
    requests
}

/// What buyers of the flash sale ask.
fn bought() -> Vec<String> {
    let senders =
        ["ann", "late", "limited", "early", "closed"].map(|customer| format!("\n{}", cookie(customer, 1)));
    let mut requests: Vec<String> = Vec::new();
    for target in ["GET /check", "POST /check"] {
        for query in
            ["", "?", "?productID=1", "?productID=01", "?productID=x", "?productID=1&productID=1", "?x=1"]
        {
            requests.push(format!("{target}{query}"));
            requests.extend(senders.iter().map(|sender| format!("{target}{query}{sender}")));
        }
        let odd = [
            "sec-fetch-site: cross-site",
            "sec-fetch-site: same-origin\nsec-fetch-mode: cors",
            "sec-fetch-site: none\nsec-fetch-mode: navigate",
            "accept: text/plain, TEXT/HTML",
            "accept: */*",
        ];
        requests.extend(odd.map(|fields| format!("{target}?productID=1\n{}\n{fields}", cookie("ann", 1))));
        requests.push(format!("{target}?productID=1\n{}", cookie("ann", 0)));
        requests.push(format!("{target}?productID=1\nauthorization: Bearer none"));
    }
    requests
}

#[test]
fn hot_and_routed_answers_are_equal() {
    let keyed = |key: &str| reserve_for("ann").replace("\n\n", &format!("\nidempotency-key: {key}\n\n"));
    let mut requests: Vec<String> = [
        "POST /v1/counters/home",
        "GET /v1/counters/home",
        "POST /v1/windows/home",
        "GET /v1/windows/home",
        "GET /web-counter/increment",
        "GET /v1/catalog/products/1",
        "GET /v1/catalog/products/2",
        "GET /v1/catalog/empty/1",
        "GET /v1/catalog/other/1",
        "GET /v1/catalog/sourced/1",
        "GET /v1/catalog/whole/2",
        "GET /cache?product_id=1",
        "GET /cache?product_id=2",
        "GET /cache?product_id=x",
        "GET /cache",
        "GET /",
        "BREW /",
    ]
    .map(str::to_owned)
    .to_vec();
    requests.extend(["ann", "holder", "a b", ""].map(reserve_for));
    requests.extend(["again", "other", "schlüssel", "", &"x".repeat(128), &"x".repeat(129)].map(keyed));
    requests.extend(
        [
            "",
            "{",
            "{}",
            "[]",
            "null",
            r#"{"customer":"a","lines":[],"x":1}"#,
            r#"{"customer":"a","lines":[]}"#,
            r#"{"customer":7,"lines":[{"stock":"s","quantity":1}]}"#,
            r#"{"customer":"a","lines":[{"stock":"s","quantity":0}]}"#,
            r#"{"customer":"a","lines":[{"stock":"s","quantity":1001}]}"#,
            r#"{"customer":"a","lines":[{"stock":"s","quantity":1},{"stock":"s","quantity":1}]}"#,
            r#"{"customer":"a","customer":"b","lines":[{"stock":"s","quantity":1}]}"#,
            r#"{"customer":"a","lines":[{"stock":"s","quantity":1}],"details":[]}"#,
            r#"{"customer":"a","lines":[{"stock":"s","quantity":1}],"details":{"a":{"b":"c"}}}"#,
        ]
        .map(reserve),
    );
    requests.push(book("ann", "PWTC"));
    requests.extend(proxied());
    requests.extend(bought());
    check_that_every_route_is_asked(&requests);
    let backend: Arc<dyn Backend> = Arc::new(Shop::default());
    for request in requests {
        for gate in gates() {
            check_equal(&backend, &gate, &request);
        }
    }
}

/// Answers every call with the same failure.
struct Failing<F> {
    failure: F,
    shop: Shop,
}

impl<F: Fn(Option<Box<ReserveCall>>) -> Failure + Send + Sync> Backend for Failing<F> {
    fn call(&self, call: Call, done: Done) {
        let call = if let Call::Reserve(call) = call { Some(call) } else { None };
        done(Err((self.failure)(call)));
    }

    fn readiness(&self) -> Readiness {
        self.shop.readiness()
    }

    fn metrics(&self) -> MetricsSnapshot {
        self.shop.metrics()
    }

    fn ids(&self, sale: &str) -> &ReservationIds {
        self.shop.ids(sale)
    }

    fn now_ms(&self) -> TimeMs {
        self.shop.now_ms()
    }
}

impl<F> Denylist for Failing<F> {
    fn denies_address(&self, address: IpAddr, now: TimeMs) -> bool {
        self.shop.denies_address(address, now)
    }

    fn denies_customer(&self, customer: &str, now: TimeMs) -> bool {
        self.shop.denies_customer(customer, now)
    }

    fn ends_session(&self, customer: &str, began_at: TimeMs) -> bool {
        self.shop.ends_session(customer, began_at)
    }

    fn sessions_ended_at(&self, customer: &str) -> Option<TimeMs> {
        self.shop.sessions_ended_at(customer)
    }

    fn denial_of_address(&self, address: IpAddr, now: TimeMs) -> Option<Arc<Denial>> {
        self.shop.denial_of_address(address, now)
    }

    fn denial_of_customer(&self, customer: &str, now: TimeMs) -> Option<Arc<Denial>> {
        self.shop.denial_of_customer(customer, now)
    }
}

impl<F: Send + Sync> RowSource for Failing<F> {
    fn read_collection(&self, collection: &str, read: &mut dyn FnMut(Option<&RowCollection>)) {
        self.shop.read_collection(collection, read);
    }
}

/// One of every refusal, and of those that say more than one thing all that they say.
fn refusals() -> Vec<Refusal> {
    let ceilings = [
        Ceiling::Counters,
        Ceiling::Windows,
        Ceiling::Sales,
        Ceiling::Stocks,
        Ceiling::Reservations,
        Ceiling::DetailsBytes,
        Ceiling::StateBytes,
        Ceiling::CounterValue,
        Ceiling::Denials,
    ];
    let (stock, quantity_held, quantity_confirmed) = (Box::<str>::from("a"), 1, 2);
    let mut refusals = vec![
        Refusal::InvalidName { field: "customer" },
        Refusal::InvalidTerms(Box::new(InvalidTerms { field: "stocks".into(), rule: "must be there" })),
        Refusal::Invalid { field: "lines", rule: "must be fewer" },
        Refusal::CounterNotFound,
        Refusal::WindowNotFound,
        Refusal::SaleNotFound,
        Refusal::StockNotFound { line: 0 },
        Refusal::StockNotFound { line: 1 },
        Refusal::ReservationNotFound,
        Refusal::InsufficientStock { line: 0, quantity_available: 1 },
        Refusal::CustomerLimitReached { per_customer_max: 2, quantity_taken: 1 },
        Refusal::SaleNotOpen { opens_at: 0 },
        Refusal::SaleNotOpen { opens_at: Shop::default().now_ms() + 90_001 },
        Refusal::SaleClosed { closes_at: 1_000 },
        Refusal::StockClosed { line: 0, closes_at: 1_000 },
        Refusal::ReservationNotHeld,
        Refusal::HoldExpired,
        Refusal::QuantityBelowReserved { stock: stock.clone(), quantity_held, quantity_confirmed },
        Refusal::StockInUse { stock, quantity_held, quantity_confirmed },
        Refusal::SaleOpen,
        Refusal::HoldsPending { quantity_held: 3, held_count: 2, held_until: 1_000 },
        Refusal::IdempotencyKeyReused,
        Refusal::SessionRequired,
        Refusal::SessionExpired,
        Refusal::CustomerMismatch,
        Refusal::CoolingDown { left_ms: 9_001 },
        Refusal::HoldsUnpaid { holds_unpaid_max: 3 },
        Refusal::ChallengeRequired { challenge: onrush_core::ChallengeTerms::Either },
        Refusal::ChallengeFailed,
        Refusal::OperatorOnly,
        Refusal::DenialNotFound,
        Refusal::CustomerExists,
        Refusal::RowNotFound,
        Refusal::PartitionExists,
    ];
    refusals.extend([Unmet::Exists, Unmet::Missing, Unmet::TermsDiffer].map(Refusal::PreconditionFailed));
    refusals.extend(ceilings.map(Refusal::CeilingReached));
    let codes: BTreeSet<_> = refusals.iter().map(|refusal| refusal.code().as_str()).collect();
    let all: BTreeSet<_> = RefusalCode::ALL.map(RefusalCode::as_str).into();
    assert_eq!(codes, all, "every code of a refusal has one here");
    refusals
}

fn check_failure(failure: impl Fn(Option<Box<ReserveCall>>) -> Failure + Send + Sync + 'static) {
    let requests = [
        "POST /v1/counters/home".to_owned(),
        "GET /v1/counters/home".to_owned(),
        "POST /v1/windows/home".to_owned(),
        "GET /v1/windows/home".to_owned(),
        "GET /web-counter/increment".to_owned(),
        "GET /".to_owned(),
        reserve_for("ann"),
        book("ann", "PWTC"),
        format!("GET /check?productID=1\n{}", cookie("ann", 1)),
    ];
    let is_asked = |table: &HotTable| requests.iter().any(|request| takes(table, request));
    // Those for proxies, and reads of rows, ask the partition nothing.
    let unasked = hot_routes().into_iter().filter(|(_, table)| !is_asked(table)).map(|(name, _)| name);
    let expected =
        ["GET /v1/catalog/{collection}/{key}", "GET /v1/gate/check", "ANY /v1/gate/forward", "GET /cache"];
    assert_eq!(unasked.collect::<Vec<_>>(), expected);
    let backend: Arc<dyn Backend> = Arc::new(Failing { failure, shop: Shop::default() });
    let [_, gate] = gates();
    for request in requests {
        check_equal(&backend, &gate, &request);
    }
}

#[test]
fn whatever_is_refused_reads_the_same_on_every_hot_route() {
    for refusal in refusals() {
        check_failure(move |call| Failure::Refused { refusal: refusal.clone(), call });
    }
    check_failure(|_| Failure::Overloaded);
    check_failure(|_| Failure::LogUnavailable);
    check_failure(|_| Failure::Draining);
}

#[test]
fn whatever_is_out_of_the_ordinary_goes_to_the_router() {
    let json = "\ncontent-type: application/json";
    for request in [
        "POST /v1/counters/home?by=2".to_owned(),
        "POST /v1/counters/home?".to_owned(),
        "POST /v1/counters/a%20b".to_owned(),
        "POST /v1/counters/..".to_owned(),
        "POST /v1/counters/home/".to_owned(),
        "HEAD /v1/counters/home".to_owned(),
        "PUT /v1/windows/home".to_owned(),
        "GET /v1/sales/PWTC".to_owned(),
        "POST /web-counter/increment".to_owned(),
        "GET /web-counter/increment\n\nx".to_owned(),
        "GET /\n\nx".to_owned(),
        "POST /v1/counters/home\n\nx".to_owned(),
        "POST /v1/windows/home\n\nx".to_owned(),
        "GET /v1/sales/PWTC/reservations".to_owned(),
        "POST /v1/sales/PWTC/reservations\n\n{}".to_owned(),
        format!("POST /v1/sales/PWTC/reservations{json}; charset=utf-8\n\n{{}}"),
        format!("POST /v1/sales/PWTC/reservations{json}\nidempotency-key: a\nidempotency-key: b\n\n{{}}"),
        format!("POST /booking{json}\n\n{{}}"),
        "HEAD /check?productID=1".to_owned(),
        "PUT /check?productID=1".to_owned(),
        "POST /check?productID=1\n\nx".to_owned(),
        "POST /v1/gate/check".to_owned(),
        "GET /v1/gate/check\n\nx".to_owned(),
        "PUT /v1/gate/forward\n\nx".to_owned(),
        "GET /v1/gate/checks".to_owned(),
    ] {
        assert!(answer_hot(&Shop::default(), &gates()[1], &request).is_none(), "{request}");
    }
}
