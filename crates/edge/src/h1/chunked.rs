//! Chunked bodies (RFC 9112, section 7.1), put together once all of them has arrived.

use super::head::Rejection;

/// Longest line of a chunk's size with extensions, or of a trailer field, bytes.
const LINE_BYTES_MAX: usize = 256;
/// Trailer fields that are read past.
const TRAILERS_MAX: usize = 16;

/// Puts the chunks at the front of `bytes` together: the body and the bytes that it took up, or nothing if the last
/// chunk has not arrived yet.
///
/// # Errors
/// The chunks are malformed, or the body has more than `body_bytes_max` bytes.
pub(super) fn unfold(bytes: &[u8], body_bytes_max: usize) -> Result<Option<(Vec<u8>, usize)>, Rejection> {
    let mut body = Vec::new();
    let mut at = 0;
    loop {
        let Some(line) = take_line(bytes, &mut at)? else { return Ok(None) };
        let size = chunk_size(line)?;
        if size == 0 {
            return Ok(skip_trailers(bytes, at)?.map(|end| (body, end)));
        }
        if body.len() + size > body_bytes_max {
            return Err(Rejection::BodyTooLarge);
        }
        let Some(chunk) = bytes.get(at..at + size + 2) else {
            return Ok(None);
        };
        if !chunk.ends_with(b"\r\n") {
            return Err(Rejection::Malformed("a chunk is longer than its size"));
        }
        body.extend_from_slice(&chunk[..size]);
        at += size + 2;
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

fn skip_trailers(bytes: &[u8], mut at: usize) -> Result<Option<usize>, Rejection> {
    for _ in 0..=TRAILERS_MAX {
        match take_line(bytes, &mut at)? {
            None => return Ok(None),
            Some([]) => return Ok(Some(at)),
            Some(_) => {}
        }
    }
    Err(Rejection::HeadersTooLarge)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &str) -> Result<Option<(String, usize)>, Rejection> {
        let unfolded = unfold(bytes.as_bytes(), 16)?;
        Ok(unfolded.map(|(body, end)| (String::from_utf8(body).unwrap(), end)))
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
        assert_eq!(check("11\r\n"), Err(Rejection::BodyTooLarge));
        assert_eq!(check("8\r\n01234567\r\n9\r\n"), Err(Rejection::BodyTooLarge));
    }
}
