//! What decides who may ask, before any partition is asked: where a request comes from, how often, and who sends it.
//!
//! Nothing here knows HTTP, the log, a partition, a clock or a thread: addresses, bytes, times and random bytes are given.
//! `docs/gate` says what users see of it.

pub mod jwt;
mod network;
pub mod session;

pub use self::network::{InvalidNetwork, Network, canonical};
