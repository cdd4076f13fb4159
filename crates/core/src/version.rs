//! What tells a sale as it is from what it was, from another sale, and from the same sale in another history.

use crate::Incarnation;

/// Tells everything about a sale, but for what follows from the time, from everything else that was ever so about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SaleVersion {
    /// Grows with every change of the sale or its stocks' figures.
    pub number: u64,
    /// In which the sale came to that number. Another history that came to it did so in another incarnation. A state that was
    /// restored from its facts has the incarnation of the facts here, in which the number was the same.
    pub incarnation: Incarnation,
    /// Changes with the terms alone.
    pub terms: TermsVersion,
}

/// Tells the terms of a sale from other terms of it, and from those of other sales. Reservations do not change it. It is a
/// hash ([`crate::terms_version`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TermsVersion(pub u64);
