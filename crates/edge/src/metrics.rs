//! The figures of the partition and of the edge as Prometheus text (exposition format 0.0.4): base units, counters that end
//! in `_total`, and no label whose values a client could choose.

mod catalog;
mod challenges;
mod node;
mod rate_limits;
mod sessions;
mod sinks;

use std::fmt::Write as _;

use onrush_core::DenialKind;
use onrush_gate::LimitFigures;
use onrush_node::{BATCH_BUCKETS, Histogram, MetricsSnapshot, SYNC_BUCKETS_US};
use onrush_sinks::SinkStatus;

use crate::catalog::CollectionFigures;
use crate::components::NodeReport;
use crate::gate::{DENYLIST, NONE, check_of};
use crate::problem::Code;

/// The content type of the text.
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What the edge counted since the process started, and how many connections are open now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::struct_field_names, reason = "counts end in `_count` everywhere")]
pub struct EdgeMetrics {
    /// Requests that a hot route answered.
    pub hot_request_count: u64,
    /// Requests that the router answered.
    pub routed_request_count: u64,
    /// Requests refused because of their framing or size.
    pub rejected_request_count: u64,
    /// Connections that are open.
    pub connection_open_count: u64,
    /// Connections accepted.
    pub connection_accepted_count: u64,
    /// Connections that speak HTTP/2.
    pub connection_h2_count: u64,
    /// Connections refused because too many were open.
    pub connection_over_capacity_count: u64,
    /// Connections closed because nothing came.
    pub cut_off_idle_count: u64,
    /// Connections closed because header fields did not come to an end.
    pub cut_off_head_count: u64,
    /// Connections closed because a body did not come to an end.
    pub cut_off_body_count: u64,
    /// Connections closed because the client did not take an answer.
    pub cut_off_writing_count: u64,
    /// Connections closed because others needed the memory of answers that they did not take.
    pub cut_off_room_count: u64,
    /// Connections closed because of too many frames that ask for nothing.
    pub cut_off_quiet_count: u64,
    /// Bytes of answers that clients have not taken.
    pub unsent_bytes: u64,
    /// Answers refused because too many bytes were unsent.
    pub no_room_count: u64,
}

/// What the gate of the public listener did.
pub(crate) struct GateFigures {
    /// Of all limits that are on.
    pub(crate) limits: Vec<LimitFigures>,
    /// What was decided about sessions, by the code of the answer.
    pub(crate) sessions: Vec<(&'static str, u64)>,
    /// Challenges that were given out, by kind.
    pub(crate) challenges: Vec<(&'static str, u64)>,
}

/// Everything that the page tells.
pub(crate) struct Figures<'a> {
    pub(crate) node: &'a MetricsSnapshot,
    pub(crate) edge: &'a EdgeMetrics,
    pub(crate) gate: &'a GateFigures,
    pub(crate) catalog: &'a [CollectionFigures<'a>],
    pub(crate) cluster: Option<&'a NodeReport>,
    pub(crate) sinks: &'a [SinkStatus],
    pub(crate) replica_lag_ms: Option<u64>,
    pub(crate) lost_line_count: Option<u64>,
}

/// The whole page. `replica_lag_ms` is known once a replica has told it, `lost_line_count` if somebody counts.
pub(crate) fn render(figures: &Figures<'_>) -> String {
    let Figures { node, edge, gate, catalog, cluster, sinks, replica_lag_ms, lost_line_count } = *figures;
    let mut page = Page(String::with_capacity(8 << 10));
    render_edge(&mut page, edge);
    rate_limits::render(&mut page, &gate.limits);
    sessions::render(&mut page, &gate.sessions);
    challenges::render(&mut page, &gate.challenges);
    render_calls(&mut page, node);
    render_log(&mut page, node);
    render_clock(&mut page, node.clock_offset_ms);
    render_state(&mut page, node);
    node::render(&mut page, cluster);
    catalog::render(&mut page, catalog);
    sinks::render(&mut page, sinks, replica_lag_ms);
    if let Some(count) = lost_line_count {
        let help = "Lines of the server's own messages that could not be written to standard error.";
        page.single("onrush_log_lines_lost_total", "counter", help, count);
    }
    page.0
}

fn render_edge(page: &mut Page, edge: &EdgeMetrics) {
    page.family("onrush_requests_total", "counter", "HTTP requests by the kind of route that took them.");
    for (class, count) in [
        ("hot", edge.hot_request_count),
        ("routed", edge.routed_request_count),
        ("rejected", edge.rejected_request_count),
    ] {
        page.labelled("onrush_requests_total", "class", class, count);
    }
    page.single("onrush_connections", "gauge", "Open connections.", edge.connection_open_count);
    page.single(
        "onrush_connections_accepted_total",
        "counter",
        "Connections accepted.",
        edge.connection_accepted_count,
    );
    page.single(
        "onrush_connections_http2_total",
        "counter",
        "Connections that spoke HTTP/2.",
        edge.connection_h2_count,
    );
    page.single(
        "onrush_connections_refused_total",
        "counter",
        "Connections refused because too many were open.",
        edge.connection_over_capacity_count,
    );
    page.family(
        "onrush_connections_cut_off_total",
        "counter",
        "Connections closed at a limit, by what was awaited.",
    );
    for (awaited, count) in [
        ("request", edge.cut_off_idle_count),
        ("headers", edge.cut_off_head_count),
        ("body", edge.cut_off_body_count),
        ("write", edge.cut_off_writing_count),
        ("room", edge.cut_off_room_count),
        ("progress", edge.cut_off_quiet_count),
    ] {
        page.labelled("onrush_connections_cut_off_total", "awaited", awaited, count);
    }
    page.single(
        "onrush_unsent_bytes",
        "gauge",
        "Bytes of answers that clients have not taken.",
        edge.unsent_bytes,
    );
    page.single(
        "onrush_answers_without_room_total",
        "counter",
        "Answers refused because too many bytes were unsent.",
        edge.no_room_count,
    );
}

