//! What clients asked and were told.

use std::sync::Arc;

use crate::api::{Reservation, Sale};
use crate::ledger::{Ask, Outcome, Reserved, Times, Verb};

/// Codes after which nothing has happened: whoever gave them had not decided.
const NOT_DECIDED: [&str; 3] = ["not_leader", "overloaded", "draining"];

/// After this one nobody knows.
const UNKNOWN: &str = "log_unavailable";

/// A question, and what came of it.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    /// The number of the node that was asked.
    pub(crate) node: usize,
    /// When.
    pub(crate) times: Times,
    /// What.
    pub(crate) told: Told,
}

/// What was asked, and what was said. Reads that were not answered are left out.
#[derive(Debug, Clone)]
pub(crate) enum Told {
    /// An addition to a counter or a window, named by its path below `/v1/`, and its value after it.
    Added { number: String, by: u64, outcome: Outcome<u64> },
    /// A reading of one; 0 if there is none.
    NumberRead { number: String, value: u64 },
    /// A reservation; every ask has a key.
    Reserved { ask: Arc<Ask>, outcome: Outcome<Reserved> },
    /// A confirm or a release of the reservation with this id.
    Stepped { verb: Verb, reservation: String, outcome: Outcome<Reservation> },
    /// A reading of one.
    ReservationRead(Reservation),
    /// A reading of a sale.
    SaleRead(Sale),
}

/// Whether a request may have had an effect although, or because, that was said.
pub(super) fn may_have_effect<T>(outcome: &Outcome<T>) -> bool {
    match outcome {
        Outcome::Acknowledged(_) | Outcome::Unknown(_) => true,
        Outcome::Refused { code, .. } => code == UNKNOWN,
    }
}

/// The code of a refusal that somebody decided.
pub(super) fn decided<T>(outcome: &Outcome<T>) -> Option<&str> {
    match outcome {
        Outcome::Refused { code, .. } if code != UNKNOWN && !NOT_DECIDED.contains(&code.as_str()) => {
            Some(code)
        }
        _ => None,
    }
}

impl Told {
    /// Whether somebody decided, and said so.
    pub(crate) fn is_decided(&self) -> bool {
        fn is<T>(outcome: &Outcome<T>) -> bool {
            matches!(outcome, Outcome::Acknowledged(_)) || decided(outcome).is_some()
        }
        match self {
            Self::Added { outcome, .. } => is(outcome),
            Self::Reserved { outcome, .. } => is(outcome),
            Self::Stepped { outcome, .. } => is(outcome),
            Self::NumberRead { .. } | Self::ReservationRead(_) | Self::SaleRead(_) => true,
        }
    }
}
