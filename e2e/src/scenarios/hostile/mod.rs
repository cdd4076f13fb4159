//! Hostile bytes: each row is what a client sends and what it must be told; whatever it is told, nothing else may change,
//! and the server must go on answering everyone.

mod bodies;
mod exchanges;
mod framing;
mod routes;

use anyhow::{Context as _, Result, ensure};
use std::net::SocketAddr;
use std::time::Duration;

use crate::Bench;
use crate::answers::value_of;
use crate::api::{Sale, SaleSettings};
use crate::http::{Connection, Lost, request, request_json};
use crate::problem::check_problem;
use crate::server::Server;

/// How long the server may take to close a connection on which nothing can follow.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// A reserve request's body that is accepted.
pub(crate) const GOOD_BODY: &str = r#"{"customer":"someone","lines":[{"stock":"unit","quantity":1}]}"#;

/// A reserve request's body that is refused only when it is read as JSON and checked.
pub(crate) const ZERO_BODY: &str = r#"{"customer":"someone","lines":[{"stock":"unit","quantity":0}]}"#;

/// Where reserve requests go.
pub(crate) const RESERVE: &str = "/v1/sales/hostile/reservations";

/// One row.
#[derive(Debug)]
pub(crate) struct Row {
    name: String,
    bytes: Vec<u8>,
    operator: bool,
    statuses: &'static [u16],
    code: Option<&'static str>,
    after: After,
    is_http: bool,
    units: u64,
    hits: u64,
}

/// What may become of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum After {
    /// Either.
    Any,
    /// It answers the next request.
    Open,
    /// It is closed, since where the next request begins is not known.
    Closed,
}

impl Row {
    /// Bytes for the public listener that must be refused with one of the statuses.
    pub(crate) fn new(name: impl Into<String>, bytes: impl Into<Vec<u8>>, statuses: &'static [u16]) -> Self {
        Self {
            name: name.into(),
            bytes: bytes.into(),
            operator: false,
            statuses,
            code: None,
            after: After::Any,
            is_http: true,
            units: 0,
            hits: 0,
        }
    }

    /// Requires the stable code.
    pub(crate) fn code(mut self, code: &'static str) -> Self {
        self.code = Some(code);
        self
    }

    /// Requires the connection to be closed.
    pub(crate) fn closed(mut self) -> Self {
        self.after = After::Closed;
        self
    }

    /// Is not HTTP at all, so that there may be no answer either.
    pub(crate) fn no_http(mut self) -> Self {
        self.is_http = false;
        self.closed()
    }

    /// Requires the connection to stay usable.
    pub(crate) fn open(mut self) -> Self {
        self.after = After::Open;
        self
    }

    /// Goes to the operator listener.
    pub(crate) fn operator(mut self) -> Self {
        self.operator = true;
        self
    }

    /// Is accepted and takes units.
    pub(crate) fn takes(mut self, units: u64) -> Self {
        self.units = units;
        self
    }

    /// Is accepted and adds to the counter.
    pub(crate) fn adds(mut self, hits: u64) -> Self {
        self.hits = hits;
        self
    }

    /// Sends the bytes and checks the answer.
    fn run(&self, server: &Server) -> Result<()> {
        let address = if self.operator { server.operator() } else { server.public() };
        let mut connection = Connection::open(address)?;
        let answer = match connection.call(&self.bytes) {
            // Refusing to speak to what is not HTTP at all is as good as an answer.
            Err(Lost::Closed) if !self.is_http => return Ok(()),
            answered => answered?,
        };
        let said = || format!("{} {}", answer.status, answer.text());
        ensure!(
            self.statuses.contains(&answer.status),
            "expected one of {:?}, got {}",
            self.statuses,
            said()
        );
        if answer.status >= 400 && !self.bytes.starts_with(b"HEAD ") {
            let code = check_problem(&answer)?;
            ensure!(
                self.code.is_none_or(|expected| expected == code),
                "expected {:?}, got {}",
                self.code,
                said()
            );
        }
        match self.after {
            After::Any => {}
            After::Open => {
                let next = connection.call(&request("GET", "/readyz")).context("the next request")?;
                ensure!(next.status == 200, "the next request was answered {}: {}", next.status, next.text());
            }
            After::Closed => ensure!(connection.closed_within(CLOSE_TIMEOUT), "the connection stays open"),
        }
        Ok(())
    }
}

/// Runs the scenario.
pub(crate) fn run(bench: &mut Bench) -> Result<String> {
    let launch = bench.launch()?;
    let server = launch.start()?;
    let stocks = [("unit", 1_000)];
    SaleSettings { sale: "hostile", stocks: &stocks, per_customer_max: None, hold_ttl_ms: 0, cooldown_ms: 0 }
        .put(server.operator())?;
    let mut watch = Watch::start(server.public())?;
    let rows = [framing::rows(), bodies::rows(), routes::rows()].into_iter().flatten().collect::<Vec<_>>();
    let mut failures = Vec::new();
    for row in &rows {
        watch.units += row.units;
        watch.hits += row.hits;
        let held = row.run(&server).and_then(|()| watch.check());
        if let Err(error) = held {
            failures.push(format!("{}: {error:#}", row.name));
            watch = Watch::start(server.public()).with_context(|| failures.join("\n    "))?;
        }
    }
    for (name, check) in exchanges::EXCHANGES {
        if let Err(error) = check(&server) {
            failures.push(format!("{name}: {error:#}"));
        }
    }
    ensure!(
        failures.is_empty(),
        "{} of {} rows and exchanges:\n    {}",
        failures.len(),
        rows.len() + exchanges::EXCHANGES.len(),
        failures.join("\n    ")
    );
    server.stop(rustix::process::Signal::TERM)?;
    Ok(format!("{} rows, {} exchanges", rows.len(), exchanges::EXCHANGES.len()))
}

/// What the rows must leave as it is, seen over a connection of its own that stays open all the time.
struct Watch {
    connection: Connection,
    units: u64,
    hits: u64,
}

impl Watch {
    fn start(public: SocketAddr) -> Result<Self> {
        let mut connection = Connection::open(public)?;
        connection.call(&request("POST", "/v1/counters/hostile"))?.expect::<serde_json::Value>(200)?;
        let mut watch = Self { connection, units: 0, hits: 0 };
        (watch.units, watch.hits) = watch.read()?;
        Ok(watch)
    }

    fn read(&mut self) -> Result<(u64, u64)> {
        let sale = Sale::read(&mut self.connection, "hostile")?;
        let hits = value_of(&self.connection.call(&request("GET", "/v1/counters/hostile"))?)?;
        let stock = sale.stock("unit")?;
        ensure!(
            stock.quantity_available + stock.quantity_confirmed == 1_000,
            "figures do not add up: {stock:?}"
        );
        Ok((stock.quantity_confirmed, hits))
    }

    fn check(&mut self) -> Result<()> {
        let seen = self.read()?;
        let expected = (self.units, self.hits);
        ensure!(seen == expected, "units and hits are {seen:?}, not {expected:?}");
        Ok(())
    }
}

/// A reserve request with a body.
pub(crate) fn reserve(body: &str) -> Vec<u8> {
    request_json("POST", RESERVE, &[], body)
}
