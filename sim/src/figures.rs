//! What came of runs.

use std::fmt;
use std::ops::AddAssign;

/// What came of a run, or of several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::struct_field_names, reason = "counts end so")]
pub(crate) struct Figures {
    pub(crate) step_count: u64,
    pub(crate) answer_count: u64,
    pub(crate) unknown_count: u64,
    /// Questions that a node took that had no longer led.
    pub(crate) late_question_count: u64,
    pub(crate) epoch_count: u64,
    pub(crate) record_count: u64,
    pub(crate) event_count: u64,
}

impl AddAssign for Figures {
    fn add_assign(&mut self, other: Self) {
        self.step_count += other.step_count;
        self.answer_count += other.answer_count;
        self.unknown_count += other.unknown_count;
        self.late_question_count += other.late_question_count;
        self.epoch_count += other.epoch_count;
        self.record_count += other.record_count;
        self.event_count += other.event_count;
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            step_count,
            answer_count,
            unknown_count,
            late_question_count,
            epoch_count,
            record_count,
            event_count,
        } = self;
        write!(
            formatter,
            "{step_count} steps, {epoch_count} epochs, {record_count} records, {event_count} events in force, \
             {answer_count} answers, {unknown_count} unknown, {late_question_count} questions to deposed leaders"
        )
    }
}
