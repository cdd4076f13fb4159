//! Rows about methods, paths, names and query strings.

use super::{RESERVE, Row};
use crate::http::{request, request_json};

/// All rows.
pub(crate) fn rows() -> Vec<Row> {
    [methods(), paths(), numbers(), operator()].into_iter().flatten().collect()
}

fn methods() -> Vec<Row> {
    let rows = [
        ("DELETE", "/v1/counters/hostile"),
        ("PUT", "/v1/counters/hostile"),
        ("PATCH", "/v1/windows/hostile"),
        ("POST", "/v1/sales"),
        ("PUT", "/v1/sales/hostile"),
        ("DELETE", "/v1/sales/hostile"),
        ("GET", RESERVE),
        ("POST", "/readyz"),
        ("POST", "/openapi.json"),
        ("TRACE", "/v1/sales"),
        ("BREW", "/v1/sales"),
        ("get", "/v1/sales"),
    ];
    rows.map(|(method, path)| {
        Row::new(format!("{method} {path}"), request(method, path), &[405]).code("method_not_allowed")
    })
    .into_iter()
    .collect()
}

fn paths() -> Vec<Row> {
    let long = "a".repeat(65);
    let rows = [
        ("/nothing", 404, "not_found"),
        ("//v1/sales", 404, "not_found"),
        ("/v1", 404, "not_found"),
        ("/v1/", 404, "not_found"),
        ("/v1/counters", 404, "not_found"),
        ("/../../etc/passwd", 404, "not_found"),
        ("/v1/counters/none", 404, "counter_not_found"),
        ("/v1/windows/none", 404, "window_not_found"),
        ("/v1/sales/none", 404, "sale_not_found"),
        ("/v1/sales/none/customers/a/reservations", 404, "sale_not_found"),
        ("/v1/sales/hostile/reservations/none", 404, "reservation_not_found"),
        ("/v1/counters/a%20b", 400, "invalid_request"),
        ("/v1/counters/a%00b", 400, "invalid_request"),
        ("/v1/counters/%ff", 400, "invalid_request"),
        ("/v1/counters/a%2fb", 400, "invalid_request"),
        ("/v1/counters/a%zz", 400, "invalid_request"),
        ("/v1/sales/a%0d%0ab", 400, "invalid_request"),
        ("/v1/sales?cursor=%00%ff", 400, "invalid_request"),
        ("/v1/sales?cursor=forged", 400, "invalid_request"),
    ];
    let mut rows = rows
        .map(|(path, status, code)| {
            let statuses: &[u16] = if status == 404 { &[404] } else { &[400] };
            Row::new(format!("GET {path}"), request("GET", path), statuses).code(code).open()
        })
        .into_iter()
        .collect::<Vec<_>>();
    rows.push(
        Row::new("a name of 65 characters", request("GET", &format!("/v1/counters/{long}")), &[400])
            .code("invalid_request"),
    );
    for step in ["confirm", "release"] {
        let path = format!("{RESERVE}/none/{step}");
        rows.push(
            Row::new(format!("POST {path}"), request("POST", &path), &[404])
                .code("reservation_not_found")
                .open(),
        );
    }
    rows
}

fn numbers() -> Vec<Row> {
    let post = |by: &str| request("POST", &format!("/v1/counters/hostile{by}"));
    let mut rows = [
        "?by=0",
        "?by=-1",
        "?by=1000001",
        "?by=1.5",
        "?by=1e3",
        "?by=x",
        "?by=",
        "?by=%00",
        "?by=1&by=2",
        "?by=99999999999999999999999",
        "?by=0x1",
    ]
    .map(|by| Row::new(format!("add {by}"), post(by), &[400]).code("invalid_request").open())
    .into_iter()
    .collect::<Vec<_>>();
    rows.extend([
        Row::new("add without by", post(""), &[200]).adds(1).open(),
        Row::new("add the least", post("?by=1"), &[200]).adds(1).open(),
        Row::new("add the most", post("?by=1000000"), &[200]).adds(1_000_000).open(),
        Row::new("a name in percent-encoding", request("POST", "/v1/counters/%68ostile"), &[200])
            .adds(1)
            .open(),
        Row::new("an absolute target", request("POST", "http://onrush/v1/counters/hostile"), &[200])
            .adds(1)
            .open(),
        Row::new("HEAD", request("HEAD", "/v1/counters/hostile"), &[200]).open(),
        Row::new(
            "a body where none belongs",
            request_json("POST", "/v1/counters/hostile", &[], "{\"by\":5}"),
            &[400],
        )
        .code("invalid_request")
        .open(),
        Row::new("a query that nobody knows", request("GET", "/v1/counters/hostile?by=5"), &[400])
            .code("invalid_request")
            .open(),
    ]);
    rows
}

fn operator() -> Vec<Row> {
    let below = r#"{"title":"hostile","stocks":[{"stock":"unit","quantity_total":1}]}"#;
    let without = r#"{"title":"hostile","stocks":[{"stock":"other","quantity_total":1}]}"#;
    vec![
        Row::new("archive an open sale", request("DELETE", "/v1/sales/hostile"), &[409])
            .code("sale_open")
            .operator()
            .open(),
        Row::new("archive an unknown sale", request("DELETE", "/v1/sales/none"), &[404])
            .code("sale_not_found")
            .operator()
            .open(),
        Row::new(
            "fewer units than are reserved",
            request_json("PUT", "/v1/sales/hostile", &[], below),
            &[409],
        )
        .code("quantity_below_reserved")
        .operator()
        .open(),
        Row::new(
            "leave out a reserved stock",
            request_json("PUT", "/v1/sales/hostile", &[], without),
            &[409],
        )
        .operator()
        .open(),
        Row::new("a public path on the operator listener", request("POST", "/v1/windows/home"), &[404, 405])
            .operator()
            .open(),
        Row::new("an operator path on the public listener", request("GET", "/metrics"), &[404])
            .code("not_found")
            .open(),
    ]
}
