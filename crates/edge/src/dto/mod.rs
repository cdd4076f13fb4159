//! The bodies of requests and answers, with types of their own. Parsers check every bound and name the field and the limit
//! that was missed; writers append JSON in the contract's order of fields without going through a serializer.

mod etag;
mod reservation;
mod sale;
mod sale_terms;

pub use etag::{is_known, parse_precondition, sale_etag, sales_etag};
pub use reservation::{
    parse_reservation, reservation_status_text, write_reservation, write_reservations, write_reserved,
};
pub use sale::{sale_status_text, write_sale, write_sales};
pub use sale_terms::{parse_sale, parse_sale_change};

use onrush_core::KEY_BYTES_MAX;

use crate::problem::Problem;

const KEY_RULE: &str = "must be 1 to 128 printable ASCII characters";

const _: () = assert!(KEY_BYTES_MAX == 128, "the rule says this number");

/// The text of an `Idempotency-Key` header field: 1 to [`KEY_BYTES_MAX`] bytes between space and `~`.
pub fn parse_idempotency_key(value: &[u8]) -> Result<&str, Problem> {
    std::str::from_utf8(value)
        .ok()
        .filter(|key| {
            (1..=KEY_BYTES_MAX).contains(&key.len()) && key.bytes().all(|byte| matches!(byte, b' '..=b'~'))
        })
        .ok_or_else(|| Problem::invalid("Idempotency-Key", KEY_RULE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idempotency_keys() {
        for key in ["k", "a b", "~", &"x".repeat(128)] {
            assert_eq!(parse_idempotency_key(key.as_bytes()).unwrap(), key);
        }
        for key in [&b""[..], b"\t", b"\x7f", "é".as_bytes(), b"\xff", "x".repeat(129).as_bytes()] {
            let problem = parse_idempotency_key(key).unwrap_err();
            assert_eq!((problem.status(), problem.detail().contains("128")), (400, true), "{key:?}");
        }
    }
}
