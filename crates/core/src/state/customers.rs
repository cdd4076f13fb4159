//! Who reserved in a sale: each customer's units and the newest of their reservations.

use super::{
    chunked::{Address, Chunked},
    index::{Index, KeyedHash},
    names::Names,
};
use crate::HOLDS_UNPAID_MAX_MAX;

/// The customers of one sale. None is ever taken out.
pub(crate) struct Customers {
    entries: Chunked<Customer, 12>,
    names: Names,
    by_name: Index,
}

/// One customer, in 16 bytes.
struct Customer {
    name: Address,
    /// Units held and confirmed, in 40 bits: a sale has fewer.
    units_high: u8,
    /// Holds that ran out. It stops at the greatest number, which is more than a sale can allow.
    unpaid_count: u8,
    units_low: u32,
    last_reservation: u32,
}

const _: () = assert!(HOLDS_UNPAID_MAX_MAX < u8::MAX as u32, "what is allowed can be counted");
const _: () = assert!(size_of::<Customer>() == 16);

impl Customers {
    pub(crate) const fn new() -> Self {
        Self { entries: Chunked::new(), names: Names::new(), by_name: Index::new() }
    }

    pub(crate) fn find(&self, hash: &KeyedHash, name: &str) -> Option<u32> {
        self.find_hashed(hash.of_bytes(name.as_bytes()), name)
    }

    /// The customers whose name may have this hash.
    pub(crate) fn candidates(&self, name_hash: u64) -> impl Iterator<Item = u32> {
        self.by_name.candidates(name_hash)
    }

    /// Reads where a customer would be whose name has this hash.
    pub(crate) fn touch(&self, name_hash: u64) -> u8 {
        self.by_name.touch(name_hash)
    }

    pub(crate) fn name(&self, customer: u32) -> &str {
        self.names.get(self.entries[customer].name)
    }

    /// Units that the customer holds and has confirmed.
    pub(crate) fn units(&self, customer: u32) -> u64 {
        self.entries[customer].units()
    }

    /// The newest reservation of the customer.
    pub(crate) fn last_reservation(&self, customer: u32) -> u32 {
        self.entries[customer].last_reservation
    }

    /// Notes a new reservation of a customer, who is added if need be. Returns the customer and the customer's
    /// reservation before this one.
    pub(crate) fn add_reservation(
        &mut self,
        hash: &KeyedHash,
        name: &str,
        seq: u32,
        units: u64,
    ) -> (u32, Option<u32>) {
        let name_hash = hash.of_bytes(name.as_bytes());
        if let Some(found) = self.find_hashed(name_hash, name) {
            let customer = &mut self.entries[found];
            let previous = std::mem::replace(&mut customer.last_reservation, seq);
            customer.set_units(customer.units() + units);
            return (found, Some(previous));
        }
        let new = self.entries.len();
        let name = self.names.add(name);
        let mut customer =
            Customer { name, units_high: 0, unpaid_count: 0, units_low: 0, last_reservation: seq };
        customer.set_units(units);
        self.entries.push(customer);
        let (entries, names) = (&self.entries, &self.names);
        self.by_name
            .insert(name_hash, new, |all| names.hashes(hash, all.iter().map(|&entry| entries[entry].name)));
        (new, None)
    }

    pub(crate) fn give_back(&mut self, customer: u32, units: u64) {
        let customer = &mut self.entries[customer];
        let left =
            customer.units().checked_sub(units).expect("a customer gives back units that the customer has");
        customer.set_units(left);
    }

    /// Notes that a hold which ran out was paid after all.
    pub(crate) fn reclaim(&mut self, customer: u32, units: u64) {
        let customer = &mut self.entries[customer];
        customer.set_units(customer.units() + units);
        // At the greatest number it may have stopped counting, so it stays there.
        if customer.unpaid_count < u8::MAX {
            customer.unpaid_count -= 1;
        }
    }

    pub(crate) fn unpaid_count(&self, customer: u32) -> u8 {
        self.entries[customer].unpaid_count
    }

    /// Counts a hold that ran out.
    pub(crate) fn add_unpaid(&mut self, customer: u32) {
        let customer = &mut self.entries[customer];
        customer.unpaid_count = customer.unpaid_count.saturating_add(1);
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        self.entries.heap_bytes() + self.names.heap_bytes() + self.by_name.heap_bytes()
    }

    pub(crate) fn check_bytes(&self) {
        self.entries.check_bytes();
        self.names.check_bytes();
        self.by_name.check_bytes();
    }

    fn find_hashed(&self, name_hash: u64, name: &str) -> Option<u32> {
        self.by_name.find(name_hash, |entry| self.names.bytes(self.entries[entry].name) == name.as_bytes())
    }
}

impl Customer {
    fn units(&self) -> u64 {
        u64::from(self.units_high) << 32 | u64::from(self.units_low)
    }

    #[expect(clippy::cast_possible_truncation, reason = "the number is cut into its parts")]
    fn set_units(&mut self, units: u64) {
        assert!(units < 1 << 40, "a customer's units are fewer than a sale can have");
        self.units_high = (units >> 32) as u8;
        self.units_low = units as u32;
    }
}
