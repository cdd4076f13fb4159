//! The figures of rate limits; none while all are off.

use onrush_gate::LimitFigures;

use super::Page;
use crate::gate::{NONE, RATE_LIMITS};
use crate::problem::Code;

pub(super) fn render(page: &mut Page, limits: &[LimitFigures]) {
    if limits.is_empty() {
        return;
    }
    let labels = |limit: &LimitFigures| {
        format!("routes=\"{}\",limit=\"{}\"", limit.group.as_str(), limit.limited.as_str())
    };
    let decisions = "onrush_rate_limit_decisions_total";
    page.family(decisions, "counter", "Requests that a rate limit let through or refused.");
    for limit in limits {
        let sides = [
            ("admitted", NONE, limit.admitted_count),
            ("refused", Code::RateLimited.as_str(), limit.refused_count),
        ];
        for (decision, code, count) in sides {
            let labels = format!(",{},decision=\"{decision}\"", labels(limit));
            page.decision(decisions, RATE_LIMITS, code, &labels, count);
        }
    }
    let mut all = |name: &str, kind: &str, help: &str, figure: fn(&LimitFigures) -> u64| {
        page.family(name, kind, help);
        for limit in limits {
            page.sample(name, &labels(limit), &figure(limit).to_string());
        }
    };
    let help = "Keys that a rate limit has in memory.";
    all("onrush_rate_limit_keys", "gauge", help, |limit| limit.key_count);
    let help = "Keys that a rate limit forgot before their time for want of room.";
    all("onrush_rate_limit_forgotten_total", "counter", help, |limit| limit.forgotten_count);
    let help = "Bytes of the table of a rate limit.";
    all("onrush_rate_limit_table_bytes", "gauge", help, |limit| limit.table_bytes as u64);
}
