//! What an asker has seen of the terms of sales, without any hash: the terms themselves, as they were put one after the other.

use std::collections::BTreeMap;

use onrush_core::{
    Answer, Limits, Now, Precondition, Refusal, ReservationNo, SaleNo, SaleTerms, TermsField, Unmet,
    terms_version,
};

use super::{Model, check_name};

/// What a step requires of the sale that it is about.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Condition {
    None,
    Exists,
    IsNew,
    /// The terms are those that were put so many changes before the newest.
    Terms(usize),
}

/// Every change of terms, by the name of the sale.
pub(super) type Seen = BTreeMap<&'static str, Vec<(SaleNo, SaleTerms)>>;

impl Model {
    /// A condition as commands have it.
    pub(crate) fn precondition(&self, sale: &str, condition: Condition) -> Precondition {
        match condition {
            Condition::None => Precondition::None,
            Condition::Exists => Precondition::Exists,
            Condition::IsNew => Precondition::IsNew,
            Condition::Terms(back) => {
                let seen = self.seen_terms(sale, back);
                Precondition::TermsAre(seen.iter().map(|(no, terms)| terms_version(*no, terms)).collect())
            }
        }
    }

    pub(super) fn put_sale_if(
        &mut self,
        limits: &Limits,
        name: &'static str,
        terms: &SaleTerms,
        left_out: &[TermsField],
        condition: Condition,
    ) -> Result<(Answer, bool), Refusal> {
        check_name("sale", name)?;
        terms.check()?;
        self.check_condition(name, condition)?;
        let (answer, is_new) = self.put_sale(limits, name, terms, left_out)?;
        if is_new {
            let sale = &self.sales[name];
            self.seen.entry(name).or_default().push((sale.no, sale.terms.clone()));
        }
        Ok((answer, is_new))
    }

    pub(super) fn archive_if(
        &mut self,
        name: &str,
        wall: u64,
        condition: Condition,
    ) -> Result<(Answer, bool), Refusal> {
        self.sale(name)?;
        self.check_condition(name, condition)?;
        self.archive(name, wall)
    }

    pub(crate) fn end_holds_if(
        &mut self,
        name: &str,
        now: Now,
        condition: Condition,
    ) -> Result<Vec<ReservationNo>, Refusal> {
        self.sale(name)?;
        self.check_condition(name, condition)?;
        self.end_holds(name, now)
    }

    fn check_condition(&self, name: &str, condition: Condition) -> Result<(), Refusal> {
        let sale = self.sales.get(name);
        let unmet = match condition {
            Condition::IsNew => sale.is_some().then_some(Unmet::Exists),
            Condition::Exists | Condition::Terms(_) if sale.is_none() => Some(Unmet::Missing),
            Condition::None | Condition::Exists => None,
            Condition::Terms(back) => {
                let is_seen = |(no, terms): &(SaleNo, SaleTerms)| {
                    sale.is_some_and(|sale| sale.no == *no && sale.terms == *terms)
                };
                (!self.seen_terms(name, back).is_some_and(is_seen)).then_some(Unmet::TermsDiffer)
            }
        };
        unmet.map_or(Ok(()), |unmet| Err(Refusal::PreconditionFailed(unmet)))
    }

    fn seen_terms(&self, sale: &str, back: usize) -> Option<&(SaleNo, SaleTerms)> {
        self.seen.get(sale)?.iter().rev().nth(back)
    }
}
