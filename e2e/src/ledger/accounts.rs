//! Accounts of customers: what was said to whoever registered and logged in, and which passwords must therefore work.

use anyhow::{Context as _, Result, ensure};
use std::collections::BTreeMap;

use super::{Outcome, Times};

/// An attempt to register.
#[derive(Debug, Clone)]
struct Attempt {
    password: String,
    times: Times,
}

/// What is known of one name.
#[derive(Debug, Default)]
struct Account {
    /// The attempt that was acknowledged, or was found to have worked.
    made: Option<Attempt>,
    /// Attempts that may have worked.
    unknown: Vec<Attempt>,
    /// Passwords of attempts that were refused because somebody had the name.
    refused: Vec<String>,
}

/// All names that anybody tried to register.
#[derive(Debug, Default)]
pub(crate) struct Accounts {
    by_name: BTreeMap<String, Account>,
}

impl Accounts {
    /// Takes the outcome of an attempt that may have worked. All of them come before anything else of the same traffic.
    pub(crate) fn registered(
        &mut self,
        customer: &str,
        password: &str,
        times: Times,
        outcome: &Outcome<()>,
    ) -> Result<()> {
        let attempt = Attempt { password: password.to_owned(), times };
        let account = self.by_name.entry(customer.to_owned()).or_default();
        match outcome {
            Outcome::Acknowledged(()) => {
                if let Some(made) = &account.made {
                    anyhow::bail!("{customer} was registered twice, by {made:?} and by {attempt:?}");
                }
                account.made = Some(attempt);
                account.unknown.clear();
            }
            Outcome::Unknown(_) if account.made.is_none() => account.unknown.push(attempt),
            Outcome::Unknown(_) | Outcome::Refused { .. } => {}
        }
        Ok(())
    }

    /// Takes the refusal of an attempt.
    pub(crate) fn refused(
        &mut self,
        customer: &str,
        password: &str,
        times: Times,
        (status, code): (u16, &str),
    ) -> Result<()> {
        if status == 503 {
            return Ok(());
        }
        ensure!(
            status == 409 && code == "customer_exists",
            "registering {customer} was refused with {status} {code}"
        );
        let account = self.by_name.get_mut(customer).context("nobody registered a name that is taken")?;
        let was_tried = |attempt: &Attempt| attempt.times.sent_ns < times.ended_ns;
        ensure!(
            account.made.iter().chain(&account.unknown).any(was_tried),
            "{customer} is taken, but nobody had tried to register it"
        );
        account.refused.push(password.to_owned());
        Ok(())
    }

    /// Takes the outcome of an attempt to log in.
    pub(crate) fn logged_in(
        &self,
        customer: &str,
        password: &str,
        times: Times,
        outcome: &Outcome<()>,
    ) -> Result<()> {
        let account = self.by_name.get(customer);
        let made = account.and_then(|account| account.made.as_ref());
        let unknown = account.map_or(&[][..], |account| &account.unknown);
        match outcome {
            Outcome::Unknown(_) | Outcome::Refused { status: 503, .. } => Ok(()),
            Outcome::Acknowledged(()) => {
                let may_be = |attempt: &Attempt| {
                    attempt.password == password && attempt.times.sent_ns < times.ended_ns
                };
                ensure!(
                    made.into_iter().chain(unknown).any(may_be),
                    "{customer} logged in with {password:?}, which is no password of theirs: {account:?}"
                );
                Ok(())
            }
            Outcome::Refused { status, code } => {
                ensure!(
                    *status == 401 && code == "invalid_credentials",
                    "a log-in of {customer} was refused with {status} {code}"
                );
                let must_be = |attempt: &Attempt| {
                    attempt.password == password && attempt.times.ended_ns <= times.sent_ns
                };
                ensure!(
                    !made.is_some_and(must_be),
                    "{customer} was refused with {password:?}, which is their password"
                );
                Ok(())
            }
        }
    }

    /// Names of which it is not known whether anybody has them, each with the passwords that may work.
    pub(crate) fn unsettled(&self) -> Vec<(String, Vec<String>)> {
        let unsettled = self.by_name.iter().filter(|(_, account)| account.made.is_none());
        let passwords = |account: &Account| account.unknown.iter().map(|one| one.password.clone()).collect();
        unsettled.map(|(name, account)| (name.clone(), passwords(account))).collect()
    }

