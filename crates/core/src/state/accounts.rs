//! The accounts of customers, by name.

use std::collections::BTreeMap;

use crate::{PASSWORD_HASH_BYTES_MAX, PasswordHash, is_new_name};

/// All accounts of a partition. None is ever taken out.
pub(crate) struct Accounts {
    by_customer: BTreeMap<Box<str>, Box<[u8]>>,
    bytes: usize,
}

impl Accounts {
    pub(crate) const fn new() -> Self {
        Self { by_customer: BTreeMap::new(), bytes: 0 }
    }

    pub(crate) fn count(&self) -> u32 {
        u32::try_from(self.by_customer.len()).expect("fewer than 2^32 accounts")
    }

    pub(crate) fn get(&self, customer: &str) -> Option<PasswordHash<'_>> {
        self.by_customer.get(customer).map(|hash| PasswordHash(hash))
    }

    /// Adds the account of a customer who has none.
    pub(crate) fn add(&mut self, customer: &str, hash: PasswordHash<'_>) {
        self.bytes += bytes_of(customer, hash);
        let before = self.by_customer.insert(customer.into(), hash.0.into());
        assert!(before.is_none(), "a customer has one account");
    }

    /// Takes an account back from a stored state: in the order of names, or not at all.
    pub(crate) fn restore(&mut self, customer: &str, hash: PasswordHash<'_>) -> Result<(), &'static str> {
        if self.by_customer.last_key_value().is_some_and(|(last, _)| **last >= *customer) {
            return Err("accounts are not in the order of their names");
        }
        if !is_new_name(customer) || !(1..=PASSWORD_HASH_BYTES_MAX).contains(&hash.0.len()) {
            return Err("an account is out of bounds");
        }
        self.add(customer, hash);
        Ok(())
    }

    /// All accounts, by name.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, PasswordHash<'_>)> {
        self.by_customer.iter().map(|(customer, hash)| (&**customer, PasswordHash(hash)))
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn check_bytes(&self) {
        let bytes: usize = self.iter().map(|(customer, hash)| bytes_of(customer, hash)).sum();
        assert_eq!(self.bytes, bytes, "bytes of accounts");
    }
}

/// Of one account. Entries that come in order leave the tree's leaves half full.
fn bytes_of(customer: &str, hash: PasswordHash<'_>) -> usize {
    2 * size_of::<(Box<str>, Box<[u8]>)>() + customer.len() + hash.0.len()
}
