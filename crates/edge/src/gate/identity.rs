//! Who sends a request, as far as it proves that, and what follows for whom it may act.

use onrush_core::TimeMs;
use onrush_gate::jwt::Proof;
use onrush_node::{Asker, Name};

use super::denylist::Denylist;
use crate::problem::Problem;

/// Who sends a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Identity {
    /// Nobody can prove anything: sessions are off.
    Unknown,
    /// Whoever carries nothing that counts.
    Anyone,
    /// Whoever runs the server.
    Operator,
    /// A session that has expired.
    Expired,
    /// A customer.
    Customer(Proof),
}

impl Identity {
    /// The customer whom a request is about, and whether it named one.
    ///
    /// # Errors
    /// It is about nobody, or about somebody other than its sender.
    pub(crate) fn customer(&self, named: Option<Name>) -> Result<Name, Problem> {
        match (self, named) {
            (Self::Customer(own), Some(named)) if own.customer.as_str() != named => {
                Err(Problem::customer_mismatch())
            }
            (_, Some(named)) => Ok(named),
            (Self::Customer(own), None) => Ok(Name::from(own.customer.as_str())),
            (Self::Unknown | Self::Operator, None) => Err(Problem::invalid("customer", "is missing")),
            (Self::Anyone, None) => Err(Problem::session_or_customer()),
            (Self::Expired, None) => Err(Problem::session_expired()),
        }
    }

    /// A session of a customer on the denylist is good for nothing.
    ///
    /// # Errors
    /// It is one.
    pub(crate) fn check_denied(&self, denylist: &dyn Denylist, now: TimeMs) -> Result<(), Problem> {
        match self {
            Self::Customer(proof) => denylist.check_customer(proof.customer.as_str(), now),
            _ => Ok(()),
        }
    }

    /// For whom the partition takes the sender.
    pub(crate) fn asker(&self) -> Asker {
        match self {
            Self::Unknown | Self::Anyone => Asker::Anyone,
            Self::Expired => Asker::Expired,
            Self::Operator => Asker::Operator,
            Self::Customer(proof) => Asker::Customer(proof.customer.as_str().into()),
        }
    }

    /// What the sender proved.
    ///
    /// # Errors
    /// Nothing.
    pub(crate) fn proof(&self) -> Result<&Proof, Problem> {
        match self {
            Self::Customer(proof) => Ok(proof),
            Self::Expired => Err(Problem::session_expired()),
            Self::Anyone => Err(Problem::session_required()),
            Self::Unknown | Self::Operator => Err(Problem::sessions_off()),
        }
    }
}
