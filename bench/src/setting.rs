//! Where and how the benchmarks run: the settings from the command line, the scratch directory, the disk's yardstick.

use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;

use crate::disk::SyncProbe;

/// Syncs per look at the disk.
const SYNC_PROBE_COUNT: usize = 300;

/// What the command line asked for.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Settings {
    pub(crate) round_count: u32,
    /// Length of one turn.
    pub(crate) turn_seconds: u64,
    /// How many reservations the large rows hold.
    pub(crate) reservation_count: u64,
    pub(crate) sale_count: u32,
    /// How often a leading node is ended.
    pub(crate) kill_count: u32,
    /// It only has to be shown that everything runs.
    pub(crate) is_quick: bool,
    pub(crate) onrush: PathBuf,
    /// The binary of an earlier release to compare with.
    pub(crate) earlier: Option<PathBuf>,
    pub(crate) directory: PathBuf,
    /// Where `cargo xtask services` keeps the servers that sinks write to.
    pub(crate) services: PathBuf,
}

/// Shared by all benchmarks of one run.
#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) settings: Settings,
    scratch: PathBuf,
    probe: RefCell<SyncProbe>,
}

impl Bench {
    /// Makes a scratch directory of this process and clears those that killed runs have left.
    pub(crate) fn open(settings: Settings) -> Result<Self> {
        fs::create_dir_all(&settings.directory)
            .with_context(|| format!("create {}", settings.directory.display()))?;
        let directory = settings.directory.canonicalize()?;
        remove_abandoned(&directory)?;
        let scratch = directory.join(format!("run-{}", std::process::id()));
        fs::create_dir_all(&scratch)?;
        let probe = RefCell::new(SyncProbe::create(&scratch)?);
        Ok(Self { settings, scratch, probe })
    }

    /// An empty directory for one server or one part of a benchmark.
    pub(crate) fn directory(&self, name: &str) -> Result<PathBuf> {
        let path = self.scratch.join(name);
        if path.exists() {
            fs::remove_dir_all(&path)?;
        }
        fs::create_dir_all(&path)?;
        Ok(path)
    }

    /// The median time that this disk takes for one fdatasync now.
    pub(crate) fn sync_time(&self) -> Result<Duration> {
        self.probe.borrow_mut().median(SYNC_PROBE_COUNT)
    }
}

/// One line on standard error; the table on standard output stays clean.
pub(crate) fn progress(line: &str) {
    eprintln!("{line}");
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.scratch);
    }
}

fn remove_abandoned(directory: &Path) -> Result<()> {
    for entry in fs::read_dir(directory)?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.strip_prefix("run-").is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}
