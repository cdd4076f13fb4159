//! What the conformance suite needs of each kind of target: a fresh place in a real server, and a look at what is in it.

use onrush_connect::Audit;
use onrush_sinks::Target;

/// An event as somebody who reads the target sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// From its id.
    pub offset: u64,
    /// Counter, window or sale.
    pub key: String,
    /// As in `EventKind::name`.
    pub kind: String,
    /// Its data as JSON.
    pub body: serde_json::Value,
}

/// One kind of target against a real server. Every harness made has a place (schema, stream, topic, queue) of its own, dropped
/// with it.
pub trait Harness {
    /// A target for the place, through the proxy at this address if there is one; each call makes another runner of the same sink.
    fn target(&self, through: Option<std::net::SocketAddr>) -> Box<dyn Target>;
    /// The same target with a password that is wrong (`WRONG_PASSWORD`).
    fn intruder(&self) -> Box<dyn Target>;
    /// Where the server listens, for a proxy to connect to.
    fn address(&self) -> std::net::SocketAddr;
    /// Everything in the place, in the order of whoever reads it (over several partitions: in order per key).
    fn seen(&self) -> Vec<Seen>;
    /// Compares the place with a log.
    fn auditor(&self) -> Box<dyn Audit>;
    /// Whether each event is there exactly once, whatever happens; otherwise repeats under the same id are allowed.
    fn exactly_once(&self) -> bool;
    /// Whether the target itself tells where to go on.
    fn keeps_offset(&self) -> bool;
    /// Whether its client connects again and repeats by itself, without doubles, so that a cut may pass unnoticed.
    fn heals_itself(&self) -> bool {
        false
    }
    /// Takes one event out of the place behind onrush's back, if the server lets one; false if it does not.
    fn lose(&self, offset: u64) -> bool;
}

/// What an intruder tries; it must be in no error.
pub const WRONG_PASSWORD: &str = "wr0ng-Passw0rd-of-an-intruder";
