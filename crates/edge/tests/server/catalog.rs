//! Rows of the catalogue over both listeners: put, read hot and routed, by one key and by many, with their tags and versions.

use std::time::Duration;

use onrush_edge::CatalogSettings;

use crate::support::{Answer, Rig, Settings, call_json, call_with, settings};

const ROW: &str = "/v1/catalog/products/106";
const ROWS: &str = "/v1/catalog/products";

fn catalog() -> Settings {
    let (wait_max, embedded) = (Duration::from_millis(50), vec!["products".into(), "empty".into()]);
    Settings { catalog: CatalogSettings { wait_max, embedded, ..CatalogSettings::default() }, ..settings() }
}

fn put(rig: &Rig, path: &str, body: &str) -> Answer {
    call_json(rig.operator(), "PUT", path, "", body)
}

fn put_lines(rig: &Rig, body: &str) -> Answer {
    call_with(rig.operator(), "POST", ROWS, "Content-Type: application/x-ndjson\r\n", body)
}

fn get(rig: &Rig, path: &str) -> Answer {
    call_with(rig.public(), "GET", path, "", "")
}

fn code(answer: &Answer) -> String {
    let body: serde_json::Value = serde_json::from_str(&answer.body).unwrap_or_default();
    format!("{} {}", answer.status, body["code"].as_str().unwrap_or_default())
}

