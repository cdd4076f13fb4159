//! `onrush cluster found`: the log of a single server becomes the beginning of a shared one, and no single server goes on from it.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use onrush_cluster::FoundError;
use onrush_log::file::{FileLog, LogSettings, SyncMethod};
use onrush_log::{OpenError, StorageError};
use onrush_node::Retention;
use onrush_sinks::Sinks;

use crate::failure::Failure;
use crate::output::print;
use crate::settings::{Cluster, Settings};
use crate::shared_log;

/// Says in a data directory that its log goes on elsewhere.
const MOVED: &str = "moved-to-cluster";

/// Sends the log in the directory `from` to the shared log of the settings.
pub(crate) fn found(settings: &Settings, from: &Path) -> Result<(), Failure> {
    let Some(cluster) = &settings.cluster else {
        return Err(anyhow!(
            "the log of these settings is in files of one server: with log.kind = \"kafka\" alone there is a topic to move into"
        )
        .into());
    };
    if !from.is_dir() {
        return Err(anyhow!("{} is no directory", from.display()).into());
    }
    let shared = shared_log::open(cluster)?;
    refuse_unsafe(cluster, &shared)?;
    refuse_moved(from).map_err(open_failure)?;
    let partition = settings.node.partition.into();
    let log_settings = LogSettings::new(settings.log.segment_bytes);
    let log = FileLog::lock(from, SyncMethod::Fdatasync, partition, log_settings).map_err(open_failure)?;
    let sinks: Vec<_> = settings.sinks.iter().map(|sink| sink.node.clone()).collect();
    let retention = Retention::default();
    let places = onrush_sinks::noted_places(&sinks, from).context("read where a sink was")?;
    Sinks::prepare(sinks, from, &retention).context("read where a sink was")?;
    let marker = mark_moved(from, cluster).context("note that the log is moved")?;
    let founded = onrush_cluster::found(&shared, partition, &log, retention.needed_from(), &places);
    let founded = match founded {
        Ok(founded) => founded,
        Err(error) => {
            // Nobody goes on from what was sent.
            if let Err(error) = fs::remove_file(&marker) {
                tracing::warn!(%error, file = %marker.display(), "the file could not be removed");
            }
            return Err(match error {
                FoundError::Open(error) => open_failure(error),
                error => Failure::Runtime(error.into()),
            });
        }
    };
    print(&format!(
        "the log in {} goes on in the shared log, from offset {} on ({} bytes were sent)\n\
         start nodes with empty directories; no server starts with {} again\n",
        from.display(),
        founded.offset,
        founded.snapshot_bytes,
        from.display()
    ))
}

/// No single server goes on from a log that was moved.
pub(crate) fn refuse_moved(directory: &Path) -> Result<(), OpenError> {
    let marker = directory.join(MOVED);
    match fs::read_to_string(&marker) {
        Ok(said) => Err(OpenError::Settings(format!(
            "the log in {} was moved into a cluster ({}): a server that goes on from it would sell the same units again. Start nodes of \
             the cluster with directories of their own. Only if no node ever began with it, remove {}",
            directory.display(),
            said.trim_end(),
            marker.display()
        ))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(StorageError { doing: "read", path: marker.display().to_string(), source }.into()),
    }
}

/// Before anything is sent: whatever happens then, the file is there.
fn mark_moved(directory: &Path, cluster: &Cluster) -> std::io::Result<PathBuf> {
    let marker = directory.join(MOVED);
    let mut file = File::create_new(&marker)?;
    writeln!(file, "{}", shared_log::describe(cluster))?;
    file.sync_all()?;
    File::open(directory)?.sync_all()?;
    Ok(marker)
}

#[cfg(feature = "kafka")]
fn refuse_unsafe(cluster: &Cluster, shared: &onrush_cluster::SharedLogs) -> Result<(), Failure> {
    if cluster.unsafe_topic {
        return Ok(());
    }
    for log in [&shared.records, &shared.snapshots] {
        if let Some(finding) = log.inspect().context("look at the topics")?.into_iter().next() {
            return Err(Failure::UnsafeTopic(format!(
                "{} is {}, and has to be {}: see `onrush cluster prepare`",
                finding.setting, finding.found, finding.wanted
            )));
        }
    }
    Ok(())
}

#[cfg(not(feature = "kafka"))]
fn refuse_unsafe(cluster: &Cluster, _shared: &onrush_cluster::SharedLogs) -> Result<(), Failure> {
    match cluster.log {}
}

fn open_failure(error: OpenError) -> Failure {
    match error {
        OpenError::Locked { .. } => Failure::Locked(error.to_string()),
        OpenError::Damaged(_) | OpenError::Between { .. } => Failure::Damaged(error.to_string()),
        error => Failure::Runtime(anyhow!(error).context("open the log")),
    }
}
