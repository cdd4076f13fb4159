//! Who asks for something, as far as the server knows.

use crate::Refusal;

/// Who sends a command or a question.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Asker<'a> {
    /// Somebody without a session.
    #[default]
    Anyone,
    /// Somebody whose session has expired.
    Expired,
    /// The customer of this name, as a session proves.
    Customer(&'a str),
    /// The operator, or the shop's own system, by the operator's listener. The gate of a sale is not for them.
    Operator,
}

impl Asker<'_> {
    /// Whether this asker may act for `customer` in a sale that takes a session.
    ///
    /// # Errors
    /// There is no session, or it has expired, or it is another customer's.
    pub(crate) fn check_is(self, customer: &str) -> Result<(), Refusal> {
        match self {
            Self::Operator => Ok(()),
            Self::Anyone => Err(Refusal::SessionRequired),
            Self::Expired => Err(Refusal::SessionExpired),
            Self::Customer(name) if name == customer => Ok(()),
            Self::Customer(_) => Err(Refusal::CustomerMismatch),
        }
    }
}
