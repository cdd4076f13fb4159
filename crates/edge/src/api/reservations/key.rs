//! Keys by which a retry finds the reservation that it made before.

use onrush_core::KEY_BYTES_MAX;

use crate::problem::Problem;

const KEY_RULE: &str = "must be 1 to 128 printable ASCII characters";

const _: () = assert!(KEY_BYTES_MAX == 128, "the rule says this number");

/// The text of an `Idempotency-Key` header field: 1 to [`KEY_BYTES_MAX`] bytes between space and `~`.
pub(crate) fn parse_idempotency_key(value: &[u8]) -> Result<&str, Problem> {
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
