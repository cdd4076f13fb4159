//! Streams of batches: what each message is answered.

use onrush_edge::{GateSettings, Scenarios};
use onrush_gate::{Algorithm, GroupRates, RateLimitSettings};

use crate::grpc_conversation::{Conversation, talk};
use crate::grpc_messages::{
    AddEnd, Addition, Claim, ManyAdded, ManyAdditions, ManyClaims, ManyReserved, ReserveEnd, unit_for,
};
use crate::sessions::{ANN, hour};
use crate::support::{Rig, Settings, call_json, call_with, settings};

pub(crate) const RESERVE_MANY: &str = "/onrush.v1.Reservations/ReserveMany";
pub(crate) const ADD_MANY: &str = "/onrush.v1.Counters/AddMany";

pub(crate) fn bare() -> Settings {
    Settings { scenarios: Scenarios::default(), ..settings() }
}

pub(crate) fn claims(claims: impl IntoIterator<Item = Claim>) -> ManyClaims {
    ManyClaims { sale: "s".into(), claims: claims.into_iter().collect() }
}

/// So many additions of 1 to one counter.
pub(crate) fn additions(counter: &str, count: usize) -> ManyAdditions {
    ManyAdditions { additions: vec![Addition { counter: counter.into(), by: 0 }; count] }
}

fn limited(reserve: &str, pages: &str) -> GateSettings {
    let of_address = |rate: &str| GroupRates { address: rate.parse().ok(), ..GroupRates::default() };
    let (reserve, pages) = (of_address(reserve), of_address(pages));
    let rate_limits = RateLimitSettings { algorithm: Algorithm::Bucket, keys_max: 100, reserve, pages };
    GateSettings { rate_limits, ..GateSettings::default() }
}

