//! Slot booking: `POST /booking` reserves one unit of a station's day for one person and echoes the seven fields that were
//! sent. A refusal is a 400 with a message and the status `Failed`.

use std::borrow::Cow;

use onrush_core::{DETAILS_BYTES_MAX, NEW_NAME_RULE, Refusal, is_name};
use onrush_node::{Asker, ChallengeCall, LineCall, Name, ReserveCall};
use smallvec::smallvec;

use crate::http::json::parse_json;
use crate::text::write_json_string;

/// Why nothing was booked, in the words of the answer.
#[derive(Debug, PartialEq, Eq)]
pub struct BookingRefused {
    /// What went wrong, for people.
    pub message: Cow<'static, str>,
}

/// The claim in a body. Its `details` are the seven fields in their documented order, which is also the body of the answer
/// to a success. A field that is absent counts as empty.
pub fn decode(body: &[u8]) -> Result<Box<ReserveCall>, BookingRefused> {
    let booking: BookingBody<'_> =
        parse_json(body).map_err(|problem| refused(problem.detail().to_owned()))?;
    if booking.mysejahtera_id.is_empty() {
        return Err(refused("MySejahteraID cannot be empty"));
    }
    if !is_name(&booking.mysejahtera_id) {
        return Err(refused(format!("MySejahteraID {NEW_NAME_RULE}")));
    }
    let Some(stock) = stock_of_date(&booking.date).filter(|_| is_name(&booking.location)) else {
        return Err(unknown_combination(&booking.location, &booking.date));
    };
    let mut details = Vec::with_capacity(body.len() + 16);
    booking.write(&mut details);
    if details.len() > DETAILS_BYTES_MAX {
        return Err(refused(format!("The seven fields must be at most {DETAILS_BYTES_MAX} bytes of JSON")));
    }
    Ok(Box::new(ReserveCall {
        sale: Name::from(&*booking.location),
        asker: Asker::Anyone,
        customer: Name::from(&*booking.mysejahtera_id),
        lines: smallvec![LineCall { stock, quantity: 1 }],
        details: details.into_boxed_slice(),
        challenge: ChallengeCall::Missing,
        key: None,
    }))
}

/// Appends the answer to a success: the seven fields.
pub fn write_booked(out: &mut Vec<u8>, call: &ReserveCall) {
    out.extend_from_slice(&call.details);
}

/// Appends the answer to a claim that was refused, for status 400.
pub fn write_refused(out: &mut Vec<u8>, refusal: &Refusal, call: &ReserveCall) {
    let refused = match refusal {
        Refusal::SaleNotFound | Refusal::StockNotFound { .. } => {
            let date: String = call.lines.iter().map(|line| line.stock.replace('-', "")).collect();
            unknown_combination(&call.sale, &date)
        }
        Refusal::InsufficientStock { .. } => refused("Sorry, station is fully booked"),
        Refusal::StockClosed { .. } => refused("Sorry, this day has closed at this station"),
        Refusal::CustomerLimitReached { .. } => {
            refused("MySejahteraID already has a booking at this station")
        }
        Refusal::SaleNotOpen { .. } => refused("Sorry, booking has not opened yet"),
        Refusal::InvalidName { field: "customer" } => refused(format!("MySejahteraID {NEW_NAME_RULE}")),
        Refusal::SaleClosed { .. } => refused("Sorry, booking has closed"),
        _ => refused("Sorry, the booking cannot be taken"),
    };
    refused.write(out);
}

impl BookingRefused {
    /// Appends `{"message":"…","status":"Failed"}`.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"message\":");
        write_json_string(out, &self.message);
        out.extend_from_slice(b",\"status\":\"Failed\"}");
    }
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct BookingBody<'a> {
    #[serde(borrow, default, rename = "mysejahteraId")]
    mysejahtera_id: Cow<'a, str>,
    #[serde(borrow, default)]
    first_name: Cow<'a, str>,
    #[serde(borrow, default)]
    last_name: Cow<'a, str>,
    #[serde(borrow, default)]
    address: Cow<'a, str>,
    #[serde(borrow, default)]
    location: Cow<'a, str>,
    #[serde(borrow, default)]
    phone_number: Cow<'a, str>,
    #[serde(borrow, default)]
    date: Cow<'a, str>,
}

impl BookingBody<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        for (name, value) in [
            (&b"{\"mysejahteraId\":"[..], &self.mysejahtera_id),
            (b",\"firstName\":", &self.first_name),
            (b",\"lastName\":", &self.last_name),
            (b",\"address\":", &self.address),
            (b",\"location\":", &self.location),
            (b",\"phoneNumber\":", &self.phone_number),
            (b",\"date\":", &self.date),
        ] {
            out.extend_from_slice(name);
            write_json_string(out, value);
        }
        out.push(b'}');
    }
}

