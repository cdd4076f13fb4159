//! What a rush asks for is answered by its bytes or by the router, and both answers are the same.

use std::sync::mpsc::sync_channel;

use http::Request;

use super::shop::Shop;
use super::{ALL, PEER, app, public_router, send};
use crate::api::app::Backend;
use crate::api::hot_table;
use crate::hot::{self, Hot};
use crate::http::request;

/// The answer by bytes: status, fields in alphabetical order, and body. Nothing if the request is one for the router.
fn answer_hot(request: &str) -> Option<(u16, Vec<String>, String)> {
    let (head, body) = request.split_once("\n\n").unwrap_or((request, ""));
    let mut lines = head.lines();
    let (method, target) = lines.next().and_then(|line| line.split_once(' ')).expect("METHOD target");
    let mut built = Request::builder().method(method).uri(target);
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        built = built.header(name, value);
    }
    let (parts, ()) = built.body(()).expect("a request that HTTP knows").into_parts();
    let shop = Shop::default();
    let mut body_out = Vec::new();
    let head = match hot_table(ALL).decode(&request::Request::of_http2(&parts, body.as_bytes(), PEER)) {
        Hot::Call(call, rendering) => {
            let (tell, told) = sync_channel(1);
            shop.call(call, Box::new(move |reply| tell.send(reply).expect("somebody who waits")));
            let reply = told.recv().expect("an answer");
            rendering.render(reply, shop.ids(""), shop.now_ms(), &mut body_out)
        }
        Hot::Problem(problem) => hot::render_problem(&problem, &mut body_out),
        Hot::Cold => return None,
    };
    let mut fields: Vec<String> =
        head.fields.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    fields.push(format!("content-type: {}", head.content_type));
    fields.sort();
    Some((head.status, fields, String::from_utf8(body_out).expect("UTF-8")))
}

#[test]
fn hot_and_routed_answers_are_equal() {
    let reserve =
        |body: &str| format!("POST /v1/sales/PWTC/reservations\ncontent-type: application/json\n\n{body}");
    let of = |customer: &str| {
        reserve(&format!(r#"{{"customer":"{customer}","lines":[{{"stock":"2021-05-16","quantity":2}}]}}"#))
    };
    let keyed = |key: &str| of("ann").replace("\n\n", &format!("\nidempotency-key: {key}\n\n"));
    let book = |body: &str| format!("POST /booking\ncontent-type: application/json\n\n{{{body}}}");
    let full = r#""mysejahteraId":"ann","firstName":"A","lastName":"B","address":"C","location":"PWTC","phoneNumber":"D","date":"20210516""#;
    let mut requests: Vec<String> = [
        "POST /v1/counters/home",
        "GET /v1/counters/home",
        "GET /v1/counters/missing",
        "POST /v1/counters/overloaded",
        "POST /v1/counters/failing",
        "POST /v1/counters/draining",
        "POST /v1/counters/full",
        "POST /v1/windows/home",
        "GET /v1/windows/home",
        "GET /v1/windows/missing",
        "GET /web-counter/increment",
        "GET /",
        "BREW /",
    ]
    .map(str::to_owned)
    .to_vec();
    requests.extend(["ann", "holder", "limited", "late", "early", "closed", "behind", "a b", ""].map(of));
    requests.extend(["again", "other", "schlüssel"].map(keyed));
    requests.extend(["", "{", "{}", "[]", r#"{"customer":"a","lines":[],"x":1}"#].map(reserve));
    requests.push(book(full));
    requests.extend(["late", "limited"].map(|customer| book(&full.replace("ann", customer))));
    requests.push(book(&full.replace("PWTC", "missing")));
    let router = public_router(app(ALL, None));
    for request in requests {
        let Some((status, fields, body)) = answer_hot(&request) else { panic!("{request} is not hot") };
        let (routed_status, routed_fields, routed_body) = send(&router, &request);
        let mut routed_fields: Vec<String> = routed_fields.split(", ").map(str::to_owned).collect();
        routed_fields.sort();
        assert_eq!((status, fields, body), (routed_status.as_u16(), routed_fields, routed_body), "{request}");
    }
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
    ] {
        assert!(answer_hot(&request).is_none(), "{request}");
    }
}