#[test]
fn every_item_is_answered_in_order_and_a_refusal_stands_alone() {
    let rig = Rig::start(bare());
    call_json(
        rig.operator(),
        "PUT",
        "/v1/sales/s",
        "",
        r#"{"stocks":[{"stock":"unit","quantity_total":3}]}"#,
    );
    talk(async {
        let mut stream = Conversation::begin(rig.public(), RESERVE_MANY, &[]).await;
        let no_lines = Claim { lines: Vec::new(), ..unit_for("eve", "") };
        stream.send(&claims([unit_for("ann", ""), unit_for("a b", ""), no_lines, unit_for("bob", "")]));
        stream.send(&claims([unit_for("cem", ""), unit_for("dan", "")]));
        stream.send(&ManyClaims { sale: "none".into(), claims: vec![unit_for("ann", "")] });
        let first: ManyReserved = stream.next().await;
        assert_eq!(first.in_short(), ["new", "invalid_request", "invalid_request", "new"]);
        let Some(ReserveEnd::Refused(refusal)) = &first.results[2].end else { panic!("{first:?}") };
        assert!(refusal.detail.contains("`lines`") && refusal.retry_after_s == 0, "{refusal:?}");
        assert_eq!(stream.next::<ManyReserved>().await.in_short(), ["new", "insufficient_stock"]);
        assert_eq!(stream.next::<ManyReserved>().await.in_short(), ["sale_not_found"]);
        for id in first.ids().into_iter().filter(|id| !id.is_empty()) {
            let target = format!("/v1/sales/s/reservations/{id}");
            assert_eq!(call_with(rig.public(), "GET", &target, "", "").status, 200);
        }
        stream.finish();
        assert_eq!(stream.end().await.status, 0);
    });
    let sale = call_with(rig.public(), "GET", "/v1/sales/s", "", "");
    assert!(sale.body.contains(r#""quantity_confirmed":3,"quantity_available":0"#), "{}", sale.body);
}

#[test]
fn a_key_finds_its_reservation_within_a_message_and_across_messages() {
    let rig = Rig::start(bare());
    rig.put_sale("s");
    talk(async {
        let mut stream = Conversation::begin(rig.public(), RESERVE_MANY, &[]).await;
        stream.send(&claims([unit_for("ann", "1"), unit_for("ann", "1"), unit_for("bob", "1")]));
        stream.send(&claims([unit_for("bob", "2"), unit_for("ann", "1")]));
        let first: ManyReserved = stream.next().await;
        assert_eq!(first.in_short(), ["new", "again", "idempotency_key_reused"]);
        let second: ManyReserved = stream.next().await;
        assert_eq!(second.in_short(), ["new", "again"]);
        assert_eq!([first.ids()[0], first.ids()[1], second.ids()[1]], [first.ids()[0]; 3]);
    });
}

#[test]
fn every_addition_has_a_total_of_its_own() {
    let rig = Rig::start(bare());
    talk(async {
        let mut stream = Conversation::begin(rig.public(), ADD_MANY, &[]).await;
        let by = |counter: &str, by| Addition { counter: counter.into(), by };
        let mixed = vec![by("a", 0), by("b", 5), by("a b", 1), by("a", 1_000_001), by("a", 2)];
        stream.send(&ManyAdditions { additions: mixed });
        stream.send(&additions("a", 256));
        let told: ManyAdded = stream.next().await;
        let short = |told: &ManyAdded| -> Vec<String> {
            let short = |end: &AddEnd| match end {
                AddEnd::Value(value) => value.to_string(),
                AddEnd::Refused(refusal) => refusal.code.clone(),
            };
            told.results.iter().map(|result| short(result.end.as_ref().expect("an end"))).collect()
        };
        assert_eq!(short(&told), ["1", "5", "invalid_request", "invalid_request", "3"]);
        let expected: Vec<_> = (4..260).map(|total| total.to_string()).collect();
        assert_eq!(short(&stream.next().await), expected);
    });
}

#[test]
fn a_message_that_is_none_ends_the_stream_behind_the_answers_before_it() {
    let rig = Rig::start(bare());
    let none = |bytes: &'static [u8]| crate::grpc::framed(bytes).to_vec();
    let (too_many, nothing) = (additions("a", 257), additions("a", 0));
    let message =
        |message: &ManyAdditions| crate::grpc::framed(&prost::Message::encode_to_vec(message)).to_vec();
    let long = [&[0][..], &(16_u32 << 10).to_be_bytes()].concat();
    for (bytes, expected) in [
        (message(&too_many), (3, "invalid_request")),
        (message(&nothing), (3, "invalid_request")),
        (none(b"\x0a\xff"), (3, "invalid_request")),
        (none(b"\x0a\x03\x0a\x01\xff"), (3, "invalid_request")),
        (b"\x02\0\0\0\0".to_vec(), (3, "invalid_request")),
        (b"\x01\0\0\0\0".to_vec(), (3, "invalid_request")),
        (long, (8, "body_too_large")),
    ] {
        talk(async {
            let mut stream = Conversation::begin(rig.public(), ADD_MANY, &[]).await;
            stream.send(&additions("a", 2));
            stream.send_bytes(&bytes);
            assert_eq!(stream.next::<ManyAdded>().await.results.len(), 2);
            let end = stream.end().await;
            assert_eq!((end.status, &*end.reason), expected, "{bytes:?}: {end:?}");
            assert!(end.messages.is_empty());
        });
    }
    talk(async {
        let mut stream = Conversation::begin(rig.public(), ADD_MANY, &[]).await;
        stream.send_bytes(b"\0\0\0\0\x09\x0a");
        stream.finish();
        assert_eq!(stream.end().await.status, 3, "the last message is cut off");
    });
}

#[test]
fn limits_hold_for_each_item() {
    let rig = Rig::start(Settings { gate: limited("1/m burst 3", "1/m burst 3"), ..bare() });
    rig.put_sale("s");
    talk(async {
        // Opening a stream counts as a page.
        let mut stream = Conversation::begin(rig.public(), RESERVE_MANY, &[]).await;
        stream.send(&claims([unit_for("a", ""), unit_for("b", "")]));
        stream.send(&claims([unit_for("c", ""), unit_for("d", "")]));
        assert_eq!(stream.next::<ManyReserved>().await.in_short(), ["new", "new"]);
        let second: ManyReserved = stream.next().await;
        assert_eq!(second.in_short(), ["new", "rate_limited"]);
        let Some(ReserveEnd::Refused(refusal)) = &second.results[1].end else { panic!("{second:?}") };
        assert!((30..=90).contains(&refusal.retry_after_s), "{refusal:?}");
        let mut stream = Conversation::begin(rig.public(), ADD_MANY, &[]).await;
        stream.send(&additions("a", 2));
        let told: ManyAdded = stream.next().await;
        assert_eq!(told.results[0].end, Some(AddEnd::Value(1)));
        let Some(AddEnd::Refused(refusal)) = &told.results[1].end else { panic!("{told:?}") };
        assert_eq!(refusal.code, "rate_limited");
    });
}

#[test]
fn who_is_denied_while_a_stream_is_open_is_refused_from_then_on() {
    let rig = Rig::start(bare());
    rig.put_sale("s");
    let deny = |target: &str| {
        assert_eq!(call_json(rig.operator(), "PUT", &format!("/v1/denylist/{target}"), "", "{}").status, 201);
    };
    talk(async {
        let mut stream = Conversation::begin(rig.public(), RESERVE_MANY, &[]).await;
        stream.send(&claims([unit_for("eve", "")]));
        assert_eq!(stream.next::<ManyReserved>().await.in_short(), ["new"]);
        deny("customer/eve");
        stream.send(&claims([unit_for("eve", ""), unit_for("ann", "")]));
        assert_eq!(stream.next::<ManyReserved>().await.in_short(), ["denied", "new"]);
        deny("address/127.0.0.1");
        stream.send(&claims([unit_for("ann", "")]));
        assert_eq!(stream.next::<ManyReserved>().await.in_short(), ["denied"]);
    });
}

#[test]
fn a_stream_with_a_session_reserves_for_its_customer_alone() {
    let components = onrush_edge::Components { sessions: Some(hour()), ..Default::default() };
    let rig = Rig::start_with(bare(), components);
    rig.put_sale("s");
    talk(async {
        let bearer = format!("Bearer {ANN}");
        let mut stream =
            Conversation::begin(rig.public(), RESERVE_MANY, &[("authorization", &*bearer)]).await;
        stream.send(&claims([unit_for("", ""), unit_for("bob", "")]));
        assert_eq!(stream.next::<ManyReserved>().await.in_short(), ["new", "customer_mismatch"]);
        let mut stream =
            Conversation::begin(rig.public(), RESERVE_MANY, &[("authorization", "Bearer x")]).await;
        stream.send(&claims([unit_for("ann", "")]));
        assert_eq!(stream.next::<ManyReserved>().await.in_short(), ["invalid_credentials"]);
    });
}
