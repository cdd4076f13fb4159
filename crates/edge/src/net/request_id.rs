//! Ids of requests, which every answer repeats.

use compact_str::CompactString;
use http::HeaderValue;

use crate::limits::REQUEST_ID_BYTES_MAX;

/// What new ids of one thread begin with: eight hexadecimal digits and a dash.
pub(crate) type Prefix = [u8; 9];

/// The id of one request. It is written down only when the answer is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RequestId {
    /// As the client gave it.
    Given(CompactString),
    /// This thread's request with this number.
    New(u64),
}

impl RequestId {
    /// What the client gave, if it is a sensible id: visible ASCII, and not too long.
    pub(crate) fn given(id: &[u8]) -> Option<Self> {
        let is_sensible =
            (1..=REQUEST_ID_BYTES_MAX).contains(&id.len()) && id.iter().all(u8::is_ascii_graphic);
        is_sensible.then(|| CompactString::from_utf8(id).ok()).flatten().map(Self::Given)
    }

    /// Appends it to `out`; a new one is `prefix` and its number in hexadecimal.
    pub(crate) fn write(&self, prefix: &Prefix, out: &mut Vec<u8>) {
        match self {
            Self::Given(id) => out.extend_from_slice(id.as_bytes()),
            Self::New(number) => {
                let mut id = [0; 9 + 16];
                id[..9].copy_from_slice(prefix);
                let digit_count = (u64::BITS - number.leading_zeros()).div_ceil(4).max(1) as usize;
                let mut rest = *number;
                for digit in id[9..9 + digit_count].iter_mut().rev() {
                    *digit = hex_digit(rest);
                    rest >>= 4;
                }
                out.extend_from_slice(&id[..9 + digit_count]);
            }
        }
    }

    /// It as the value of a field.
    pub(crate) fn field_value(&self, prefix: &Prefix) -> Option<HeaderValue> {
        let mut id = Vec::new();
        self.write(prefix, &mut id);
        HeaderValue::try_from(id).ok()
    }
}

/// The prefix that is this number.
pub(crate) fn prefix_of(number: u32) -> Prefix {
    let mut prefix = [b'-'; 9];
    for (place, digit) in prefix[..8].iter_mut().rev().enumerate() {
        *digit = hex_digit(u64::from(number) >> (4 * place));
    }
    prefix
}

/// The last digit of a number.
fn hex_digit(number: u64) -> u8 {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    DIGITS[(number & 15) as usize]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_ids_are_hexadecimal_and_as_long_as_their_number() {
        for (prefix, number, expected) in [
            (0x1a, 1, "0000001a-1"),
            (0xffff_ffff, 0x10, "ffffffff-10"),
            (0, u64::MAX, "00000000-ffffffffffffffff"),
            (0x1234_5678, 0, "12345678-0"),
        ] {
            let value = RequestId::New(number).field_value(&prefix_of(prefix)).unwrap();
            assert_eq!(value, expected);
        }
    }

    #[test]
    fn a_sensible_id_is_taken_over() {
        let longest = "x".repeat(REQUEST_ID_BYTES_MAX);
        for id in ["a", "7f-~!", &longest] {
            let given = RequestId::given(id.as_bytes()).unwrap();
            assert_eq!(given.field_value(&prefix_of(0)).unwrap(), id);
        }
        let too_long = "x".repeat(REQUEST_ID_BYTES_MAX + 1);
        for id in ["", "a b", "a\r\nb", "\u{e9}", &too_long] {
            assert_eq!(RequestId::given(id.as_bytes()), None, "{id:?}");
        }
    }
}
