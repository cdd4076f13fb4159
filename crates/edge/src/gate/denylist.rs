//! Whom the operator keeps out, as the gate asks.

use std::net::IpAddr;

use onrush_core::TimeMs;
use onrush_node::Partitions;

/// The denylist when the wall clock shows `now`.
pub trait Denylist {
    /// Whether it has this address, or a network that it is in.
    fn denies_address(&self, address: IpAddr, now: TimeMs) -> bool;
    /// Whether it has this customer.
    fn denies_customer(&self, customer: &str, now: TimeMs) -> bool;
}

impl Denylist for Partitions {
    fn denies_address(&self, address: IpAddr, now: TimeMs) -> bool {
        Self::denies_address(self, address, now)
    }

    fn denies_customer(&self, customer: &str, now: TimeMs) -> bool {
        Self::denies_customer(self, customer, now)
    }
}
