//! Registering and logging in, for the routes of the API and for pages.

use http::HeaderMap;
use onrush_core::is_new_name;
use onrush_gate::password::PASSWORD_CHARS;
use onrush_node::{Call, Name, Outcome, StoredPassword};

use crate::api::app::{App, mismatched};
use crate::gate::{Begun, Password, PasswordPool};
use crate::http::request::Fields;
use crate::problem::Problem;

impl App {
    /// What checks passwords.
    ///
    /// # Errors
    /// Accounts are off.
    pub(crate) fn passwords(&self) -> Result<&PasswordPool, Problem> {
        self.components.passwords.as_deref().ok_or_else(Problem::accounts_off)
    }

    /// Whether these fields come from pages that may act for a customer, or from no browser.
    ///
    /// # Errors
    /// A page of another site may have made a browser send them.
    pub(crate) fn check_site(&self, fields: &HeaderMap) -> Result<(), Problem> {
        let checked = self.gate.check_site(&Fields::Mapped(fields));
        checked.inspect_err(|problem| self.gate.count_refusal(problem))
    }

    /// Gives a customer an account with this password.
    ///
    /// # Errors
    /// Accounts are off, the fields come from another site, name or password are out of bounds, the customer has an account, or
    /// too many ask.
    pub(crate) async fn register(
        &self,
        fields: &HeaderMap,
        customer: &str,
        password: Password,
    ) -> Result<(), Problem> {
        let passwords = self.passwords()?;
        self.check_site(fields)?;
        if !is_new_name(customer) {
            return Err(Problem::invalid("customer", onrush_core::NEW_NAME_RULE));
        }
        if !PASSWORD_CHARS.contains(&password.char_count()) {
            return Err(Problem::invalid("password", "must have 8 to 128 characters"));
        }
        let place = passwords.place()?;
        // Whether the name is free is told anyway, so it is asked before anything costs much.
        if self.account_of(customer).await?.is_some() {
            return Err(Problem::customer_exists());
        }
        let password = StoredPassword(passwords.hash(place, password).await?);
        match self.ask(Call::CreateAccount { customer: Name::from(customer), password }).await? {
            Outcome::AccountCreated => Ok(()),
            other => mismatched(&other),
        }
    }

    /// Begins a session for a customer whose password this is. A customer without an account is refused in the same words
    /// and after the same work as a wrong password.
    ///
    /// # Errors
    /// Accounts are off, the fields come from another site, it is not the password, or too many ask.
    pub(crate) async fn log_in(
        &self,
        fields: &HeaderMap,
        customer: &str,
        password: Password,
    ) -> Result<Begun, Problem> {
        let passwords = self.passwords()?;
        self.gate.sessions()?;
        self.check_site(fields)?;
        // Whoever has to be refused is refused before anything else is asked.
        let place = passwords.place()?;
        let kept = self.account_of(customer).await?.map(|kept| kept.0);
        let is_right = passwords.verify(place, password, kept).await?;
        if !is_right {
            let problem = Problem::wrong_password();
            self.gate.count_refusal(&problem);
            return Err(problem);
        }
        self.begin_session(customer)
    }

    async fn account_of(&self, customer: &str) -> Result<Option<StoredPassword>, Problem> {
        match self.ask(Call::ReadAccount { customer: Name::from(customer) }).await? {
            Outcome::Account(kept) => Ok(kept),
            other => mismatched(&other),
        }
    }
}
