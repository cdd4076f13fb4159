//! Challenges as JSON.

use std::borrow::Cow;

use onrush_core::{ChallengeKind, write_rfc3339};
use onrush_gate::challenge::ALGORITHM;
use onrush_node::Name;

use crate::gate::Given;
use crate::http::json::{given, parse_json};
use crate::http::name::name_field;
use crate::problem::Problem;
use crate::text::write_number;

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct ChallengeBody<'a> {
    #[serde(borrow, default, deserialize_with = "given")]
    customer: Option<Cow<'a, str>>,
}

/// Whom a challenge is for; nothing if the body does not say so, or is empty.
pub(super) fn parse_customer(body: &[u8]) -> Result<Option<Name>, Problem> {
    if body.is_empty() {
        return Ok(None);
    }
    let read: ChallengeBody<'_> = parse_json(body)?;
    read.customer.map(|name| name_field(&name, || "customer".into())).transpose()
}

/// Appends a challenge. One of the widget has the fields that the widget reads. It insists on a signature, which is not looked at when it
/// comes back: the salt proves by itself that it is ours.
pub(super) fn write_given(out: &mut Vec<u8>, given: &Given) {
    match given {
        Given::Picture { id, expires_at } => {
            out.extend_from_slice(b"{\"challenge\":\"");
            out.extend_from_slice(id.as_bytes());
            out.extend_from_slice(b"\",\"kind\":\"");
            out.extend_from_slice(ChallengeKind::Image.as_str().as_bytes());
            for (name, suffix) in [
                (&b"\",\"image\":\"/v1/challenges/"[..], &b".png"[..]),
                (b"\",\"audio\":\"/v1/challenges/", b".wav"),
            ] {
                out.extend_from_slice(name);
                out.extend_from_slice(id.as_bytes());
                out.extend_from_slice(suffix);
            }
            out.extend_from_slice(b"\",\"expires_at\":\"");
            write_rfc3339(out, *expires_at);
            out.extend_from_slice(b"\"}");
        }
        Given::Work { challenge, attempts_max } => {
            out.extend_from_slice(b"{\"algorithm\":\"");
            out.extend_from_slice(ALGORITHM.as_bytes());
            out.extend_from_slice(b"\",\"challenge\":\"");
            out.extend_from_slice(challenge.challenge.as_bytes());
            out.extend_from_slice(b"\",\"maxnumber\":");
            write_number(out, *attempts_max);
            out.extend_from_slice(b",\"salt\":\"");
            out.extend_from_slice(challenge.salt.as_bytes());
            out.extend_from_slice(b"\",\"signature\":\"");
            out.extend_from_slice(challenge.challenge.as_bytes());
            out.extend_from_slice(b"\"}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use onrush_gate::challenge::{ChallengeId, WidgetChallenge};

    #[test]
    fn challenges_are_written() {
        let text = |given: &Given| {
            let mut out = Vec::new();
            write_given(&mut out, given);
            String::from_utf8(out).unwrap()
        };
        let id = ChallengeId::from("id").unwrap();
        assert_eq!(
            text(&Given::Picture { id, expires_at: 0 }),
            r#"{"challenge":"id","kind":"image","image":"/v1/challenges/id.png","audio":"/v1/challenges/id.wav","expires_at":"1970-01-01T00:00:00.000Z"}"#
        );
        let challenge = WidgetChallenge { salt: "id?expires=1&".into(), challenge: "ab".into() };
        assert_eq!(
            text(&Given::Work { challenge, attempts_max: 9 }),
            r#"{"algorithm":"SHA-256","challenge":"ab","maxnumber":9,"salt":"id?expires=1&","signature":"ab"}"#
        );
    }

    #[test]
    fn a_customer_may_be_named() {
        assert_eq!(parse_customer(b""), Ok(None));
        assert_eq!(parse_customer(b"{}"), Ok(None));
        assert_eq!(parse_customer(br#"{"customer":"ada"}"#), Ok(Some("ada".into())));
        for wrong in [&b"[]"[..], br#"{"customer":1}"#, br#"{"customer":""}"#, br#"{"name":"ada"}"#] {
            assert!(parse_customer(wrong).is_err());
        }
    }
}
