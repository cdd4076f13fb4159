//! Why a customer may reserve, or may not.

use super::{ALL, app, check_all, operator_router, public_router};

#[test]
fn every_check_is_told_for_whoever_is_named() {
    check_all(
        &operator_router(app(ALL, None)),
        &[
            (
                "GET /v1/gate/explain?sale=a&customer=ann",
                r#"200 {"verdict":"refused","checks":[{"check":"rate_limits","verdict":"passed","code":null,"#,
            ),
            (
                "GET /v1/gate/explain?sale=a&customer=ann",
                r#"200 {"check":"customer_limit","verdict":"refused","code":"customer_limit_reached","detail":"The customer has 1 of 1 units."}"#,
            ),
            ("GET /v1/gate/explain?sale=a", r#"200 {"verdict":"allowed","#),
            ("GET /v1/gate/explain?sale=a", r#"200 {"check":"denylist","verdict":"not_asked","code":null,"#),
            (
                "GET /v1/gate/explain?customer=denied",
                r#"200 "code":"denied","detail":"The denylist has customer denied until 2021-05-16T00:00:00.000Z (reason: a \"bot\").""#,
            ),
            ("GET /v1/gate/explain?address=192.0.2.66", r#"200 {"verdict":"refused","#),
            ("GET /v1/gate/explain?address=%3A%3A1", r#"200 {"verdict":"allowed","#),
            ("GET /v1/gate/explain?address=192.0.2.66", r#"200 "detail":"No sale was named.""#),
            ("HEAD /v1/gate/explain?sale=a", "200 application/json"),
            ("GET /v1/gate/explain?sale=missing", "404 sale_not_found"),
            ("GET /v1/gate/explain", "400 invalid_request"),
            ("GET /v1/gate/explain?sale=", "400 invalid_request"),
            ("GET /v1/gate/explain?customer=a%20b", "400 invalid_request"),
            ("GET /v1/gate/explain?address=192.0.2.0/24", "400 invalid_request"),
            ("GET /v1/gate/explain?address=shop.example", "400 invalid_request"),
            ("GET /v1/gate/explain?sale=a&sale=b", "400 invalid_request"),
            ("GET /v1/gate/explain?sale=a&stock=b", "400 invalid_request"),
            ("POST /v1/gate/explain?sale=a", "405 method_not_allowed"),
        ],
    );
    check_all(&public_router(app(ALL, None)), &[("GET /v1/gate/explain?sale=a", "404 not_found")]);
}
