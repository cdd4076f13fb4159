//! The format in which a broker gets events: as `CloudEvents`, or as the messages of systems that onrush replaces, for consumers
//! that exist already.

use onrush_sinks::{Change, Claim, EventKind, ReservationSubject, SinkEvent};
use serde::Serialize;

use crate::booking::Booking;
use crate::event_json::write_event_data;

/// What messages look like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MessageFormat {
    /// Every selected event as a `CloudEvent` 1.0 in binary mode.
    #[default]
    Events,
    /// Confirmed reservations of one unit of a stock that is a day, as the seven fields of the slot-booking scenario. Others are
    /// left out.
    Booking,
    /// Confirmed reservations as `{"ProductID":…,"UserID":…,"Quantity":…,"Sale":…,"Reservation":…}`, for the first line, with all
    /// of several in `Lines`. Names that are decimal integers become JSON numbers.
    Order,
}

impl MessageFormat {
    /// Appends the message for an event. Returns whether the format has one for it; if not, nothing was appended.
    pub fn write_payload(self, out: &mut Vec<u8>, event: &SinkEvent<'_>) -> bool {
        match self {
            Self::Events => write_event_data(out, event),
            Self::Booking => {
                let booking = confirmed(event).and_then(|(subject, claim)| Booking::of(subject.sale, claim));
                let Some(booking) = booking else { return false };
                write_json(out, &booking);
            }
            Self::Order => {
                let Some((subject, claim)) = confirmed(event) else { return false };
                write_json(out, &Order::of(subject, claim));
            }
        }
        true
    }

    /// Whether there can be a message for an event of this kind.
    pub fn covers(self, kind: EventKind) -> bool {
        match self {
            Self::Events => true,
            Self::Booking | Self::Order => matches!(kind, EventKind::Reserved | EventKind::Confirmed),
        }
    }
}

/// The reservation that became final with this event.
fn confirmed<'e>(event: &'e SinkEvent<'_>) -> Option<(&'e ReservationSubject<'e>, &'e Claim<'e>)> {
    match &event.change {
        Change::Reserved { subject, claim, expires_at: None } | Change::Confirmed { subject, claim } => {
            Some((subject, claim))
        }
        _ => None,
    }
}

#[derive(Serialize)]
#[serde(untagged)]
enum NumberOrName<'a> {
    Number(i64),
    Name(&'a str),
}

impl<'a> NumberOrName<'a> {
    /// A number only if it is written back as the same text, so that no two names become one.
    fn of(name: &'a str) -> Self {
        match name.parse::<i64>() {
            Ok(number) if number.to_string() == name => Self::Number(number),
            _ => Self::Name(name),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Order<'a> {
    #[serde(rename = "ProductID")]
    product: NumberOrName<'a>,
    #[serde(rename = "UserID")]
    user: NumberOrName<'a>,
    quantity: u16,
    sale: &'a str,
    reservation: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    lines: Vec<OrderLine<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct OrderLine<'a> {
    #[serde(rename = "ProductID")]
    product: NumberOrName<'a>,
    quantity: u16,
}

impl<'a> Order<'a> {
    fn of(subject: &'a ReservationSubject<'_>, claim: &Claim<'a>) -> Self {
        let first = claim.lines.first().expect("a reservation has a line");
        let lines = if claim.lines.len() > 1 { claim.lines } else { &[] };
        Self {
            product: NumberOrName::of(first.stock),
            user: NumberOrName::of(claim.customer),
            quantity: first.quantity,
            sale: subject.sale,
            reservation: subject.id(),
            lines: lines
                .iter()
                .map(|line| OrderLine { product: NumberOrName::of(line.stock), quantity: line.quantity })
                .collect(),
        }
    }
}

fn write_json(out: &mut Vec<u8>, message: &impl Serialize) {
    serde_json::to_writer(out, message).expect("messages are plain values, and memory takes them");
}

#[cfg(test)]
mod tests {
    use onrush_core::{Incarnation, ReservationNo, SaleNo, StockNo};
    use onrush_sinks::SinkLine;

    use super::*;

    fn claim<'a>(customer: &'a str, lines: &'a [SinkLine<'a>], details: &'a str) -> Claim<'a> {
        Claim { customer, lines, details: details.as_bytes(), idempotency_key: "" }
    }

    fn line(stock: &str, quantity: u16) -> SinkLine<'_> {
        SinkLine { stock_no: StockNo(0), stock, quantity }
    }

