//! Integers and byte strings, as records and facts have them.
//!
//! Integers are LEB128 (DWARF 5, section 7.6); a byte string is its length and its bytes; an optional time is 0 for
//! none, else the time plus 1.

use onrush_core::WindowShape;

use super::DecodeError;

/// Appends integers and strings to a buffer.
pub(super) fn put_u64(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        #[allow(clippy::cast_possible_truncation, reason = "the low seven bits are what is wanted")]
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    #[allow(clippy::cast_possible_truncation, reason = "below 0x80")]
    out.push(value as u8);
}

pub(super) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_u64(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

pub(super) fn put_optional(out: &mut Vec<u8>, value: Option<u64>) {
    put_u64(out, value.map_or(0, |v| v.saturating_add(1)));
}

pub(super) fn put_shape(out: &mut Vec<u8>, shape: WindowShape) {
    put_u64(out, shape.span_ms.into());
    put_u64(out, shape.precision_ms.into());
}

/// Takes integers and strings from the front of a payload or a part of one.
#[derive(Clone, Debug)]
pub(super) struct Input<'a> {
    bytes: &'a [u8],
    position: usize,
    /// Where the bytes begin in the payload.
    start: usize,
}

impl<'a> Input<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self::at(bytes, 0)
    }

    /// A part of a payload that begins at byte `start` of it.
    pub(super) fn at(bytes: &'a [u8], start: usize) -> Self {
        Self { bytes, position: 0, start }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.position == self.bytes.len()
    }

    /// The byte in the payload that is taken next.
    pub(super) fn position(&self) -> usize {
        self.start + self.position
    }

    pub(super) fn wrong(&self, problem: &'static str) -> DecodeError {
        DecodeError { position: self.position(), reason: problem.into() }
    }

    /// Takes everything that is left.
    pub(super) fn rest(&mut self) -> &'a [u8] {
        let rest = &self.bytes[self.position..];
        self.position = self.bytes.len();
        rest
    }

    pub(super) fn u8(&mut self) -> Result<u8, DecodeError> {
        let byte = *self.bytes.get(self.position).ok_or_else(|| self.wrong("ends early"))?;
        self.position += 1;
        Ok(byte)
    }

    pub(super) fn u64(&mut self) -> Result<u64, DecodeError> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(self.wrong("an integer has more than 64 bits"))
    }

    pub(super) fn u32(&mut self) -> Result<u32, DecodeError> {
        let value = self.u64()?;
        u32::try_from(value).map_err(|_| self.wrong("an integer has more than 32 bits"))
    }

    pub(super) fn u16(&mut self) -> Result<u16, DecodeError> {
        let value = self.u64()?;
        u16::try_from(value).map_err(|_| self.wrong("an integer has more than 16 bits"))
    }

    pub(super) fn optional(&mut self) -> Result<Option<u64>, DecodeError> {
        Ok(self.u64()?.checked_sub(1))
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let bytes = self.bytes[self.position..].first_chunk::<N>().ok_or_else(|| self.wrong("ends early"))?;
        self.position += N;
        Ok(*bytes)
    }

    pub(super) fn bytes(&mut self) -> Result<&'a [u8], DecodeError> {
        let length = self.u64()?;
        let rest = &self.bytes[self.position..];
        let length = usize::try_from(length).ok().filter(|l| *l <= rest.len());
        let length = length.ok_or_else(|| self.wrong("a string is longer than its payload"))?;
        self.position += length;
        Ok(&rest[..length])
    }

    pub(super) fn text(&mut self) -> Result<&'a str, DecodeError> {
        let bytes = self.bytes()?;
        std::str::from_utf8(bytes).map_err(|_| self.wrong("a string is not UTF-8"))
    }

    pub(super) fn shape(&mut self) -> Result<WindowShape, DecodeError> {
        Ok(WindowShape { span_ms: self.u32()?, precision_ms: self.u32()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_round_trip_at_their_edges() {
        for value in [0, 1, 127, 128, 16_383, 16_384, u64::from(u32::MAX), u64::MAX - 1, u64::MAX] {
            let mut out = Vec::new();
            put_u64(&mut out, value);
            let mut input = Input::new(&out);
            assert_eq!(input.u64(), Ok(value));
            assert!(input.is_empty());
        }
    }

    #[test]
    fn an_integer_of_more_than_64_bits_is_refused() {
        let mut input = Input::new(&[0xff; 11]);
        assert!(input.u64().is_err());
        let mut input = Input::new(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02]);
        assert!(input.u64().is_err());
    }

    #[test]
    fn a_string_longer_than_its_payload_is_refused() {
        let mut input = Input::new(&[5, b'a', b'b']);
        assert!(input.bytes().is_err());
    }
}
