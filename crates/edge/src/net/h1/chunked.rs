//! Chunked bodies (RFC 9112, section 7.1), put together once all of them has arrived.

use crate::http::size::TooLarge;

use super::rejection::Rejection;

/// Longest line of a chunk's size with extensions, or of a trailer field, bytes.
const LINE_BYTES_MAX: usize = 256;
/// Trailer fields that are read past.
const TRAILERS_MAX: usize = 16;

/// A body that is being put together. Bytes that were dealt with are not looked at again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Unfolding {
    body: Vec<u8>,
    /// Bytes that were dealt with.
    at: usize,
    place: Place,
}

/// What stands at [`Unfolding::at`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    /// The line with the size of a chunk.
    #[default]
    Size,
    /// A chunk of that many bytes and its line end.
    Chunk(usize),
    /// A trailer field, or the empty line behind all of them; so many fields came before.
    Trailer(usize),
}

/// A body whose last chunk has arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unfolded {
    pub(super) body: Vec<u8>,
    /// Bytes that it took up with all its chunks.
    pub(super) length: usize,
}

impl Unfolding {
    /// Puts together what has arrived: `bytes` are all bytes behind the head, those of earlier calls included. Nothing if
    /// the last chunk has not arrived yet.
    ///
    /// # Errors
    /// The chunks are malformed, or the body has more than `body_bytes_max` bytes.
    pub(super) fn go_on(
        &mut self,
        bytes: &[u8],
        body_bytes_max: usize,
    ) -> Result<Option<Unfolded>, Rejection> {
        loop {
            match self.place {
                Place::Size => {
                    let Some(line) = take_line(bytes, &mut self.at)? else { return Ok(None) };
                    let size = chunk_size(line)?;
                    if self.body.len() + size > body_bytes_max {
                        return Err(Rejection::TooLarge(TooLarge::Body));
                    }
                    self.place = if size == 0 { Place::Trailer(0) } else { Place::Chunk(size) };
                }
                Place::Chunk(size) => {
                    let Some(chunk) = bytes.get(self.at..self.at + size + 2) else { return Ok(None) };
                    if !chunk.ends_with(b"\r\n") {
                        return Err(Rejection::Malformed("a chunk is longer than its size"));
                    }
                    self.body.extend_from_slice(&chunk[..size]);
                    self.at += size + 2;
                    self.place = Place::Size;
                }
                Place::Trailer(count) => match take_line(bytes, &mut self.at)? {
                    None => return Ok(None),
                    Some([]) => {
                        return Ok(Some(Unfolded { body: std::mem::take(&mut self.body), length: self.at }));
                    }
                    Some(_) if count >= TRAILERS_MAX => return Err(Rejection::TooLarge(TooLarge::Head)),
                    Some(_) => self.place = Place::Trailer(count + 1),
                },
            }
        }
    }
}

/// The line at `at` without its end, moving `at` past it.
fn take_line<'a>(bytes: &'a [u8], at: &mut usize) -> Result<Option<&'a [u8]>, Rejection> {
    let rest = &bytes[*at..];
    let Some(end) = memchr::memchr(b'\n', &rest[..rest.len().min(LINE_BYTES_MAX)]) else {
        if rest.len() >= LINE_BYTES_MAX {
            return Err(Rejection::Malformed("a line between chunks is too long"));
        }
        return Ok(None);
    };
    let Some(line) = rest[..end].strip_suffix(b"\r") else {
        return Err(Rejection::Malformed("a line between chunks does not end as HTTP lines do"));
    };
    *at += end + 1;
    Ok(Some(line))
}

fn chunk_size(line: &[u8]) -> Result<usize, Rejection> {
    let digits = line.split(|b| *b == b';').next().unwrap_or_default();
    let digits = digits.trim_ascii_end();
    // Seven hex digits are far above any limit and far below any overflow.
    if digits.is_empty() || digits.len() > 7 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return Err(Rejection::Malformed("a chunk has no valid size"));
    }
    if line.iter().any(|b| b.is_ascii_control() && *b != b'\t') {
        return Err(Rejection::Malformed("a chunk has an invalid extension"));
    }
    let digits = std::str::from_utf8(digits).unwrap_or_default();
    usize::from_str_radix(digits, 16).map_err(|_| Rejection::Malformed("a chunk has no valid size"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &str) -> Result<Option<(String, usize)>, Rejection> {
        let unfolded = Unfolding::default().go_on(bytes.as_bytes(), 16)?;
        Ok(unfolded.map(|Unfolded { body, length }| (String::from_utf8(body).unwrap(), length)))
    }

    #[test]
    fn whole_bodies() {
        assert_eq!(check("0\r\n\r\n"), Ok(Some((String::new(), 5))));
        assert_eq!(check("3\r\nabc\r\n0\r\n\r\nGET"), Ok(Some(("abc".into(), 13))));
        assert_eq!(check("3;x=\"y\"\r\nabc\r\n2 \r\nde\r\n0\r\nA: b\r\n\r\n").unwrap().unwrap().0, "abcde");
        assert_eq!(check("10\r\n0123456789abcdef\r\n0\r\n\r\n").unwrap().unwrap().0.len(), 16);
    }

    #[test]
    fn every_prefix_waits_for_more() {
        let whole = "3\r\nabc\r\n2\r\nde\r\n0\r\nA: b\r\n\r\n";
        for end in 0..whole.len() {
            assert_eq!(check(&whole[..end]), Ok(None), "{:?}", &whole[..end]);
        }
    }

    #[test]
    fn a_body_that_comes_byte_by_byte_is_the_same() {
        let whole = b"3\r\nabc\r\n2;x\r\nde\r\n0\r\nA: b\r\nC: d\r\n\r\nGET";
        let mut unfolding = Unfolding::default();
        let unfolded = (0..=whole.len()).find_map(|end| {
            let at_before = unfolding.at;
            let unfolded = unfolding.go_on(&whole[..end], 16).unwrap();
            assert!(unfolding.at >= at_before && unfolding.at <= end, "what was dealt with stays dealt with");
            unfolded
        });
        assert_eq!(unfolded, Some(Unfolded { body: b"abcde".to_vec(), length: whole.len() - 3 }));
    }

    #[test]
    fn malformed_bodies() {
        for bytes in [
            "x\r\n",
            "\r\n",
            "-1\r\n",
            "+3\r\nabc\r\n",
            "0x3\r\n",
            "3\nabc\n",
            "3\r\nabcd\r\n",
            "12345678\r\n",
            " 3\r\n",
        ] {
            assert!(matches!(check(bytes), Err(Rejection::Malformed(_))), "{bytes:?}");
        }
        assert_eq!(check("11\r\n"), Err(Rejection::TooLarge(TooLarge::Body)));
        assert_eq!(check("8\r\n01234567\r\n9\r\n"), Err(Rejection::TooLarge(TooLarge::Body)));
    }
}
