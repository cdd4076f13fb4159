//! A node's copy when the node starts: as it is there, or made anew from the newest snapshot.

use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::sync::Arc;

use onrush_log::file::{FileLog, LogSettings, SyncMethod};
use onrush_log::shared::{Place, SharedError};
use onrush_log::{Log, OpenError, SnapshotError, StorageError};

use crate::copy::LocalCopy;
use crate::place_file::{PlaceFile, Reached};
use crate::settings::SharedLogs;
use crate::snapshots::{FetchError, Manifest, fetch, newest_manifests};

/// Snapshots that are tried, the newest first.
const TRIED_COUNT: usize = 2;

/// A copy that is open.
pub(crate) struct OpenCopy {
    pub(crate) log: Arc<dyn Log>,
    pub(crate) copy: LocalCopy,
    pub(crate) reached: Reached,
    /// The snapshot that it was made from.
    pub(crate) made_from: Option<Manifest>,
}

/// Where and how the copy is kept.
pub(crate) struct CopyPlace<'a> {
    pub(crate) directory: &'a Path,
    pub(crate) partition: u32,
    pub(crate) segment_bytes: u64,
    pub(crate) place_file: &'a PlaceFile,
}

impl CopyPlace<'_> {
    /// The copy, and how far it has come. One that lacks what was noted, is damaged, or ends before the first record that the shared
    /// log still has, is made anew.
    pub(crate) fn open(&self, shared: &SharedLogs) -> Result<OpenCopy, OpenError> {
        let Self { directory, place_file, .. } = self;
        let reached = place_file.read().map_err(|source| system("read", place_file.path(), source))?;
        let log = self.lock()?;
        let opened = match &reached {
            Some(reached) => LocalCopy::open(&log, reached, random()?),
            // Without the file nobody knows what the copy is of.
            None => Ok(None),
        };
        let problem = match opened {
            Ok(Some(copy)) => match snapshot_problem(&log)? {
                None => {
                    let reached = reached.clone().unwrap_or_default();
                    match self.trimmed(&reached.place, shared)? {
                        None => return Ok(OpenCopy { log: Arc::new(log), copy, reached, made_from: None }),
                        Some(problem) => problem,
                    }
                }
                Some(problem) => problem,
            },
            Ok(None) => "it lacks what was noted of it".to_owned(),
            Err(OpenError::Damaged(damage)) => damage.to_string(),
            Err(error) => return Err(error),
        };
        if reached.is_some() {
            tracing::warn!(problem, "the copy of the shared log is made anew");
        }
        drop(log);
        fs::remove_dir_all(directory).map_err(|source| system("remove", directory, source))?;
        let opened = self.make(shared)?;
        place_file.write(&opened.reached).map_err(|source| system("write", place_file.path(), source))?;
        Ok(opened)
    }

    /// Why the copy cannot go on, if the shared log was trimmed beyond its place.
    fn trimmed(&self, place: &Place, shared: &SharedLogs) -> Result<Option<String>, OpenError> {
        // A log that cannot be asked now is followed when it can.
        let Ok(extent) = shared.records.extent(self.partition) else { return Ok(None) };
        if place.next_no >= extent.oldest {
            return Ok(None);
        }
        let newest = newest_manifests(&*shared.snapshots, self.partition, place.log_id, 1);
        let is_there = newest.map_err(unavailable)?.pop().is_some();
        Ok(is_there.then(|| {
            format!(
                "it ends at record {}, and the shared log begins at record {}",
                place.next_no.0, extent.oldest.0
            )
        }))
    }

    fn lock(&self) -> Result<FileLog, OpenError> {
        let settings = LogSettings::new(self.segment_bytes);
        FileLog::lock(self.directory, SyncMethod::UnsafeNone, self.partition, settings)
    }

    /// A new one, from the newest snapshot that is whole; an empty one if there is none.
    fn make(&self, shared: &SharedLogs) -> Result<OpenCopy, OpenError> {
        let newest = newest_manifests(&*shared.snapshots, self.partition, None, TRIED_COUNT);
        let mut last_problem = None;
        for manifest in newest.map_err(unavailable)? {
            let log = self.lock()?;
            match fetch(&*shared.snapshots, &manifest, &log, random()?) {
                Ok(copy) => {
                    let (reached, offset) = (manifest.reached.clone(), copy.end());
                    tracing::info!(
                        offset,
                        bytes = manifest.bytes,
                        "the copy begins with the newest snapshot"
                    );
                    return Ok(OpenCopy { log: Arc::new(log), copy, reached, made_from: Some(manifest) });
                }
                Err(
                    error @ (FetchError::Damaged { .. } | FetchError::Shared(SharedError::Missing { .. })),
                ) => {
                    tracing::error!(%error, "a snapshot in the topic of snapshots is of no use; the one before is tried");
                    last_problem = Some(error.to_string());
                }
                Err(FetchError::Open(error)) => return Err(error),
                Err(error) => {
                    return Err(OpenError::Unavailable(format!("fetch the newest snapshot: {error}")));
                }
            }
            drop(log);
            let removed = fs::remove_dir_all(self.directory);
            removed.map_err(|source| system("remove", self.directory, source))?;
        }
        let oldest = shared.records.extent(self.partition).map_err(unavailable)?.oldest;
        if oldest.0 > 0 {
            let problem = last_problem.unwrap_or_else(|| "there is none".to_owned());
            return Err(OpenError::Unavailable(format!(
                "the shared log begins at record {}, so a node begins with a snapshot, and none is of use: {problem}. Stop another node \
                 of the cluster, and copy its `copy` and `place` into the directory of this one",
                oldest.0
            )));
        }
        let log = self.lock()?;
        let reached = Reached::default();
        let copy = LocalCopy::open(&log, &reached, random()?)?.expect("an empty copy has all of nothing");
        Ok(OpenCopy { log: Arc::new(log), copy, reached, made_from: None })
    }
}

