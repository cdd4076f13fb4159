//! What is required of a sale before a command about it is decided, so that nobody replaces terms that they have not seen.

use crate::TermsVersion;

/// What has to be so for a command to be decided. It is looked at once it is known whether the sale exists, and before
/// anything else about the sale.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Precondition {
    /// Nothing is required.
    #[default]
    None,
    /// There is such a sale.
    Exists,
    /// There is none.
    IsNew,
    /// There is such a sale, and its terms are of one of these versions.
    TermsAre(Vec<TermsVersion>),
}

/// What a sale is that it must not be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unmet {
    /// There is no such sale.
    Missing,
    /// There is one.
    Exists,
    /// Its terms are of another version.
    TermsDiffer,
}

impl Precondition {
    /// Whether it holds for a sale with these terms, or for no sale.
    ///
    /// # Errors
    /// What stands against it.
    pub(crate) fn check(&self, terms: Option<TermsVersion>) -> Result<(), Unmet> {
        match (self, terms) {
            (Self::None, _) | (Self::Exists, Some(_)) | (Self::IsNew, None) => Ok(()),
            (Self::TermsAre(versions), Some(terms)) if versions.contains(&terms) => Ok(()),
            (Self::TermsAre(_), Some(_)) => Err(Unmet::TermsDiffer),
            (Self::Exists | Self::TermsAre(_), None) => Err(Unmet::Missing),
            (Self::IsNew, Some(_)) => Err(Unmet::Exists),
        }
    }
}
