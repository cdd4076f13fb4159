//! Figures of one node of several.

use super::{Page, decimal};
use crate::components::NodeReport;

/// Nothing of a server that is the only one of its log.
pub(super) fn render(page: &mut Page, report: Option<&NodeReport>) {
    let Some(report) = report else { return };
    let leads = u64::from(report.role == "leading");
    page.single("onrush_node_leads", "gauge", "Whether this node leads.", leads);
    let is_stopped = u64::from(report.role == "stopped");
    page.single("onrush_node_stopped", "gauge", "Whether this node follows no more.", is_stopped);
    let help = "Times that this node has begun to lead.";
    page.single("onrush_node_terms_total", "counter", help, report.term_count);
    if let Some(epoch) = report.epoch {
        page.single("onrush_node_epoch", "gauge", "The newest epoch that this node has read.", epoch);
    }
    page.single("onrush_node_offset", "gauge", "Events that this node has read.", report.offset);
    if let Some(offset) = report.snapshot_offset {
        let help = "Events that a new node would have from the newest snapshot in the shared log.";
        page.single("onrush_node_snapshot_offset", "gauge", help, offset);
    }
    let help = "How old the newest sign of a leader is that this node has read.";
    if let Some(lag_ms) = report.lag_ms {
        page.family("onrush_node_lag_seconds", "gauge", help);
        page.sample("onrush_node_lag_seconds", "", &decimal(lag_ms, 3));
    }
    let help = "Records of the shared log that count for nobody, by reason.";
    page.family("onrush_node_records_dropped_total", "counter", help);
    for (reason, count) in &report.dropped {
        page.labelled("onrush_node_records_dropped_total", "reason", reason, *count);
    }
}
