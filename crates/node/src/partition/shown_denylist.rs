//! The denylist as readers see it: customers by name and addresses by network, found without waiting for whoever decides. A copy
//! shares what did not change, so a batch costs as much as it has changed denials.

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
}

/// What became of a denial: as it is now, or its kind and value if it is gone.
pub(crate) enum DenialChange {
    Put(Arc<Denial>),
    Gone(DenialKind, Box<str>),
}

impl ShownDenylist {
    pub(crate) fn new() -> Self {
        Self { customers: HashTrieMapSync::new_sync(), networks: NetworkMap::default() }
    }

    pub(crate) fn apply(&mut self, change: DenialChange) {
        match change {
            DenialChange::Put(denial) => match denial.kind {
                DenialKind::Customer => self.customers.insert_mut(Arc::clone(&denial.value), denial),
                DenialKind::Address => self.networks.insert(network(&denial.value), denial),
            },
            DenialChange::Gone(DenialKind::Customer, value) => drop(self.customers.remove_mut(&*value)),
            DenialChange::Gone(DenialKind::Address, value) => self.networks.remove(&network(&value)),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.customers.is_empty() && self.networks.is_empty()
    }

    pub(crate) fn of_customer(&self, customer: &str, wall: TimeMs) -> Option<&Arc<Denial>> {
        self.customers.get(customer).filter(|denial| denial.is_live(wall))
    }

    /// One of those that an address is in.
    pub(crate) fn of_address(&self, address: IpAddr, wall: TimeMs) -> Option<&Arc<Denial>> {
        self.networks.of(address).find(|denial| denial.is_live(wall))
    }
}

fn network(value: &str) -> Network {
    value.parse().expect("a denial of an address has the form of a network: core takes no other")
}
