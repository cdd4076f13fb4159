//! What decides who may ask, before any partition is asked: where a request comes from, how often, and who sends it.
//!
//! Nothing here knows HTTP, the log, a partition, a clock or a thread: addresses, bytes, times and random bytes are given.
//! `docs/gate` says what users see of it.

pub mod challenge;
mod forwarded;
pub mod jwt;
mod network;
mod network_map;
pub mod password;
mod rate_limit;
pub mod session;

pub use self::forwarded::{ForwardedField, client_address};
pub use self::network::{InvalidNetwork, Network, canonical};
pub use self::network_map::NetworkMap;
pub use self::rate_limit::{
    Algorithm, GroupRates, InvalidRate, Left, LimitFigures, Limited, Rate, RateLimitSettings, RateLimits,
    Refused, RouteGroup, Standing, TICKS_PER_S, Taken,
};
