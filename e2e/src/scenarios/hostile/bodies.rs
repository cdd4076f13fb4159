//! Rows about what is inside a body: JSON that is not, numbers that do not fit, fields that do not exist.

use super::{GOOD_BODY, RESERVE, Row, reserve};
use crate::http::request_json;

/// All rows.
pub(crate) fn rows() -> Vec<Row> {
    [kinds(), documents(), fields(), sales(), windows(), keys()].into_iter().flatten().collect()
}

fn kinds() -> Vec<Row> {
    let with_type = |line: &str| {
        format!(
            "POST {RESERVE} HTTP/1.1\r\nHost: onrush\r\n{line}Content-Length: {}\r\n\r\n{GOOD_BODY}",
            GOOD_BODY.len()
        )
    };
    let large = |length: usize| reserve(&format!("{GOOD_BODY}{}", " ".repeat(length - GOOD_BODY.len())));
    vec![
        Row::new("text/plain", with_type("Content-Type: text/plain\r\n"), &[415]),
        Row::new("a form", with_type("Content-Type: application/x-www-form-urlencoded\r\n"), &[415]),
        Row::new("no Content-Type", with_type(""), &[415]),
        Row::new(
            "a type that only begins like JSON",
            with_type("Content-Type: application/jsonx\r\n"),
            &[415],
        ),
        Row::new(
            "JSON with a charset",
            with_type("Content-Type: application/json; charset=utf-8\r\n"),
            &[201],
        )
        .takes(1)
        .open(),
        Row::new("JSON in capitals", with_type("content-type: APPLICATION/JSON\r\n"), &[201]).takes(1).open(),
        Row::new("a body of 16 KiB", large(16 << 10), &[201]).takes(1).open(),
        Row::new("a body of 16 KiB and a byte", large((16 << 10) + 1), &[413]),
        Row::new("a body of a megabyte", large(1 << 20), &[413]),
    ]
}

fn documents() -> Vec<Row> {
    let deep = "[".repeat(8_000);
    let deep_details = format!(
        r#"{{"customer":"a","lines":[{{"stock":"unit","quantity":0}}],"details":{{"d":{}{}}}}}"#,
        "[".repeat(1_900),
        "]".repeat(1_900)
    );
    let texts = [
        "",
        " ",
        "null",
        "[]",
        "1",
        "\"text\"",
        "{}",
        "{",
        "}",
        "{\"customer\"",
        "{'customer':'a'}",
        "nul\0",
        "\0",
        "\u{feff}{}",
        "{\"customer\":\"a\u{0}\",\"lines\":[{\"stock\":\"unit\",\"quantity\":1}]}",
        "{\"customer\":\"\\u0000\",\"lines\":[{\"stock\":\"unit\",\"quantity\":1}]}",
        "{\"customer\":\"\\ud800\",\"lines\":[{\"stock\":\"unit\",\"quantity\":1}]}",
        "{\"customer\":\"a\",\"lines\":[{\"stock\":\"unit\",\"quantity\":1}]}x",
        "{\"customer\":\"a\",\"lines\":[{\"stock\":\"unit\",\"quantity\":1}]}{}",
        "{\"customer\":\"a\",\"lines\":[{\"stock\":\"unit\",\"quantity\":1},]}",
        "{\"customer\":\"a\",\"customer\":\"b\",\"lines\":[{\"stock\":\"unit\",\"quantity\":1}]}",
        &deep,
        &deep_details,
    ];
    let mut rows = texts
        .map(|text| {
            let name = format!("the body {:?}", text.chars().take(60).collect::<String>());
            Row::new(name, reserve(text), &[400]).code("invalid_request").open()
        })
        .into_iter()
        .collect::<Vec<_>>();
    let mut invalid = reserve(GOOD_BODY);
    let at = invalid.len() - 10;
    invalid[at] = 0xff;
    rows.push(Row::new("invalid UTF-8 outside a string", invalid, &[400]).code("invalid_request").open());
    let mut invalid = reserve(GOOD_BODY);
    let at = invalid.windows(7).position(|bytes| bytes == b"someone").expect("the customer");
    invalid[at] = 0xc0;
    rows.push(Row::new("invalid UTF-8 in a string", invalid, &[400]).code("invalid_request").open());
    rows
}

