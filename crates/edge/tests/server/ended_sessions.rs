//! Sessions that the operator has ended: they are none from the answer on, in both protocols and on both ways, and the customer may begin
//! another.

use crate::said::said;
use crate::sessions::{ANN, BOB, SESSION, begin, hour, reserve};
use crate::support::{Answer, Http1, Rig, call_json, settings};
use onrush_edge::Components;

const END: &str = "/v1/denylist/session/ann";

fn rig() -> Rig {
    let rig = Rig::start_with(settings(), Components { sessions: Some(hour()), ..Components::default() });
    rig.put_sale("s");
    rig
}

fn end(rig: &Rig) -> Answer {
    call_json(rig.operator(), "PUT", END, "", r#"{"reason":"stolen"}"#)
}

fn get(rig: &Rig, target: &str, fields: &str) -> Answer {
    let request = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n");
    Http1::connect(rig.public()).call(request.as_bytes()).expect("an answer")
}

fn ended(answer: &Answer) -> bool {
    answer.status == 401
        && answer.body.contains("session_required")
        && answer.body.contains("has ended this session")
}

#[test]
fn a_session_that_was_ended_is_none_and_another_one_may_begin() {
    let rig = rig();
    let (ann, bob) = (begin(&rig, ANN), begin(&rig, BOB));
    let token = ann.trim_end().rsplit_once('=').expect("a cookie").1;
    let bearer = format!("Authorization: Bearer {token}\r\n");
    let answer = end(&rig);
    assert_eq!(answer.status, 201, "{answer:?}");
    assert!(answer.body.starts_with(r#"{"kind":"session","value":"ann","reason":"stolen","expires_at":"20"#));
    for fields in [&ann, &bearer] {
        for target in [SESSION, "/v1/gate/check", "/v1/gate/forward"] {
            assert!(ended(&get(&rig, target, fields)), "{target}: {:?}", get(&rig, target, fields));
        }
        assert!(ended(&reserve(&rig, fields, None)));
        // As it was without a session.
        assert_eq!(reserve(&rig, fields, Some("bob")).status, 201);
        let optional = get(&rig, "/v1/gate/check?session=optional", fields);
        assert_eq!((optional.status, optional.field("onrush-customer")), (204, None));
    }
    let cookie: &'static str = Box::leak(ann["Cookie: ".len()..].trim_end().to_owned().into_boxed_str());
    said("GET", SESSION).field("cookie", cookie).check(rig.public(), 401, "has ended this session");
    // The shop's own token is for the shop to end.
    assert_eq!(get(&rig, SESSION, &format!("Authorization: Bearer {ANN}\r\n")).status, 200);
    assert_eq!(get(&rig, SESSION, &bob).status, 200);
    assert_eq!(rig.metric(r#"onrush_denied_total{check="denylist",code="denied",kind="customer"}"#), 0);
    assert!(rig.metric(r#"onrush_denied_total{check="denylist",code="none",kind="session"}"#) > 10);
    // Another one begins in the same millisecond, if need be.
    for _ in 0..20 {
        assert!(matches!(end(&rig).status, 200));
        let again = begin(&rig, ANN);
        assert_eq!(get(&rig, SESSION, &again).status, 200);
        assert!(ended(&get(&rig, SESSION, &ann)));
    }
    // The browser can forget it.
    let request = format!("DELETE {SESSION} HTTP/1.1\r\nHost: localhost\r\n{ann}\r\n");
    let forgotten = Http1::connect(rig.public()).call(request.as_bytes()).expect("an answer");
    assert_eq!(forgotten.status, 204);
}

#[test]
fn the_end_of_sessions_can_be_read_and_taken_back_and_has_no_end_of_its_own() {
    let rig = rig();
    let ann = begin(&rig, ANN);
    assert_eq!(call_json(rig.operator(), "GET", END, "", "").status, 404);
    let until = call_json(rig.operator(), "PUT", END, "", r#"{"expires_at":"2100-01-01T00:00:00Z"}"#);
    assert!(until.status == 400 && until.body.contains("`expires_at` must be left out"), "{until:?}");
    assert_eq!(get(&rig, SESSION, &ann).status, 200);
    assert_eq!(end(&rig).status, 201);
    let read = call_json(rig.operator(), "GET", END, "", "");
    assert!(read.status == 200 && read.body.contains("stolen"), "{read:?}");
    let list = call_json(rig.operator(), "GET", "/v1/denylist", "", "");
    assert!(list.body.contains(r#""kind":"session","value":"ann""#), "{list:?}");
    assert!(ended(&get(&rig, SESSION, &ann)));
    assert_eq!(call_json(rig.operator(), "DELETE", END, "", "").status, 204);
    assert_eq!(get(&rig, SESSION, &ann).status, 200);
    for (value, code) in [("a%2Fb", 400), ("", 404)] {
        let target = format!("/v1/denylist/session/{value}");
        assert_eq!(call_json(rig.operator(), "PUT", &target, "", "{}").status, code);
    }
}
