//! The scenarios by name. Each starts its own servers in a directory of its own, and returns one line of figures or the
//! first violation.

mod absent;
mod bookings;
mod bounded;
mod browser;
mod catalog;
mod clock;
mod cluster;
mod coherence;
mod contention;
mod debezium;
mod disk_full;
mod failover;
mod front;
mod full_targets;
mod grpc;
mod held_back;
mod hostile;
mod inventory;
mod joining;
mod kill9;
mod lagging;
mod lifecycle;
mod noticed;
mod poison;
mod published;
mod reconcile;
mod restored;
mod rolling;
mod rush;
mod schemathesis;
mod sigterm;
mod sinks;
mod unknown;
mod vegeta;
mod visits;

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
        name: "front",
        about: "nginx, Caddy and Traefik ask the server before an application gets a request, by the documented lines",
        in_short: true,
        run: front::run,
    },
    Scenario {
        name: "clock",
        about: "a clock that was a day ahead, is put right and steps back: holds end, windows empty, sales open in time",
        in_short: true,
        run: clock::run,
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
        name: "cluster",
        about: "several nodes over one topic, while they and their brokers are killed, frozen and cut off: the topic, read raw, fits all that was told",
        in_short: true,
        run: cluster::run,
    },
    Scenario {
        name: "joining",
        about: "a single server moves into a cluster whose topics are trimmed, and nodes that lost their files begin with a snapshot",
        in_short: true,
        run: joining::run,
    },
    Scenario {
        name: "rolling",
        about: "nodes behind nginx, by the documented lines, are restarted one after the other: no request that has a key fails",
        in_short: true,
        run: rolling::run,
    },
    Scenario {
        name: "catalog",
        about: "rows changed and read as fast as it goes, and SIGKILL: no read is older than an answer, nothing is lost",
        in_short: true,
        run: catalog::run,
    },
    Scenario {
        name: "coherence",
        about: "rows of PostgreSQL changed and read while feed, source and server are cut and killed: no answer is older than it says",
        in_short: true,
        run: coherence::run,
    },
    Scenario {
        name: "debezium",
        about: "rows that Debezium tells by Kafka, of PostgreSQL and MariaDB, while each part of the way is killed: no answer is older than it says",
        in_short: true,
        run: debezium::run,
    },
    Scenario {
        name: "inventory",
        about: "the product inventory over PostgreSQL tables: none of the known faults of the service that it stands for",
        in_short: true,
        run: inventory::run,
    },
    Scenario {
        name: "unknown",
        about: "a million keys that no row has, asked for twice: PostgreSQL is asked once, and memory is bounded",
        in_short: false,
        run: unknown::run,
    },
    Scenario {
        name: "sigterm",
        about: "SIGTERM and SIGINT under load: acknowledged equals stored; one process per data directory",
        in_short: true,
        run: sigterm::run,
    },
    Scenario {
        name: "restored",
        about: "an older copy of the data directory goes on: no id of a reservation or an event is given twice",
        in_short: true,
        run: restored::run,
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
        name: "vegeta",
        about: "the published load commands of the product inventory: 1,000, 10,000 and 20,000 requests a second",
        in_short: true,
        run: vegeta::run,
    },
    Scenario {
        name: "grpc",
        about: "a real client of gRPC, Python's grpcio: reflection, calls, refusals, deadlines, batches on streams, SIGKILL in the middle of them, health",
        in_short: true,
        run: grpc::run,
    },
    Scenario {
        name: "browser",
        about: "a real browser on the pages of the flash sale: buys, is refused, changes a product; nobody is kept out",
        in_short: true,
        run: browser::run,
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
        name: "sinks",
        about: "four targets, faults everywhere between and in them: each has every event, PostgreSQL and Redis once",
        in_short: true,
        run: sinks::run,
    },
    Scenario {
        name: "visits",
        about: "10,000 visits by ab are 10,000 rows, and the newest is read from a real replica",
        in_short: true,
        run: visits::run,
    },
    Scenario {
        name: "failover",
        about: "the database fails over to a replica, and the old one comes back: the sink writes to the right one or stops",
        in_short: true,
        run: failover::run,
    },
    Scenario {
        name: "poison",
        about: "a rejected event stops its sink alone and is skipped; hostile details stop none",
        in_short: true,
        run: poison::run,
    },
    Scenario {
        name: "absent",
        about: "no target is there at the start: the server serves, each target catches up, no password shows",
        in_short: true,
        run: absent::run,
    },
    Scenario {
        name: "bookings",
        about: "each booking once on its topic, each order of a flash sale once on its queue",
        in_short: true,
        run: bookings::run,
    },
    Scenario {
        name: "rush",
        about: "10,000 units, 30,000 customers, everything on: each unit sold once, each order one row and one message",
        in_short: true,
        run: rush::run,
    },
    Scenario {
        name: "reconcile",
        about: "targets changed behind the server's back: reconcile names it, and nothing else",
        in_short: true,
        run: reconcile::run,
    },
    Scenario {
        name: "held_back",
        about: "the server's disk full because of a target that is away: refused, and mended by the target's return",
        in_short: true,
        run: held_back::run,
    },
    Scenario {
        name: "full_targets",
        about: "the disk of all four targets full: answers go on, and with room again each gets everything",
        in_short: false,
        run: full_targets::run,
    },
    Scenario {
        name: "lagging",
        about: "a target away over many snapshots: the log is kept for it, or it is let go and begins again",
        in_short: false,
        run: lagging::run,
    },
    Scenario {
        name: "schemathesis",
        about: "schemathesis against the served OpenAPI document (installs it from PyPI when missing)",
        in_short: false,
        run: schemathesis::run,
    },
];
