//! What deciding about many claims will look for, read for all of them at once.
//!
//! A sale with millions of customers is larger than the processor's caches, and looking one of them up waits for the memory
//! several times. One claim after the other, these waits add up. Read for many claims step by step, they overlap.

use std::hint::black_box;

use arrayvec::ArrayVec;

use super::{Sale, State};

/// Claims that are looked ahead for at once.
pub const LOOK_AHEAD_MAX: usize = 64;

/// What a claim will be looked up by.
#[derive(Clone, Copy)]
pub struct ClaimKeys<'a> {
    /// The sale's name.
    pub sale: &'a str,
    /// Who reserves.
    pub customer: &'a str,
    /// The idempotency key, if it has one.
    pub key: Option<&'a [u8]>,
}

impl State {
    /// Brings what deciding about the first [`LOOK_AHEAD_MAX`] of these claims will read into the processor's caches. It changes
    /// nothing, and no answer depends on it.
    pub fn look_ahead<'a>(&self, claims: impl Iterator<Item = ClaimKeys<'a>>) {
        let mut customers = ArrayVec::<(&Sale, u64), LOOK_AHEAD_MAX>::new();
        let mut keys = ArrayVec::<(&Sale, u64), LOOK_AHEAD_MAX>::new();
        let mut last: Option<&Sale> = None;
        for claim in claims.take(LOOK_AHEAD_MAX) {
            if last.is_none_or(|sale| *sale.name != *claim.sale) {
                last = self.sales.find(&self.hash, claim.sale);
            }
            let Some(sale) = last else { continue };
            customers.push((sale, self.hash.of_bytes(claim.customer.as_bytes())));
            keys.extend(claim.key.map(|key| (sale, self.hash.of_bytes(key))));
        }
        // Little is done for each before the next, because a processor looks only some hundred instructions ahead.
        for &(sale, hash) in &keys {
            black_box(sale.reservations.touch_key(hash));
        }
        for &(sale, hash) in &customers {
            black_box(sale.customers.touch(hash));
        }
        for &(sale, hash) in &customers {
            let names = sale.customers.candidates(hash).map(|customer| sale.customers.name(customer).len());
            black_box(names.sum::<usize>());
        }
    }
}
