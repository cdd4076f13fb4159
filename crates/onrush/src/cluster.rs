//! `onrush cluster`: which of several servers leads; and the topic that they share, made or looked at before any of them uses it.

use std::fmt::Write as _;

use serde::Deserialize;

use crate::cli::{ClusterAction, ClusterArguments};
use crate::failure::Failure;
use crate::operator_client::OperatorClient;
use crate::output::print;
use crate::settings::Cluster;
use crate::terminal::{printable, printable_json};
use crate::{environment, founding, settings, table};

/// A node as the operator listener tells it.
#[derive(Deserialize)]
#[allow(clippy::struct_field_names, reason = "the fields are called what the answer calls them")]
struct Node {
    node: u32,
    url: String,
    partitions: Vec<Partition>,
}

#[derive(Deserialize)]
#[allow(clippy::struct_field_names, reason = "the fields are called what the answer calls them")]
struct Partition {
    partition: u32,
    role: String,
    since: String,
    leader: Option<Leader>,
    epoch: Option<u64>,
    record_no: u64,
    offset: u64,
    lag_ms: Option<u64>,
    problem: Option<String>,
}

#[derive(Deserialize)]
struct Leader {
    node: u32,
    url: String,
}

/// Asks a node, or looks after the topic.
pub(crate) fn run(typed: &ClusterArguments) -> Result<(), Failure> {
    match typed.action {
        None => show(typed),
        Some(ClusterAction::Prepare { replicas }) => {
            let settings = settings::load(&typed.operator.flags(), environment())?;
            let Some(cluster) = settings.cluster else {
                return Err(anyhow::anyhow!(
                    "the log of these settings is in files of one server: there is a topic to prepare with log.kind = \"kafka\" alone"
                )
                .into());
            };
            prepare(&cluster, replicas)
        }
        Some(ClusterAction::Found { ref from }) => {
            founding::found(&settings::load(&typed.operator.flags(), environment())?, from)
        }
    }
}

fn show(typed: &ClusterArguments) -> Result<(), Failure> {
    let operator = settings::load_operator(&typed.operator.flags(), environment())?;
    let client = OperatorClient::new(operator)?;
    let answer = client.get("/v1/cluster")?;
    if typed.operator.json {
        return print(&format!("{}\n", printable_json(&answer.text()?)));
    }
    print(&format!("{}\nasked {}\n", describe(&answer.value::<Node>()?), client.address()))
}

/// A line for each partition, and what is wrong below them.
fn describe(node: &Node) -> String {
    let heads = ["NODE", "PARTITION", "ROLE", "SINCE", "LEADER", "EPOCH", "RECORD", "OFFSET", "LAG"];
    let mut rows = vec![heads.map(str::to_owned).to_vec()];
    rows.extend(node.partitions.iter().map(|partition| {
        let leader = partition.leader.as_ref();
        let leader = leader.map_or_else(|| "nobody".to_owned(), |it| format!("{} {}", it.node, it.url));
        vec![
            format!("{} {}", node.node, node.url),
            partition.partition.to_string(),
            partition.role.clone(),
            partition.since.clone(),
            leader,
            partition.epoch.map_or_else(|| "none".to_owned(), |epoch| epoch.to_string()),
            partition.record_no.to_string(),
            partition.offset.to_string(),
            partition.lag_ms.map_or_else(|| "unknown".to_owned(), |lag_ms| format!("{lag_ms} ms")),
        ]
    }));
    let mut text = table::aligned(&rows, 5);
    for problem in node.partitions.iter().filter_map(|partition| partition.problem.as_ref()) {
        writeln!(text, "\n{}", printable(problem)).expect("a String takes every write");
    }
    text
}

#[cfg(feature = "kafka")]
fn prepare(cluster: &Cluster, replicas: u16) -> Result<(), Failure> {
    use onrush_connect::kafka_log::{KafkaLog, create_topic};
    use onrush_log::shared::{SharedError, SharedLog as _};

    use crate::output::warn;

    let failed = |error: SharedError| Failure::Runtime(error.into());
    let mut unsafe_topics = Vec::new();
    for log in [cluster.log.clone(), cluster.log.snapshots()] {
        let is_made = create_topic(&log, replicas).map_err(failed)?;
        let findings = KafkaLog::open(log.clone()).and_then(|log| log.inspect()).map_err(failed)?;
        let done = if is_made { "was made" } else { "is there already" };
        print(&format!("topic {} {done}\n", log.topic))?;
        for finding in &findings {
            let (setting, found, wanted) = (&finding.setting, &finding.found, &finding.wanted);
            let said = format!("{setting} is {found}, and has to be {wanted}");
            print(&format!("{}\n  {}\n", printable(&said), printable(&finding.cure)))?;
        }
        if !findings.is_empty() {
            unsafe_topics.push(format!("{} of topic {}", findings.len(), log.topic));
        }
    }
    if unsafe_topics.is_empty() {
        return print("nothing in their settings can lose what was acknowledged\n");
    }
    let text = format!("settings can lose what was acknowledged: {}", unsafe_topics.join(", "));
    if cluster.unsafe_topic {
        warn(&format!("{text}; log.unsafe_topic lets a server lead all the same"));
        return Ok(());
    }
    Err(Failure::UnsafeTopic(format!(
        "{text}: no server leads until they are mended, or log.unsafe_topic is set"
    )))
}

#[cfg(not(feature = "kafka"))]
fn prepare(cluster: &Cluster, _replicas: u16) -> Result<(), Failure> {
    match cluster.log {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(answer: &str) -> Node {
        ureq::Body::builder().data(answer.to_owned()).read_json().expect("it is an answer")
    }

    #[test]
    fn a_node_is_told_in_columns_with_what_is_wrong_below() {
        let answer = r#"{"node":2,"url":"http://b:8080","partitions":[{"partition":0,"role":"stopped",
            "since":"2026-11-28T09:00:00.000Z","leader":{"node":1,"url":"http://a:8080"},"epoch":7,"record_no":12,
            "offset":90,"lag_ms":4200,"problem":"the topic\u001b is gone"}]}"#;
        let text = describe(&read(answer));
        let lines: Vec<_> = text.lines().collect();
        assert!(lines[0].starts_with("NODE ") && lines[0].ends_with("LAG"), "{text}");
        for cell in ["2 http://b:8080", "stopped", "1 http://a:8080", "4200 ms"] {
            assert!(lines[1].contains(cell), "{text}");
        }
        assert!(lines[3].starts_with("the topic") && !text.contains('\u{1b}'), "{text}");
    }
}