fn fields() -> Vec<Row> {
    let quantities = [
        "0",
        "-1",
        "1001",
        "1.0",
        "1.5",
        "1e2",
        "1e400",
        "-0",
        "99999999999999999999999999",
        "4294967297",
        "18446744073709551617",
        "\"1\"",
        "true",
        "null",
        "[1]",
        "{}",
        "NaN",
        "01",
        "0x1",
        "+1",
    ];
    let mut bodies = quantities
        .map(|quantity| format!(r#"{{"customer":"a","lines":[{{"stock":"unit","quantity":{quantity}}}]}}"#))
        .to_vec();
    let long = "a".repeat(65);
    let customers = ["", long.as_str(), "a/b", "a b", "ü", "a\\n", "<a>", "a%20b"];
    bodies.extend(
        customers.map(|customer| {
            format!(r#"{{"customer":"{customer}","lines":[{{"stock":"unit","quantity":1}}]}}"#)
        }),
    );
    let line = r#"{"stock":"unit","quantity":1}"#;
    let lines = [
        "[]".to_owned(),
        "null".to_owned(),
        "{}".to_owned(),
        "[null]".to_owned(),
        "[[]]".to_owned(),
        r#"[{"stock":"unit"}]"#.to_owned(),
        r#"[{"quantity":1}]"#.to_owned(),
        r#"[{"stock":"","quantity":1}]"#.to_owned(),
        r#"[{"stock":"unit","quantity":1,"price":0}]"#.to_owned(),
        format!("[{}]", vec![line; 17].join(",")),
    ];
    bodies.extend(lines.map(|lines| format!(r#"{{"customer":"a","lines":{lines}}}"#)));
    let details = format!(r#"{{"x":"{}"}}"#, "x".repeat(4_097 - 8));
    let details = ["[]", "\"text\"", "1", "true", details.as_str()];
    bodies
        .extend(details.map(|details| format!(r#"{{"customer":"a","lines":[{line}],"details":{details}}}"#)));
    bodies.push(format!(r#"{{"customer":"a","lines":[{line}],"discount":100}}"#));
    bodies.push(format!(r#"{{"lines":[{line}]}}"#));
    bodies.push(r#"{"customer":"a"}"#.to_owned());
    bodies.push(r#"{"customer":1,"lines":[]}"#.to_owned());
    let mut rows = bodies
        .into_iter()
        .map(|body| {
            let name = format!("the body {}", body.chars().take(90).collect::<String>());
            Row::new(name, reserve(&body), &[400]).code("invalid_request").open()
        })
        .collect::<Vec<_>>();
    let unknown = r#"{"customer":"a","lines":[{"stock":"unit","quantity":1},{"stock":"none","quantity":1}]}"#;
    rows.push(Row::new("an unknown stock", reserve(unknown), &[404]).code("stock_not_found").open());
    let too_many = r#"{"customer":"a","lines":[{"stock":"unit","quantity":1000}]}"#;
    rows.push(Row::new("more than there is", reserve(too_many), &[409]).code("insufficient_stock").open());
    rows
}

fn sales() -> Vec<Row> {
    let put = |body: &str| request_json("PUT", "/v1/sales/refused", &[], body);
    let many = (0..1_001).map(|number| format!(r#"{{"stock":"s{number}","quantity_total":1}}"#));
    let many = many.collect::<Vec<_>>().join(",");
    let bodies = [
        "{}".to_owned(),
        r#"{"stocks":[]}"#.to_owned(),
        r#"{"stocks":[{"stock":"a"}]}"#.to_owned(),
        r#"{"stocks":[{"stock":"a b","quantity_total":1}]}"#.to_owned(),
        r#"{"stocks":[{"stock":"a","quantity_total":-1}]}"#.to_owned(),
        r#"{"stocks":[{"stock":"a","quantity_total":1000000001}]}"#.to_owned(),
        r#"{"stocks":[{"stock":"a","quantity_total":1},{"stock":"a","quantity_total":2}]}"#.to_owned(),
        r#"{"stocks":[{"stock":"a","quantity_total":1}],"per_customer_max":0}"#.to_owned(),
        r#"{"stocks":[{"stock":"a","quantity_total":1}],"per_customer_max":1000001}"#.to_owned(),
        r#"{"stocks":[{"stock":"a","quantity_total":1}],"hold_ttl_ms":86400001}"#.to_owned(),
        r#"{"stocks":[{"stock":"a","quantity_total":1}],"hold_ttl_ms":-1}"#.to_owned(),
        r#"{"stocks":[{"stock":"a","quantity_total":1}],"opens_at":"yesterday"}"#.to_owned(),
        r#"{"stocks":[{"stock":"a","quantity_total":1}],"opens_at":"2026-13-01T00:00:00Z"}"#.to_owned(),
        r#"{"stocks":[{"stock":"a","quantity_total":1}],"colour":"red"}"#.to_owned(),
        r#"{"stocks":[{"stock":"a","quantity_total":1,"colour":"red"}]}"#.to_owned(),
    ];
    let mut rows = bodies
        .map(|body| {
            Row::new(format!("put the sale {body}"), put(&body), &[400])
                .code("invalid_request")
                .operator()
                .open()
        })
        .into_iter()
        .collect::<Vec<_>>();
    rows.push(
        Row::new("put a sale of 1,001 stocks", put(&format!(r#"{{"stocks":[{many}]}}"#)), &[400, 413])
            .operator(),
    );
    rows
}

fn windows() -> Vec<Row> {
    let rows = [
        r#"{"span_ms":1000,"precision_ms":0}"#,
        r#"{"span_ms":1000,"precision_ms":-1}"#,
        r#"{"span_ms":1000,"precision_ms":1001}"#,
        r#"{"span_ms":0,"precision_ms":1}"#,
        r#"{"span_ms":86400001,"precision_ms":86400001}"#,
        r#"{"span_ms":86400000,"precision_ms":1}"#,
        r#"{"span_ms":1000}"#,
        r#"{"span_ms":1000,"precision_ms":1.5}"#,
        r#"{"span_ms":1000,"precision_ms":10,"panes":3}"#,
    ];
    rows.map(|body| {
        let bytes = request_json("PUT", "/v1/windows/refused", &[], body);
        Row::new(format!("put the window {body}"), bytes, &[400]).code("invalid_request").operator().open()
    })
    .into_iter()
    .collect()
}

fn keys() -> Vec<Row> {
    let key = |value: &str| request_json("POST", RESERVE, &[format!("Idempotency-Key: {value}")], GOOD_BODY);
    let long = "k".repeat(129);
    let mut rows = ["", long.as_str(), "schlüssel", "a\tb"]
        .map(|value| {
            Row::new(format!("the key {value:?}"), key(value), &[400]).code("invalid_request").open()
        })
        .into_iter()
        .collect::<Vec<_>>();
    rows.push(Row::new("a key of 128 bytes", key(&"k".repeat(128)), &[201]).takes(1).open());
    rows.push(Row::new("the same key again", key(&"k".repeat(128)), &[200]).open());
    let reused = request_json(
        "POST",
        RESERVE,
        &[format!("Idempotency-Key: {}", "k".repeat(128))],
        &GOOD_BODY.replace("someone", "another"),
    );
    rows.push(Row::new("the same key, another body", reused, &[422]).code("idempotency_key_reused").open());
    rows
}
