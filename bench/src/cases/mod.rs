//! The benchmarks, one per question, in the order in which they run.

mod buy;
mod catalog;
mod changes;
mod cold_start;
mod denied;
mod earlier;
mod engine;
mod failover;
mod gated;
mod growth;
mod hot_path;
mod hot_routes;
mod joining;
mod latency;
mod limit;
mod multi_get;
mod reserve;
mod reserve_many;
mod rush;
mod session;
mod shared_log;
mod shared_records;
mod sinks;
mod sinks_on;
mod stored;
mod storm;
mod visible;

use anyhow::Result;

use crate::report::Findings;
use crate::setting::Bench;

/// A question with a name to ask it by.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) run: fn(&Bench) -> Result<Findings>,
}

/// The benchmark that needs a binary of an earlier release.
pub(crate) const EARLIER: &str = "earlier";

/// Every benchmark.
pub(crate) const CASES: &[Case] = &[
    Case {
        name: "counter",
        about: "durable counters over HTTP, 100 and 400 connections, to nginx",
        run: hot_path::counter,
    },
    Case {
        name: "read",
        about: "reads of a counter and hyper with a constant, 100 and 400 connections, to nginx",
        run: hot_path::read,
    },
    Case {
        name: "catalog",
        about: "reads of 100,000 rows, 100 and 400 connections, to nginx with files and to Redis; memory of a row",
        run: catalog::catalog,
    },
    Case {
        name: "visible",
        about: "from a commit in PostgreSQL to the first read that shows it, to PostgreSQL's own replica",
        run: visible::visible,
    },
    Case {
        name: "changes",
        about: "p99 of reads while 1,000 and 10,000 rows a second change in PostgreSQL, to the same without",
        run: changes::changes,
    },
    Case {
        name: "multi-get",
        about: "20 keys at once over gRPC, to the same over HTTP",
        run: multi_get::multi_get,
    },
    Case {
        name: "cold-start",
        about: "until a million rows of PostgreSQL are in memory, to COPY of the same rows by psql",
        run: cold_start::cold_start,
    },
    Case { name: "window", about: "the durable request window at /, to nginx", run: hot_path::window },
    Case {
        name: "reserve",
        about: "reservations, a new customer each time, 100 and 400 connections, to nginx and to Redis",
        run: reserve::reserve,
    },
    Case {
        name: "reserve-many",
        about: "reservations over streams of batches, to Redis pipelined",
        run: reserve_many::reserve_many,
    },
    Case {
        name: "refuse",
        about: "refusals of a sold-out sale, 100 and 400 connections, to nginx",
        run: reserve::refuse,
    },
    Case {
        name: "limit",
        about: "refusals by rate limit, to nginx's limit_req; memory of 10 million addresses",
        run: limit::limit,
    },
    Case {
        name: "session",
        about: "what a proxy asks about a request with a session, 100 and 400 connections, to nginx",
        run: session::session,
    },
    Case {
        name: "gated",
        about: "reservations with session, cool-down, limits and denylist, to the same without",
        run: gated::gated,
    },
    Case {
        name: "denied",
        about: "reservations past a denylist of a million, to the same past one of two",
        run: denied::denied,
    },
    Case {
        name: "storm",
        about: "p99 of reservations while 128 clients log in with wrong passwords, to the same without them",
        run: storm::storm,
    },
    Case {
        name: "buy",
        about: "/check of the flash sale, 400 connections, to what the other system publishes",
        run: buy::buy,
    },
    Case {
        name: EARLIER,
        about: "every hot route of this build, to the binary that --earlier names",
        run: earlier::earlier,
    },
    Case {
        name: "shared-log",
        about: "reservations, refusals, counts and reads with the log in a topic of three brokers, to the log in files",
        run: shared_log::shared_log,
    },
    Case {
        name: "shared-records",
        about: "records of 1, 16 and 256 KiB in force in a topic of three brokers, and how long each takes, to Kafka's own load generator",
        run: shared_records::shared_records,
    },
    Case {
        name: "failover",
        about: "from the end of the leading node, killed or stopped, to the first count of another",
        run: failover::failover,
    },
    Case {
        name: "joining",
        about: "a node without anything until it answers, to a start from the same log in files; how far a follower is behind",
        run: joining::joining,
    },
    Case { name: "engine", about: "reservations without HTTP, to Redis pipelined", run: engine::engine },
    Case {
        name: "stored",
        about: "memory, log bytes and restarts with 5 million reservations, to Redis",
        run: stored::stored,
    },
    Case { name: "latency", about: "open loop at half of peak, in syncs of the disk", run: latency::latency },
    Case {
        name: "connections",
        about: "reservations over 1 to 10,000 connections",
        run: growth::connections,
    },
    Case { name: "sales", about: "reservations in 1 to 100,000 sales", run: growth::sales },
    Case {
        name: "reservations",
        about: "reservations on top of 0 to 5 million others",
        run: growth::reservations,
    },
    Case {
        name: "sink-postgres",
        about: "events into PostgreSQL, to pgbench inserting rows and to bare COPY",
        run: sinks::postgres,
    },
    Case { name: "sink-kafka", about: "events into Kafka, to its own load generator", run: sinks::kafka },
    Case {
        name: "sink-rabbitmq",
        about: "events into RabbitMQ, confirmed, to its client without anything else",
        run: sinks::rabbitmq,
    },
    Case { name: "sink-redis", about: "events into a Redis stream, to redis-benchmark", run: sinks::redis },
    Case {
        name: "rush",
        about: "10,000 units, 30,000 customers, everything on: seconds until the last row and message",
        run: rush::rush,
    },
    Case {
        name: "sinks-on",
        about: "reservations while four sinks write, to reservations without sinks",
        run: sinks_on::sinks_on,
    },
];
