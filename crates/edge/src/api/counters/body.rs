//! The answer: a few bytes.

use crate::text::write_number;

/// Appends `{"counter":"home","value":123}`. The name needs no escapes.
pub(crate) fn write_counter(out: &mut Vec<u8>, counter: &str, value: u64) {
    out.extend_from_slice(b"{\"counter\":\"");
    out.extend_from_slice(counter.as_bytes());
    out.extend_from_slice(b"\",\"value\":");
    write_number(out, value);
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_byte_for_byte() {
        let mut out = Vec::new();
        write_counter(&mut out, "home", u64::MAX);
        assert_eq!(out, br#"{"counter":"home","value":18446744073709551615}"#);
    }
}
