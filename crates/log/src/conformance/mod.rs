//! What every log must do, wherever it is kept: one suite for all of them. Each check gets a log of its own, which nobody has
//! opened yet.
//!
//! A log joins by a [`Harness`], which puts it into the troubles that it may have, and
//! [`conformance_tests`](crate::conformance_tests), which makes a test of each check.

mod appending;
mod history;
mod looking;
mod open_log;
mod opening;
mod reading;
pub mod shared;
mod snapshots;

use std::sync::Arc;

use crate::contract::{Log, StoredLog};

pub use appending::{
    a_batch_that_is_too_large_changes_nothing, a_failed_append_ends_the_writer,
    a_full_log_goes_on_when_there_is_room, a_log_that_is_gone_is_noticed, as_many_as_it_says_are_outstanding,
    nothing_outstanding_is_read, what_is_in_force_is_told_before_a_failure,
};
pub use history::any_history_is_kept;
pub use looking::{an_error_of_whoever_looks_comes_back, whoever_only_looks_finds_what_is_in_force};
pub use opening::{
    a_log_begins_where_it_is_told, a_log_opens_between_two_batches_only, a_new_writer_fences_the_one_before,
    a_refused_opening_changes_nothing, terms_grow, what_is_in_force_survives_a_restart,
};
pub use reading::{
    a_reader_goes_on_over_an_opening, any_range_is_read, nothing_is_read_beyond_the_end,
    the_visitors_own_error_comes_back,
};
pub use snapshots::{
    a_snapshot_comes_back, an_unfinished_snapshot_leaves_nothing, only_what_two_snapshots_cover_is_trimmed,
    the_two_newest_snapshots_are_kept,
};

/// A log under test and the troubles that it can be put into. Its parts are small enough that some hundred kilobytes fill
/// several.
pub trait Harness {
    /// The log, as the process has it that runs now.
    fn log(&self) -> Arc<dyn Log>;

    /// The same log for whoever only looks.
    fn stored(&self) -> Box<dyn StoredLog>;

    /// The process ends without a word, and another starts.
    fn restart(&mut self);

    /// Ways in which an append can fail.
    fn append_fault_count(&self) -> usize;

    /// Lets the next append fail in this way.
    fn fail_next_append(&mut self, fault: usize);

    /// Takes the room for more from the log, or gives it back.
    fn set_full(&mut self, is_full: bool);

    /// Takes the log away from where it is looked for, or puts it back.
    fn set_away(&mut self, is_away: bool);

    /// Brings what is outstanding into force, if that does not happen by itself.
    fn bring_into_force(&self);
}

/// A test of each check, for the log of a harness.
#[macro_export]
macro_rules! conformance_tests {
    ($harness:expr) => {
        $crate::conformance_tests! {
            $harness =>
            a_batch_that_is_too_large_changes_nothing
            a_failed_append_ends_the_writer
            a_full_log_goes_on_when_there_is_room
            a_log_begins_where_it_is_told
            a_log_opens_between_two_batches_only
            a_log_that_is_gone_is_noticed
            a_new_writer_fences_the_one_before
            a_reader_goes_on_over_an_opening
            a_refused_opening_changes_nothing
            a_snapshot_comes_back
            an_error_of_whoever_looks_comes_back
            an_unfinished_snapshot_leaves_nothing
            any_history_is_kept
            any_range_is_read
            as_many_as_it_says_are_outstanding
            nothing_is_read_beyond_the_end
            nothing_outstanding_is_read
            only_what_two_snapshots_cover_is_trimmed
            terms_grow
            the_two_newest_snapshots_are_kept
            the_visitors_own_error_comes_back
            what_is_in_force_is_told_before_a_failure
            what_is_in_force_survives_a_restart
            whoever_only_looks_finds_what_is_in_force
        }
    };
    ($harness:expr => $($check:ident)*) => {
        $(
            #[test]
            fn $check() {
                $crate::conformance::$check(&mut $harness);
            }
        )*
    };
}
