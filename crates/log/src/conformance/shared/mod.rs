//! What every log must do that several nodes share: one suite for all of them. Each check gets a log of its own, which is empty
//! but may begin with any number.
//!
//! A log joins by a [`SharedHarness`] and [`shared_conformance_tests`](crate::shared_conformance_tests), which makes a test of each
//! check. Troubles are not among them: each log has its own.

mod appending;
mod open_log;
mod reading;
mod trimming;

use std::sync::Arc;

use crate::shared::SharedLog;

pub use appending::{
    a_dropped_appender_leaves_what_it_took, an_acknowledgement_is_a_place,
    as_many_as_it_says_are_outstanding, large_records_come_back, several_append_at_once,
    too_large_a_record_changes_nothing,
};
pub use reading::{
    a_reader_at_the_end_is_level, a_reader_beyond_the_end_is_told, a_reader_waits_for_the_first_record,
    any_bytes_come_back, reading_begins_anywhere, reading_is_broken_off,
};
pub use trimming::{the_extent_is_that_of_what_is_there, what_is_trimmed_is_missing_and_the_rest_stays};

/// A log under test.
pub trait SharedHarness {
    /// The log.
    fn log(&self) -> Arc<dyn SharedLog>;

    /// Lets what is on its way come into the log, its acknowledgements back, and readers see it, if that does not happen by itself.
    fn settle(&self);
}

/// A test of each check, for the shared log that `harness` makes; nothing is tested if it makes none.
#[macro_export]
macro_rules! shared_conformance_tests {
    ($harness:expr) => {
        $crate::shared_conformance_tests! {
            $harness =>
            a_dropped_appender_leaves_what_it_took
            a_reader_at_the_end_is_level
            a_reader_beyond_the_end_is_told
            a_reader_waits_for_the_first_record
            an_acknowledgement_is_a_place
            any_bytes_come_back
            as_many_as_it_says_are_outstanding
            large_records_come_back
            reading_begins_anywhere
            reading_is_broken_off
            several_append_at_once
            the_extent_is_that_of_what_is_there
            too_large_a_record_changes_nothing
            what_is_trimmed_is_missing_and_the_rest_stays
        }
    };
    ($harness:expr => $($check:ident)*) => {
        $(
            #[test]
            fn $check() {
                if let Some(harness) = $harness {
                    $crate::conformance::shared::$check(&harness);
                }
            }
        )*
    };
}
