//! Which rows go when there are too many.

use compact_str::CompactString;
use onrush_core::Row;

use super::RowCache;
use crate::catalog::read_marks::ReadMarks;

/// Bytes of a row beyond its key and its JSON, as they were measured, rounded up.
pub(in crate::catalog) const ROW_OVERHEAD_BYTES: u64 = 100;

/// Rows that are looked at for one that was not read lately.
const LOOKS: u64 = 8;

/// What a row counts for.
pub(in crate::catalog) fn row_bytes(row: &Row) -> u64 {
    (row.key().len() + row.json().len()) as u64 + ROW_OVERHEAD_BYTES
}

impl<W> RowCache<W> {
    /// Takes out rows until there is room, those first that were not read lately.
    pub(super) fn evict(&mut self, marks: &ReadMarks) {
        while self.bytes > self.bounds.bytes_max && self.rows.row_count() > 0 {
            self.is_whole = false;
            let mut chosen = None;
            let mut looks = 0;
            while looks < LOOKS || chosen.is_none() {
                looks += 1;
                self.random ^= self.random << 13;
                self.random ^= self.random >> 7;
                self.random ^= self.random << 17;
                let Some(row) = self.rows.pick(self.random) else { continue };
                let was_read = marks.take(row.key());
                chosen = Some(CompactString::from(row.key()));
                if !was_read {
                    break;
                }
            }
            if let Some(row) = chosen.and_then(|key| self.rows.remove(&key)) {
                self.bytes -= row_bytes(&row);
            }
        }
    }
}
