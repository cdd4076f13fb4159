//! What messages look like, and where they go.

use onrush_connect::MessageFormat;
use onrush_connect::kafka::{Kafka, Settings};
use onrush_core::{Incarnation, ReservationNo, SaleNo, StockNo};
use onrush_sinks::{Change, Claim, ReservationSubject, SinkEvent, SinkLine, Target};
use rdkafka::message::{Message, OwnedMessage};

use crate::harness::Harness;
use crate::place::{Place, harness, header, unique};
use crate::{AT, counter, source, write};

const BOOKING: &str = r#"{"mysejahteraId":"900127015527","firstName":"Fadhil","lastName":"Yaacob","address":"Kuala \"Lumpur\"","location":"PWTC","phoneNumber":"0123456789","date":"20210516"}"#;

const SUBJECT: ReservationSubject<'_> = ReservationSubject {
    reservation_no: ReservationNo { sale: SaleNo(1), seq: 7 },
    reservation: *b"01hzy3v7k2m4n6p8q0r2s4t6v8",
    sale: "PWTC",
};

const CLAIM: Claim<'_> = Claim {
    customer: "900127015527",
    lines: &[SinkLine { stock_no: StockNo(0), stock: "2021-05-16", quantity: 1 }],
    details: BOOKING.as_bytes(),
    idempotency_key: "",
};

fn confirmed(offset: u64) -> SinkEvent<'static> {
    SinkEvent {
        offset,
        incarnation: Incarnation::FIRST,
        at: AT,
        change: Change::Confirmed { subject: SUBJECT, claim: CLAIM },
    }
}

fn written(place: &Place, message_format: MessageFormat, events: &[SinkEvent<'_>]) -> Vec<OwnedMessage> {
    let mut target = Kafka::new(Settings { message_format, ..place.settings() });
    target.open(&source()).unwrap();
    for event in events {
        target.push(event).unwrap();
    }
    target.send(100).unwrap();
    assert_eq!(target.wait_until_durable().unwrap(), 100);
    place.messages(&place.topic)
}

fn text(message: &OwnedMessage) -> &str {
    std::str::from_utf8(message.payload().unwrap()).unwrap()
}

#[test]
fn an_event_is_a_cloud_event_in_binary_mode() {
    let Some(place) = harness() else { return };
    let messages = written(&place, MessageFormat::Events, &[counter(42)]);
    let [message] = &messages[..] else { panic!("{messages:?}") };
    assert_eq!(message.key(), Some(&b"blue"[..]));
    assert_eq!(text(message), r#"{"counter":"blue","by":1,"value":42}"#);
    for (name, value) in [
        ("ce_id", "0-42"),
        ("ce_source", "/onrush/01JAVXN0WZ9Q4T8S7R6P5M4K3H"),
        ("ce_specversion", "1.0"),
        ("ce_type", "dev.onrush.counter.added"),
        ("ce_time", "2025-10-09T08:53:20.165Z"),
        ("ce_subject", "blue"),
        ("content-type", "application/json"),
    ] {
        assert_eq!(header(message, name), Some(value), "{name}");
    }
}

#[test]
fn a_booking_is_the_seven_fields_that_were_sent() {
    let Some(place) = harness() else { return };
    let messages = written(&place, MessageFormat::Booking, &[counter(1), confirmed(2), counter(3)]);
    let [message] = &messages[..] else { panic!("{messages:?}") };
    assert_eq!((message.key(), text(message)), (Some(&b"PWTC"[..]), BOOKING));
    assert_eq!(header(message, "ce_id"), Some("0-2"));
    assert_eq!(header(message, "ce_type"), None);
}

#[test]
fn a_booking_in_the_details_of_another_reservation_is_none() {
    let Some(place) = harness() else { return };
    let lines = [SinkLine { stock_no: StockNo(0), stock: "shoe", quantity: 1 }];
    let subject = ReservationSubject { sale: "flash", ..SUBJECT };
    let claim = Claim { lines: &lines, ..CLAIM };
    let forged = SinkEvent {
        offset: 2,
        incarnation: Incarnation::FIRST,
        at: AT,
        change: Change::Confirmed { subject, claim },
    };
    assert!(written(&place, MessageFormat::Booking, &[forged]).is_empty());
}

#[test]
fn an_order_names_product_and_user() {
    let Some(place) = harness() else { return };
    let messages = written(&place, MessageFormat::Order, &[confirmed(5), counter(6)]);
    let [message] = &messages[..] else { panic!("{messages:?}") };
    assert_eq!(
        text(message),
        r#"{"ProductID":"2021-05-16","UserID":900127015527,"Quantity":1,"Sale":"PWTC","Reservation":"01hzy3v7k2m4n6p8q0r2s4t6v8"}"#
    );
    assert_eq!(header(message, "ce_id"), Some("0-5"));
}

#[test]
fn a_key_keeps_to_one_partition_and_its_order() {
    let Some(place) = harness() else { return };
    write(&mut *place.target(None), 0..1_000);
    let mut newest = std::collections::HashMap::new();
    let mut partitions = std::collections::HashSet::new();
    for message in place.messages(&place.topic) {
        let key = message.key().unwrap().to_vec();
        let offset: u64 = header(&message, "ce_id").unwrap().strip_prefix("0-").unwrap().parse().unwrap();
        let before = newest.insert(key.clone(), (message.partition(), offset));
        assert!(before.is_none_or(|(partition, newest)| partition == message.partition() && newest < offset));
        partitions.insert(message.partition());
    }
    assert_eq!(newest.len(), 5);
    assert!(partitions.len() > 1, "the keys do not share one partition");
}

#[test]
fn missing_topics_are_created_one_per_kind() {
    let topic = unique("kinds") + ".{kind}";
    let Some(place) = Place::named(&topic) else { return };
    let mut target = Kafka::new(place.settings());
    target.open(&source()).unwrap();
    target.push(&counter(1)).unwrap();
    target.push(&confirmed(2)).unwrap();
    target.send(3).unwrap();
    assert_eq!(target.wait_until_durable().unwrap(), 3);
    for (kind, id) in [("counter.added", "0-1"), ("reservation.confirmed", "0-2")] {
        let messages = place.messages(&topic.replace("{kind}", kind));
        assert_eq!(messages.iter().map(|message| header(message, "ce_id")).collect::<Vec<_>>(), [Some(id)]);
    }
    assert!(place.messages(&topic.replace("{kind}", "sale.archived")).is_empty());
}
