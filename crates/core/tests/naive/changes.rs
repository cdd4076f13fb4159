//! What happens to a reservation that was made.

use onrush_core::{Answer, Asker, Refusal, ReservationRef, ReservationStatus};

use super::{Model, Sale};

impl Model {
    pub(super) fn confirm(
        &mut self,
        sale: &str,
        reservation: ReservationRef,
        asker: Asker<'_>,
        now: u64,
    ) -> Result<(Answer, bool), Refusal> {
        self.check_change(sale, reservation, |sale, customer| {
            sale.check_session(asker, customer)?;
            sale.check_confirms(asker)
        })?;
        let found = self.reservation(sale, reservation)?;
        match found.status {
            ReservationStatus::Expired => return Err(Refusal::HoldExpired),
            ReservationStatus::Held if found.hold_until <= Some(now) => return Err(Refusal::HoldExpired),
            ReservationStatus::Released => return Err(Refusal::ReservationNotHeld),
            ReservationStatus::Held | ReservationStatus::Confirmed => {}
        }
        let was = std::mem::replace(&mut found.status, ReservationStatus::Confirmed);
        Ok((Answer::Confirmed { reservation }, was != ReservationStatus::Confirmed))
    }

    pub(super) fn release(
        &mut self,
        sale: &str,
        reservation: ReservationRef,
        asker: Asker<'_>,
        now: u64,
    ) -> Result<(Answer, bool), Refusal> {
        self.check_change(sale, reservation, |sale, customer| sale.check_session(asker, customer))?;
        let found = self.reservation(sale, reservation)?;
        match found.status {
            ReservationStatus::Expired => return Err(Refusal::HoldExpired),
            ReservationStatus::Held if found.hold_until <= Some(now) => return Err(Refusal::HoldExpired),
            ReservationStatus::Held | ReservationStatus::Released | ReservationStatus::Confirmed => {}
        }
        let was = std::mem::replace(&mut found.status, ReservationStatus::Released);
        Ok((Answer::Released { reservation }, was != ReservationStatus::Released))
    }

    /// Asks whether the customer of a reservation may be acted for.
    fn check_change(
        &mut self,
        sale: &str,
        reservation: ReservationRef,
        check: impl FnOnce(&Sale, &str) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        let customer = self.reservation(sale, reservation)?.claim.customer;
        check(self.sale(sale)?, customer)
    }
}
