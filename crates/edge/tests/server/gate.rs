//! Who may ask the operator listener: the answer is the same over both protocols.

use std::sync::{Arc, Mutex};

use onrush_edge::OperatorKey;

use crate::said::{Said, said};
use crate::support::{Rig, Settings, settings};

fn live() -> Said {
    said("GET", "/livez").host("localhost")
}

#[test]
fn without_a_key_no_page_of_another_site_gets_through() {
    let rig = Rig::start(settings());
    let foreign = "http://evil.example";
    for ours in [
        live(),
        live().host("LOCALHOST:8081"),
        live().host("127.0.0.1:8081"),
        live().host("[::1]"),
        live().field("origin", "http://127.0.0.1:3000"),
        live().field("sec-fetch-site", "none"),
        live().field("sec-fetch-site", "same-origin"),
        live().field("origin", "http://localhost").field("sec-fetch-site", "same-site"),
        // It is asked for no key, so whatever stands there is one.
        live().field("authorization", "Bearer x"),
    ] {
        ours.check(rig.operator(), 200, "live");
    }
    for theirs in [
        live().host("evil.example"),
        live().host("localhost.evil.example"),
        live().host("192.0.2.7"),
        live().host(""),
        live().field("origin", foreign),
        live().field("origin", "null"),
        live().field("origin", "http://localhost").field("origin", foreign),
        live().field("sec-fetch-site", "cross-site"),
        live().field("sec-fetch-site", "same-site"),
        said("GET", "/nowhere").host("evil.example"),
        said("BREW", "/livez").host("evil.example"),
        said("GET", "/docs").host("evil.example"),
        said("DELETE", "/v1/sales/both").host("localhost").field("origin", foreign),
    ] {
        theirs.check(rig.operator(), 403, "cross_site");
    }
    // Both listeners of one server: the public one takes whoever comes.
    live().host("shop.example").field("origin", foreign).check(rig.public(), 200, "live");
}

#[test]
fn with_a_key_whoever_has_it_gets_through() {
    let key = OperatorKey::new(|| Some("secret".to_owned()));
    let rig = Rig::start(Settings { operator_key: Some(key), ..settings() });
    let with = |value: &'static str| live().field("authorization", value);
    for good in ["Bearer secret", "bearer secret", "Bearer  secret", " Bearer secret "] {
        with(good).check(rig.operator(), 200, "live");
    }
    // A gateway sends a name of its own, and the page of another site has no key.
    let from_elsewhere = with("Bearer secret").host("shop.example").field("origin", "http://evil.example");
    from_elsewhere.check(rig.operator(), 200, "live");
    with("Bearer secret").field("authorization", "Basic x").check(rig.operator(), 200, "live");
    for bad in
        ["", "secret", "Bearer", "Bearer ", "Bearer secre", "Bearer secret1", "Bearer Secret", "Basic secret"]
    {
        with(bad).check(rig.operator(), 401, "unauthorized");
    }
    for refused in [
        live(),
        with("Basic x").field("authorization", "Bearer secret"),
        said("HEAD", "/livez"),
        said("GET", "/nowhere"),
        said("BREW", "/livez"),
        said("GET", "/docs/other"),
        said("DELETE", "/v1/sales/both"),
        Said { body: "x", ..said("PUT", "/v1/sales/both") },
    ] {
        refused.check(rig.operator(), 401, "(\"www-authenticate\", \"Bearer\")");
    }
    for page in ["/docs", "/docs/openapi.json", "/openapi.json"] {
        said("GET", page).check(rig.operator(), 200, "nosniff");
    }
}

#[test]
fn a_key_counts_from_the_moment_it_is_there() {
    let key = Arc::new(Mutex::new(None));
    let read = Arc::clone(&key);
    let operator_key = OperatorKey::new(move || read.lock().expect("nobody panics with the key").clone());
    let rig = Rig::start(Settings { operator_key: Some(operator_key), ..settings() });
    let [old, new] = ["Bearer old", "Bearer new"].map(|value| live().field("authorization", value));
    old.check(rig.operator(), 401, "cannot read its operator key");
    for (now, good, bad) in [("old", &old, &new), ("new", &new, &old)] {
        *key.lock().expect("nobody panics with the key") = Some(now.to_owned());
        good.check(rig.operator(), 200, "live");
        bad.check(rig.operator(), 401, "unauthorized");
    }
}
