//! Who may have an account.

use super::{Answer, Decision, check_ceiling, check_memory, check_new_name};
use crate::{Ceiling, Event, PASSWORD_HASH_BYTES_MAX, PasswordHash, Refusal, State};

pub(super) fn decide_create<'a>(
    state: &State,
    customer: &'a str,
    password: PasswordHash<'a>,
) -> Result<Decision<'a>, Refusal> {
    check_new_name("customer", customer)?;
    if !(1..=PASSWORD_HASH_BYTES_MAX).contains(&password.0.len()) {
        return Err(Refusal::Invalid { field: "password", rule: "must be a hash of 1 to 128 bytes" });
    }
    if state.account(customer).is_some() {
        return Err(Refusal::CustomerExists);
    }
    check_ceiling(state.account_count() < state.limits.accounts_max, Ceiling::Accounts)?;
    check_memory(state)?;
    Ok(Decision::new(Event::AccountCreated { customer, password }, Answer::AccountCreated))
}
