//! Both routers over a stand-in for the partition: every path, in good and odd forms, with every answer held against the
//! `OpenAPI` document.

mod askers;
mod cluster;
mod conditions;
mod conformance;
mod docs;
mod elsewhere;
mod explained;
mod hot;
mod hot_calls;
mod methods;
mod metrics;
mod nulls;
mod sending;
mod shop;
mod sinks;
mod sourced;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::Request as AxumRequest;
use axum::middleware::{Next, from_fn};
use axum::response::IntoResponse as _;
use http::StatusCode;
use onrush_node::Readiness;

use super::{App, operator_gate, public_router};
use crate::http::request::{self, Peer};
use crate::metrics::EdgeMetrics;
use crate::settings::{OperatorKey, Scenarios};
use sending::send;
use shop::Shop;

const ALL: Scenarios = Scenarios::ALL;
const PEER: Peer = Peer(SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)), 4321));

fn app(scenarios: Scenarios, operator_key: Option<&str>) -> Arc<App> {
    let edge_metrics = Arc::new(EdgeMetrics::default);
    let operator_key = operator_key.map(|key| {
        let key = key.to_owned();
        OperatorKey::new(move || Some(key.clone()))
    });
    Arc::new(App::over(Arc::new(Shop::default()), scenarios, operator_key, edge_metrics))
}

/// The operator's router behind its gate, as the listener has them.
fn operator_router(app: Arc<App>) -> Router {
    let gate = Arc::new(operator_gate(&app));
    super::operator_router(app).layer(from_fn(move |request: AxumRequest, next: Next| {
        let (parts, body) = request.into_parts();
        let checked =
            gate.check(&request::Request::of_http2(&parts, b"", PEER), None, || unreachable!("no limits"));
        async move {
            match checked {
                Ok(_) => next.run(AxumRequest::from_parts(parts, body)).await,
                Err(problem) => problem.into_response(),
            }
        }
    }))
}

/// `expected` is the status and, for a problem its code, else words that the fields and the body together contain.
fn check(router: &Router, request: &str, expected: &str) {
    let (status, fields, body) = send(router, request);
    let (expected_status, words) = expected.split_once(' ').unwrap_or((expected, ""));
    let found = format!("{} {fields} {body}", status.as_u16());
    assert_eq!(status.as_str(), expected_status, "{request}\n{found}");
    let expected_code = format!("\"code\":\"{words}\"");
    let is_problem = fields.contains("application/problem+json");
    let contains = if is_problem { body.contains(&expected_code) } else { found.contains(words) };
    assert!(contains, "{request}\n{found}\nlacks {words}");
}

fn check_all(router: &Router, table: &[(&str, &str)]) {
    for (request, expected) in table {
        check(router, request, expected);
    }
}

