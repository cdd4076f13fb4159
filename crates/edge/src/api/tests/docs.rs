//! The page of each listener: its own calls, at the address it was asked at, open to a browser.

use std::sync::Arc;

use axum::Router;
use http::StatusCode;
use serde_json::Value;

use super::{ALL, app, check_all, operator_router, public_router, send};
use crate::settings::Scenarios;

fn own_document(router: &Router) -> Value {
    let (status, fields, body) = send(router, "GET /docs/openapi.json");
    assert_eq!(status, StatusCode::OK);
    assert!(fields.contains("content-type: application/json"), "{fields}");
    serde_json::from_str(&body).expect("the document is JSON")
}

/// Every call of the document, as in `GET /livez`.
fn calls(document: &Value) -> Vec<String> {
    let paths = document["paths"].as_object().expect("paths");
    let of_path = |(path, item): (&String, &Value)| {
        let methods: Vec<String> = item.as_object().expect("operations").keys().cloned().collect();
        let path = path.clone();
        methods.into_iter().map(move |method| format!("{} {path}", method.to_uppercase()))
    };
    paths.iter().flat_map(of_path).collect()
}

fn operations(document: &Value) -> impl Iterator<Item = &Value> {
    let paths = document["paths"].as_object().expect("paths");
    paths.values().flat_map(|item| item.as_object().expect("operations").values())
}

#[test]
fn the_page_loads_nothing_from_elsewhere() {
    let router = public_router(app(ALL, None));
    let (status, fields, page) = send(&router, "GET /docs");
    assert_eq!(status, StatusCode::OK);
    assert!(fields.contains("content-security-policy: default-src 'none'"), "{fields}");
    for address in page.split('"').filter(|text| text.contains('/') && !text.contains(' ')) {
        if address.starts_with('/') {
            assert_eq!(send(&router, &format!("GET {address}")).0, StatusCode::OK, "{address}");
        }
        assert!(!address.starts_with("http") && !address.starts_with("//"), "{address}");
    }
}

#[test]
fn a_page_shows_the_calls_of_its_own_listener() {
    let public = calls(&own_document(&public_router(app(Scenarios::default(), None))));
    for call in ["GET /v1/sales/{sale}", "POST /v1/counters/{counter}", "GET /livez"] {
        assert!(public.iter().any(|shown| shown == call), "{call} is not in {public:?}");
    }
    for call in ["PUT /v1/sales/{sale}", "GET /metrics", "GET /v1/sinks", "GET /", "POST /booking"] {
        assert!(public.iter().all(|shown| shown != call), "{call} is in {public:?}");
    }
    let operator = calls(&own_document(&operator_router(app(ALL, None))));
    for call in ["PUT /v1/sales/{sale}", "GET /metrics", "GET /v1/sinks", "GET /livez"] {
        assert!(operator.iter().any(|shown| shown == call), "{call} is not in {operator:?}");
    }
    for call in ["GET /v1/sales/{sale}", "POST /v1/counters/{counter}", "GET /"] {
        assert!(operator.iter().all(|shown| shown != call), "{call} is in {operator:?}");
    }
    let with_scenarios = calls(&own_document(&public_router(app(ALL, None))));
    let of_root: Vec<_> = with_scenarios.iter().filter(|call| call.ends_with(" /")).collect();
    assert_eq!(of_root, ["GET /"], "a path that takes every method is shown once");
}

#[test]
fn a_page_calls_the_address_it_was_asked_at() {
    for router in [public_router(app(ALL, None)), operator_router(app(ALL, Some("secret")))] {
        let document = own_document(&router);
        let urls: Vec<_> = document["servers"].as_array().into_iter().flatten().map(|s| &s["url"]).collect();
        assert_eq!(urls, ["/"]);
        assert!(operations(&document).all(|operation| operation.get("servers").is_none()));
    }
}

#[test]
fn a_page_says_who_is_asked_for_the_key() {
    let requirements = |router: Router| {
        let document = own_document(&router);
        let schemes = document["components"].get("securitySchemes").cloned();
        let mut all: Vec<String> = operations(&document).map(|one| one["security"].to_string()).collect();
        all.dedup();
        (all.join(" "), schemes.is_some_and(|schemes| schemes.get("operator_key").is_some()))
    };
    assert_eq!(requirements(public_router(app(ALL, Some("secret")))), ("[]".to_owned(), false));
    assert_eq!(requirements(operator_router(app(ALL, None))), ("[]".to_owned(), false));
    let key = r#"[{"operator_key":[]}]"#.to_owned();
    assert_eq!(requirements(operator_router(app(ALL, Some("secret")))), (key, true));
    let whole: Value = serde_json::from_str(&crate::openapi::document()).expect("the document is JSON");
    let open = operations(&whole).filter(|one| one["security"].as_array().is_some_and(Vec::is_empty));
    assert!(open.count() > 10, "public operations say in the whole document that nobody asks for a key");
    assert!(operations(&whole).all(|one| one["security"].is_array()));
}

#[test]
fn a_browser_opens_the_pages_without_the_key() {
    let router = operator_router(app(ALL, Some("secret")));
    check_all(
        &router,
        &[
            ("GET /docs", "200 rapi-doc"),
            ("GET /docs/openapi.json", "200 \"openapi\": \"3.1.0\""),
            ("GET /docs/rapidoc-min.js", "200 text/javascript"),
            ("GET /docs/docs.js", "200 text/javascript"),
            ("GET /openapi.json", "200 \"openapi\": \"3.1.0\""),
            ("POST /docs", "405 method_not_allowed"),
            ("GET /docs/nothing", "401 unauthorized"),
            ("GET /v1/sinks", "401 unauthorized"),
        ],
    );
}

#[test]
fn headings_have_no_marks_that_a_page_would_show() {
    let app = app(ALL, Some("secret"));
    for router in [public_router(Arc::clone(&app)), operator_router(app)] {
        for operation in operations(&own_document(&router)) {
            let summary = operation["summary"].as_str().expect("a summary");
            assert!(!summary.contains(['`', '*', '_']), "{summary}");
        }
    }
}

#[test]
fn a_page_can_fill_in_every_path() {
    for router in [public_router(app(ALL, None)), operator_router(app(ALL, None))] {
        let document = own_document(&router);
        let parameters = operations(&document).filter_map(|one| one["parameters"].as_array()).flatten();
        for parameter in parameters.filter(|parameter| parameter["in"] == "path") {
            assert!(parameter["example"].is_string(), "{parameter}");
        }
    }
}
