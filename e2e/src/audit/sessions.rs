//! Sessions over crashes: one that an operator has ended stays none, and one that began after that stays one.

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use super::History;
use crate::account_traffic::account_request;
use crate::http::{self, Connection, request_json};
use crate::random::Random;
use crate::server::Server;

/// How many sessions are taken along from one audit to the next.
const KEPT_MAX: usize = 12;

/// A session that an audit began.
#[derive(Debug)]
pub(super) struct Begun {
    customer: String,
    /// As a browser sends it.
    cookie: String,
    is_ended: bool,
}

impl History {
    /// Looks at the sessions of earlier audits; then ends those of one customer, and begins one before and one after that.
    pub(super) fn check_sessions(&mut self, server: &Server, random: &mut Random) -> Result<()> {
        let mut connection = Connection::open(server.public()).context("connect for the sessions")?;
        self.sessions.iter().try_for_each(|begun| begun.check(&mut connection))?;
        let accounts = self.accounts.settled_accounts();
        if accounts.is_empty() {
            return Ok(());
        }
        let (customer, password, _) = random.pick(&accounts).clone();
        self.sessions.push(Begun::log_in(&mut connection, &customer, &password)?);
        let target = format!("/v1/denylist/session/{customer}");
        let body = json!({"reason": "ended by the audit"}).to_string();
        let answer = http::once(server.operator(), &request_json("PUT", &target, &[], &body))?;
        ensure!([200, 201].contains(&answer.status), "ending sessions was answered {}", answer.status);
        for begun in self.sessions.iter_mut().filter(|begun| begun.customer == customer) {
            begun.is_ended = true;
        }
        self.sessions.push(Begun::log_in(&mut connection, &customer, &password)?);
        self.tally.sessions_ended += 1;
        self.sessions.iter().try_for_each(|begun| begun.check(&mut connection))?;
        let too_many = self.sessions.len().saturating_sub(KEPT_MAX);
        self.sessions.drain(..too_many);
        Ok(())
    }
}

impl Begun {
    fn log_in(connection: &mut Connection, customer: &str, password: &str) -> Result<Self> {
        let answer = connection.call(&account_request("/v1/session", customer, password))?;
        ensure!(answer.status == 200, "{customer} logs in and is answered {}", answer.status);
        let cookie = answer.header("set-cookie").and_then(|cookie| cookie.split(';').next());
        let cookie = cookie.context("a session without a cookie")?.to_owned();
        Ok(Self { customer: customer.to_owned(), cookie, is_ended: false })
    }

    fn check(&self, connection: &mut Connection) -> Result<()> {
        let answer = connection.call(&request_json(
            "GET",
            "/v1/session",
            &[format!("Cookie: {}", self.cookie)],
            "",
        ))?;
        let expected = if self.is_ended { 401 } else { 200 };
        ensure!(answer.status == expected, "{self:?} was answered {}: {}", answer.status, answer.text());
        Ok(())
    }
}
