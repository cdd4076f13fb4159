//! Places in a source's write-ahead log.

/// Bytes of a page of the log: PostgreSQL's default, and a divisor of whatever else it can be built with.
const PAGE_BYTES: u64 = 8_192;

/// Bytes of the header of a page, and of the first page of a segment.
const HEADER_BYTES: u64 = 24;
const LONG_HEADER_BYTES: u64 = 40;

/// The place behind all that is written, given where the next record begins. That is behind the header of a page that has nothing else,
/// while the place that a feed is told is before it.
pub(super) fn end_of_records(insert_at: u64, segment_bytes: u64) -> u64 {
    let (in_page, in_segment) = (insert_at % PAGE_BYTES, insert_at % segment_bytes.max(PAGE_BYTES));
    let is_header =
        if in_page == in_segment { in_page == LONG_HEADER_BYTES } else { in_page == HEADER_BYTES };
    if is_header { insert_at - in_page } else { insert_at }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_no_record() {
        let segment = 16 * 1024 * 1024;
        for (insert_at, end) in [
            (0, 0),
            (8_192, 8_192),
            (8_192 + 24, 8_192),
            // The end of a record that began on the page before.
            (8_192 + 40, 8_192 + 40),
            (segment + 24, segment + 24),
            (segment + 40, segment),
            (segment + 48, segment + 48),
        ] {
            assert_eq!(end_of_records(insert_at, segment), end, "{insert_at}");
        }
    }
}
