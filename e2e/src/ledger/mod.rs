//! What clients asked for, what they were told, and what must therefore be true. Nothing here talks to a server: records go
//! in, observations go in, and a violation comes out as an error that says what does not fit.

pub(crate) mod accounts;
pub(crate) mod cooldowns;
pub(crate) mod denials;
pub(crate) mod numbers;
pub(crate) mod panes;
pub(crate) mod reservations;
pub(crate) mod rows;

use crate::api::Reservation;
use crate::http::Lost;
use std::sync::Arc;

/// When a request was sent and when its outcome was known, in nanoseconds of the run's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Times {
    /// Just before the first byte went out.
    pub sent_ns: u64,
    /// Just after the answer was read, or the connection was found lost.
    pub ended_ns: u64,
}

/// What a client knows about the effect of a request.
#[derive(Debug, Clone)]
pub(crate) enum Outcome<T> {
    /// The server said yes: the effect must be there for ever.
    Acknowledged(T),
    /// The server said no: there must be no effect.
    Refused {
        /// The status of the answer.
        status: u16,
        /// The stable code of the problem.
        code: String,
    },
    /// No whole answer: the effect may be there, once.
    Unknown(Lost),
}

impl<T> Outcome<T> {
    /// True when the effect may or may not be there.
    pub(crate) fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown(_))
    }
}

/// A confirm or a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Verb {
    /// `…/confirm`
    Confirm,
    /// `…/release`
    Release,
}

/// What a reserve request asked for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Ask {
    /// The sale.
    pub sale: String,
    /// The customer.
    pub customer: String,
    /// `(stock, quantity)` pairs.
    pub lines: Vec<(String, u64)>,
    /// Details, if sent.
    pub details: Option<serde_json::Value>,
    /// The idempotency key, if sent; unique over a run unless it is a retry.
    pub key: Option<String>,
}

/// What the server said to a reserve request.
#[derive(Debug, Clone)]
pub(crate) struct Reserved {
    /// The reservation.
    pub reservation: Reservation,
    /// True for 200 with `Idempotent-Replayed`, false for 201.
    pub replayed: bool,
}

/// One request and its outcome.
#[derive(Debug, Clone)]
pub(crate) enum Record {
    /// An addition to a number that only grows: a counter, or a window longer than the run.
    Add {
        /// Its path below `/v1/`.
        number: String,
        /// How much.
        by: u64,
        /// When.
        times: Times,
        /// The new value.
        outcome: Outcome<u64>,
    },
    /// A reading of such a number; only answered ones are recorded.
    Read {
        /// Its path below `/v1/`.
        number: String,
        /// When.
        times: Times,
        /// The value seen.
        value: u64,
    },
    /// A request counted in the short window.
    Hit {
        /// When.
        times: Times,
        /// The count.
        outcome: Outcome<u64>,
    },
    /// A reservation.
    Reserve {
        /// What was asked.
        ask: Arc<Ask>,
        /// When.
        times: Times,
        /// What was said.
        outcome: Outcome<Reserved>,
    },
    /// An operator's change of the quantity of every stock of a sale; sent by one connection, one after another.
    Resize {
        /// The sale.
        sale: String,
        /// The new quantity of each stock.
        quantity_total: u64,
        /// When.
        times: Times,
        /// Nothing more.
        outcome: Outcome<()>,
    },
    /// An operator's change of the denylist; sent by one connection, one after another.
    Deny {
        /// The customer.
        customer: String,
        /// Put on the list, or taken off.
        denied: bool,
        /// When.
        times: Times,
        /// Nothing more.
        outcome: Outcome<()>,
    },
    /// An attempt to register.
    Register {
        /// The customer.
        customer: String,
        /// The password; no other attempt has it.
        password: String,
        /// When.
        times: Times,
        /// Nothing more.
        outcome: Outcome<()>,
    },
    /// An attempt to log in.
    LogIn {
        /// The customer.
        customer: String,
        /// The password.
        password: String,
        /// When.
        times: Times,
        /// Nothing more.
        outcome: Outcome<()>,
    },
    /// A confirm or release.
    Step {
        /// Which.
        verb: Verb,
        /// Of which reservation.
        reservation: String,
        /// When.
        times: Times,
        /// The reservation after it.
        outcome: Outcome<Reservation>,
    },
}

impl Record {
    /// When it was sent and ended.
    pub(crate) fn times(&self) -> Times {
        match self {
            Self::Add { times, .. }
            | Self::Read { times, .. }
            | Self::Hit { times, .. }
            | Self::Reserve { times, .. }
            | Self::Resize { times, .. }
            | Self::Deny { times, .. }
            | Self::Register { times, .. }
            | Self::LogIn { times, .. }
            | Self::Step { times, .. } => *times,
        }
    }

    /// Why there was no answer, if there was none.
    pub(crate) fn lost(&self) -> Option<&Lost> {
        match self {
            Self::Add { outcome: Outcome::Unknown(lost), .. }
            | Self::Hit { outcome: Outcome::Unknown(lost), .. }
            | Self::Reserve { outcome: Outcome::Unknown(lost), .. }
            | Self::Resize { outcome: Outcome::Unknown(lost), .. }
            | Self::Deny { outcome: Outcome::Unknown(lost), .. }
            | Self::Register { outcome: Outcome::Unknown(lost), .. }
            | Self::LogIn { outcome: Outcome::Unknown(lost), .. }
            | Self::Step { outcome: Outcome::Unknown(lost), .. } => Some(lost),
            _ => None,
        }
    }
}
