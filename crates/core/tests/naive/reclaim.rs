//! Units of a sale: whether there are as many as asked for, and a payment that comes after its hold ran out.

use onrush_core::{Answer, Asker, Refusal, ReservationRef, ReservationStatus};

use super::steps::Claim;
use super::{Model, Sale, ensure};

impl Model {
    pub(super) fn reclaim(
        &mut self,
        sale: &'static str,
        reservation: ReservationRef,
        now: u64,
    ) -> Result<(Answer, bool), Refusal> {
        let found = self.reservation(sale, reservation)?;
        if found.status != ReservationStatus::Expired {
            return self.confirm(sale, reservation, Asker::Operator, now);
        }
        let claim = found.claim.clone();
        self.sales[sale].check_units(&claim)?;
        self.reservation(sale, reservation)?.status = ReservationStatus::Confirmed;
        Ok((Answer::Confirmed { reservation }, true))
    }
}

impl Sale {
    /// Whether the customer may have these units, and they are there.
    pub(super) fn check_units(&self, claim: &Claim) -> Result<(), Refusal> {
        let asked: u64 = claim.lines.iter().map(|(_, quantity)| u64::from(*quantity)).sum();
        if let Some(per_customer_max) = self.terms.per_customer_max {
            let quantity_taken = self.taken_by(claim.customer);
            ensure(quantity_taken + asked <= u64::from(per_customer_max), || {
                Refusal::CustomerLimitReached { per_customer_max, quantity_taken }
            })?;
        }
        for (line, (stock, quantity)) in (0..).zip(&claim.lines) {
            let total = self
                .terms
                .stocks
                .iter()
                .find(|terms| terms.stock == *stock)
                .map_or(0, |terms| terms.quantity_total);
            let left = u64::from(total) - self.taken(stock);
            let quantity_available = u32::try_from(left).expect("a stock's total fits 32 bits");
            ensure(*quantity <= quantity_available, || Refusal::InsufficientStock {
                line,
                quantity_available,
            })?;
        }
        Ok(())
    }
}