/// The stock's name of `YYYYMMDD`: the same day with hyphens.
fn stock_of_date(date: &str) -> Option<Name> {
    if date.len() != 8 || !date.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let mut name = Name::with_capacity(10);
    for part in [&date[..4], "-", &date[4..6], "-", &date[6..]] {
        name.push_str(part);
    }
    Some(name)
}

fn unknown_combination(location: &str, date: &str) -> BookingRefused {
    refused(format!("station location:{location}:{date} location & date combination is invalid"))
}

fn refused(message: impl Into<Cow<'static, str>>) -> BookingRefused {
    BookingRefused { message: message.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use onrush_core::Ceiling;

    const BODY: &str = r#"{"address":"Kuala \"Lumpur\"","date":"20210516","firstName":"Fadhil","lastName":"Yaacob","location":"PWTC","mysejahteraId":"900127015527","phoneNumber":"0123456789"}"#;

    #[test]
    fn a_booking_is_a_claim_on_a_day() {
        let call = decode(BODY.as_bytes()).unwrap();
        assert_eq!((call.sale.as_str(), call.customer.as_str()), ("PWTC", "900127015527"));
        assert_eq!(call.lines[..], [LineCall { stock: "2021-05-16".into(), quantity: 1 }]);
        assert_eq!(
            std::str::from_utf8(&call.details).unwrap(),
            r#"{"mysejahteraId":"900127015527","firstName":"Fadhil","lastName":"Yaacob","address":"Kuala \"Lumpur\"","location":"PWTC","phoneNumber":"0123456789","date":"20210516"}"#
        );
    }

    #[test]
    fn bodies_that_book_nothing() {
        let invalid = "location & date combination is invalid";
        let long = format!(
            r#"{{"mysejahteraId":"1","location":"P","date":"20210516","address":"{}"}}"#,
            "x".repeat(4_096)
        );
        for (body, words) in [
            (r#"{"mysejahteraId":""}"#, "MySejahteraID cannot be empty"),
            ("{}", "MySejahteraID cannot be empty"),
            (r#"{"mysejahteraId":"a b"}"#, "MySejahteraID must be 1 to 64 characters"),
            (r#"{"mysejahteraId":"1","location":"P W","date":"20210516"}"#, invalid),
            (
                r#"{"mysejahteraId":"1","location":"PWTC","date":"2021-05-16"}"#,
                "station location:PWTC:2021-05-16 ",
            ),
            (r#"{"mysejahteraId":"1","location":"PWTC","date":"2021é16"}"#, invalid),
            (r#"{"mysejahteraId":"1","location":"PWTC"}"#, "station location:PWTC: location"),
            (r#"{"mysejahteraId":7}"#, "`mysejahteraId` must be a string"),
            (r#"{"mysejahteraId":"1","age":7}"#, "`age` is not a known field"),
            ("{", "not valid JSON"),
            ("", "The body is missing"),
            (&long, "at most 4096 bytes"),
        ] {
            let message = decode(body.as_bytes()).expect_err(body).message;
            assert!(message.contains(words), "{body}: {message}");
        }
    }

    #[test]
    fn answers_byte_for_byte() {
        let call = decode(BODY.as_bytes()).unwrap();
        let mut out = Vec::new();
        write_booked(&mut out, &call);
        assert_eq!(out, *call.details);
        for (refusal, message) in [
            (Refusal::SaleNotFound, "station location:PWTC:20210516 location & date combination is invalid"),
            (
                Refusal::StockNotFound { line: 0 },
                "station location:PWTC:20210516 location & date combination is invalid",
            ),
            (Refusal::InsufficientStock { line: 0, quantity_available: 0 }, "Sorry, station is fully booked"),
            (
                Refusal::CustomerLimitReached { per_customer_max: 1, quantity_taken: 1 },
                "MySejahteraID already has a booking at this station",
            ),
            (Refusal::SaleNotOpen { opens_at: 1 }, "Sorry, booking has not opened yet"),
            (Refusal::SaleClosed { closes_at: 1 }, "Sorry, booking has closed"),
            (Refusal::StockClosed { line: 0, closes_at: 1 }, "Sorry, this day has closed at this station"),
            (
                Refusal::InvalidName { field: "customer" },
                "MySejahteraID must be 1 to 64 characters of A-Z a-z 0-9 . _ ~ : @ -, but not one dot or two alone",
            ),
            (Refusal::CeilingReached(Ceiling::Reservations), "Sorry, the booking cannot be taken"),
        ] {
            let mut out = Vec::new();
            write_refused(&mut out, &refusal, &call);
            assert_eq!(
                String::from_utf8(out).unwrap(),
                format!(r#"{{"message":"{message}","status":"Failed"}}"#)
            );
        }
    }
}
