//! An explanation as JSON.

use super::words::{Told, Verdict};
use crate::text::write_json_string;

/// Appends `{"verdict":"refused","checks":[{"check":"stock","verdict":"refused","code":"insufficient_stock","detail":"…"}]}`.
pub(super) fn write_explanation(out: &mut Vec<u8>, checks: &[Told]) {
    let is_refused = checks.iter().any(|told| told.verdict == Verdict::Refused);
    out.extend_from_slice(b"{\"verdict\":\"");
    out.extend_from_slice(if is_refused { b"refused" } else { b"allowed" });
    out.extend_from_slice(b"\",\"checks\":[");
    for (at, told) in checks.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write_check(out, told);
    }
    out.extend_from_slice(b"]}");
}

fn write_check(out: &mut Vec<u8>, told: &Told) {
    for (key, value) in [("{\"check\":\"", told.check), ("\",\"verdict\":\"", told.verdict.as_str())] {
        out.extend_from_slice(key.as_bytes());
        out.extend_from_slice(value.as_bytes());
    }
    out.extend_from_slice(b"\",\"code\":");
    match told.code {
        Some(code) => write_json_string(out, code),
        None => out.extend_from_slice(b"null"),
    }
    out.extend_from_slice(b",\"detail\":");
    write_json_string(out, &told.detail);
    out.push(b'}');
}
