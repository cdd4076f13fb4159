//! What an operator says of a sale that exists: which fields were left out when all were to be given, and which are to change.

#![allow(clippy::option_option, reason = "left out, null and a value are three things")]

use crate::{GateChange, GateField, InvalidTerms, SaleTerms, StockTerms, TimeMs};

/// The rule that a left-out field breaks, in words that finish the sentence "`field` …".
const LEFT_OUT_RULE: &str = "is left out but is not at its default in this sale: give its value. PATCH changes single fields of a sale, and replaces its list of stocks whole";

/// A field of a sale's terms that may be left out, and then is at its default. Stocks are named by their position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are named after the fields")]
pub enum TermsField {
    Title,
    OpensAt,
    ClosesAt,
    PerCustomerMax,
    HoldTtlMs,
    Gate(GateField),
    StockTitle(usize),
    StockStartsAt(usize),
    StockEndsAt(usize),
    StockClosesAt(usize),
}

/// Changes of single fields; what is absent stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TermsChange {
    /// See [`SaleTerms`].
    pub title: Option<String>,
    /// See [`SaleTerms`]; `Some(None)` takes it away.
    pub opens_at: Option<Option<TimeMs>>,
    /// See [`SaleTerms`]; `Some(None)` takes it away.
    pub closes_at: Option<Option<TimeMs>>,
    /// See [`SaleTerms`]; `Some(None)` takes it away.
    pub per_customer_max: Option<Option<u32>>,
    /// See [`SaleTerms`].
    pub hold_ttl_ms: Option<u32>,
    /// See [`SaleTerms`].
    pub gate: GateChange,
    /// All stocks that the sale is to have.
    pub stocks: Option<Vec<StockTerms>>,
    /// Fields of those stocks that were left out.
    pub left_out: Vec<TermsField>,
}

impl TermsChange {
    /// The terms with these changes.
    pub(crate) fn applied_to(&self, terms: &SaleTerms) -> SaleTerms {
        SaleTerms {
            title: self.title.as_ref().unwrap_or(&terms.title).clone(),
            opens_at: self.opens_at.unwrap_or(terms.opens_at),
            closes_at: self.closes_at.unwrap_or(terms.closes_at),
            per_customer_max: self.per_customer_max.unwrap_or(terms.per_customer_max),
            hold_ttl_ms: self.hold_ttl_ms.unwrap_or(terms.hold_ttl_ms),
            gate: self.gate.applied_to(terms.gate),
            stocks: self.stocks.as_ref().unwrap_or(&terms.stocks).clone(),
        }
    }
}

/// Whether leaving these fields out of `new` changes nothing of `old`; the first that does, otherwise. A stock is the same
/// as the one of its name before. The old stocks are in the order of their names.
pub(crate) fn check_left_out(
    old: &SaleTerms,
    new: &SaleTerms,
    left_out: &[TermsField],
) -> Result<(), InvalidTerms> {
    let stock_before = |at: usize| {
        let name = &new.stocks.get(at)?.stock;
        let place = old.stocks.binary_search_by(|stock| stock.stock.cmp(name)).ok()?;
        Some(&old.stocks[place])
    };
    for field in left_out {
        let is_default = match *field {
            TermsField::Title => old.title.is_empty(),
            TermsField::OpensAt => old.opens_at.is_none(),
            TermsField::ClosesAt => old.closes_at.is_none(),
            TermsField::PerCustomerMax => old.per_customer_max.is_none(),
            TermsField::HoldTtlMs => old.hold_ttl_ms == 0,
            TermsField::Gate(field) => old.gate.is_default(field),
            TermsField::StockTitle(at) => stock_before(at).is_none_or(|stock| stock.title.is_empty()),
            TermsField::StockStartsAt(at) => stock_before(at).is_none_or(|stock| stock.starts_at.is_none()),
            TermsField::StockEndsAt(at) => stock_before(at).is_none_or(|stock| stock.ends_at.is_none()),
            TermsField::StockClosesAt(at) => stock_before(at).is_none_or(|stock| stock.closes_at.is_none()),
        };
        if !is_default {
            return Err(InvalidTerms { field: field.path(), rule: LEFT_OUT_RULE });
        }
    }
    Ok(())
}

impl TermsField {
    /// As a JSON client would write it.
    fn path(self) -> String {
        match self {
            Self::Title => "title".into(),
            Self::OpensAt => "opens_at".into(),
            Self::ClosesAt => "closes_at".into(),
            Self::PerCustomerMax => "per_customer_max".into(),
            Self::HoldTtlMs => "hold_ttl_ms".into(),
            Self::Gate(field) => field.path().into(),
            Self::StockTitle(at) => format!("stocks[{at}].title"),
            Self::StockStartsAt(at) => format!("stocks[{at}].starts_at"),
            Self::StockEndsAt(at) => format!("stocks[{at}].ends_at"),
            Self::StockClosesAt(at) => format!("stocks[{at}].closes_at"),
        }
    }
}
