//! Where a service lives: `DIRECTORY/NAME`, with the settings chosen for it, the record of its processes, its log and its files.

use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::lines::Lines;
use super::process::Process;

/// How data directories are made; one that was made otherwise is made again.
const VERSION: &str = "3";

/// How many lines of a log are shown when a service fails.
const SHOWN_LINES: usize = 25;

/// The directory of one service.
pub(crate) struct Home {
    pub(crate) directory: PathBuf,
}

impl Home {
    pub(crate) fn new(services: &Path, name: &str) -> Self {
        Self { directory: services.join(name) }
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.directory.join(file)
    }

    /// Everything the service ever said.
    pub(crate) fn log(&self) -> PathBuf {
        self.path("log")
    }

    /// What was chosen for the service when it was first started; `None` before that and after a purge.
    pub(crate) fn settings(&self) -> Result<Option<Lines>> {
        let path = self.path("settings");
        let parsed = read_if_there(&path)?.map(|text| Lines::parse(&text)).transpose();
        parsed.with_context(|| format!("read {}", path.display()))
    }

    pub(crate) fn keep_settings(&self, settings: &Lines) -> Result<()> {
        write_private(&self.path("settings"), &settings.text()?)
    }

    /// The processes of the last start, the one that does the work first; none if the service was stopped since. They may
    /// have ended.
    pub(crate) fn processes(&self) -> Result<Vec<Process>> {
        let path = self.path("processes");
        let text = read_if_there(&path)?.unwrap_or_default();
        let parsed = text.lines().map(Process::parse).collect::<Result<_>>();
        parsed.with_context(|| format!("read {}", path.display()))
    }

    pub(crate) fn keep_processes(&self, processes: &[Process]) -> Result<()> {
        let text: String = processes.iter().map(|process| process.line()).collect();
        write_private(&self.path("processes"), &text)
    }

    pub(crate) fn forget_processes(&self) -> Result<()> {
        remove_if_there(&self.path("processes")).context("forget the processes of a service")
    }

    /// Whether the process that does the work runs.
    pub(crate) fn is_alive(&self) -> Result<bool> {
        Ok(self.processes()?.first().is_some_and(|process| process.is_alive()))
    }

    /// Whether the data directory was made wholly, and as this version makes it.
    pub(crate) fn is_prepared(&self) -> bool {
        std::fs::read_to_string(self.path("prepared")).is_ok_and(|version| version == VERSION)
    }

    pub(crate) fn keep_prepared(&self) -> Result<()> {
        write_private(&self.path("prepared"), VERSION)
    }

    /// Removes everything, a data directory elsewhere too, with the directory made to hold it.
    pub(crate) fn remove(&self) -> Result<()> {
        if let Ok(data) = self.settings()?.unwrap_or_default().get("DATA")
            && !Path::new(data).starts_with(&self.directory)
            && let Some(holder) = Path::new(data).parent()
        {
            remove_if_there(holder)?;
        }
        Ok(remove_if_there(&self.directory)?)
    }

    /// The last lines of the log.
    pub(crate) fn log_tail(&self) -> String {
        let log = std::fs::read(self.log()).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n")
    }
}

/// Makes a directory that only its owner may enter, and those above it.
pub(crate) fn make_private_directory(path: &Path) -> Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true).mode(0o700).create(path).with_context(|| format!("make {}", path.display()))
}

/// Replaces a file as a whole by one that only its owner may read.
pub(crate) fn write_private(path: &Path, text: &str) -> Result<()> {
    let fresh = path.with_extension("fresh");
    let write = || {
        // A file that an interrupted run left keeps its mode when it is opened again.
        remove_if_there(&fresh)?;
        let mut file = std::fs::File::options().write(true).create_new(true).mode(0o600).open(&fresh)?;
        file.write_all(text.as_bytes())?;
        std::fs::rename(&fresh, path)
    };
    write().with_context(|| format!("write {}", path.display()))
}

/// Removes a file, or a directory with everything in it.
pub(crate) fn remove_if_there(path: &Path) -> std::io::Result<()> {
    let removed = if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn read_if_there(path: &Path) -> Result<Option<String>> {
    match std::fs::read_to_string(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        read => read.map(Some).with_context(|| format!("read {}", path.display())),
    }
}
