//! Whether the clock of this node and that of the shared log agree. A leader whose clock is ahead lets holds run out too early, so it
//! lets another lead.

use std::collections::VecDeque;

/// Clocks may be so far apart.
const APART_MAX_MS: u64 = 1_000;
/// Records whose moment is kept; more are not outstanding.
const KEPT_MAX: usize = 16;

/// Compares when a record was handed over, when the log says that it came there, and when that was heard. However long any of it
/// takes, it took some time: so only what is the wrong way round says something.
#[derive(Debug, Default)]
pub(crate) struct ClockCheck {
    /// Places in the epoch, and when they were handed over by the clock of this node.
    handed: VecDeque<(u64, u64)>,
}

impl ClockCheck {
    pub(crate) fn handed_over(&mut self, sequence: u64, now_ms: u64) {
        if self.handed.len() == KEPT_MAX {
            self.handed.pop_front();
        }
        self.handed.push_back((sequence, now_ms));
    }

    /// The log has the record since `appended_at_ms` by its own clock. How far this node's clock is ahead of it at least, if that is
    /// too much; negative if it is behind.
    pub(crate) fn acked(&mut self, sequence: u64, appended_at_ms: u64, now_ms: u64) -> Option<i64> {
        let handed_at_ms = self.handed.iter().find(|(handed, _)| *handed == sequence)?.1;
        let signed = |span: u64| i64::try_from(span).unwrap_or(i64::MAX);
        let ahead = handed_at_ms.saturating_sub(appended_at_ms);
        let behind = appended_at_ms.saturating_sub(now_ms);
        match (ahead, behind) {
            (ahead, _) if ahead > APART_MAX_MS => Some(signed(ahead)),
            (_, behind) if behind > APART_MAX_MS => Some(-signed(behind)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_the_wrong_way_round_counts() {
        let mut check = ClockCheck::default();
        check.handed_over(1, 10_000);
        for (appended_at_ms, now_ms, expected) in [
            (10_000, 10_000, None),
            (9_000, 10_001, None),
            (8_999, 10_001, Some(1_001)),
            (60_000, 60_000, None),
            (60_000, 59_000, None),
            (60_000, 58_999, Some(-1_001)),
        ] {
            assert_eq!(check.acked(1, appended_at_ms, now_ms), expected, "{appended_at_ms} {now_ms}");
        }
        assert_eq!(check.acked(2, 0, 0), None, "it was not handed over");
        for sequence in 2..40 {
            check.handed_over(sequence, 10_000);
        }
        assert_eq!((check.acked(1, 0, 0), check.acked(39, 0, 0)), (None, Some(10_000)));
    }
}
