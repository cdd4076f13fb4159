//! The visitor counter as the shop's database has it: the newest row of its history, and the failure to read it, in the form
//! of the system that this scenario is modelled on.

use onrush_core::write_rfc3339;
use onrush_sinks::CounterRow;

use crate::text::{write_json_string, write_number};

/// Says how far the replica is behind its primary, milliseconds.
pub(super) const REPLICA_LAG: &str = "onrush-replica-lag-ms";

/// Seconds after which asking a replica again makes sense.
pub(super) const REPLICA_RETRY_S: &str = "5";

/// The time of a row that does not exist, as Go writes its zero time.
const NO_TIME: &[u8] = b"0001-01-01T00:00:00Z";

/// Appends `{"ID":7,"CreatedAt":"…","UpdatedAt":"…","DeletedAt":null,"counter":7}`; without a row, numbers are 0 and times are
/// year 1.
pub(super) fn write_row(out: &mut Vec<u8>, row: Option<&CounterRow>) {
    out.extend_from_slice(b"{\"ID\":");
    write_number(out, row.map_or(0, |row| row.id));
    // Rows are never changed, so both times are the same.
    for member in [&b",\"CreatedAt\":\""[..], b",\"UpdatedAt\":\""] {
        out.extend_from_slice(member);
        match row {
            Some(row) => write_rfc3339(out, row.at),
            None => out.extend_from_slice(NO_TIME),
        }
        out.push(b'"');
    }
    out.extend_from_slice(b",\"DeletedAt\":null,\"counter\":");
    write_number(out, row.map_or(0, |row| row.value));
    out.push(b'}');
}

/// Appends `{"status":"Unsuccessful","reason":"…","code":503}`.
pub(super) fn write_unsuccessful(out: &mut Vec<u8>, reason: &str) {
    out.extend_from_slice(b"{\"status\":\"Unsuccessful\",\"reason\":");
    write_json_string(out, reason);
    out.extend_from_slice(b",\"code\":503}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(row: Option<&CounterRow>) -> String {
        let mut out = Vec::new();
        write_row(&mut out, row);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn rows_byte_for_byte() {
        let row = CounterRow { id: 9, at: 1_621_152_000_000, value: 7, lag_ms: Some(3) };
        assert_eq!(
            written(Some(&row)),
            "{\"ID\":9,\"CreatedAt\":\"2021-05-16T08:00:00.000Z\",\"UpdatedAt\":\"2021-05-16T08:00:00.000Z\",\
             \"DeletedAt\":null,\"counter\":7}"
        );
        assert_eq!(
            written(None),
            "{\"ID\":0,\"CreatedAt\":\"0001-01-01T00:00:00Z\",\"UpdatedAt\":\"0001-01-01T00:00:00Z\",\
             \"DeletedAt\":null,\"counter\":0}"
        );
    }

    #[test]
    fn a_failure_byte_for_byte() {
        let mut out = Vec::new();
        write_unsuccessful(&mut out, "no \"answer\"");
        assert_eq!(out, br#"{"status":"Unsuccessful","reason":"no \"answer\"","code":503}"#);
    }
}
