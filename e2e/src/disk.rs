//! A small file system in memory, which can be filled; copies of directories.

use anyhow::{Context as _, Result};
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Unmounted when dropped.
#[derive(Debug)]
pub(crate) struct Disk {
    /// Where it is mounted.
    pub path: PathBuf,
}

impl Disk {
    /// Mounts one of so many bytes; `None` without the right to do so.
    pub(crate) fn mount(path: &Path, bytes: u64) -> Result<Option<Self>> {
        fs::create_dir_all(path).context("create the mount point")?;
        let size = format!("size={bytes}");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
            .arg(path)
            .output()
            .is_ok_and(|output| output.status.success());
        Ok(mounted.then(|| Self { path: path.to_owned() }))
    }

    /// Takes all the room that there is, beside what it took before.
    pub(crate) fn fill(&self) -> Result<()> {
        let open = File::options().append(true).create(true).open(self.filler());
        let mut filler = open.context("open the filler")?;
        let block = vec![0_u8; 64 << 10];
        while filler.write_all(&block).is_ok() {}
        Ok(())
    }

    /// Gives back what was taken.
    pub(crate) fn free(&self) -> Result<()> {
        fs::remove_file(self.filler()).context("free the disk")
    }

    fn filler(&self) -> PathBuf {
        self.path.join("filler")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Whoever worked on it is gone by now; a lazy unmount also copes with one that is not.
        let _ = Command::new("umount").arg("--lazy").arg(&self.path).status();
    }
}

/// Copies a directory with everything in it.
pub(crate) fn copy_directory(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).context("create the copy")?;
    for entry in fs::read_dir(from).context("list the directory to copy")? {
        let entry = entry.context("list the directory to copy")?;
        let target = to.join(entry.file_name());
        if entry.file_type().context("look at a file to copy")?.is_dir() {
            copy_directory(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target).context("copy a file")?;
        }
    }
    Ok(())
}
