//! What arrived in the targets of sinks, read with clients of their own: PostgreSQL's rows, Redis' entries, and what a
//! reader of Kafka or RabbitMQ is given.

pub(crate) mod delivered;
pub(crate) mod kafka;
pub(crate) mod postgres;
pub(crate) mod rabbitmq;
pub(crate) mod received;
pub(crate) mod redis;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::thread;
use std::time::{Duration, Instant};

use crate::random::Random;
use crate::server::Launch;
use crate::services::Services;
use crate::targets::kafka::Topics;
use crate::targets::postgres::Database;
use crate::targets::rabbitmq::Queues;
use crate::targets::redis::Stream;

/// How long a target may need to answer a reader after it was started.
const ANSWER_TIMEOUT: Duration = Duration::from_mins(1);

/// The kinds of target, which are the names of the sinks too.
pub(crate) const KINDS: [&str; 4] = ["postgres", "redis", "rabbitmq", "kafka"];

/// One event as a target holds it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Stored {
    /// Its place in the log, taken from its id.
    pub offset: u64,
    /// `counter.added` and so on.
    pub kind: String,
    /// The counter, window or sale.
    pub key: String,
    /// RFC 3339 with milliseconds.
    pub at: String,
    /// What happened, as JSON.
    pub body: String,
}

/// An event of which only what is compared is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kept {
    /// The counter, window or sale.
    pub key: String,
    /// A hash over everything.
    pub content: u64,
}

impl Stored {
    /// The short form.
    pub(crate) fn kept(&self) -> Kept {
        // A map of serde_json is sorted, so that equal objects are equal texts.
        let body = serde_json::from_str::<Value>(&self.body).map(|body| body.to_string());
        self.hashed(&body.unwrap_or_else(|_| self.body.clone()))
    }

    /// The short form without the body, for documents that no two parsers agree about.
    pub(crate) fn kept_without_body(&self) -> Kept {
        self.hashed("")
    }

    fn hashed(&self, body: &str) -> Kept {
        let mut hasher = DefaultHasher::new();
        (&self.kind, &self.key, &self.at, body).hash(&mut hasher);
        Kept { key: self.key.clone(), content: hasher.finish() }
    }
}

/// Events by offset.
pub(crate) type Events = BTreeMap<u64, Kept>;

/// Says what the first differences between two targets are.
pub(crate) fn compare(left: (&str, &Events), right: (&str, &Events)) -> Result<()> {
    for ((a_name, a), (b_name, b)) in [(left, right), (right, left)] {
        let missing = a.keys().filter(|offset| !b.contains_key(offset)).collect::<Vec<_>>();
        ensure!(
            missing.is_empty(),
            "{} events are in {a_name} and not in {b_name}, such as {:?}",
            missing.len(),
            &missing[..missing.len().min(10)]
        );
    }
    for (offset, kept) in left.1 {
        ensure!(right.1[offset] == *kept, "the event at {offset} differs between {} and {}", left.0, right.0);
    }
    Ok(())
}

/// All four targets of a run, with names that no other run uses.
#[derive(Debug)]
pub(crate) struct Targets {
    /// The servers.
    pub services: Services,
    /// The schema.
    pub postgres: Database,
    /// The stream.
    pub redis: Stream,
    /// The exchange and queue.
    pub rabbitmq: Queues,
    /// The topic.
    pub kafka: Topics,
}

impl Targets {
    /// Targets on these servers. Nothing connects yet.
    pub(crate) fn on(services: Services, random: &mut Random) -> Result<Self> {
        let name = format!("e2e_{:x}_{:x}", std::process::id(), random.below(1 << 32));
        Ok(Self {
            postgres: Database::new(&services, &name)?,
            redis: Stream::new(&services, &name)?,
            rabbitmq: Queues::new(&services, &name)?,
            kafka: Topics::new(&services, &name)?,
            services,
        })
    }

    /// The settings of the sink of this kind, by environment.
    pub(crate) fn settings(&self, kind: &str) -> Result<Vec<(String, String)>> {
        let own = match kind {
            "postgres" => self.postgres.settings(),
            "redis" => self.redis.settings(),
            "rabbitmq" => self.rabbitmq.settings(),
            "kafka" => self.kafka.settings(),
            _ => bail!("no kind {kind}"),
        };
        Ok(sink_settings(kind, own))
    }

