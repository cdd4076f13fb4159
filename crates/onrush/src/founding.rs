//! `onrush cluster found`: the log of a single server becomes the beginning of a shared one, and no single server goes on from it.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use onrush_cluster::FoundError;
use onrush_log::OpenError;
use onrush_log::file::{FileLog, LogSettings, StoredFileLog, SyncMethod};

use crate::failure::Failure;
use crate::output::print;
use crate::settings::{Cluster, Settings};
use crate::shared_log;

/// Says in a data directory that its log goes on elsewhere.
const MOVED: &str = "moved-to-cluster";
/// Is there in the directory of a node.
const PLACE: &str = "place";

/// Sends the log in the directory `from` to the shared log of the settings.
pub(crate) fn found(settings: &Settings, from: &Path) -> Result<(), Failure> {
    let Some(cluster) = &settings.cluster else {
        return Err(anyhow!(
            "the log of these settings is in files of one server: with log.kind = \"kafka\" alone there is a topic to move into"
        )
        .into());
    };
    refuse_other_directory(from)?;
    let shared = shared_log::open(cluster)?;
    refuse_unsafe(cluster, &shared)?;
    let partition = settings.node.partition.into();
    let log_settings = LogSettings::new(settings.log.segment_bytes);
    let log = FileLog::lock(from, SyncMethod::Fdatasync, partition, log_settings).map_err(open_failure)?;
    refuse_moved(from)?;
    let sinks: Vec<_> = settings.sinks.iter().map(|sink| sink.node.clone()).collect();
    let noted = onrush_cluster::noted_in(from).context("read what was noted with the log")?;
    let places = onrush_sinks::sink_places(&sinks, from, noted).context("read where a sink was")?;
    let marker = mark_moved(from, cluster).context("note that the log is moved")?;
    let founded = onrush_cluster::found(&shared, partition, &log, places.needed_from, &places.notes);
    let founded = founded.map_err(|error| {
        if error.is_void() {
            // Nobody goes on from what was sent.
            if let Err(error) = fs::remove_file(&marker) {
                tracing::warn!(%error, file = %marker.display(), "the file could not be removed");
            }
        }
        match error {
            FoundError::Open(error) => open_failure(error),
            error @ FoundError::Unknown(_) => Failure::Runtime(anyhow!(
                "{error}. When the cluster answers again, remove {} and run this once more: it says whether the topic has records, and if it \
                 has, nodes go on from there",
                marker.display()
            )),
            error => Failure::Runtime(error.into()),
        }
    })?;
    print(&format!(
        "the log in {} goes on in the shared log, from offset {} on ({} bytes were sent)\n\
         start nodes with empty directories; no server starts with {} again\n",
        from.display(),
        founded.offset,
        founded.snapshot_bytes,
        from.display()
    ))
}

/// A directory without a log would begin an empty one.
fn refuse_other_directory(from: &Path) -> Result<(), Failure> {
    let copy = onrush_cluster::copy_in(from);
    if copy.is_dir() {
        return Err(anyhow!(
            "{} is of a node of a cluster; its log is in {}",
            from.display(),
            copy.display()
        )
        .into());
    }
    if StoredFileLog::is_in(from).with_context(|| format!("read {}", from.display()))? {
        return Ok(());
    }
    Err(anyhow!("{} has no log: name the data directory of the single server", from.display()).into())
}

/// A single server goes on from no log that was moved into a cluster, and from none of a node.
pub(crate) fn refuse_of_cluster(directory: &Path) -> Result<(), Failure> {
    refuse_moved(directory)?;
    let copy = onrush_cluster::copy_in(directory);
    let is_of_node = copy.is_dir() || directory.join(PLACE).is_file();
    let is_copy = directory.parent().is_some_and(|node| {
        node.join(PLACE).is_file() && onrush_cluster::copy_in(node).file_name() == directory.file_name()
    });
    if !is_of_node && !is_copy {
        return Ok(());
    }
    Err(anyhow!(
        "{} is of a node of a cluster: a server that goes on from it alone would sell the same units again. Name another directory, or, if the \
         cluster is gone for good, a copy of the node's {}",
        directory.display(),
        if is_copy { directory.display() } else { copy.display() }
    )
    .into())
}

/// No single server goes on from a log that was moved.
fn refuse_moved(directory: &Path) -> Result<(), Failure> {
    let marker = directory.join(MOVED);
    match fs::read_to_string(&marker) {
        Ok(said) => Err(anyhow!(
            "the log in {} was moved into a cluster ({}): a server that goes on from it would sell the same units again. Start nodes of \
             the cluster with directories of their own. If `onrush cluster found` did not come to its end, remove {} and run it again: it says \
             if the topic has records, and then nodes go on from there, and this directory does not",
            directory.display(),
            said.trim_end(),
            marker.display()
        )
        .into()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(anyhow!(error).context(format!("read {}", marker.display())).into()),
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
