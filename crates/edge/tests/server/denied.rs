//! Who is on the denylist is refused on the public listener from the answer on, over both protocols, hot and routed.

use crate::said::{Said, said};
use crate::support::{Rig, settings};

fn local(method: &'static str, path: &'static str) -> Said {
    said(method, path).host("localhost")
}

fn put(path: &'static str) -> Said {
    Said { body: r#"{"reason":"a test"}"#, ..local("PUT", path).field("content-type", "application/json") }
}

#[test]
fn an_address_is_refused_until_it_is_taken_off() {
    const LOOPBACK: &str = "/v1/denylist/address/127.0.0.0%2F8";
    let rig = Rig::start(settings());
    let counter = local("GET", "/v1/counters/home");
    counter.check(rig.public(), 404, "counter_not_found");
    assert_eq!(put("/v1/denylist/address/192.0.2.7").over_http1(rig.operator()).status, 201);
    counter.check(rig.public(), 404, "counter_not_found");
    assert_eq!(put(LOOPBACK).over_http1(rig.operator()).status, 201);
    counter.check(rig.public(), 403, "denied");
    local("GET", "/v1/counters/home?").check(rig.public(), 403, "denied");
    local("GET", "/nowhere").check(rig.public(), 403, "denied");
    local("GET", "/livez").check(rig.public(), 200, "live");
    local("GET", LOOPBACK).check(rig.operator(), 200, "127.0.0.0/8");
    local("GET", "/v1/denylist").check(rig.operator(), 200, "a test");
    assert_eq!(local("DELETE", LOOPBACK).over_http1(rig.operator()).status, 204);
    local("DELETE", LOOPBACK).check(rig.operator(), 404, "denial_not_found");
    counter.check(rig.public(), 404, "counter_not_found");
}

#[test]
fn a_customer_is_refused_a_reservation_and_the_shop_is_not() {
    const ADA: &str = r#"{"customer":"ada","lines":[{"stock":"a","quantity":1}]}"#;
    const EVE: &str = r#"{"customer":"eve","lines":[{"stock":"a","quantity":1}]}"#;
    let rig = Rig::start(settings());
    assert_eq!(put("/v1/denylist/customer/ada").over_http1(rig.operator()).status, 201);
    let reserve = |path, body| Said { body, ..local("POST", path).field("content-type", "application/json") };
    for path in ["/v1/sales/s/reservations", "/v1/sales/s/reservations?"] {
        reserve(path, ADA).check(rig.public(), 403, "denied");
        reserve(path, EVE).check(rig.public(), 404, "sale_not_found");
        reserve(path, ADA).check(rig.operator(), 404, "sale_not_found");
    }
}
