//! `onrush cluster`: the topic that several nodes share, made or looked at before any of them uses it.

use crate::cli::{ClusterAction, ClusterArguments};
use crate::failure::Failure;
use crate::settings::Cluster;
use crate::{environment, settings};

/// Makes the topic, or says what in its settings can lose records.
pub(crate) fn run(typed: &ClusterArguments) -> Result<(), Failure> {
    let ClusterAction::Prepare { replicas } = typed.action;
    let settings = settings::load(&typed.flags(), environment())?;
    let Some(cluster) = settings.cluster else {
        return Err(anyhow::anyhow!(
            "the log of these settings is in files of one server: there is a topic to prepare with log.kind = \"kafka\" alone"
        )
        .into());
    };
    prepare(&cluster, replicas)
}

#[cfg(feature = "kafka")]
fn prepare(cluster: &Cluster, replicas: u16) -> Result<(), Failure> {
    use onrush_connect::kafka_log::{KafkaLog, create_topic};
    use onrush_log::shared::{SharedError, SharedLog as _};

    use crate::output::{print, warn};
    use crate::terminal::printable;

    let failed = |error: SharedError| Failure::Runtime(error.into());
    let topic = &cluster.log.topic;
    let is_made = create_topic(&cluster.log, replicas).map_err(failed)?;
    let findings = KafkaLog::open(cluster.log.clone()).and_then(|log| log.inspect()).map_err(failed)?;
    let done = if is_made { "was made" } else { "is there already" };
    print(&format!("topic {topic} {done}\n"))?;
    for finding in &findings {
        let (setting, found, wanted) = (&finding.setting, &finding.found, &finding.wanted);
        let said = format!("{setting} is {found}, and has to be {wanted}");
        print(&format!("{}\n  {}\n", printable(&said), printable(&finding.cure)))?;
    }
    let count = findings.len();
    if count == 0 {
        return print("nothing in its settings can lose what was acknowledged\n");
    }
    let text = format!("{count} settings of topic {topic} can lose what was acknowledged");
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
