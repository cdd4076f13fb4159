//! What is wrong with terms.

/// Terms that break a rule: which field, and the rule in words that finish the sentence "`field` …".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidTerms {
    /// The path of the field as a JSON client would write it, as in `stocks[3].quantity_total`.
    pub field: String,
    /// The rule, as in `must be at most 1000000000`.
    pub rule: &'static str,
}