#[test]
fn counters_and_windows() {
    check_all(
        &public_router(app(ALL, None)),
        &[
            ("POST /v1/counters/home", r#"200 {"counter":"home","value":1}"#),
            ("POST /v1/counters/home?by=1000000", r#"200 {"counter":"home","value":1000000}"#),
            ("POST /v1/counters/home?by=1000001", "400 invalid_request"),
            ("POST /v1/counters/home?by=1&x=1", "400 invalid_request"),
            ("POST /v1/counters/a%3Ab", r#"200 {"counter":"a:b""#),
            ("POST /v1/counters/a%20b", "400 invalid_request"),
            ("POST /v1/counters/a%2Fb", "400 invalid_request"),
            ("POST /v1/counters/a%zz", "400 invalid_request"),
            ("POST /v1/counters/%ff", "400 invalid_request"),
            ("POST /v1/counters/..", r#"200 {"counter":"..""#),
            ("POST /v1/counters/", "404 not_found"),
            ("POST /v1/counters/home/", "404 not_found"),
            ("POST /v1/counters/home\ncontent-type: text/plain\n\n{}", "400 invalid_request"),
            ("POST /v1/counters/home\ncontent-type: text/plain", "200 value"),
            ("GET /v1/counters/home", r#"200 {"counter":"home","value":7}"#),
            ("HEAD /v1/counters/home", "200 application/json"),
            ("GET /v1/counters/missing", "404 counter_not_found"),
            ("PUT /v1/counters/home", "405 method_not_allowed"),
            ("POST /v1/counters/overloaded", "503 overloaded"),
            ("POST /v1/counters/failing", "503 log_unavailable"),
            ("POST /v1/counters/draining", "503 draining"),
            ("POST /v1/counters/lost", "503 log_unavailable"),
            ("POST /v1/counters/full", "503 overloaded"),
            (
                "POST /v1/windows/home",
                r#"200 {"window":"home","count":4,"span_ms":60000,"precision_ms":100}"#,
            ),
            ("GET /v1/windows/home", r#"200 {"window":"home","count":3,"#),
            ("GET /v1/windows/missing", "404 window_not_found"),
            ("GET /v1/windows/a,b", "400 invalid_request"),
        ],
    );
}

#[test]
fn sales_are_read_and_paged() {
    let router = public_router(app(ALL, None));
    check_all(
        &router,
        &[
            ("GET /v1/sales/PWTC", r#"200 "sale":"PWTC","title":"Town \"hall\"","#),
            ("GET /v1/sales/missing", "404 sale_not_found"),
            ("GET /v1/sales/PWTC\nif-none-match: *", "304 "),
            ("GET /v1/sales?limit=0", "400 invalid_request"),
            ("GET /v1/sales?limit=101", "400 invalid_request"),
            ("GET /v1/sales?cursor=zz", "400 invalid_request"),
        ],
    );
    let etag = conditions::etag_of(&router, "GET /v1/sales/PWTC");
    let older = etag.replace("-9-", "-8-");
    for (known, expected) in
        [(etag.clone(), &*format!("304 etag: {etag}")), (format!("\"x\", W/{etag}"), "304 "), (older, "200 ")]
    {
        check(&router, &format!("GET /v1/sales/PWTC\nif-none-match: {known}"), expected);
    }
    let mut pages = Vec::new();
    let mut target = "GET /v1/sales?limit=2".to_owned();
    loop {
        let (status, _, body) = send(&router, &target);
        assert_eq!(status, StatusCode::OK);
        let page: serde_json::Value = serde_json::from_str(&body).unwrap();
        let names: Vec<&str> =
            page["sales"].as_array().unwrap().iter().map(|s| s["sale"].as_str().unwrap()).collect();
        pages.push(names.join("+"));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        target = format!("GET /v1/sales?limit=2&cursor={cursor}");
    }
    assert_eq!(pages, ["a+b", "c+d", "e"]);
    let etag = conditions::etag_of(&router, "GET /v1/sales");
    check(&router, &format!("GET /v1/sales\nif-none-match: {etag}"), "304 ");
    check(&router, &format!("GET /v1/sales?limit=2\nif-none-match: {etag}"), "200 ");
}

#[test]
fn reservations_are_made_and_found() {
    let json = "\ncontent-type: application/json";
    let reserve = |customer: &str, fields: &str| {
        format!(
            "POST /v1/sales/PWTC/reservations{json}{fields}\n\n{{\"customer\":\"{customer}\",\"lines\":[{{\"stock\":\"2021-05-16\",\"quantity\":2}}]}}"
        )
    };
    let router = public_router(app(ALL, None));
    let id = Shop::default().id(7);
    for (request, expected) in [
        (reserve("ann", ""), format!("201 location: /v1/sales/PWTC/reservations/{id}")),
        (
            reserve("ann", ""),
            format!(
                "201 {{\"reservation\":\"{id}\",\"sale\":\"PWTC\",\"customer\":\"ann\",\"status\":\"confirmed\""
            ),
        ),
        (reserve("holder", ""), "201 \"expires_at\":\"2021-05-16T00:10:00.000Z\"".into()),
        (reserve("ann", "\nidempotency-key: again"), "200 idempotent-replayed: true".into()),
        (reserve("ann", "\nidempotency-key: other"), "422 idempotency_key_reused".into()),
        (reserve("ann", "\nidempotency-key: a\nidempotency-key: b"), "400 invalid_request".into()),
        (reserve("ann", &format!("\nidempotency-key: {}", "x".repeat(129))), "400 invalid_request".into()),
        (reserve("limited", ""), "409 customer_limit_reached".into()),
        (reserve("late", ""), "409 insufficient_stock".into()),
        (reserve("early", ""), "409 sale_not_open".into()),
        (reserve("closed", ""), "409 sale_closed".into()),
        (reserve("behind", ""), "409 stock_closed".into()),
        (reserve("lost", ""), "503 log_unavailable".into()),
        (reserve("a b", ""), "400 invalid_request".into()),
        (format!("POST /v1/sales/PWTC/reservations{json}"), "400 invalid_request".into()),
        ("POST /v1/sales/PWTC/reservations".into(), "400 invalid_request".into()),
        ("POST /v1/sales/PWTC/reservations\n\n{}".into(), "415 unsupported_media_type".into()),
        (
            "POST /v1/sales/PWTC/reservations\ncontent-type: text/plain\n\n{}".into(),
            "415 unsupported_media_type".into(),
        ),
        (
            format!(
                "POST /v1/sales/PWTC/reservations\ncontent-type: Application/JSON; charset=utf-8\n\n{}",
                "x".repeat(16_385)
            ),
            "413 body_too_large".into(),
        ),
        ("GET /v1/sales/PWTC/reservations/{id}".into(), format!("200 \"reservation\":\"{id}\"")),
        ("GET /v1/sales/PWTC/reservations/none".into(), "404 reservation_not_found".into()),
        ("GET /v1/sales/PWTC/reservations/%ff".into(), "404 reservation_not_found".into()),
        ("GET /v1/sales/missing/reservations/{id}".into(), "404 sale_not_found".into()),
        ("POST /v1/sales/PWTC/reservations/{id}/confirm".into(), "200 \"status\":\"confirmed\"".into()),
        ("POST /v1/sales/PWTC/reservations/{id}/release".into(), "200 \"status\":\"released\"".into()),
        ("POST /v1/sales/expired/reservations/{id}/confirm".into(), "410 hold_expired".into()),
        ("POST /v1/sales/released/reservations/{id}/confirm".into(), "409 reservation_not_held".into()),
        ("GET /v1/sales/PWTC/customers/ann/reservations".into(), "200 {\"reservations\":[{".into()),
        ("GET /v1/sales/PWTC/customers/nobody/reservations".into(), "200 {\"reservations\":[]}".into()),
        ("GET /v1/sales/missing/customers/ann/reservations".into(), "404 sale_not_found".into()),
        ("GET /v1/sales/PWTC/customers/a%0ab/reservations".into(), "400 invalid_request".into()),
    ] {
        check(&router, &request, &expected);
    }
}

#[test]
fn operators_put_and_archive() {
    let terms = "\ncontent-type: application/json\n\n{\"stocks\":[{\"stock\":\"a\",\"quantity_total\":1}]}";
    let patch = "\ncontent-type: application/merge-patch+json\n\n";
    let shape = |body: &str| format!("PUT /v1/windows/home\ncontent-type: application/json\n\n{body}");
    let stocks: Vec<String> =
        (0..1_000).map(|at| format!("{{\"stock\":\"s{at}\",\"quantity_total\":1}}")).collect();
    let large = format!("content-type: application/json\n\n{{\"stocks\":[{}]}}", stocks.join(","));
    let router = operator_router(app(ALL, None));
    for (request, expected) in [
        (format!("PUT /v1/sales/new{terms}"), "201 etag: "),
        (format!("PUT /v1/sales/PWTC{terms}"), "200 \"sale\":\"PWTC\""),
        (format!("PUT /v1/sales/PWTC\n{large}"), "200 \"sale\":\"PWTC\""),
        (format!("PUT /v1/sales/below{terms}"), "409 quantity_below_reserved"),
        (format!("PUT /v1/sales/used{terms}"), "409 stock_in_use"),
        (format!("PUT /v1/sales/full{terms}"), "503 overloaded"),
        ("PUT /v1/sales/PWTC\ncontent-type: application/json\n\n{}".into(), "400 invalid_request"),
        ("PUT /v1/sales/PWTC\n\n{}".into(), "415 unsupported_media_type"),
        (format!("PATCH /v1/sales/PWTC{patch}{{\"per_customer_max\":2}}"), "200 \"sale\":\"PWTC\""),
        (format!("PATCH /v1/sales/PWTC{patch}{{}}"), "200 etag: "),
        (format!("PATCH /v1/sales/missing{patch}{{}}"), "404 sale_not_found"),
        (format!("PATCH /v1/sales/PWTC{patch}{{\"max\":2}}"), "400 invalid_request"),
        (format!("PATCH /v1/sales/PWTC{patch}[]"), "400 invalid_request"),
        (format!("PATCH /v1/sales/PWTC{terms}"), "415 unsupported_media_type"),
        ("PATCH /v1/sales/PWTC\n\n{}".into(), "415 unsupported_media_type"),
        ("DELETE /v1/sales/PWTC".into(), "204 "),
        ("DELETE /v1/sales/missing".into(), "404 sale_not_found"),
        ("DELETE /v1/sales/open".into(), "409 sale_open"),
        ("DELETE /v1/sales/held".into(), "409 holds_pending"),
        ("DELETE /v1/sales/PWTC?force=true".into(), "204 "),
        ("DELETE /v1/sales/PWTC?force=false".into(), "204 "),
        ("DELETE /v1/sales/held?force=true".into(), "409 holds_pending"),
        ("DELETE /v1/sales/open?force=true".into(), "409 sale_open"),
        ("DELETE /v1/sales/missing?force=true".into(), "404 sale_not_found"),
        ("DELETE /v1/sales/PWTC?force=yes".into(), "400 invalid_request"),
        ("DELETE /v1/sales/PWTC?dry_run=true".into(), "400 invalid_request"),
        (shape("{\"span_ms\":60000,\"precision_ms\":100}"), "200 {\"span_ms\":60000,\"precision_ms\":100}"),
        (shape("{\"span_ms\":60000,\"precision_ms\":0}"), "400 invalid_request"),
        ("GET /metrics".into(), "200 onrush_refusals_total{check=\"stock\",code=\"insufficient_stock\"} 6"),
        ("GET /livez".into(), "200 {\"status\":\"live\"}"),
        ("GET /readyz".into(), "200 {\"status\":\"ready\"}"),
        ("GET /openapi.json".into(), "200 \"openapi\": \"3.1.0\""),
        ("POST /v1/counters/home".into(), "404 not_found"),
    ] {
        check(&router, &request, expected);
    }
}

#[test]
fn a_figure_that_is_not_known_is_absent() {
    let (_, _, page) = send(&operator_router(app(ALL, None)), "GET /metrics");
    for line in ["onrush_state_bytes 1000", "onrush_state_bytes_max 4294967296"] {
        assert!(page.lines().any(|one| one == line), "no {line} in\n{page}");
    }
    assert!(!page.contains("onrush_log_snapshot_offset"), "{page}");
}

#[test]
fn a_key_guards_every_operator_path() {
    let router = operator_router(app(ALL, Some("secret")));
    check_all(
        &router,
        &[
            ("GET /metrics", "401 unauthorized"),
            ("GET /livez", "401 unauthorized"),
            ("GET /nowhere", "401 unauthorized"),
            ("GET /livez\nauthorization: Bearer secre", "401 unauthorized"),
            ("GET /livez\nauthorization: Bearer secret1", "401 unauthorized"),
            ("GET /livez\nauthorization: Bearer Secret", "401 unauthorized"),
            ("GET /livez\nauthorization: Basic secret", "401 unauthorized"),
            ("GET /livez\nauthorization: Bearer", "401 unauthorized"),
            ("GET /livez\nauthorization: bearer secret", "200 live"),
            ("GET /nowhere\nauthorization: Bearer secret", "404 not_found"),
        ],
    );
    let (_, fields, _) = send(&router, "GET /metrics");
    assert!(fields.contains("www-authenticate: Bearer"), "{fields}");
    check(&public_router(app(ALL, Some("secret"))), "GET /livez", "200 live");
}

#[test]
fn a_key_is_the_one_of_the_moment_and_without_any_nobody_is_let_in() {
    let key = Arc::new(Mutex::new(Some("old".to_owned())));
    let read = Arc::clone(&key);
    let operator_key = OperatorKey::new(move || read.lock().expect("nobody panics with the key").clone());
    let edge_metrics = Arc::new(EdgeMetrics::default);
    let app = App::over(Arc::new(Shop::default()), ALL, Some(operator_key), edge_metrics);
    let router = operator_router(Arc::new(app));
    let with = |word: &str| format!("GET /livez\nauthorization: Bearer {word}");
    for (now, old, new) in [
        (Some("old"), "200 live", "401 unauthorized"),
        (Some("new"), "401 unauthorized", "200 live"),
        (None, "401 unauthorized", "401 unauthorized"),
        (Some("old"), "200 live", "401 unauthorized"),
    ] {
        *key.lock().expect("nobody panics with the key") = now.map(str::to_owned);
        check(&router, &with("old"), old);
        check(&router, &with("new"), new);
        check(&router, "GET /livez", "401 unauthorized");
    }
    *key.lock().expect("nobody panics with the key") = None;
    let (_, _, body) = send(&router, &with("new"));
    assert!(body.contains("cannot read its operator key"), "{body}");
}

#[test]
fn without_a_key_no_other_site_reaches_the_operator() {
    let foreign = "403 cross_site";
    check_all(
        &operator_router(app(ALL, None)),
        &[
            ("GET /livez", "200 live"),
            ("GET /livez\nhost: localhost:8081", "200 live"),
            ("GET /livez\nhost: 127.0.0.1:8081\nsec-fetch-site: none", "200 live"),
            (
                "GET /livez\nhost: [::1]:8081\norigin: http://[::1]:8081\nsec-fetch-site: same-origin",
                "200 live",
            ),
            (
                "GET /livez\nhost: localhost\norigin: http://localhost:3000\nsec-fetch-site: same-site",
                "200 live",
            ),
            ("GET /livez\nhost: evil.example", foreign),
            ("GET /livez\nhost: localhost.evil.example:8081", foreign),
            ("GET /livez\nhost: ", foreign),
            ("GET /livez\nhost: localhost\norigin: http://evil.example", foreign),
            ("GET /livez\nhost: localhost\norigin: null", foreign),
            ("GET /livez\nhost: localhost\norigin: http://localhost\norigin: http://evil.example", foreign),
            ("GET /livez\nhost: localhost\nsec-fetch-site: cross-site", foreign),
            ("GET /livez\nhost: localhost\nsec-fetch-site: same-site", foreign),
            ("GET /livez\nhost: localhost\norigin: http://localhost\nsec-fetch-site: cross-site", foreign),
            ("DELETE /v1/sales/PWTC\nhost: evil.example", foreign),
            ("GET /metrics\nhost: evil.example", foreign),
            ("GET /docs\nhost: evil.example", foreign),
        ],
    );
    // Whoever has the key is no page that was led here, and gateways send names of their own.
    let keyed = operator_router(app(ALL, Some("secret")));
    check(&keyed, "GET /livez\nhost: onrush:8081\nauthorization: Bearer secret", "200 live");
    check(
        &public_router(app(ALL, None)),
        "GET /livez\nhost: shop.example\norigin: http://evil.example",
        "200 live",
    );
}

#[test]
fn scenarios_answer_as_their_models_do() {
    let book = |fields: &str| format!("POST /booking\ncontent-type: application/json\n\n{{{fields}}}");
    let full = r#""mysejahteraId":"ann","firstName":"A","lastName":"B","address":"C","location":"PWTC","phoneNumber":"D","date":"20210516""#;
    let router = public_router(app(ALL, None));
    for (request, expected) in [
        ("GET /web-counter/increment".into(), "200 content-type: application/json; charset=UTF-8 1"),
        ("GET /".into(), "200 content-type: application/json; charset=utf-8 {\"requestCount\":4}"),
        ("BREW /".into(), "200 {\"requestCount\":4}"),
        ("HEAD /".into(), "200 application/json"),
        ("GET /?x=1".into(), "400 invalid_request"),
        ("GET /stations/PWTC".into(), r#"200 [{"location":"PWTC","date":"20210516","availability":7}]"#),
        ("GET /stations/PWTC".into(), "200 cache-control: public, max-age=1"),
        ("GET /stations/missing".into(), "404 sale_not_found"),
        ("GET /stations/a".into(), "404 sale_not_found"),
        (book(full), &format!("200 {{{full}}}")),
        (
            book(&full.replace("ann", "late")),
            "400 {\"message\":\"Sorry, station is fully booked\",\"status\":\"Failed\"}",
        ),
        (book(&full.replace("ann", "limited")), "400 already has a booking"),
        (book(&full.replace("PWTC", "missing")), "400 station location:missing:20210516 location & date"),
        (book(&full.replace("ann", "lost")), "503 log_unavailable"),
        (book(r#""mysejahteraId":"""#), "400 MySejahteraID cannot be empty"),
        (book("x"), "400 not valid JSON"),
        ("POST /booking\n\n{}".into(), "415 unsupported_media_type"),
    ] {
        check(&router, &request, expected);
    }
}

#[test]
fn a_scenario_that_is_off_is_an_unknown_path() {
    let router = public_router(app(Scenarios::default(), None));
    check_all(
        &router,
        &[
            ("GET /", "404 not_found"),
            ("GET /web-counter/increment", "404 not_found"),
            ("GET /web-counter/db/", "404 not_found"),
            ("GET /stations/PWTC", "404 not_found"),
            ("POST /booking", "404 not_found"),
            ("GET /metrics", "404 not_found"),
            ("PUT /v1/sales/PWTC", "405 method_not_allowed"),
            ("GET /favicon.ico", "404 not_found"),
            ("OPTIONS *", "404 not_found"),
        ],
    );
}

#[test]
fn a_log_that_cannot_be_written_is_not_ready() {
    for (readiness, expected) in [
        (Readiness::LogUnavailable, "503 log_unavailable"),
        (Readiness::Following, "503 not_leader"),
        (Readiness::Draining, "503 draining"),
    ] {
        let shop = Arc::new(Shop::that_is(readiness));
        let app = Arc::new(App::over(shop, ALL, None, Arc::new(EdgeMetrics::default)));
        check(&public_router(Arc::clone(&app)), "GET /readyz", expected);
        check(&public_router(app), "GET /livez", "200 live");
    }
}

#[test]
fn every_documented_operation_has_a_route() {
    conformance::check_references();
    conformance::check_problems();
    let app = sinks::with_all();
    let (public, operator) = (public_router(Arc::clone(&app)), operator_router(app));
    for (method, path, tag) in conformance::operations() {
        let target = conformance::target_of(&path);
        let router = if tag == "operator" { &operator } else { &public };
        let (status, _, body) = send(router, &format!("{method} {target}"));
        assert_ne!(status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
        // This server has neither sessions nor accounts, nor a challenge of that name, and the routes say so.
        let is_off = ["/v1/session", "/v1/gate/", "/captcha/"].iter().any(|start| path.starts_with(start))
            && body.contains("gate.jwt_key_file")
            || path == "/v1/customers" && body.contains("gate.accounts")
            || path.ends_with("/{file}") && body.contains("There is no such challenge");
        assert!(is_off || !body.contains("\"not_found\""), "{method} {path}: {body}");
    }
}
