//! One suite for every kind of target, against real servers: those of `cargo xtask services up`. Without them a test says so
//! and does nothing.

#![allow(unreachable_pub, reason = "nobody is outside of a test")]

mod events;
mod harness;
#[cfg(feature = "kafka")]
mod kafka;
mod postgres;
mod rabbitmq;
mod redis;
mod runner;
mod services;
mod suite;

/// Every test of the suite for one kind of target.
macro_rules! conform {
    ($kind:ident in $tests:ident) => {
        conform!($kind in $tests:
            everything_arrives
            batches_have_any_size
            the_offset_is_kept
            another_runner_goes_on
            a_target_opens_again
            requests_are_cut
            answers_are_cut
            answers_are_lost
            a_slow_line_is_enough
            an_absent_server_is_waited_for
            a_silent_server_is_given_up
            passwords_are_not_shown
            the_last_runner_takes_over
            another_log_is_refused
            differences_are_found
            skipped_events_are_excused
        );
    };
    ($kind:ident in $tests:ident: $($test:ident)*) => {
        mod $tests {
            $(#[test]
            fn $test() {
                if let Some(harness) = crate::$kind::harness() {
                    crate::suite::$test(&harness);
                }
            })*
        }
    };
}

conform!(redis in redis_conforms);
conform!(rabbitmq in rabbitmq_conforms);
conform!(postgres in postgres_conforms);
#[cfg(feature = "kafka")]
conform!(kafka in kafka_conforms);
