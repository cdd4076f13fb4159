//! Apache Kafka, and its own `kafka-producer-perf-test` sending as many records of the same bytes.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};

use super::SinkTarget;
use crate::services::Services;

/// Messages of the sink that the peer's records are taken from.
const SAMPLE_COUNT: u32 = 10_000;
/// Records that the peer sends before those that count: the first find a virtual machine that has compiled nothing yet.
const WARM_UP_COUNT: u64 = 200_000;
/// How the sink compresses, and how long it waits for a batch to fill: the same for the peer.
const COMPRESSION: &str = "lz4";
const LINGER_MS: u32 = 5;

/// A broker that runs.
pub(crate) struct Kafka {
    brokers: String,
    libraries: String,
    pids: Vec<u32>,
}

/// What the peer says of records of one size.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct PerfRun {
    pub(crate) records_per_second: f64,
    /// In whole milliseconds, as it counts.
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
}

/// What the peer is left to choose.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ProducerSettings {
    pub(crate) batch_bytes: u32,
    pub(crate) buffer_bytes: u32,
}

impl ProducerSettings {
    /// What it has if nothing is set, and batches as large as the sink's.
    pub(crate) const CHOICES: [Self; 2] = [
        Self { batch_bytes: 16 << 10, buffer_bytes: 32 << 20 },
        Self { batch_bytes: 1_000_000, buffer_bytes: 64 << 20 },
    ];

    /// What is the same for all.
    pub(crate) fn description(self) -> String {
        format!(
            "acks=all, idempotent, {COMPRESSION}, linger.ms={LINGER_MS}, batch.size={}, buffer.memory={}, after \
             {WARM_UP_COUNT} records that do not count",
            self.batch_bytes, self.buffer_bytes
        )
    }
}

impl Kafka {
    pub(crate) fn connect(services: &Services) -> Result<Self> {
        let (brokers, libraries) = (services.get("KAFKA_BROKERS")?, services.get("KAFKA_LIBS")?);
        let pids = vec![services.pid("KAFKA_PID")?];
        Ok(Self { brokers: brokers.to_owned(), libraries: libraries.to_owned(), pids })
    }

    /// The three brokers that are one cluster.
    pub(crate) fn cluster(services: &Services) -> Result<Self> {
        let of = |name| services.get(name).context("run: cargo xtask services up kafka-cluster");
        let (brokers, libraries) = (of("KAFKA_CLUSTER_BROKERS")?, of("KAFKA_CLUSTER_LIBS")?);
        let pids = ["KAFKA_1_PID", "KAFKA_2_PID", "KAFKA_3_PID"].into_iter();
        let pids = pids.map(|name| services.pid(name)).collect::<Result<_>>()?;
        Ok(Self { brokers: brokers.to_owned(), libraries: libraries.to_owned(), pids })
    }

    /// Where it is reached.
    pub(crate) fn brokers(&self) -> &str {
        &self.brokers
    }

    /// Sends so many records of random bytes to a topic that is there, as fast as it goes or so many a second, and tells of all but the
    /// first, of which there are a tenth as many beside.
    pub(crate) fn perf(
        &self,
        topic: &str,
        record_bytes: usize,
        count: u64,
        per_second: Option<f64>,
    ) -> Result<PerfRun> {
        let warm_up_count = count.div_ceil(10);
        let throughput = per_second.map_or_else(|| "-1".to_owned(), |rate| format!("{rate:.1}"));
        let arguments = [
            "--topic",
            topic,
            "--num-records",
            &(count + warm_up_count).to_string(),
            "--warmup-records",
            &warm_up_count.to_string(),
            "--record-size",
            &record_bytes.to_string(),
            "--throughput",
            &throughput,
            "--command-property",
            "acks=all",
            "enable.idempotence=true",
            "max.in.flight.requests.per.connection=5",
            "linger.ms=0",
        ];
        let output = self.tool("org.apache.kafka.tools.ProducerPerformance", &arguments)?;
        let text = String::from_utf8_lossy(&output.stdout);
        parse_perf(&text).with_context(|| format!("ProducerPerformance printed {text:?}"))
    }

