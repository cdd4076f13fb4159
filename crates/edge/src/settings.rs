//! What a user may set about the edge.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use onrush_gate::{ForwardedField, Network, RateLimitSettings};

use crate::catalog::CatalogSettings;
use crate::gate::ChallengeSettings;
use crate::http::origin::Origin;

/// Plain values; see each for its unit and default.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where everybody connects. Port 0 lets the system choose.
    pub listen: SocketAddr,
    /// Where the operator connects.
    pub operator_listen: SocketAddr,
    /// What the operator listener asks for as `Authorization: Bearer …`.
    pub operator_key: Option<OperatorKey>,
    /// Edge threads; each has a listener and connections of its own.
    pub threads: usize,
    /// Open connections of all threads together. One more is answered 503 and closed.
    pub connections_max: usize,
    /// From the first byte that is awaited to the end of a request's header fields.
    pub header_timeout: Duration,
    /// From the end of the header fields to the end of the body.
    pub body_timeout: Duration,
    /// How long a connection may stay open between requests.
    pub idle_timeout: Duration,
    /// How long a client may take none of an answer.
    pub write_timeout: Duration,
    /// Bytes of answers that all clients together may leave untaken, [`crate::limits::UNSENT_BYTES_MAX`] unless a test needs
    /// less.
    pub unsent_bytes_max: usize,
    /// How long requests in flight may take when the server stops.
    pub drain_timeout: Duration,
    /// Which scenarios are on.
    pub scenarios: Scenarios,
    /// Who may ask the public listener.
    pub gate: GateSettings,
    /// The collections of the catalogue.
    pub catalog: CatalogSettings,
}

/// What a user may set about the gate of the public listener. By default it is open.
#[derive(Clone, Debug, Default)]
pub struct GateSettings {
    /// Proxies whose word about their clients counts. Without any, whoever is connected is the client.
    pub trusted_proxies: Vec<Network>,
    /// Where they write it.
    pub forwarded_field: ForwardedField,
    /// How often may be asked.
    pub rate_limits: RateLimitSettings,
    /// What challenges are like.
    pub challenges: ChallengeSettings,
    /// Origins whose pages may use a customer's session and read answers, as our own pages may.
    pub cors_origins: Vec<Origin>,
}

/// The key of the operator listener as it is at the time of each request. While there is none, every request is refused.
#[derive(Clone)]
pub struct OperatorKey(Arc<dyn Fn() -> Option<String> + Send + Sync>);

impl OperatorKey {
    /// `read` is asked for the key with every request, so it should be quick.
    pub fn new(read: impl Fn() -> Option<String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }

    /// The key now; `None` if it cannot be read.
    pub fn read(&self) -> Option<String> {
        (self.0)()
    }
}

impl fmt::Debug for OperatorKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OperatorKey(…)")
    }
}

/// Switches of the scenarios; all off by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "a switch for each")]
pub struct Scenarios {
    /// `/web-counter/increment`
    pub visitor_counter: bool,
    /// `/`
    pub request_window: bool,
    /// `/stations/{name}` and `/booking`
    pub slot_booking: bool,
    /// `/product/detail`, `/check` and what belongs to them
    pub flash_sale: bool,
    /// `/v1/product-inventory` and `/cache`
    pub product_inventory: bool,
}

impl Scenarios {
    /// All of them on.
    pub const ALL: Self = Self {
        visitor_counter: true,
        request_window: true,
        slot_booking: true,
        flash_sale: true,
        product_inventory: true,
    };
}
