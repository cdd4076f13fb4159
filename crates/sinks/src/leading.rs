//! A sink works on the node that leads, and waits on all others.

use std::sync::Arc;
use std::time::Duration;

use onrush_log::Log;
use onrush_node::{ReservationIds, Stopwatch};

use crate::handle::{SinkHandle, StopOrder};
use crate::start_point::{StartPointError, read_snapshot};
use crate::status::SinkState;

/// How often a sink of a node that does not lead looks whether it does.
const INTERVAL: Duration = Duration::from_millis(100);
/// How often a sink that waits lets go of the log that the leader's no longer needs.
const LET_GO_INTERVAL: Duration = Duration::from_secs(1);
/// The same after trouble.
const TROUBLE_INTERVAL: Duration = Duration::from_mins(1);
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

/// Waits until this process leads; nothing if the sink is told to stop before. Meanwhile the log is kept for it as long as for the sink of
/// whoever leads.
pub(crate) fn wait_to_lead(
    handle: &SinkHandle,
    leads: &IdsWhileLeading,
    log: &dyn Log,
) -> Option<ReservationIds> {
    let (mut since_let_go, mut interval) = (Stopwatch::start(), LET_GO_INTERVAL);
    loop {
        if handle.stop_order() != StopOrder::GoOn {
            return None;
        }
        if let Some(ids) = leads() {
            return Some(ids);
        }
        handle.shown().state = SinkState::Following;
        if since_let_go.elapsed() >= interval {
            let done = let_go(handle, log);
            (since_let_go, interval) = (Stopwatch::start(), LET_GO_INTERVAL);
            if let Err(error) = done {
                tracing::warn!(sink = handle.settings.name, %error, "the log is kept for longer");
                interval = TROUBLE_INTERVAL;
            }
        }
        std::thread::park_timeout(INTERVAL);
    }
}

/// Keeps the log from here on for this sink, whose target has everything below, and notes that for those of its name on other nodes.
pub(crate) fn keep_from(log: &dyn Log, handle: &SinkHandle, offset: u64) {
    handle.kept.keep_from(offset);
    log.note(&kept_note(&handle.settings.name), &offset.to_le_bytes());
}

/// From where on the log is kept for the leader's sink of this name, if that was noted.
fn kept_by_leader(log: &dyn Log, sink: &str) -> Option<u64> {
    log.noted(&kept_note(sink)).and_then(|noted| Some(u64::from_le_bytes(noted.try_into().ok()?)))
}

/// No sink is called that.
pub(crate) fn kept_note(sink: &str) -> String {
    format!("kept {sink}")
}

/// Keeps the names as of the newest snapshot that the leader's sink of this name is not behind, and the log from there on.
fn let_go(handle: &SinkHandle, log: &dyn Log) -> Result<(), StartPointError> {
    let Some(needed_from) = kept_by_leader(log, &handle.settings.name) else { return Ok(()) };
    let kept_from = handle.kept.offset().unwrap_or(0);
    let oldest = log.reader().oldest_offset();
    let snapshots = log.snapshots()?.into_iter();
    let Some(offset) = snapshots.filter(|at| (oldest..=needed_from).contains(at)).max() else {
        return Ok(());
    };
    if offset > kept_from {
        // How ids are written is not kept with the names.
        let ids = ReservationIds::new(0, [0; 16]);
        let names = read_snapshot(&mut *log.read_snapshot(offset)?, &ids)?;
        handle.files.write_snapshot(&names, offset)?;
        handle.kept.keep_from(offset);
    }
    Ok(())
}
