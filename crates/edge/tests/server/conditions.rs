//! Entity tags of sales: they belong to one history of one log, and a change can be made to hold only for terms that were seen.

use onrush_log::memory::MemoryLog;

use crate::support::{Answer, Rig, call_json, settings};

const SALE: &str = "/v1/sales/shop";
const TERMS: &str = r#"{"stocks":[{"stock":"unit","quantity_total":200}]}"#;

fn get(rig: &Rig, target: &str, fields: &str) -> Answer {
    call_json(rig.public(), "GET", target, fields, "")
}

/// The tags of the sale and of the list.
fn tags(rig: &Rig) -> [String; 2] {
    [SALE, "/v1/sales"].map(|target| get(rig, target, "").field("etag").expect("a tag").to_owned())
}

fn reserve(rig: &Rig, customer: &str) {
    let body = format!(r#"{{"customer":"{customer}","lines":[{{"stock":"unit","quantity":1}}]}}"#);
    let answer = call_json(rig.public(), "POST", "/v1/sales/shop/reservations", "", &body);
    assert_eq!(answer.status, 201, "{answer:?}");
}

#[test]
fn logs_with_the_same_history_give_different_tags() {
    let (first, second) = (Rig::start(settings()), Rig::start(settings()));
    for rig in [&first, &second] {
        rig.put_sale("shop");
        reserve(rig, "ann");
    }
    for (one, other) in tags(&first).iter().zip(tags(&second)) {
        assert_ne!(*one, other);
    }
    assert_eq!(get(&first, SALE, "").body, get(&second, SALE, "").body, "the histories are the same");
}

#[test]
fn a_restored_copy_gives_different_tags_once_it_goes_its_own_way() {
    let rig = Rig::start(settings());
    rig.put_sale("shop");
    let before = tags(&rig);
    let log = rig.leave();
    let copied = log.copy();
    let go_on = |log: MemoryLog, customer: &str| {
        let rig = Rig::start_on(log, settings());
        assert_eq!(tags(&rig), before, "nothing has changed so far");
        reserve(&rig, customer);
        let tags = tags(&rig);
        assert_eq!(get(&rig, SALE, &format!("If-None-Match: {}\r\n", tags[0])).status, 304);
        (tags, rig.leave())
    };
    let (original, log) = go_on(log, "ann");
    let (restored, _) = go_on(copied, "bob");
    for (at, (one, other)) in original.iter().zip(&restored).enumerate() {
        assert_ne!(one, other);
        assert_ne!(*one, before[at]);
    }
    let rig = Rig::start_on(log, settings());
    assert_eq!(tags(&rig), original, "a restart alone changes no tag");
}

#[test]
fn terms_are_replaced_only_by_those_who_have_seen_them() {
    let rig = Rig::start(settings());
    rig.put_sale("shop");
    let [etag, _] = tags(&rig);
    let if_match = |etag: &str| format!("If-Match: {etag}\r\n");
    reserve(&rig, "ann");
    let changed = call_json(rig.operator(), "PUT", SALE, &if_match(&etag), TERMS);
    assert_eq!(changed.status, 200, "a reservation is no change of the terms: {changed:?}");
    let late = call_json(rig.operator(), "PUT", SALE, &if_match(&etag), TERMS);
    assert_eq!(late.status, 412, "{late:?}");
    let late = call_json(rig.operator(), "DELETE", SALE, &if_match(&etag), "");
    assert_eq!(late.status, 412, "{late:?}");
    let again =
        call_json(rig.operator(), "PUT", SALE, &if_match(changed.field("etag").expect("a tag")), TERMS);
    assert_eq!(again.status, 200, "{again:?}");
    let open = call_json(rig.operator(), "DELETE", SALE, &if_match(again.field("etag").expect("a tag")), "");
    assert_eq!(open.status, 409, "{open:?}");
}
