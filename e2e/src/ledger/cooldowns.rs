//! Cool-downs: after a reservation its customer reserves nothing more in the sale for a while, across restarts too, and nobody is
//! told to wait without a reservation that is durable.

use anyhow::{Result, ensure};
use std::collections::HashMap;

use super::reservations::CLOCK_SLACK_MS;
use crate::api::{Reservation, time_ms};

/// Refusals that are not yet held against the reservations of their customer.
#[derive(Debug, Default)]
pub(crate) struct CoolDowns {
    refused: HashMap<(String, String), Vec<(i64, i64)>>,
}

impl CoolDowns {
    /// Somebody was told to wait by a request that was sent and answered at these times, in milliseconds since 1970.
    pub(crate) fn refused(&mut self, sale: &str, customer: &str, sent_ms: i64, ended_ms: i64) {
        self.refused.entry((sale.to_owned(), customer.to_owned())).or_default().push((sent_ms, ended_ms));
    }

    /// Takes all reservations of a customer in a sale, at rest.
    pub(crate) fn check(
        &mut self,
        sale: &str,
        customer: &str,
        cooldown_ms: u64,
        list: &[Reservation],
    ) -> Result<()> {
        let cooldown_ms = i64::try_from(cooldown_ms)?;
        let created = list.iter().map(|reservation| time_ms(&reservation.created_at));
        let mut created = created.collect::<Result<Vec<_>>>()?;
        created.sort_unstable();
        for pair in created.windows(2) {
            let between_ms = pair[1] - pair[0];
            ensure!(
                between_ms >= cooldown_ms,
                "{customer} reserved twice within {between_ms} ms in {sale}, whose cool-down is {cooldown_ms} ms"
            );
        }
        let refused = self.refused.remove(&(sale.to_owned(), customer.to_owned())).unwrap_or_default();
        for (sent_ms, ended_ms) in refused {
            let (from_ms, to_ms) = (sent_ms - cooldown_ms - CLOCK_SLACK_MS, ended_ms + CLOCK_SLACK_MS);
            ensure!(
                created.iter().any(|created_ms| (from_ms..=to_ms).contains(created_ms)),
                "{customer} was told at {ended_ms} to wait in {sale}, with reservations of {created:?}"
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Status;

    fn reserved_at(second: u32) -> Reservation {
        Reservation {
            reservation: format!("r{second}"),
            sale: "sale".into(),
            customer: "ann".into(),
            status: Status::Confirmed,
            lines: Vec::new(),
            details: None,
            created_at: format!("1970-01-01T00:00:{second:02}.000Z"),
            expires_at: None,
        }
    }

    fn check(refused_at_s: &[i64], created_at_s: &[u32]) -> Result<()> {
        let mut cooldowns = CoolDowns::default();
        for second in refused_at_s {
            cooldowns.refused("sale", "ann", second * 1_000, second * 1_000 + 5);
        }
        let list = created_at_s.iter().map(|second| reserved_at(*second)).collect::<Vec<_>>();
        cooldowns.check("sale", "ann", 10_000, &list)
    }

    #[test]
    fn reservations_are_a_cool_down_apart() {
        check(&[], &[30, 10, 20]).expect("exactly a cool-down apart");
        check(&[], &[10, 19]).expect_err("nine seconds apart");
    }

    #[test]
    fn whoever_is_told_to_wait_has_a_reservation() {
        check(&[12, 19], &[10]).expect("both came within its cool-down");
        check(&[21], &[10]).expect_err("the cool-down was over");
        check(&[12], &[]).expect_err("there is none");
        check(&[8], &[10]).expect_err("it was not there yet");
    }
}
