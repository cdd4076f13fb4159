//! The scenarios by name. Each starts its own servers in a directory of its own, and returns one line of figures or the
//! first violation.

mod bounded;
mod contention;
mod disk_full;
mod hostile;
mod kill9;
mod lifecycle;
mod noticed;
mod published;
mod schemathesis;
mod sigterm;

use anyhow::Result;

use crate::Bench;

/// One scenario.
#[derive(Debug)]
pub(crate) struct Scenario {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it checks.
    pub about: &'static str,
    /// Runs in the short profile too.
    pub in_short: bool,
    /// Runs it.
    pub run: fn(&mut Bench) -> Result<String>,
}

/// All scenarios, in the order in which they run.
pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "noticed",
        about: "the audit itself: requests kept from it and a rolled-back directory are noticed",
        in_short: true,
        run: noticed::run,
    },
    Scenario {
        name: "lifecycle",
        about: "a sale from scheduled to archived: every refusal, before and after restarts",
        in_short: true,
        run: lifecycle::run,
    },
    Scenario {
        name: "contention",
        about: "2,000 connections, 1,000 units: exactly 1,000 successes; one customer on 100 connections: one",
        in_short: true,
        run: contention::run,
    },
    Scenario {
        name: "kill9",
        about: "SIGKILL under mixed load, again and again: the whole history holds",
        in_short: true,
        run: kill9::run,
    },
    Scenario {
        name: "sigterm",
        about: "SIGTERM and SIGINT under load: acknowledged equals stored; one process per data directory",
        in_short: true,
        run: sigterm::run,
    },
    Scenario {
        name: "hostile",
        about: "hostile bytes, requests and bodies: the right refusal, nothing changed, nobody else disturbed",
        in_short: true,
        run: hostile::run,
    },
    Scenario {
        name: "published",
        about: "published load commands, unchanged, and the vectors of the window",
        in_short: true,
        run: published::run,
    },
    Scenario {
        name: "bounded",
        about: "floods and slow clients: memory stays flat, slow ones are cut off, maxima refuse",
        in_short: true,
        run: bounded::run,
    },
    Scenario {
        name: "disk_full",
        about: "a full disk: writes are refused, reads go on, room brings writes back",
        in_short: true,
        run: disk_full::run,
    },
    Scenario {
        name: "schemathesis",
        about: "schemathesis against the served OpenAPI document (installs it from PyPI when missing)",
        in_short: false,
        run: schemathesis::run,
    },
];
