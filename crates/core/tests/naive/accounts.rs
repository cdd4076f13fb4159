//! Accounts of customers.

use onrush_core::{Answer, Ceiling, Limits, Refusal};

use super::{Model, check_ceiling, check_new_name, ensure};

impl Model {
    pub(super) fn create_account(
        &mut self,
        limits: &Limits,
        customer: &'static str,
        password: &'static [u8],
    ) -> Result<(Answer, bool), Refusal> {
        check_new_name("customer", customer)?;
        ensure((1..=128).contains(&password.len()), || Refusal::Invalid {
            field: "password",
            rule: "must be a hash of 1 to 128 bytes",
        })?;
        ensure(!self.accounts.contains_key(customer), || Refusal::CustomerExists)?;
        check_ceiling(self.accounts.len(), limits.accounts_max, Ceiling::Accounts)?;
        self.accounts.insert(customer, password);
        Ok((Answer::AccountCreated, true))
    }
}
