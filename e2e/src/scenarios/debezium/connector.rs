//! Connectors of Debezium in the worker of Kafka Connect.

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Map, Value, json};
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use crate::http::{self, Response, request, request_json};
use crate::random::Random;
use crate::services::Services;
use crate::targets::kafka::Topics;

/// What the names of all connectors of this check begin with.
const PREFIX: &str = "onrush-e2e-";

/// Longest wait for a worker that is busy with something else.
const WORKER_TIMEOUT: Duration = Duration::from_mins(1);

/// One connector. It is removed in the end, with its topics.
#[derive(Debug)]
pub(super) struct Connector {
    services: Services,
    /// Its name, with which its topics begin.
    name: String,
}

impl Connector {
    /// Registers one with these settings beside those that all have, and waits until it runs.
    pub(super) fn register(services: &Services, random: &mut Random, settings: &Value) -> Result<Self> {
        // A worker remembers how far a connector came, also when it was removed; so no other run may have this name.
        let name = format!("{PREFIX}{:x}-{:x}", std::process::id(), random.below(1 << 32));
        let mut config = common_settings(&name);
        config.extend(settings.as_object().context("settings are an object")?.clone());
        if settings["connector.class"].as_str().is_some_and(|class| class.contains("mariadb")) {
            config.extend([
                (
                    "schema.history.internal.kafka.bootstrap.servers".to_owned(),
                    json!(services.value("KAFKA_BROKERS")?),
                ),
                ("schema.history.internal.kafka.topic".to_owned(), json!(history_topic(&name))),
            ]);
        }
        let connector = Self { services: services.clone(), name };
        let body = json!({"name": connector.name, "config": config}).to_string();
        let answer = call(services, &request_json("POST", "/connectors", &[], &body))?;
        ensure!(answer.status == 201, "registering a connector: {} {}", answer.status, answer.text());
        connector.await_running()?;
        Ok(connector)
    }

    /// Its name in Kafka Connect.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The topic of a table.
    pub(super) fn topic(&self, table: &str) -> String {
        format!("{}.{table}", self.name)
    }

    /// Lets it begin again.
    pub(super) fn restart(&self) -> Result<()> {
        let target = format!("/connectors/{}/restart?includeTasks=true", self.name);
        let answer = call(&self.services, &request_json("POST", &target, &[], ""))?;
        ensure!(answer.status == 202, "restarting a connector: {} {}", answer.status, answer.text());
        Ok(())
    }

    /// Waits until its task runs, which it does not if it failed.
    fn await_running(&self) -> Result<()> {
        let begun = Instant::now();
        loop {
            let target = format!("/connectors/{}/status", self.name);
            let answer = call(&self.services, &request("GET", &target))?;
            let status: Value = answer.json()?;
            match status["tasks"][0]["state"].as_str() {
                Some("RUNNING") => return Ok(()),
                Some("FAILED") => bail!("the task failed: {}", status["tasks"][0]["trace"]),
                _ => ensure!(begun.elapsed() < WORKER_TIMEOUT, "the connector does not run: {status}"),
            }
            thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Connector {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.services, &self.name) {
            println!("    the connector {} stays: {error:#}", self.name);
        }
    }
}

/// Removes what runs left that were stopped.
pub(super) fn remove_left(services: &Services) -> Result<()> {
    let names: Vec<String> = call(services, &request("GET", "/connectors"))?.expect(200)?;
    names.iter().filter(|name| name.starts_with(PREFIX)).try_for_each(|name| remove(services, name))
}

fn remove(services: &Services, name: &str) -> Result<()> {
    let topics: Value = call(services, &request("GET", &format!("/connectors/{name}/topics")))?.json()?;
    let answer = call(services, &request("DELETE", &format!("/connectors/{name}")))?;
    ensure!(matches!(answer.status, 204 | 404), "removing {name}: {} {}", answer.status, answer.text());
    let topics = topics[name]["topics"].as_array().cloned().unwrap_or_default();
    let topics = topics.iter().filter_map(Value::as_str).map(str::to_owned);
    topics.chain([history_topic(name)]).try_for_each(|topic| Topics::new(services, &topic)?.clean())
}

/// Sends a request to the worker until it is free to answer it.
fn call(services: &Services, bytes: &[u8]) -> Result<Response> {
    let worker: SocketAddr = services.address("CONNECT_URL")?;
    let begun = Instant::now();
    loop {
        let answer = http::once(worker, bytes);
        match answer {
            // It is dividing work.
            Ok(Response { status: 409 | 500.., .. }) | Err(_) if begun.elapsed() < WORKER_TIMEOUT => {}
            Ok(Response { status: 404, .. }) if is_of_task(bytes) && begun.elapsed() < WORKER_TIMEOUT => {}
            answer => return answer.context("ask Kafka Connect"),
        }
        thread::sleep(Duration::from_millis(100));
    }
}

/// The status of a connector that was just registered is not known at once.
fn is_of_task(bytes: &[u8]) -> bool {
    String::from_utf8_lossy(bytes).lines().next().is_some_and(|line| line.contains("/status "))
}

fn history_topic(name: &str) -> String {
    format!("{name}.schema-history")
}

/// Quick connectors: by default they look for changes each half second, and wait ten after an error.
fn common_settings(name: &str) -> Map<String, Value> {
    let settings = json!({
        "tasks.max": "1",
        "topic.prefix": name,
        "decimal.handling.mode": "string",
        "poll.interval.ms": "20",
        "heartbeat.interval.ms": "500",
        "retriable.restart.connector.wait.ms": "1000",
        "topic.creation.enable": "true",
        "topic.creation.default.replication.factor": "1",
        "topic.creation.default.partitions": "1",
        "topic.creation.default.cleanup.policy": "compact",
        // So that Kafka forgets earlier changes during the check, and all that is left can be read in time however long it goes on.
        "topic.creation.default.segment.bytes": "8388608",
        "topic.creation.default.min.cleanable.dirty.ratio": "0.1",
    });
    settings.as_object().cloned().unwrap_or_default()
}