    /// What each format makes of the five things that can happen to a reservation of this claim.
    fn payloads(message_format: MessageFormat, claim: Claim<'_>) -> [Option<String>; 5] {
        let subject = ReservationSubject {
            reservation_no: ReservationNo { sale: SaleNo(0), seq: 0 },
            reservation: *b"01hzy3v7k2m4n6p8q0r2s4t6v8",
            sale: "flash",
        };
        let changes = [
            Change::Reserved { subject, claim, expires_at: Some(9) },
            Change::Reserved { subject, claim, expires_at: None },
            Change::Confirmed { subject, claim },
            Change::Released { subject, claim: Some(claim) },
            Change::Expired { subject, claim },
        ];
        changes.map(|change| {
            let event = SinkEvent { offset: 1, incarnation: Incarnation::FIRST, at: 2, change };
            let mut payload = Vec::new();
            let has_one = message_format.write_payload(&mut payload, &event);
            assert!(!has_one || message_format.covers(event.kind()));
            has_one.then(|| String::from_utf8(payload).unwrap())
        })
    }

    #[test]
    fn bookings_are_confirmed_claims_on_a_day() {
        let details = r#"{"mysejahteraId":"8","firstName":"Fadhil","lastName":"Yaacob","address":"","location":"KLCC","phoneNumber":"","date":"20300101"}"#;
        let booked = r#"{"mysejahteraId":"7","firstName":"Fadhil","lastName":"Yaacob","address":"","location":"flash","phoneNumber":"","date":"20210516"}"#;
        let booked = Some(booked.to_owned());
        let day = [line("2021-05-16", 1)];
        let expected = [None, booked.clone(), booked, None, None];
        assert_eq!(payloads(MessageFormat::Booking, claim("7", &day, details)), expected);
        let shoe = [line("42", 1)];
        assert_eq!(payloads(MessageFormat::Booking, claim("7", &shoe, details)), [const { None }; 5]);
    }

    #[test]
    fn orders_are_confirmed_claims() {
        for (customer, lines, expected) in [
            (
                "7",
                vec![line("1", 1)],
                r#""ProductID":1,"UserID":7,"Quantity":1,"Sale":"flash","Reservation":"01hzy3v7k2m4n6p8q0r2s4t6v8""#,
            ),
            (
                "ann",
                vec![line("shoe \"42\"", 3), line("9", 2)],
                r#""ProductID":"shoe \"42\"","UserID":"ann","Quantity":3,"Sale":"flash","Reservation":"01hzy3v7k2m4n6p8q0r2s4t6v8","Lines":[{"ProductID":"shoe \"42\"","Quantity":3},{"ProductID":9,"Quantity":2}]"#,
            ),
        ] {
            let expected = Some(format!("{{{expected}}}"));
            let expected = [None, expected.clone(), expected, None, None];
            assert_eq!(payloads(MessageFormat::Order, claim(customer, &lines, "")), expected);
        }
    }

    #[test]
    fn only_the_one_spelling_of_a_number_becomes_a_number() {
        for (name, json) in [
            ("0", "0"),
            ("-5", "-5"),
            ("9223372036854775807", "9223372036854775807"),
            ("9223372036854775808", r#""9223372036854775808""#),
            ("007", r#""007""#),
            ("+7", r#""+7""#),
            ("-0", r#""-0""#),
            ("1e3", r#""1e3""#),
            (" 1", r#"" 1""#),
            ("", r#""""#),
        ] {
            assert_eq!(serde_json::to_string(&NumberOrName::of(name)).unwrap(), json);
        }
    }

    #[test]
    fn what_a_form_leaves_out_leaves_the_buffer_alone() {
        let mut out = b"before".to_vec();
        let event = SinkEvent {
            offset: 1,
            incarnation: Incarnation::FIRST,
            at: 2,
            change: Change::CounterAdded { counter: "c", by: 1, value: 1 },
        };
        for message_format in [MessageFormat::Booking, MessageFormat::Order] {
            assert!(!message_format.write_payload(&mut out, &event) && !message_format.covers(event.kind()));
        }
        assert_eq!(out, b"before");
        assert!(MessageFormat::Events.write_payload(&mut out, &event));
        assert_eq!(out, br#"before{"counter":"c","by":1,"value":1}"#);
    }
}
