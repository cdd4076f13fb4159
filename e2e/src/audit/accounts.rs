//! Holds the accounts of a server at rest against the history: whoever was told to have one logs in with the password, and nobody
//! else does. A log-in takes the server tens of milliseconds of work, so that older accounts are looked at by chance.

use anyhow::{Context as _, Result, ensure};
use std::net::SocketAddr;

use super::History;
use crate::account_traffic::{account_request, log_in, read_customer};
use crate::answers::outcome;
use crate::http::Connection;
use crate::ledger::{Outcome, Record};
use crate::random::Random;

/// How many accounts of earlier bursts each audit looks at.
const SAMPLE_COUNT: usize = 2;

/// A password that nobody had before.
const FOUND_FREE: &str = "registered by the audit";

impl History {
    /// Takes what customers with accounts were told. An attempt may have met another one that ended after it.
    pub(super) fn absorb_accounts(&mut self, records: &[Record]) -> Result<()> {
        for record in records {
            if let Record::Register { customer, password, times, outcome } = record {
                self.count_outcome(outcome);
                self.accounts.registered(customer, password, *times, outcome)?;
                if matches!(outcome, Outcome::Acknowledged(())) {
                    self.tally.accounts += 1;
                    self.new_accounts.insert(customer.clone());
                }
            }
        }
        for record in records {
            match record {
                Record::Register {
                    customer,
                    password,
                    times,
                    outcome: Outcome::Refused { status, code },
                } => {
                    self.accounts.refused(customer, password, *times, (*status, code))?;
                }
                Record::LogIn { customer, password, times, outcome } => {
                    self.count_outcome(outcome);
                    self.tally.log_ins += u64::from(matches!(outcome, Outcome::Acknowledged(())));
                    self.accounts.logged_in(customer, password, *times, outcome)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    pub(super) fn check_accounts(&mut self, public: SocketAddr, random: &mut Random) -> Result<()> {
        let mut connection = Connection::open(public).context("connect for the accounts")?;
        for (customer, passwords) in self.accounts.unsettled() {
            self.settle(&mut connection, &customer, &passwords).with_context(|| customer.clone())?;
        }
        let settled = self.accounts.settled_accounts();
        let new = settled.iter().filter(|(customer, ..)| self.new_accounts.contains(customer));
        let mut chosen: Vec<_> = new.cloned().collect();
        if !settled.is_empty() {
            chosen.extend((0..SAMPLE_COUNT).map(|_| random.pick(&settled).clone()));
        }
        self.new_accounts.clear();
        for (customer, password, other) in chosen {
            ensure!(self.logs_in(&mut connection, &customer, &password)?, "{customer} cannot log in");
            if let Some(other) = other {
                ensure!(!self.logs_in(&mut connection, &customer, &other)?, "{other:?} lets {customer} in");
            }
            let is_new = self.registers(&mut connection, &customer, FOUND_FREE)?;
            ensure!(!is_new, "{customer} was registered once more");
        }
        Ok(())
    }

    /// Finds out which of the passwords works, if any; if none does, nobody has the name.
    fn settle(&mut self, connection: &mut Connection, customer: &str, passwords: &[String]) -> Result<()> {
        let mut working = None;
        for password in passwords {
            if self.logs_in(connection, customer, password)? {
                ensure!(working.is_none(), "two passwords of {customer} work");
                working = Some(password.as_str());
            }
        }
        if let Some(password) = working {
            self.tally.accounts_found += 1;
            self.accounts.settled(customer, password, self.clock.moment());
            return Ok(());
        }
        let is_new = self.registers(connection, customer, FOUND_FREE)?;
        ensure!(is_new, "{customer} exists, and nobody's password works");
        Ok(())
    }

    fn logs_in(&mut self, connection: &mut Connection, customer: &str, password: &str) -> Result<bool> {
        let record = log_in(self.clock, connection, customer.to_owned(), password.to_owned())?;
        let Record::LogIn { times, outcome, .. } = record else { return Ok(false) };
        self.accounts.logged_in(customer, password, times, &outcome)?;
        ensure!(!outcome.is_unknown(), "a log-in of {customer} was not answered: {outcome:?}");
        let is_in = matches!(outcome, Outcome::Acknowledged(()));
        self.tally.log_ins += u64::from(is_in);
        Ok(is_in)
    }

    fn registers(&mut self, connection: &mut Connection, customer: &str, password: &str) -> Result<bool> {
        let bytes = account_request("/v1/customers", customer, password);
        let (times, answer) = self.clock.time(|| connection.call(&bytes));
        let outcome = outcome(answer, &[201], |answer| read_customer(answer, customer))?;
        self.accounts.registered(customer, password, times, &outcome)?;
        match outcome {
            Outcome::Acknowledged(()) => Ok(true),
            Outcome::Refused { status: 409, ref code } if code == "customer_exists" => Ok(false),
            other => anyhow::bail!("registering {customer} was answered {other:?}"),
        }
    }
}
