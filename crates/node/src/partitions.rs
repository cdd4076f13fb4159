//! The partitions of a node by their numbers, and which of them a call is for.

use std::net::IpAddr;
use std::num::NonZeroU16;
use std::sync::Arc;

use onrush_core::{Denial, RowCollection, TimeMs};

use crate::router::{Router, RoutingKey};
use crate::{Call, Partition};

/// All partitions of a node. There is one today.
pub struct Partitions {
    router: Router,
    by_number: Box<[Arc<Partition>]>,
}

impl Partitions {
    /// One partition, in which every name is.
    pub fn one(partition: Arc<Partition>) -> Self {
        Self { router: Router::new(NonZeroU16::MIN), by_number: Box::new([partition]) }
    }

    /// The number of the partition that a call is for. What is about no single name is asked of the first one: of a second
    /// one there would be other answers to put together with it.
    pub fn number_for(&self, call: &Call) -> u16 {
        call.routing_key().map_or(0, |key| self.router.partition_of(key))
    }

    /// Whether the denylist has this customer when the wall clock shows `wall`. The list is in the first partition, whichever
    /// partition a request is for.
    pub fn denies_customer(&self, customer: &str, wall: TimeMs) -> bool {
        self.at(0).denies_customer(customer, wall)
    }

    /// The same for an address.
    pub fn denies_address(&self, address: IpAddr, wall: TimeMs) -> bool {
        self.at(0).denies_address(address, wall)
    }

    /// Whether a session of this customer that began at `began_at` is one that an operator has ended.
    pub fn ends_session(&self, customer: &str, began_at: TimeMs) -> bool {
        self.at(0).ends_session(customer, began_at)
    }

    /// The moment up to which an operator has ended the sessions of this customer. Nothing is counted for that.
    pub fn sessions_ended_at(&self, customer: &str) -> Option<TimeMs> {
        self.at(0).sessions_ended_at(customer)
    }

    /// The entry of the denylist that denies this customer when the wall clock shows `wall`. Nobody is counted as denied for that.
    pub fn denial_of_customer(&self, customer: &str, wall: TimeMs) -> Option<Arc<Denial>> {
        self.at(0).denial_of_customer(customer, wall)
    }

    /// The same for an address.
    pub fn denial_of_address(&self, address: IpAddr, wall: TimeMs) -> Option<Arc<Denial>> {
        self.at(0).denial_of_address(address, wall)
    }

    /// Gives a collection of the catalogue to `read`, as [`Partition::read_collection`] does. All of them are in the first partition,
    /// as the denylist is.
    pub fn read_collection<R>(&self, collection: &str, read: impl FnOnce(Option<&RowCollection>) -> R) -> R {
        self.at(0).read_collection(collection, read)
    }

    /// Whether another process may decide for one of them without this one knowing yet. What is told of a view then has to be sure:
    /// [`Call::CheckLead`].
    pub fn have_rivals(&self) -> bool {
        self.by_number.iter().any(|partition| partition.has_rivals())
    }

    /// Whether this process decides for all of them, as far as it knows.
    pub fn lead(&self) -> bool {
        self.by_number.iter().all(|partition| partition.leads())
    }

    /// Whether it does not, and it is about to be known whether it will; see [`Partition::is_vacant`].
    pub fn are_vacant(&self) -> bool {
        let mut others = self.by_number.iter().filter(|partition| !partition.leads()).peekable();
        others.peek().is_some() && others.all(|partition| partition.is_vacant())
    }

    /// The partition that knows everything of a sale.
    pub fn of_sale(&self, sale: &str) -> &Arc<Partition> {
        self.at(self.router.partition_of(RoutingKey::Sale(sale)))
    }

    /// The partition with this number, which [`Partitions::number_for`] gave.
    pub fn at(&self, number: u16) -> &Arc<Partition> {
        &self.by_number[usize::from(number)]
    }

    /// All of them, by number.
    pub fn every(&self) -> &[Arc<Partition>] {
        &self.by_number
    }
}
