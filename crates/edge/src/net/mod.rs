//! Listeners, connections and the threads that serve them: everything between a socket and a whole request.

pub(crate) mod call_batcher;
pub(crate) mod counters;
pub(crate) mod deadlines;
pub mod h1;
pub(crate) mod h2;
#[cfg(test)]
mod held_tests;
pub(crate) mod listener;
pub(crate) mod request_id;
#[cfg(test)]
mod stream_tests;
pub(crate) mod thread;
pub(crate) mod turn_clock;
