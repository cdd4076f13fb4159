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

impl Precondition {
    /// Whether it holds for a sale with these terms, or for no sale.
    pub(crate) fn holds(&self, terms: Option<TermsVersion>) -> bool {
        match (self, terms) {
            (Self::None, _) | (Self::Exists, Some(_)) | (Self::IsNew, None) => true,
            (Self::TermsAre(versions), Some(terms)) => versions.contains(&terms),
            (Self::Exists | Self::TermsAre(_), None) | (Self::IsNew, Some(_)) => false,
        }
    }
}
