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
    /// A session that the operator has ended.
    Ended,
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
            (Self::Ended, None) => Err(Problem::session_ended()),
        }
    }

    /// The same once the denylist was asked.
    ///
    /// # Errors
    /// It has the customer of the session, which is good for nothing then.
    pub(crate) fn checked(self, denylist: &dyn Denylist, now: TimeMs) -> Result<Self, Problem> {
        if let Self::Customer(proof) = &self {
            denylist.check_customer(proof.customer.as_str(), now)?;
        }
        Ok(self.unless_ended(denylist))
    }

    /// The same, and a session that the operator has ended is none.
    pub(crate) fn unless_ended(self, denylist: &dyn Denylist) -> Self {
        let Self::Customer(Proof { customer, session_began_at: Some(began_at), .. }) = &self else {
            return self;
        };
        if denylist.ends_session(customer.as_str(), *began_at) { Self::Ended } else { self }
    }

    /// For whom the partition takes the sender.
    pub(crate) fn asker(&self) -> Asker {
        match self {
            Self::Unknown | Self::Anyone | Self::Ended => Asker::Anyone,
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
            Self::Ended => Err(Problem::session_ended()),
            Self::Anyone => Err(Problem::session_required()),
            Self::Unknown | Self::Operator => Err(Problem::sessions_off()),
        }
    }
}
