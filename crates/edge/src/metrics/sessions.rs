//! The figures of sessions.

use super::Page;
use crate::gate::SESSION;

pub(super) fn render(page: &mut Page, decisions: &[(&str, u64)]) {
    let name = "onrush_session_decisions_total";
    page.family(name, "counter", "Sessions that were begun, and refusals that have to do with sessions.");
    for (code, count) in decisions {
        page.decision(name, SESSION, code, "", *count);
    }
}
