//! A node's copy when the node starts: as it is there, or made anew from the newest snapshot.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use onrush_log::file::{FileLog, LogSettings, StoredFileLog, SyncMethod};
use onrush_log::shared::{Extent, LogId, Place, RecordNo, SharedError};
use onrush_log::{Damage, Log, OpenError, SnapshotError, StorageError};

use crate::copy::LocalCopy;
use crate::place_file::{PlaceFile, Reached};
use crate::settings::SharedLogs;
use crate::snapshots::{FetchError, Manifest, fetch, has_record, log_id_of, newest_manifests};

/// So many snapshots are looked for at first.
const NEWEST_COUNT: usize = 2;

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
        let place_file = self.place_file;
        remove(&self.unfinished())?;
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
                    match self.lacks(&reached.place, copy.end(), shared)? {
                        None => return Ok(OpenCopy { log: Arc::new(log), copy, reached, made_from: None }),
                        Some(problem) => problem,
                    }
                }
                Some(problem) => problem,
            },
            Ok(None) => "it lacks what was noted of it".to_owned(),
            // What a person could do about it is done here.
            Err(OpenError::Damaged(damage)) => in_short(&damage),
            Err(error) => return Err(error),
        };
        let place = reached.map(|reached| reached.place);
        if place.is_some_and(|place| place.log_id.is_some()) {
            tracing::warn!(problem, "the copy of the shared log is made anew");
        }
        self.replace(log, place.and_then(|place| place.log_id), shared)
    }

    /// What the copy does not have, though it is whole, if it cannot go on for that.
    fn lacks(&self, place: &Place, end: u64, shared: &SharedLogs) -> Result<Option<String>, OpenError> {
        if place.log_id.is_none() && end == 0 {
            return Ok(Some("it has nothing yet".to_owned()));
        }
        // A log that cannot be asked now is followed when it can.
        let Ok(extent) = shared.records.extent(self.partition) else { return Ok(None) };
        if place.next_no >= extent.oldest {
            return Ok(None);
        }
        let newest = newest_manifests(&*shared.snapshots, self.partition, place.log_id, 1, &|| false);
        let is_there = !newest.map_err(unavailable)?.is_empty();
        Ok(is_there.then(|| {
            format!(
                "it ends at record {}, and the shared log begins at record {}",
                place.next_no.0, extent.oldest.0
            )
        }))
    }

    fn lock(&self) -> Result<FileLog, OpenError> {
        self.lock_in(self.directory)
    }

    fn lock_in(&self, directory: &Path) -> Result<FileLog, OpenError> {
        let settings = LogSettings::new(self.segment_bytes);
        FileLog::lock(directory, SyncMethod::UnsafeNone, self.partition, settings)
    }

    /// Where a copy is while it is made.
    fn unfinished(&self) -> PathBuf {
        self.directory.with_extension("new")
    }

    /// Puts a new one in the place of what is there, which stays until the new one is whole.
    fn replace(
        &self,
        before: FileLog,
        log_id: Option<LogId>,
        shared: &SharedLogs,
    ) -> Result<OpenCopy, OpenError> {
        let made_from = self.fetch_newest(log_id, shared)?;
        drop(before);
        remove(self.place_file.path())?;
        remove(self.directory)?;
        let unfinished = self.unfinished();
        if made_from.is_some() {
            fs::rename(&unfinished, self.directory)
                .map_err(|source| system("rename", &unfinished, source))?;
        }
        let reached = made_from.as_ref().map(|made_from| made_from.reached.clone()).unwrap_or_default();
        let log = self.lock()?;
        let copy = LocalCopy::open(&log, &reached, random()?)?.ok_or_else(|| {
            OpenError::Unavailable("the copy that was just made is not whole: is the disk well?".to_owned())
        })?;
        let written = self.place_file.write(&reached);
        written.map_err(|source| system("write", self.place_file.path(), source))?;
        Ok(OpenCopy { log: Arc::new(log), copy, reached, made_from })
    }

    /// Fetches the newest snapshot that is of use; nothing if the log is there from its first record on, and there is none.
    fn fetch_newest(
        &self,
        log_id: Option<LogId>,
        shared: &SharedLogs,
    ) -> Result<Option<Manifest>, OpenError> {
        let SharedLogs { records, snapshots } = shared;
        let extent = records.extent(self.partition).map_err(unavailable)?;
        if extent.end.0 == 0 {
            // Nobody has begun it, whatever snapshots there are.
            return Ok(None);
        }
        let log_id = match log_id {
            Some(log_id) => Some(log_id),
            None => log_id_of(&**records, self.partition, extent).map_err(unavailable)?,
        };
        let (mut problem, mut tried) = ("there is none".to_owned(), Vec::new());
        // In all of them it is looked only if the newest ones are of no use.
        for count in [NEWEST_COUNT, usize::MAX] {
            let newest = newest_manifests(&**snapshots, self.partition, log_id, count, &|| false);
            for manifest in newest.map_err(unavailable)? {
                if tried.contains(&manifest.snapshot) {
                    continue;
                }
                tried.push(manifest.snapshot);
                match self.fetch_one(&manifest, extent, shared)? {
                    Ok(()) => return Ok(Some(manifest)),
                    Err(found) => problem = found,
                }
                tracing::error!(problem, "a snapshot in the topic of snapshots is of no use");
            }
        }
        if extent.oldest.0 == 0 {
            return Ok(None);
        }
        Err(OpenError::Unavailable(format!(
            "the shared log begins at record {}, so a node begins with a snapshot, and none is of use: {problem}. Stop another node of the \
             cluster, and copy its `copy` and `place` into the directory of this one",
            extent.oldest.0
        )))
    }

    /// Fetches one, or says why it is of no use.
    fn fetch_one(
        &self,
        manifest: &Manifest,
        extent: Extent,
        shared: &SharedLogs,
    ) -> Result<Result<(), String>, OpenError> {
        let next_no = manifest.reached.place.next_no;
        let is_same = match (next_no.0.checked_sub(1), manifest.last_checksum) {
            (None, _) => extent.oldest.0 == 0,
            (Some(last), Some(checksum)) if last >= extent.oldest.0 && next_no <= extent.end => {
                has_record(&*shared.records, self.partition, RecordNo(last), checksum).map_err(unavailable)?
            }
            _ => false,
        };
        if !is_same {
            return Ok(Err(format!("the shared log does not go on at its place, record {}", next_no.0)));
        }
        let unfinished = self.unfinished();
        remove(&unfinished)?;
        let fetched = self
            .lock_in(&unfinished)
            .map_err(FetchError::Open)
            .and_then(|log| fetch(&*shared.snapshots, manifest, &log, random()?));
        match fetched {
            Ok(copy) => {
                let offset = copy.end();
                tracing::info!(offset, bytes = manifest.bytes, "the copy begins with the newest snapshot");
                Ok(Ok(()))
            }
            Err(error @ (FetchError::Damaged { .. } | FetchError::Shared(SharedError::Missing { .. }))) => {
                Ok(Err(error.to_string()))
            }
            Err(FetchError::Open(error)) => Err(error),
            Err(error) => Err(OpenError::Unavailable(format!("fetch the newest snapshot: {error}"))),
        }
    }
}

/// Removes a file or a directory, if it is there.
fn remove(path: &Path) -> Result<(), OpenError> {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(system("remove", path, source)),
        _ => Ok(()),
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
        Err(SnapshotError::Damaged(damage)) => Ok(Some(in_short(&damage))),
        Err(error) => Ok(Some(error.to_string())),
    }
}

fn in_short(damage: &Damage) -> String {
    format!("{} is damaged at byte {}: {}", damage.path, damage.position, damage.problem)
}

/// A directory with a log of its own is not one for a copy.
pub(crate) fn refuse_single_server(directory: &Path) -> Result<(), OpenError> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(directory);
    made.map_err(|source| system("make", directory, source))?;
    let has_log = StoredFileLog::is_in(directory).map_err(|source| system("read", directory, source))?;
    if has_log {
        return Err(OpenError::Settings(format!(
            "{} has the log of a single server, which a node over a shared log would not read: give the node an empty directory",
            directory.display()
        )));
    }
    Ok(())
}

pub(crate) fn system(doing: &'static str, path: &Path, source: io::Error) -> OpenError {
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