    /// Runs one of Kafka's own tools, by the name of its class.
    fn tool(&self, class: &str, arguments: &[&str]) -> Result<Output> {
        let mut command = Command::new("java");
        // The size of the heap is that of Kafka's script for this tool.
        command.args(["-Xmx512m", "-XX:-UsePerfData", "-classpath", &format!("{}/*", self.libraries)]);
        command.arg(class).args(["--bootstrap-server", &self.brokers]).args(arguments);
        let output = command.output().with_context(|| format!("run {class}"))?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{class} ended with {}: {errors}", output.status);
        Ok(output)
    }

    /// Deletes a topic, if it is there.
    pub(crate) fn remove_if_there(&self, topic: &str) -> Result<()> {
        self.tool("org.apache.kafka.tools.TopicCommand", &["--delete", "--if-exists", "--topic", topic])
            .map(drop)
    }

    /// Writes records for [`Kafka::produce`] to a file, a line each, and returns their mean size: headers, key and value of the
    /// sink's messages, so that a record of the peer, which has a value only, has as many bytes that compress as well.
    pub(crate) fn sample(&self, topic: &str, file: &Path) -> Result<f64> {
        let count = SAMPLE_COUNT.to_string();
        let output = self.tool(
            "org.apache.kafka.tools.consumer.ConsoleConsumer",
            &[
                "--topic",
                topic,
                "--from-beginning",
                "--max-messages",
                &count,
                "--timeout-ms",
                "10000",
                "--formatter-property",
                "print.headers=true",
                "--formatter-property",
                "print.key=true",
            ],
        )?;
        let text = String::from_utf8_lossy(&output.stdout);
        // The first are those of a sale and of the server's own counters, the others are alike.
        let is_alike = |line: &&str| line.contains("ce_id") && line.contains("\"reservation\"");
        let records: Vec<_> = text.lines().filter(is_alike).collect();
        ensure!(!records.is_empty(), "there is no message to take as an example");
        std::fs::write(file, records.join("\n")).context("write the records")?;
        Ok(records.iter().map(|record| record.len()).sum::<usize>() as f64 / records.len() as f64)
    }

    /// Sends so many records after some to warm up, and returns the seconds that the tool says they took.
    pub(crate) fn produce(
        &self,
        topic: &str,
        count: u64,
        records: &Path,
        settings: ProducerSettings,
    ) -> Result<f64> {
        let arguments = [
            "--topic",
            topic,
            "--num-records",
            &(count + WARM_UP_COUNT).to_string(),
            "--warmup-records",
            &WARM_UP_COUNT.to_string(),
            "--throughput",
            "-1",
            "--payload-file",
            &records.display().to_string(),
            "--command-property",
            "acks=all",
            "enable.idempotence=true",
            &format!("linger.ms={LINGER_MS}"),
            &format!("compression.type={COMPRESSION}"),
            &format!("batch.size={}", settings.batch_bytes),
            &format!("buffer.memory={}", settings.buffer_bytes),
        ];
        let output = self.tool("org.apache.kafka.tools.ProducerPerformance", &arguments)?;
        let text = String::from_utf8_lossy(&output.stdout);
        let rate = parse_rate(&text).with_context(|| format!("ProducerPerformance printed {text:?}"))?;
        Ok(count as f64 / rate)
    }

    /// Settings of the broker that were set, by name; the others have their defaults.
    fn broker_settings(&self) -> Result<Vec<(&'static str, String)>> {
        let output = self.tool(
            "kafka.admin.ConfigCommand",
            &["--entity-type", "brokers", "--entity-name", "1", "--describe", "--all"],
        )?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let names = ["log.flush.interval.messages", "min.insync.replicas", "default.replication.factor"];
        Ok(names.map(|name| (name, setting(&text, name).unwrap_or("unknown").to_owned())).into())
    }
}