#[test]
fn a_row_is_read_as_it_was_put() {
    let rig = Rig::start(catalog());
    assert_eq!(code(&get(&rig, ROW)), "404 row_not_found");
    let answer = put(&rig, ROW, " {\"name\": \"chair\"}\n");
    assert_eq!(
        (answer.status, &*answer.body),
        (200, r#"{"collection":"products","key":"106","version":"1"}"#)
    );
    // The second is one for the router.
    for path in [ROW, "/v1/catalog/products/%3106"] {
        let answer = get(&rig, path);
        assert_eq!((answer.status, &*answer.body), (200, "{\"name\": \"chair\"}"), "{path}");
        let told = ["onrush-version", "onrush-lag-ms", "age", "cache-control"].map(|name| answer.field(name));
        assert_eq!(told, [Some("1"), Some("0"), Some("0"), Some("no-cache")]);
        let etag = answer.field("etag").expect("a row has a tag").to_owned();
        let again = call_with(rig.public(), "GET", path, &format!("If-None-Match: {etag}\r\n"), "");
        assert_eq!((again.status, &*again.body, again.field("etag")), (304, "", Some(&*etag)));
    }
    assert_eq!(put(&rig, ROW, r#"{"name":"table"}"#).status, 200);
    let answer = call_with(rig.public(), "GET", ROW, "If-None-Match: \"1\"\r\n", "");
    assert_eq!(
        (answer.status, &*answer.body, answer.field("onrush-version")),
        (200, r#"{"name":"table"}"#, Some("2"))
    );
    let deleted = call_with(rig.operator(), "DELETE", ROW, "", "");
    assert_eq!((deleted.status, deleted.field("onrush-version")), (204, Some("3")));
    assert_eq!(code(&call_with(rig.operator(), "DELETE", ROW, "", "")), "404 row_not_found");
    assert_eq!(code(&get(&rig, ROW)), "404 row_not_found");
}

#[test]
fn keys_may_be_any_printable_text() {
    let rig = Rig::start(catalog());
    for key in ["a%2Fb", "%C3%A9", "a%20b", "a,b", "%25"] {
        let path = format!("{ROWS}/{key}");
        assert_eq!(put(&rig, &path, "{}").status, 200, "{key}");
        assert_eq!(get(&rig, &path).status, 200, "{key}");
    }
    let answer = get(&rig, &format!("{ROWS}?keys=a%2Fb,%C3%A9,a%2Cb,x"));
    let expected = r#"{"rows":{"a/b":{},"é":{},"a,b":{}},"missing":["x"],"version":"5"}"#;
    assert_eq!((answer.status, &*answer.body), (200, expected));
    for key in ["a%0Ab", "%FF", &"x".repeat(129)] {
        assert_eq!(code(&put(&rig, &format!("{ROWS}/{key}"), "{}")), "400 invalid_request", "{key}");
        assert_eq!(code(&get(&rig, &format!("{ROWS}/{key}"))), "400 invalid_request", "{key}");
    }
}

#[test]
fn many_rows_are_put_as_one_change_or_not_at_all() {
    let rig = Rig::start(catalog());
    let answer = put_lines(&rig, "{\"key\":\"1\",\"row\":{\"a\":1}}\n{\"key\":\"2\",\"row\":{\"a\":2}}\n");
    assert_eq!((answer.status, &*answer.body), (200, r#"{"rows":2,"version":"1"}"#));
    let answer = put_lines(&rig, "{\"key\":\"1\",\"row\":{\"a\":3}}\n{\"key\":\"3\",\"row\":[]}\n");
    assert_eq!(code(&answer), "400 invalid_request");
    assert!(answer.body.contains("Line 2: `row` must be a JSON object"), "{}", answer.body);
    let many = "{\"key\":\"1\",\"row\":{}}\n".repeat(10_001);
    assert_eq!(code(&put_lines(&rig, &many)), "413 body_too_large");
    assert_eq!(code(&put_lines(&rig, "")), "400 invalid_request");
    assert_eq!(code(&call_json(rig.operator(), "POST", ROWS, "", "{}")), "415 unsupported_media_type");
    let answer = get(&rig, &format!("{ROWS}?keys=1,2,3"));
    assert_eq!(answer.body, r#"{"rows":{"1":{"a":1},"2":{"a":2}},"missing":["3"],"version":"1"}"#);
}

#[test]
fn a_read_may_wait_for_a_version() {
    let rig = Rig::start(catalog());
    put(&rig, ROW, "{}");
    for path in [format!("{ROW}?min_version="), format!("{ROWS}?keys=106&min_version=")] {
        assert_eq!(get(&rig, &format!("{path}1")).status, 200, "{path}");
        let answer = get(&rig, &format!("{path}2"));
        assert_eq!((&*code(&answer), answer.field("retry-after")), ("503 incoherent", Some("1")), "{path}");
        assert_eq!(code(&get(&rig, &format!("{path}x"))), "400 invalid_request", "{path}");
    }
}

#[test]
fn what_is_wrong_changes_nothing() {
    let rig = Rig::start(catalog());
    for body in ["", "[]", "7", "{", "{} {}"] {
        assert_eq!(code(&put(&rig, ROW, body)), "400 invalid_request", "{body}");
    }
    let conditional = |condition: &str| call_json(rig.operator(), "PUT", ROW, condition, "{}");
    for condition in ["If-Match: \"1\"\r\n", "If-None-Match: *\r\n"] {
        assert_eq!(code(&conditional(condition)), "400 invalid_request", "{condition}");
    }
    let large = format!("{{\"a\":\"{}\"}}", "x".repeat(16 << 10));
    assert_eq!(code(&put(&rig, ROW, &large)), "413 body_too_large");
    assert_eq!(code(&put(&rig, "/v1/catalog/others/1", "{}")), "404 collection_not_found");
    assert_eq!(code(&get(&rig, "/v1/catalog/others/1")), "404 collection_not_found");
    assert_eq!(code(&get(&rig, "/v1/catalog/others?keys=1")), "404 collection_not_found");
    assert_eq!(code(&call_json(rig.public(), "PUT", ROW, "", "{}")), "405 method_not_allowed");
    assert_eq!(code(&get(&rig, ROWS)), "400 invalid_request");
    let listed = call_with(rig.operator(), "GET", "/v1/catalog", "", "").body;
    let listed: serde_json::Value = serde_json::from_str(&listed).expect("JSON");
    let of_products = &listed["collections"][1];
    assert_eq!(of_products["collection"], "products");
    assert_eq!((&of_products["version"], &of_products["rows"]), (&"0".into(), &0.into()));
}

#[test]
fn rows_are_there_after_a_restart() {
    let rig = Rig::start(catalog());
    put(&rig, ROW, r#"{"a":1}"#);
    let log = rig.leave();
    let rig = Rig::start_on(log, catalog());
    let answer = get(&rig, ROW);
    assert_eq!(
        (answer.status, &*answer.body, answer.field("onrush-version")),
        (200, r#"{"a":1}"#, Some("1"))
    );
}