fn render_calls(page: &mut Page, node: &MetricsSnapshot) {
    page.single("onrush_calls_done_total", "counter", "Calls that were not refused.", node.done_count);
    page.family("onrush_refusals_total", "counter", "Business refusals by check and code.");
    for (code, count) in node.refusals {
        page.decision("onrush_refusals_total", check_of(code), code.as_str(), "", count);
    }
    page.family(
        "onrush_shadow_refusals_total",
        "counter",
        "What gates in shadow mode would have refused, by check and code.",
    );
    for (code, count) in node.shadow_refusals.into_iter().filter(|(code, _)| code.is_of_gate()) {
        page.decision("onrush_shadow_refusals_total", check_of(code), code.as_str(), "", count);
    }
    page.single(
        "onrush_calls_overloaded_total",
        "counter",
        "Calls turned away because too many were waiting.",
        node.overloaded_count,
    );
    page.single(
        "onrush_calls_log_unavailable_total",
        "counter",
        "Calls turned away because the log could not be written.",
        node.log_unavailable_count,
    );
    page.single("onrush_mailbox_depth", "gauge", "Calls that wait for an answer.", node.waiting_count);
}

fn render_log(page: &mut Page, node: &MetricsSnapshot) {
    page.single("onrush_log_batches_total", "counter", "Batches made durable.", node.batch_count);
    page.single("onrush_log_events_total", "counter", "Events made durable.", node.event_count);
    page.single("onrush_log_bytes_total", "counter", "Payload bytes made durable.", node.batch_bytes);
    page.single(
        "onrush_log_reopened_total",
        "counter",
        "Times the log was opened again after a failed write.",
        node.reopened_count,
    );
    page.single("onrush_log_durable_offset", "gauge", "Next offset to become durable.", node.durable_offset);
    if let Some(offset) = node.snapshot_offset {
        page.single(
            "onrush_log_snapshot_offset",
            "gauge",
            "Offset of the newest snapshot, if there is one.",
            offset,
        );
    }
    page.single(
        "onrush_log_room_bytes",
        "gauge",
        "Payload bytes the log is certain to take.",
        node.room_bytes,
    );
    page.single(
        "onrush_log_available",
        "gauge",
        "1 if writes are possible, else 0.",
        u64::from(node.available),
    );
    page.histogram(
        "onrush_log_sync_seconds",
        "Time to write and sync one batch.",
        &node.sync_us,
        &SYNC_BUCKETS_US,
        6,
    );
    page.histogram(
        "onrush_batch_replies",
        "Answers released by one batch.",
        &node.batch_replies,
        &BATCH_BUCKETS,
        0,
    );
}

fn render_clock(page: &mut Page, offset_ms: i64) {
    let sign = if offset_ms < 0 { "-" } else { "" };
    let help =
        "How far the server's time, by which holds expire and windows move, is ahead of the machine's clock.";
    page.family("onrush_clock_offset_seconds", "gauge", help);
    let seconds = decimal(offset_ms.unsigned_abs(), 3);
    page.sample("onrush_clock_offset_seconds", "", &format!("{sign}{seconds}"));
}

fn render_state(page: &mut Page, node: &MetricsSnapshot) {
    page.family("onrush_stock_units", "gauge", "Units of all stocks by state.");
    let units = node.units;
    for (state, count) in [
        ("held", units.held),
        ("confirmed", units.confirmed),
        ("available", units.total.saturating_sub(units.held + units.confirmed)),
    ] {
        page.labelled("onrush_stock_units", "state", state, count);
    }
    for (name, help, count) in [
        ("onrush_counters", "Counters in memory.", node.counter_count),
        ("onrush_windows", "Windows in memory.", node.window_count),
        ("onrush_sales", "Sales in memory.", node.sale_count),
        ("onrush_reservations", "Reservations in memory.", node.reservation_count),
        ("onrush_denials", "Entries of the denylist in memory.", node.denial_count),
        ("onrush_accounts", "Accounts of customers.", node.account_count),
        ("onrush_state_bytes", "Bytes of the state in memory.", node.state_bytes),
        ("onrush_state_bytes_max", "Bytes from which on the state takes no more.", node.state_bytes_max),
    ] {
        page.single(name, "gauge", help, count);
    }
    page.family(
        "onrush_denied_total",
        "counter",
        "Requests that the denylist refused, by kind of its entry.",
    );
    for (kind, count) in DenialKind::ALL.into_iter().zip(node.denied_counts) {
        // Whoever comes with a session that was ended goes on without it, and is refused by others if at all.
        let code = if kind == DenialKind::Session { NONE } else { Code::Denied.as_str() };
        let kind = format!(",kind=\"{}\"", kind.as_str());
        page.decision("onrush_denied_total", DENYLIST, code, &kind, count);
    }
}