    /// The settings of several sinks.
    pub(crate) fn settings_of(&self, kinds: &[&str]) -> Result<Vec<(String, String)>> {
        let settings = kinds.iter().map(|kind| self.settings(kind)).collect::<Result<Vec<_>>>()?;
        Ok(settings.concat())
    }

    /// Every server runs again and refuses nothing.
    pub(crate) fn heal(&self) -> Result<()> {
        for server in KINDS {
            self.services.thaw(server);
            self.services.start(server)?;
        }
        self.postgres.refuse(false)?;
        self.redis.refuse(false)?;
        self.rabbitmq.refuse(false)?;
        self.kafka.refuse(false)
    }

    /// No password may stand in what a server wrote.
    pub(crate) fn check_secrets(&self, launch: &Launch) -> Result<()> {
        let output = fs::read_to_string(&launch.output).context("read server output")?;
        self.check_text("the server's output", &output)
    }

    /// No password may stand in a text.
    pub(crate) fn check_text(&self, name: &str, text: &str) -> Result<()> {
        for password in self.services.passwords()? {
            ensure!(!text.contains(&password), "{name} contains a password");
        }
        Ok(())
    }

    /// All that is in PostgreSQL, and all that is in Redis.
    pub(crate) fn rows_and_entries(&self) -> Result<(Events, Events)> {
        let place = |event: &Stored| (event.offset, event.kept());
        let rows = self.postgres.events(0)?.iter().map(place).collect();
        Ok((rows, self.redis.events(0)?.iter().map(place).collect()))
    }

    /// Removes what the run made; what cannot be removed is said and left.
    pub(crate) fn clean(&self) {
        let cleaned = [
            ("postgres", self.postgres.clean()),
            ("redis", self.redis.clean()),
            ("rabbitmq", self.rabbitmq.clean()),
            ("kafka", self.kafka.clean()),
        ];
        for (kind, cleaned) in cleaned {
            if let Err(error) = cleaned {
                println!("    could not clean {kind}: {error:#}");
            }
        }
    }
}

/// The settings of a sink that has the name of its kind, by environment.
pub(crate) fn sink_settings(kind: &str, own: Vec<(String, String)>) -> Vec<(String, String)> {
    let section = kind.to_uppercase();
    let kind = [("KIND".to_owned(), kind.to_owned())];
    let name = |(key, value)| (format!("ONRUSH_SINKS__{section}__{key}"), value);
    kind.into_iter().chain(own).map(name).collect()
}

/// Runs a scenario on targets of its own, and leaves the servers healed and clean whatever happens.
pub(crate) fn with_targets(
    random: &mut Random,
    scenario: impl FnOnce(&mut Targets) -> Result<String>,
) -> Result<String> {
    let Some(services) = Services::find()? else {
        return Ok("SKIPPED: cargo xtask services up tells where the servers are".into());
    };
    let mut targets = Targets::on(services, random)?;
    targets.heal().context("before the scenario")?;
    let held = scenario(&mut targets);
    targets.heal().context("after the scenario")?;
    targets.clean();
    held
}

/// Tries until it works: a server that was just started may still refuse.
fn retried<T>(what: &str, mut attempt: impl FnMut() -> Result<T>) -> Result<T> {
    let started = Instant::now();
    loop {
        match attempt() {
            Ok(value) => return Ok(value),
            Err(error) if started.elapsed() > ANSWER_TIMEOUT => return Err(error.context(what.to_owned())),
            Err(_) => thread::sleep(Duration::from_millis(100)),
        }
    }
}

/// The offset of an event id, `partition-offset` or `partition-offset-incarnation`.
fn offset_of(id: &str) -> Result<u64> {
    let rest = id.strip_prefix("0-").with_context(|| format!("the id {id:?} is not of partition 0"))?;
    let offset = rest.split_once('-').map_or(rest, |(offset, _)| offset);
    offset.parse().with_context(|| format!("read the id {id:?}"))
}

/// The kind of an event type.
fn kind_of(event_type: &str) -> Result<String> {
    let kind = event_type.strip_prefix("dev.onrush.");
    Ok(kind.with_context(|| format!("the type {event_type:?} is not one of onrush"))?.to_owned())
}