    /// Notes that this password works.
    pub(crate) fn settled(&mut self, customer: &str, password: &str, times: Times) {
        let account = self.by_name.entry(customer.to_owned()).or_default();
        account.made = Some(Attempt { password: password.to_owned(), times });
        account.unknown.clear();
    }

    /// Names with the password that works and, if there is one, another that does not.
    pub(crate) fn settled_accounts(&self) -> Vec<(String, String, Option<String>)> {
        let settled = |(name, account): (&String, &Account)| {
            let made = account.made.as_ref()?;
            Some((name.clone(), made.password.clone(), account.refused.last().cloned()))
        };
        self.by_name.iter().filter_map(settled).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Lost;

    fn at(sent_ns: u64, ended_ns: u64) -> Times {
        Times { sent_ns, ended_ns }
    }

    /// `p+1-2` registers with the password `p`; with `?` nobody knows, with `!` somebody has the name.
    fn accounts(text: &str) -> Result<Accounts> {
        let mut accounts = Accounts::default();
        let attempts: Vec<_> = text
            .split_whitespace()
            .map(|word| {
                let (password, rest) = word.split_once('+').expect("PASSWORD+SENT-ENDED");
                let outcome = match rest.chars().last() {
                    Some('?') => Outcome::Unknown(Lost::Closed),
                    Some('!') => Outcome::Refused { status: 409, code: "customer_exists".to_owned() },
                    _ => Outcome::Acknowledged(()),
                };
                let (sent, ended) = rest.trim_end_matches(['?', '!']).split_once('-').expect("SENT-ENDED");
                let times = at(sent.parse().expect("a number"), ended.parse().expect("a number"));
                (password, times, outcome)
            })
            .collect();
        for (password, times, outcome) in &attempts {
            accounts.registered("ann", password, *times, outcome)?;
        }
        for (password, times, outcome) in &attempts {
            if let Outcome::Refused { status, code } = outcome {
                accounts.refused("ann", password, *times, (*status, code))?;
            }
        }
        Ok(accounts)
    }

    #[test]
    fn a_name_is_registered_once_and_refused_to_others_only_if_it_may_be_taken() {
        for (attempts, fits) in [
            ("p+1-2", true),
            ("p+1-2 q+3-4!", true),
            ("p+1-2? q+3-4!", true),
            ("p+3-4 q+1-5!", true),
            ("p+1-2? q+3-4", true),
            ("p+1-2 q+3-4", false),
            ("q+3-4!", false),
            ("p+5-6 q+3-4!", false),
        ] {
            assert_eq!(accounts(attempts).is_ok(), fits, "{attempts}");
        }
        let refused = accounts("p+1-2").unwrap().refused("ann", "q", at(3, 4), (400, "invalid_request"));
        assert!(refused.is_err());
    }

    #[test]
    fn the_password_that_was_acknowledged_works_and_no_other() {
        let refused = || Outcome::Refused { status: 401, code: "invalid_credentials".to_owned() };
        for (attempts, password, taken, refusal) in [
            ("p+1-2", "p", true, false),
            ("p+1-2", "q", false, true),
            ("p+1-2?", "p", true, true),
            ("p+1-2? q+3-4", "p", false, true),
            ("p+1-2 q+3-4!", "q", false, true),
            ("p+7-9", "p", false, true),
            ("p+4-9", "p", true, true),
            ("", "p", false, true),
        ] {
            let accounts = accounts(attempts).unwrap();
            let fits = |outcome| accounts.logged_in("ann", password, at(5, 6), &outcome).is_ok();
            assert_eq!((fits(Outcome::Acknowledged(())), fits(refused())), (taken, refusal), "{attempts}");
            assert!(fits(Outcome::Unknown(Lost::Closed)));
        }
    }

    #[test]
    fn what_was_found_is_known() {
        let mut accounts = accounts("p+1-2? q+1-3?").unwrap();
        let open = vec![("ann".to_owned(), vec!["p".to_owned(), "q".to_owned()])];
        assert_eq!(accounts.unsettled(), open);
        accounts.settled("ann", "q", at(4, 5));
        assert!(accounts.unsettled().is_empty());
        assert_eq!(accounts.settled_accounts(), [("ann".to_owned(), "q".to_owned(), None)]);
        assert!(accounts.registered("ann", "r", at(6, 7), &Outcome::Acknowledged(())).is_err());
    }
}
