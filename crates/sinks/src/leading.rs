//! A sink works on the node that leads, and waits on all others.

use std::sync::Arc;
use std::time::Duration;

use onrush_log::Log;
use onrush_node::ReservationIds;

use crate::handle::{SinkHandle, StopOrder};
use crate::status::SinkState;

/// How often a sink of a node that does not lead looks whether it does.
const INTERVAL: Duration = Duration::from_millis(100);
/// How often it is looked whether a note is in the log.
const NOTE_INTERVAL: Duration = Duration::from_millis(50);

/// Gives the ids of the log's reservations while this process leads, and nothing while another does.
pub type IdsWhileLeading = Arc<dyn Fn() -> Option<ReservationIds> + Send + Sync>;

/// Notes where another node's sink is to go on, and waits until it would, as long as `may_go_on`.
pub(crate) fn note_for_rivals(log: &dyn Log, sink: &str, value: &[u8], may_go_on: impl Fn() -> bool) {
    log.note(sink, value);
    while log.has_rivals() && may_go_on() && log.noted(sink).as_deref() != Some(value) {
        std::thread::park_timeout(NOTE_INTERVAL);
    }
}

/// Waits until this process leads; nothing if the sink is told to stop before.
pub(crate) fn wait_to_lead(handle: &SinkHandle, leads: &IdsWhileLeading) -> Option<ReservationIds> {
    loop {
        if handle.stop_order() != StopOrder::GoOn {
            return None;
        }
        if let Some(ids) = leads() {
            return Some(ids);
        }
        handle.shown().state = SinkState::Following;
        std::thread::park_timeout(INTERVAL);
    }
}
