//! Whom the operator keeps out, as the gate asks.

use std::net::IpAddr;
use std::sync::Arc;

use onrush_core::{Denial, TimeMs};
use onrush_node::Partitions;

/// The denylist when the wall clock shows `now`.
pub trait Denylist {
    /// Whether it has this address, or a network that it is in.
    fn denies_address(&self, address: IpAddr, now: TimeMs) -> bool;
    /// Whether it has this customer.
    fn denies_customer(&self, customer: &str, now: TimeMs) -> bool;
    /// An entry that denies this address. Nobody is counted as denied for that.
    fn denial_of_address(&self, address: IpAddr, now: TimeMs) -> Option<Arc<Denial>>;
    /// The entry that denies this customer; likewise.
    fn denial_of_customer(&self, customer: &str, now: TimeMs) -> Option<Arc<Denial>>;
}

impl Denylist for Partitions {
    fn denies_address(&self, address: IpAddr, now: TimeMs) -> bool {
        Self::denies_address(self, address, now)
    }

    fn denies_customer(&self, customer: &str, now: TimeMs) -> bool {
        Self::denies_customer(self, customer, now)
    }

    fn denial_of_address(&self, address: IpAddr, now: TimeMs) -> Option<Arc<Denial>> {
        Self::denial_of_address(self, address, now)
    }

    fn denial_of_customer(&self, customer: &str, now: TimeMs) -> Option<Arc<Denial>> {
        Self::denial_of_customer(self, customer, now)
    }
}