impl SinkTarget for Kafka {
    fn kind(&self) -> &'static str {
        "kafka"
    }

    fn pids(&self) -> Vec<u32> {
        self.pids.clone()
    }

    fn settings(&self, place: &str) -> Vec<(&'static str, String)> {
        vec![("brokers", self.brokers.clone()), ("topic", place.to_owned())]
    }

    fn prepare(&self, place: &str) -> Result<()> {
        self.remove_if_there(place)?;
        self.tool("org.apache.kafka.tools.TopicCommand", &["--create", "--topic", place]).map(drop)
    }

    fn event_count(&self, place: &str) -> Result<u64> {
        let output = self.tool("org.apache.kafka.tools.GetOffsetShell", &["--topic", place])?;
        let text = String::from_utf8_lossy(&output.stdout);
        // A line for each partition: topic:partition:offset.
        let ends = text.lines().filter_map(|line| line.rsplit(':').next()?.parse::<u64>().ok());
        Ok(ends.sum())
    }

    fn remove(&self, place: &str) -> Result<()> {
        self.remove_if_there(place)
    }

    fn durability(&self) -> Result<String> {
        let output = self.tool("org.apache.kafka.tools.TopicCommand", &["--version"])?;
        let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        let mut text = format!("Kafka {version}: one broker, one partition, acks=all");
        for (name, value) in self.broker_settings()? {
            write!(text, ", {name}={value}")?;
        }
        text.push_str("; an acknowledgement means that the broker has the message, not that its disk has");
        Ok(text)
    }
}

/// `N steady state records sent, R records/sec …`: those after the warm-up.
fn parse_rate(output: &str) -> Option<f64> {
    let after = output.lines().rev().find_map(|line| line.split_once(" steady state records sent, "))?.1;
    after.split(' ').next()?.parse().ok()
}

/// `N steady state records sent, R records/sec (…), A ms avg latency, M ms max latency, P ms 50th, … ms 95th, Q ms 99th, …`
fn parse_perf(output: &str) -> Option<PerfRun> {
    let after = output.lines().rev().find_map(|line| line.split_once(" steady state records sent, "))?.1;
    let before = |unit: &str| {
        let part = after.split(", ").find_map(|part| part.strip_suffix(unit))?;
        part.trim().parse::<f64>().ok()
    };
    let (p50_ms, p99_ms) = (before(" ms 50th")?, before(" ms 99th")?);
    Some(PerfRun { records_per_second: parse_rate(output)?, p50_ms, p99_ms })
}

/// The value of `  name=value sensitive=false …`.
fn setting<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let value = text.lines().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix('='))?;
    value.split(' ').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_those_after_the_warm_up() {
        let text = "400 records sent, 80.0 records/sec (0.02 MB/sec), 1 ms avg latency\n\
                    300 steady state records sent, 250.5 records/sec (0.05 MB/sec), 2 ms avg latency\n";
        assert_eq!(parse_rate(text), Some(250.5));
        assert_eq!(parse_rate("400 records sent, 80.0 records/sec"), None);
    }

    #[test]
    fn latencies_are_those_after_the_warm_up() {
        let text = "9 records sent, 80.0 records/sec (0.5 MB/sec), 1.00 ms avg latency, 9.00 ms max latency, 1 ms 50th, 2 ms 95th, 3 ms 99th, 4 ms 99.9th.\n\
                    8 steady state records sent, 30.5 records/sec (0.48 MB/sec), 33.55 ms avg latency, 46.00 ms max latency, 34 ms 50th, 45 ms 95th, 46 ms 99th, 47 ms 99.9th.\n";
        let expected = PerfRun { records_per_second: 30.5, p50_ms: 34.0, p99_ms: 46.0 };
        assert_eq!(parse_perf(text), Some(expected));
        assert_eq!(parse_perf("9 records sent, 80.0 records/sec"), None);
    }

    #[test]
    fn settings_are_found_by_their_whole_names() {
        let text =
            "All configs for broker 1 are:\n  a.b.c=7 sensitive=false\n  a.b=5 sensitive=false synonyms={}\n";
        assert_eq!(setting(text, "a.b"), Some("5"));
        assert_eq!(setting(text, "b"), None);
    }
}
