//! Script lines about accounts.

use onrush_core::{Command, PasswordHash};

use super::Run;
use super::parse::Words;

impl Run {
    /// `create-account c hash=`, `account c`.
    pub(super) fn accounts(&mut self, verb: &str, words: &mut Words<'_>) -> Result<String, String> {
        let customer = words.next()?;
        Ok(match verb {
            "create-account" => {
                let password = PasswordHash(words.text("hash").unwrap_or("hash").as_bytes());
                self.decide(&Command::CreateAccount { customer, password })
            }
            _ => self
                .state
                .account(customer)
                .map_or("none".into(), |password| String::from_utf8_lossy(password.0).into_owned()),
        })
    }
}
