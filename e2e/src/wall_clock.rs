//! A wall clock for one process, set by libfaketime while the process runs. The steady clock stays the machine's.

use anyhow::{Context as _, Result};
use std::fs;
use std::path::{Path, PathBuf};

use crate::server::Launch;

/// Where Debian has the library, below a directory for each architecture.
const LIBRARY: &str = "faketime/libfaketimeMT.so.1";

/// The wall clock of a server.
#[derive(Debug)]
pub(crate) struct WallClock {
    library: PathBuf,
    offset: PathBuf,
}

impl WallClock {
    /// One that is right; `None`, and a line about it, without the library.
    pub(crate) fn new(directory: &Path) -> Result<Option<Self>> {
        let architectures = fs::read_dir("/usr/lib").context("list libraries")?.flatten();
        let library = architectures.map(|found| found.path().join(LIBRARY)).find(|path| path.is_file());
        let Some(library) = library else {
            println!("    SKIPPED what needs libfaketime: apt-get install faketime");
            return Ok(None);
        };
        let clock = Self { library, offset: directory.join("clock-offset") };
        clock.set_ahead(0)?;
        Ok(Some(clock))
    }

    /// Sets it so many seconds ahead of the machine's, at once.
    pub(crate) fn set_ahead(&self, seconds: i64) -> Result<()> {
        // Renamed into place, as the process reads the file at every look at the clock.
        let written = self.offset.with_extension("new");
        fs::write(&written, format!("{seconds:+}\n")).context("write the offset of the clock")?;
        fs::rename(&written, &self.offset).context("set the clock")
    }

    /// The launch of a server that has this clock.
    pub(crate) fn launch(&self, launch: Launch) -> Launch {
        launch.with(&[
            ("LD_PRELOAD", &self.library.to_string_lossy()),
            ("FAKETIME_TIMESTAMP_FILE", &self.offset.to_string_lossy()),
            ("FAKETIME_NO_CACHE", "1"),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ])
    }
}
