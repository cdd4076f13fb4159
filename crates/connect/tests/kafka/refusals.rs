//! What a broker does not take, and what errors say.

use std::path::Path;

use onrush_connect::Secret;
use onrush_connect::kafka::{ClusterSettings, Kafka, Settings};
use onrush_core::{Incarnation, ReservationNo, SaleNo};
use onrush_sinks::{Change, Claim, ReservationSubject, SinkEvent, Target, TargetError};

use crate::harness::{Harness, WRONG_PASSWORD};
use crate::place::{Place, harness, header, unique};
use crate::{AT, counter, properties, source};

/// Larger than a topic of `max.message.bytes=4000` takes, also compressed.
fn large(offset: u64, details: &[u8]) -> SinkEvent<'_> {
    let claim = Claim { customer: "c", lines: &[], details, idempotency_key: "" };
    let subject = ReservationSubject {
        reservation_no: ReservationNo { sale: SaleNo(1), seq: 1 },
        reservation: *b"01hzy3v7k2m4n6p8q0r2s4t6v8",
        sale: "blue",
    };
    SinkEvent { offset, incarnation: Incarnation::FIRST, at: AT, change: Change::Expired { subject, claim } }
}

fn incompressible_details() -> Vec<u8> {
    let mut state = 1_u32;
    let letters = (0..8_000).map(|_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from(b'a' + u8::try_from(state >> 24).unwrap() % 26)
    });
    format!(r#"{{"note":"{}"}}"#, letters.collect::<String>()).into_bytes()
}

fn small_topic() -> Option<Place> {
    let place = Place::named(&unique("small"))?;
    place.create(&place.topic, &[("max.message.bytes", "4000")]);
    Some(place)
}

fn rejected_offset(error: &TargetError) -> Option<u64> {
    let TargetError::Rejected { offset, .. } = error else { panic!("{error:?}") };
    *offset
}

#[test]
fn a_message_over_the_topics_bound_is_rejected_before_it_is_sent() {
    let Some(place) = small_topic() else { return };
    let details = incompressible_details();
    let mut target = place.target(None);
    target.open(&source()).unwrap();
    target.push(&counter(7)).unwrap();
    let error = target.push(&large(8, &details)).unwrap_err();
    assert_eq!(rejected_offset(&error), Some(8));
    assert!(
        matches!(target.wait_until_durable(), Err(TargetError::Unavailable(_))),
        "it is closed until it is opened again"
    );
}

#[test]
fn a_message_that_the_broker_rejects_alone_is_named_and_nothing_behind_it_is_written() {
    let Some(place) = small_topic() else { return };
    let details = incompressible_details();
    let file = properties("message.max.bytes=1000000\nbatch.num.messages=1\n");
    let mut target = Kafka::new(with_file(&place, file.path()));
    target.open(&source()).unwrap();
    for offset in (0..20).filter(|offset| *offset != 10) {
        if offset == 11 {
            target.push(&large(10, &details)).unwrap();
        }
        // The producer may have heard of the rejection by then.
        if let Err(error) = target.push(&counter(offset)) {
            assert_eq!(rejected_offset(&error), Some(10));
            break;
        }
    }
    if target.send(20).is_ok() {
        assert_eq!(rejected_offset(&target.wait_until_durable().unwrap_err()), Some(10));
    }
    drop(target);
    let offsets = place.seen().into_iter().filter(|seen| seen.key == "blue").map(|seen| seen.offset);
    assert!(offsets.clone().all(|offset| offset < 10), "{:?}", offsets.collect::<Vec<_>>());
}

#[test]
fn one_of_several_that_the_broker_rejects_together_is_not_named() {
    let Some(place) = small_topic() else { return };
    let details = incompressible_details();
    let file = properties("message.max.bytes=1000000\nlinger.ms=1000\n");
    let mut target = Kafka::new(with_file(&place, file.path()));
    target.open(&source()).unwrap();
    // One key, so that they are one request.
    for offset in [2, 7] {
        target.push(&counter(offset)).unwrap();
    }
    target.push(&large(8, &details)).unwrap();
    target.send(9).unwrap();
    assert_eq!(rejected_offset(&target.wait_until_durable().unwrap_err()), None);
    assert!(place.messages(&place.topic).is_empty());

    target.open(&source()).unwrap();
    target.push(&counter(2)).unwrap();
    target.send(3).unwrap();
    assert_eq!(target.wait_until_durable().unwrap(), 3, "a target that was opened again starts anew");
    assert_eq!(header(&place.messages(&place.topic)[0], "ce_id"), Some("0-2"));
}

fn with_file(place: &Place, path: &Path) -> Settings {
    place.settings_by(ClusterSettings { properties_file: Some(path.to_owned()), ..place.cluster() })
}

#[test]
fn an_absent_broker_is_named_and_the_password_is_not() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let brokers = listener.local_addr().unwrap().to_string();
    drop(listener);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "security.protocol=sasl_plaintext").unwrap();
    let cluster = ClusterSettings {
        brokers: brokers.clone(),
        username: Some("onrush".to_owned()),
        password: Some(Secret::new(WRONG_PASSWORD)),
        tls: onrush_connect::TlsSettings::default(),
        properties_file: Some(file.path().to_owned()),
    };
    let message_format = onrush_connect::MessageFormat::Events;
    let settings = Settings { cluster, topic: "onrush".to_owned(), message_format };
    let error = Kafka::new(settings).open(&source()).unwrap_err();
    let TargetError::Unavailable(text) = &error else { panic!("{error:?}") };
    assert!(text.starts_with(&format!("{brokers} does not answer: ")), "{text}");
    assert!(text.contains("Connection refused"), "{text}");
    assert!(!text.contains(WRONG_PASSWORD), "{text}");
}

#[test]
fn a_listener_that_wants_no_password_is_unavailable_to_one_who_brings_it() {
    let Some(place) = harness() else { return };
    let error = place.intruder().open(&source()).unwrap_err();
    assert!(matches!(error, TargetError::Unavailable(_)), "{error:?}");
    assert!(!format!("{error:?} {error}").contains(WRONG_PASSWORD), "{error:?}");
}

#[test]
fn a_topic_that_may_not_be_created_comes_with_the_remedy() {
    // Kafka refuses the second of two names that differ only in `.` and `_`.
    let Some(place) = Place::named(&unique("twin_topic")) else { return };
    place.create(&place.topic, &[]);
    let topic = place.topic.replace('_', ".");
    let error =
        Kafka::new(Settings { topic: topic.clone(), ..place.settings() }).open(&source()).unwrap_err();
    let remedy = format!("kafka-topics.sh --bootstrap-server {} --create --topic {topic}", place.brokers);
    assert!(matches!(&error, TargetError::Unavailable(text) if text.contains(&remedy)), "{error:?}");
}
