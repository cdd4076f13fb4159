//! Looks again and again for settings of the shared log by which it can lose what was acknowledged: somebody may change them while
//! nodes run.

use std::sync::Arc;
use std::time::Duration;

use onrush_log::shared::{Finding, SharedLog};
use onrush_node::Stopwatch;

use crate::board::Board;

const INTERVAL: Duration = Duration::from_mins(1);

pub(crate) struct Inspector {
    pub(crate) log: Arc<dyn SharedLog>,
    pub(crate) board: Arc<Board>,
    pub(crate) may_lead_unsafely: bool,
}

impl Inspector {
    /// Looks until the node leaves, which unparks the thread.
    pub(crate) fn run(self) {
        let mut since = Stopwatch::start();
        while !self.board.state().is_leaving {
            std::thread::park_timeout(INTERVAL.saturating_sub(since.elapsed()));
            if since.elapsed() >= INTERVAL {
                self.look();
                since = Stopwatch::start();
            }
        }
    }

    /// A log that does not answer is as it was.
    pub(crate) fn look(&self) {
        let found = match self.log.inspect() {
            Ok(findings) => (!findings.is_empty()).then(|| described(&findings)),
            Err(error) => return tracing::warn!(%error, "the settings of the shared log cannot be looked at"),
        };
        if self.may_lead_unsafely {
            return;
        }
        let before = self.board.change(|state| std::mem::replace(&mut state.unsafe_settings, found.clone()));
        match found {
            Some(found) if before.as_ref() != Some(&found) => tracing::error!(
                "this node does not lead, because the shared log can lose what was acknowledged: {found}"
            ),
            None if before.is_some() => tracing::info!("the settings of the shared log are safe again"),
            _ => {}
        }
    }
}

fn described(findings: &[Finding]) -> String {
    let sentences = findings.iter().map(|finding| {
        let Finding { setting, found, wanted, cure } = finding;
        format!("{setting} is {found} and has to be {wanted}. {cure}")
    });
    sentences.collect::<Vec<_>>().join(" ")
}