/// What is wrong with the newest snapshot: without a sync a power cut can leave a part of one.
fn snapshot_problem(log: &dyn Log) -> Result<Option<String>, OpenError> {
    let Some(offset) = log.snapshots()?.first().copied() else { return Ok(None) };
    let read = log.read_snapshot(offset).and_then(|mut snapshot| {
        while snapshot.next_chunk()?.is_some() {}
        Ok(())
    });
    match read {
        Ok(()) => Ok(None),
        Err(SnapshotError::Storage(error)) => Err(error.into()),
        Err(error) => Ok(Some(error.to_string())),
    }
}

/// A directory with a log of its own is not one for a copy.
pub(crate) fn refuse_single_server(directory: &Path) -> Result<(), OpenError> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(directory);
    made.map_err(|source| system("make", directory, source))?;
    let entries = fs::read_dir(directory).map_err(|source| system("read", directory, source))?;
    let is_of_log = |entry: &fs::DirEntry| {
        let name = entry.path();
        name.extension().is_some_and(|extension| extension == "seg" || extension == "snap")
    };
    if entries.flatten().any(|entry| is_of_log(&entry)) {
        return Err(OpenError::Settings(format!(
            "{} has the log of a single server, which a node over a shared log would not read: give the node an empty directory",
            directory.display()
        )));
    }
    Ok(())
}

pub(crate) fn system(doing: &'static str, path: &Path, source: std::io::Error) -> OpenError {
    OpenError::Storage(StorageError { doing, path: path.display().to_string(), source })
}

pub(crate) fn random() -> Result<u64, OpenError> {
    getrandom::u64()
        .map_err(|error| OpenError::Unavailable(format!("no random numbers can be drawn: {error}")))
}

#[allow(clippy::needless_pass_by_value, reason = "it is what `map_err` gives")]
fn unavailable(error: SharedError) -> OpenError {
    OpenError::Unavailable(error.to_string())
}
