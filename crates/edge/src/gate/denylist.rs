//! Whom the operator keeps out, as the gate asks.

use std::net::IpAddr;
use std::sync::Arc;

use onrush_core::{Denial, TimeMs};
use onrush_node::{Asker, Partitions, ReserveCall};

use crate::problem::Problem;

/// The denylist when the wall clock shows `now`.
pub trait Denylist {
    /// Whether it has this address, or a network that it is in.
    fn denies_address(&self, address: IpAddr, now: TimeMs) -> bool;
    /// Whether it has this customer.
    fn denies_customer(&self, customer: &str, now: TimeMs) -> bool;
    /// Whether a session of this customer that began at `began_at` is one that the operator has ended.
    fn ends_session(&self, customer: &str, began_at: TimeMs) -> bool;
    /// The moment up to which the operator has ended the sessions of this customer. Nothing is counted for that.
    fn sessions_ended_at(&self, customer: &str) -> Option<TimeMs>;
    /// An entry that denies this address. Nobody is counted as denied for that.
    fn denial_of_address(&self, address: IpAddr, now: TimeMs) -> Option<Arc<Denial>>;
    /// The entry that denies this customer; likewise.
    fn denial_of_customer(&self, customer: &str, now: TimeMs) -> Option<Arc<Denial>>;

    /// # Errors
    /// It has this address, or a network that it is in.
    fn check_address(&self, address: IpAddr, now: TimeMs) -> Result<(), Problem> {
        if self.denies_address(address, now) { Err(Problem::denied()) } else { Ok(()) }
    }

    /// # Errors
    /// It has this customer.
    fn check_customer(&self, customer: &str, now: TimeMs) -> Result<(), Problem> {
        if self.denies_customer(customer, now) { Err(Problem::denied()) } else { Ok(()) }
    }

    /// Whether whoever makes this claim may have it. Of a customer with a session it was asked when the session was read, and the
    /// operator may reserve for anybody.
    ///
    /// # Errors
    /// It has the customer.
    fn check_claim(&self, claim: &ReserveCall, now: TimeMs) -> Result<(), Problem> {
        match claim.asker {
            Asker::Anyone | Asker::Expired => self.check_customer(&claim.customer, now),
            Asker::Customer(_) | Asker::Operator => Ok(()),
        }
    }
}

impl Denylist for Partitions {
    fn denies_address(&self, address: IpAddr, now: TimeMs) -> bool {
        Self::denies_address(self, address, now)
    }

    fn denies_customer(&self, customer: &str, now: TimeMs) -> bool {
        Self::denies_customer(self, customer, now)
    }

    fn ends_session(&self, customer: &str, began_at: TimeMs) -> bool {
        Self::ends_session(self, customer, began_at)
    }

    fn sessions_ended_at(&self, customer: &str) -> Option<TimeMs> {
        Self::sessions_ended_at(self, customer)
    }

    fn denial_of_address(&self, address: IpAddr, now: TimeMs) -> Option<Arc<Denial>> {
        Self::denial_of_address(self, address, now)
    }

    fn denial_of_customer(&self, customer: &str, now: TimeMs) -> Option<Arc<Denial>> {
        Self::denial_of_customer(self, customer, now)
    }
}