/// Text under construction. Writing to a `String` cannot fail.
struct Page(String);

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn single(&mut self, name: &str, kind: &str, help: &str, value: u64) {
        self.family(name, kind, help);
        let _ = writeln!(self.0, "{name} {value}");
    }

    fn labelled(&mut self, name: &str, label: &str, label_value: &str, value: u64) {
        let _ = writeln!(self.0, "{name}{{{label}=\"{label_value}\"}} {value}");
    }

    /// How often a check of the gate said so; `labels` are further ones, as in `,a="x"`.
    fn decision(&mut self, name: &str, check: &str, code: &str, labels: &str, count: u64) {
        let _ = writeln!(self.0, "{name}{{check=\"{check}\",code=\"{code}\"{labels}}} {count}");
    }

    /// One figure of a family; `labels` as in `a="x",b="y"`, or none.
    fn sample(&mut self, name: &str, labels: &str, value: &str) {
        let _ = if labels.is_empty() {
            writeln!(self.0, "{name} {value}")
        } else {
            writeln!(self.0, "{name}{{{labels}}} {value}")
        };
    }

    /// A histogram whose values are whole multiples of 10^-`decimals` base units.
    fn histogram<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        values: &Histogram<N>,
        bounds: &[u64; N],
        decimals: usize,
    ) {
        self.family(name, "histogram", help);
        let mut below = 0;
        for (bound, count) in bounds.iter().zip(values.counts) {
            below += count;
            let _ = writeln!(self.0, "{name}_bucket{{le=\"{}\"}} {below}", decimal(*bound, decimals));
        }
        let _ = writeln!(self.0, "{name}_bucket{{le=\"+Inf\"}} {}", values.total());
        let _ = writeln!(self.0, "{name}_sum {}", decimal(values.sum, decimals));
        let _ = writeln!(self.0, "{name}_count {}", values.total());
    }
}

/// `value` times 10^-`decimals`, exactly.
fn decimal(value: u64, decimals: usize) -> String {
    if decimals == 0 {
        return value.to_string();
    }
    let digits = format!("{value:0>width$}", width = decimals + 1);
    let (whole, fraction) = digits.split_at(digits.len() - decimals);
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() { whole.to_owned() } else { format!("{whole}.{fraction}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_in_base_units_adds_up() {
        let mut page = Page(String::new());
        let values = Histogram { counts: [1, 0, 2], above: 1, sum: 2_500_150 };
        page.histogram("x_seconds", "Help.", &values, &[50, 1_000, 2_000_000], 6);
        let expected = "# HELP x_seconds Help.\n# TYPE x_seconds histogram\n\
                        x_seconds_bucket{le=\"0.00005\"} 1\nx_seconds_bucket{le=\"0.001\"} 1\n\
                        x_seconds_bucket{le=\"2\"} 3\nx_seconds_bucket{le=\"+Inf\"} 4\n\
                        x_seconds_sum 2.50015\nx_seconds_count 4\n";
        assert_eq!(page.0, expected);
    }

    #[test]
    fn decimals_are_exact() {
        for (value, decimals, text) in
            [(0, 6, "0"), (1, 6, "0.000001"), (1_500_000, 6, "1.5"), (7, 0, "7"), (10, 0, "10")]
        {
            assert_eq!(decimal(value, decimals), text);
        }
    }

    #[test]
    fn the_offset_of_the_clock_has_a_sign() {
        let offset = |offset_ms| {
            let mut page = Page(String::new());
            render_clock(&mut page, offset_ms);
            page.0.lines().last().unwrap_or_default().to_owned()
        };
        assert_eq!(offset(0), "onrush_clock_offset_seconds 0");
        assert_eq!(offset(86_400_250), "onrush_clock_offset_seconds 86400.25");
        assert_eq!(offset(-1), "onrush_clock_offset_seconds -0.001");
    }

    #[test]
    fn counters_end_in_total_and_every_figure_has_its_help() {
        let mut page = Page(String::new());
        render_edge(&mut page, &EdgeMetrics { connection_open_count: 3, ..EdgeMetrics::default() });
        assert!(page.0.contains("\nonrush_connections 3\n"), "{}", page.0);
        let mut family = "";
        for line in page.0.lines() {
            if let Some(declared) = line.strip_prefix("# TYPE ") {
                let (name, kind) = declared.split_once(' ').unwrap();
                assert_eq!(name.ends_with("_total"), kind == "counter", "{line}");
                family = name;
            } else if !line.starts_with('#') {
                assert!(line.starts_with(family), "{line}");
            }
        }
    }
}
