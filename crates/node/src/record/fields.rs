//! What lets records grow: a group is its length and its content, and behind the fields that it always had come fields
//! with numbers. A reader passes over what it does not know, unless it is marked as required.
//!
//! To add a field, give it the next number of its group in a constant, write it only where it is not at its default, and
//! take it in the closure given to [`Input::fields`]. Files written before decode to the default. A field is required if
//! a reader that does not know it would decide or tell something wrong.

use super::DecodeError;
use super::error::DecodeReason;
use super::primitives::{Input, put_bytes, put_u64};

/// A field that not every record of its kind has: its number in its group, and in the lowest bit whether a reader has to
/// know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Field(u64);

impl Field {
    /// A field without which the rest is misread.
    pub(super) const fn required(number: u64) -> Self {
        Self(number << 1 | 1)
    }

    /// Appends the field with these bytes.
    pub(super) fn put(self, out: &mut Vec<u8>, bytes: &[u8]) {
        put_u64(out, self.0);
        put_bytes(out, bytes);
    }

    /// Appends the field with what `write` appends.
    pub(super) fn put_group(self, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
        put_u64(out, self.0);
        put_group(out, write);
    }

    /// Appends the field with an integer.
    pub(super) fn put_u64(self, out: &mut Vec<u8>, value: u64) {
        self.put_group(out, |out| put_u64(out, value));
    }

    fn number(self) -> u64 {
        self.0 >> 1
    }

    fn is_required(self) -> bool {
        self.0 & 1 == 1
    }
}

/// Appends what `write` appends, behind its length.
pub(super) fn put_group(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.push(0);
    write(out);
    let length = out.len() - start - 1;
    if let Ok(short) = u8::try_from(length)
        && short < 0x80
    {
        out[start] = short;
    } else {
        let mut prefix = Vec::new();
        put_u64(&mut prefix, length as u64);
        out.splice(start..=start, prefix);
    }
}

impl Input<'_> {
    /// Takes a group, whose content is read from what is returned.
    pub(super) fn group(&mut self) -> Result<Self, DecodeError> {
        let content = self.bytes()?;
        Ok(Input::at(content, self.position() - content.len()))
    }

    /// Gives the numbered fields at the end of a group of this name to `take`, which says whether it knows the field.
    pub(super) fn fields(
        &mut self,
        of: &'static str,
        mut take: impl FnMut(Field, &mut Self) -> Result<bool, DecodeError>,
    ) -> Result<(), DecodeError> {
        while !self.is_empty() {
            let position = self.position();
            let field = Field(self.u64()?);
            let mut content = self.group()?;
            if !take(field, &mut content)? && field.is_required() {
                let reason = DecodeReason::UnknownField { of, field: field.number() };
                return Err(DecodeError { position, reason });
            }
        }
        Ok(())
    }

    /// As [`Input::fields`], for a group that has none so far.
    pub(super) fn no_fields(&mut self, of: &'static str) -> Result<(), DecodeError> {
        self.fields(of, |_, _| Ok(false))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_of_any_length_come_back() {
        for length in [0, 1, 127, 128, 16_383, 16_384, 100_000] {
            let content = vec![7; length];
            let mut out = vec![9];
            put_group(&mut out, |out| out.extend_from_slice(&content));
            let mut input = Input::new(&out);
            assert_eq!(input.u8(), Ok(9));
            let mut group = input.group().unwrap();
            assert_eq!(group.position(), out.len() - length, "positions are those of the payload");
            assert!(input.is_empty());
            for _ in 0..length {
                assert_eq!(group.u8(), Ok(7));
            }
            assert!(group.is_empty());
        }
    }

    #[test]
    fn a_field_that_is_not_known_is_passed_over_unless_it_is_required() {
        let known = Field::required(1);
        let mut out = Vec::new();
        Field(7 << 1).put(&mut out, b"later");
        known.put_u64(&mut out, 300);
        let mut found = None;
        let mut take = |field: Field, content: &mut Input<'_>| {
            if field == known {
                found = Some(content.u64()?);
            }
            Ok(field == known)
        };
        assert_eq!(Input::new(&out).fields("thing", &mut take), Ok(()));
        let position = out.len();
        Field::required(8).put(&mut out, b"");
        let refused = Input::new(&out).fields("thing", &mut take).unwrap_err();
        assert_eq!(found, Some(300));
        assert_eq!(
            (refused.position, refused.reason),
            (position, DecodeReason::UnknownField { of: "thing", field: 8 })
        );
        assert!(refused.to_string().contains("field 8 of `thing` is not known"), "{refused}");
    }
}
