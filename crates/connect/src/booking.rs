//! The message of a confirmed booking, as the slot-booking system that onrush replaces publishes it. Where, when and for whom
//! comes from what was decided, never from the details of the client: anyone can write a booking into the details of anything.

use std::collections::HashMap;

use onrush_sinks::{Claim, SinkLine};
use serde::Serialize;
use serde_json::value::RawValue;

/// The seven fields in their documented order.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Booking<'a> {
    #[serde(rename = "mysejahteraId")]
    mysejahtera_id: &'a str,
    first_name: String,
    last_name: String,
    address: String,
    location: &'a str,
    phone_number: String,
    date: String,
}

impl<'a> Booking<'a> {
    /// The booking that a claim in a sale is: one unit of a stock that is a day. Any other claim is none.
    ///
    /// What customers say about themselves (names, address, telephone number) is taken from the details where it is text, and
    /// is empty otherwise. Everything else in the details stays behind.
    pub(crate) fn of(sale: &'a str, claim: &Claim<'a>) -> Option<Self> {
        let [SinkLine { stock, quantity: 1, .. }] = claim.lines else { return None };
        let date = date_of_stock(stock)?;
        let said: HashMap<String, &RawValue> = serde_json::from_slice(claim.details).unwrap_or_default();
        let text = |field: &str| {
            let text = said.get(field).and_then(|value| serde_json::from_str::<String>(value.get()).ok());
            text.unwrap_or_default()
        };
        Some(Self {
            mysejahtera_id: claim.customer,
            first_name: text("firstName"),
            last_name: text("lastName"),
            address: text("address"),
            location: sale,
            phone_number: text("phoneNumber"),
            date,
        })
    }
}

/// `YYYYMMDD` of a stock that is named `YYYY-MM-DD`, as the scenario names the days of a station.
fn date_of_stock(stock: &str) -> Option<String> {
    let is_day = stock.len() == 10
        && stock.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    is_day.then(|| stock.replace('-', ""))
}

#[cfg(test)]
mod tests {
    use onrush_core::StockNo;

    use super::*;

    /// The message for a claim of these lines by customer `7` in the sale `PWTC`.
    fn message(lines: &[(&str, u16)], details: &str) -> Option<String> {
        let lines: Vec<_> = lines
            .iter()
            .map(|(stock, quantity)| SinkLine { stock_no: StockNo(0), stock, quantity: *quantity })
            .collect();
        let claim =
            Claim { customer: "7", lines: &lines, details: details.as_bytes(), idempotency_key: "secret" };
        Booking::of("PWTC", &claim).map(|booking| serde_json::to_string(&booking).unwrap())
    }

    fn expected(first: &str, last: &str, address: &str, phone: &str) -> String {
        format!(
            r#"{{"mysejahteraId":"7","firstName":{first},"lastName":{last},"address":{address},"location":"PWTC","phoneNumber":{phone},"date":"20210516"}}"#
        )
    }

    #[test]
    fn a_booking_of_the_scenario_is_what_was_sent() {
        let sent = expected(r#""Fadhil""#, r#""Yaacob""#, r#""Kuala \"Lumpur\"""#, r#""0123456789""#);
        assert_eq!(message(&[("2021-05-16", 1)], &sent), Some(sent));
    }

    #[test]
    fn details_do_not_say_where_when_and_for_whom() {
        let forged =
            r#"{"mysejahteraId":"8","firstName":"A","location":"KLCC","date":"20300101","admin":true}"#;
        let true_one = expected(r#""A""#, r#""""#, r#""""#, r#""""#);
        assert_eq!(message(&[("2021-05-16", 1)], forged), Some(true_one));
        for (stock, quantity) in [
            ("1", 1),
            ("20210516", 1),
            ("2021-05-16", 2),
            ("2021/05/16", 1),
            ("2021-05-161", 1),
            ("2021-05-1é", 1),
        ] {
            assert_eq!(message(&[(stock, quantity)], forged), None, "{quantity} of {stock}");
        }
        assert_eq!(message(&[("2021-05-16", 1), ("2021-05-17", 1)], forged), None);
    }

    #[test]
    fn what_is_no_text_is_empty() {
        let empty = expected(r#""""#, r#""""#, r#""""#, r#""""#);
        let deep = format!(r#"{{"firstName":{}{}}}"#, "[".repeat(2_000), "]".repeat(2_000));
        for details in [
            "",
            "{}",
            r#"{"firstName":{"a":"b"},"lastName":7,"address":null}"#,
            r#"{"firstName":"\ud800"}"#,
            &deep,
        ] {
            assert_eq!(message(&[("2021-05-16", 1)], details).as_ref(), Some(&empty), "{details}");
        }
        let twice = r#"{"firstName":"\u0041","address":"\u0001","firstName":"B","lastName":"\ud800"}"#;
        let last = expected(r#""B""#, r#""""#, r#""\u0001""#, r#""""#);
        assert_eq!(message(&[("2021-05-16", 1)], twice), Some(last));
    }
}
