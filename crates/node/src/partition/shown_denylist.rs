//! The denylist as readers see it: customers and ends of sessions by name, and addresses by network, found without waiting for
//! whoever decides. A copy shares what did not change, so a batch costs as much as it has changed denials.

use std::net::IpAddr;
use std::sync::Arc;

use onrush_core::{Denial, DenialKind, TimeMs};
use onrush_gate::{Network, NetworkMap};
use rpds::HashTrieMapSync;

/// Every denial that is not forgotten.
#[derive(Clone)]
pub(crate) struct ShownDenylist {
    customers: HashTrieMapSync<Arc<str>, Arc<Denial>>,
    networks: NetworkMap<Arc<Denial>>,
    /// By customer.
    sessions: HashTrieMapSync<Arc<str>, Arc<Denial>>,
}

/// What became of a denial: as it is now, or its kind and value if it is gone.
pub(crate) enum DenialChange {
    Put(Arc<Denial>),
    Gone(DenialKind, Box<str>),
}

impl ShownDenylist {
    pub(crate) fn new() -> Self {
        let [customers, sessions] = [HashTrieMapSync::new_sync(), HashTrieMapSync::new_sync()];
        Self { customers, networks: NetworkMap::default(), sessions }
    }

    pub(crate) fn apply(&mut self, change: DenialChange) {
        match change {
            DenialChange::Put(denial) => match denial.kind {
                DenialKind::Customer => self.customers.insert_mut(Arc::clone(&denial.value), denial),
                DenialKind::Address => self.networks.insert(network(&denial.value), denial),
                DenialKind::Session => self.sessions.insert_mut(Arc::clone(&denial.value), denial),
            },
            DenialChange::Gone(DenialKind::Customer, value) => drop(self.customers.remove_mut(&*value)),
            DenialChange::Gone(DenialKind::Address, value) => self.networks.remove(&network(&value)),
            DenialChange::Gone(DenialKind::Session, value) => drop(self.sessions.remove_mut(&*value)),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.customers.is_empty() && self.networks.is_empty() && self.sessions.is_empty()
    }

    pub(crate) fn of_customer(&self, customer: &str, wall: TimeMs) -> Option<&Arc<Denial>> {
        self.customers.get(customer).filter(|denial| denial.is_live(wall))
    }

    /// One of those that an address is in.
    pub(crate) fn of_address(&self, address: IpAddr, wall: TimeMs) -> Option<&Arc<Denial>> {
        self.networks.of(address).find(|denial| denial.is_live(wall))
    }

    /// The moment up to which the sessions of this customer were ended.
    pub(crate) fn sessions_ended_at(&self, customer: &str) -> Option<TimeMs> {
        self.sessions.get(customer).and_then(|denial| denial.sessions_ended_at())
    }
}

fn network(value: &str) -> Network {
    value.parse().expect("a denial of an address has the form of a network: core takes no other")
}
