//! What a request asks beyond what its route knows is refused, by every route and in both protocols, and nothing is done.

use std::net::SocketAddr;

use serde_json::Value;

use crate::support::{Answer, Http1, Rig, call_http2, call_json, settings};

/// One operation of the document, with a target and a body that it would take.
struct Operation {
    method: String,
    target: String,
    listener: SocketAddr,
    /// Media type and content.
    body: Option<(String, String)>,
}

/// Every operation of the document. On both listeners, if both have it.
fn operations(rig: &Rig, reservation: &str) -> Vec<Operation> {
    let document: Value = serde_json::from_str(&onrush_edge::openapi::document()).expect("JSON");
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            let listeners: &[SocketAddr] = match operation["tags"][0].as_str().expect("a tag") {
                "operator" => &[rig.operator()],
                "health" => &[rig.public(), rig.operator()],
                _ => &[rig.public()],
            };
            let content = operation["requestBody"]["content"].as_object();
            let body = content.and_then(|content| content.iter().next());
            let body = body.map(|(media_type, content)| {
                (media_type.clone(), content["examples"]["example"]["value"].to_string())
            });
            let target = path.replace("{reservation}", reservation).replace(['{', '}'], "");
            all.extend(listeners.iter().map(|listener| Operation {
                method: method.to_uppercase(),
                target: target.clone(),
                listener: *listener,
                body: body.clone(),
            }));
        }
    }
    all
}

impl Operation {
    /// Sends it with this query by both protocols, which answer alike.
    fn send(&self, query: &str, body: Option<&(String, String)>) -> Answer {
        let target = format!("{}{query}", self.target);
        let (media_type, body) =
            body.map_or(("application/json", ""), |(media_type, body)| (media_type, body));
        let first = Http1::connect(self.listener).call(
            format!(
                "{} {target} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {media_type}\r\nContent-Length: {}\r\n\r\n{body}",
                self.method,
                body.len()
            )
            .as_bytes(),
        );
        let request = http::Request::builder()
            .method(self.method.as_str())
            .uri(format!("http://localhost{target}"))
            .header("content-type", media_type)
            .body(())
            .expect("a request");
        let second = call_http2(self.listener, request, body.as_bytes());
        let first = first.expect("an answer");
        assert_eq!(first, second, "{} {target}", self.method);
        first
    }
}

/// Whether a refusal has these words, as a problem or as a page. One that is a word alone has its reason in a field.
fn says(answer: &Answer, of_problem: &str, of_page: &str) -> bool {
    match answer.field("content-type").unwrap_or_default() {
        "application/problem+json" => answer.body.contains(of_problem),
        "text/html; charset=utf-8" => answer.body.contains(of_page),
        _ => answer.body == "false" && answer.field("onrush-refusal") == Some("invalid_request"),
    }
}

#[test]
fn unknown_parameters_and_unexpected_bodies_are_refused_everywhere() {
    let rig = Rig::start(settings());
    rig.put_sale("sale");
    let reserve = "{\"customer\":\"customer\",\"lines\":[{\"stock\":\"unit\",\"quantity\":4}]}";
    let made = call_json(rig.public(), "POST", "/v1/sales/sale/reservations", "", reserve);
    let made: Value = serde_json::from_str(&made.body).expect("a reservation");
    let operations = operations(&rig, made["reservation"].as_str().expect("an id"));
    assert!(operations.iter().any(|operation| operation.target.ends_with("/release")));
    let events = || rig.metric("onrush_log_events_total");
    let events_before = events();
    for operation in operations {
        let what = format!("{} {}", operation.method, operation.target);
        let asked_more = operation.send("?dry_run=true", operation.body.as_ref());
        assert_eq!(asked_more.status, 400, "{what}: {asked_more:?}");
        assert!(says(&asked_more, "\"field\":\"dry_run\"", "`dry_run`"), "{what}: {asked_more:?}");
        if operation.body.is_none() {
            let part = ("application/json".to_owned(), "{\"quantity\":1}".to_owned());
            let with_body = operation.send("", Some(&part));
            assert_eq!(with_body.status, 400, "{what}: {with_body:?}");
            assert!(says(&with_body, "takes no body", "takes no body"), "{what}: {with_body:?}");
        }
    }
    assert_eq!(events(), events_before, "something was done");
}
