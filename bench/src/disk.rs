//! The yardstick for latencies: how long this disk takes to make one small write to a preallocated file durable.

use std::fs::{self, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// The probe's file is written once in full, so that a sync does not pay for a growing file's journal entry.
const FILE_BYTES: usize = 8 * 1024 * 1024;
const WRITE_BYTES: usize = 4096;

/// A preallocated file on the benchmark's disk.
#[derive(Debug)]
pub(crate) struct SyncProbe {
    file: fs::File,
    position: usize,
}

impl SyncProbe {
    pub(crate) fn create(directory: &Path) -> Result<Self> {
        let path = directory.join("sync-probe");
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(true)
            .write(true)
            .open(&path)
            .with_context(|| format!("create {}", path.display()))?;
        file.write_all(&vec![0_u8; FILE_BYTES]).context("preallocate the sync probe")?;
        file.sync_all().context("sync the sync probe")?;
        Ok(Self { file, position: 0 })
    }

    /// The median of `count` writes of 4 KiB, each followed by fdatasync.
    pub(crate) fn median(&mut self, count: usize) -> Result<Duration> {
        let block = [1_u8; WRITE_BYTES];
        let mut times = Vec::with_capacity(count);
        for _ in 0..count {
            self.file.seek(SeekFrom::Start(self.position as u64))?;
            self.position = (self.position + WRITE_BYTES) % FILE_BYTES;
            let started = Instant::now();
            self.file.write_all(&block).context("write the sync probe")?;
            self.file.sync_data().context("sync the sync probe")?;
            times.push(started.elapsed());
        }
        times.sort_unstable();
        Ok(times[times.len() / 2])
    }
}

/// The file system that holds `directory`, as `type on device`.
pub(crate) fn file_system(directory: &Path) -> String {
    let directory = directory.canonicalize().unwrap_or_else(|_| directory.to_owned());
    let text = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let mounts = text.lines().filter_map(parse_mount).filter(|(point, _)| directory.starts_with(point));
    mounts.max_by_key(|(point, _)| point.as_os_str().len()).map_or("unknown".into(), |(_, name)| name)
}

fn parse_mount(line: &str) -> Option<(PathBuf, String)> {
    let (mount, source) = line.split_once(" - ")?;
    let mut source = source.split(' ');
    let name = format!("{} on {}", source.next()?, source.next()?);
    Some((PathBuf::from(mount.split(' ').nth(4)?), name))
}

/// Bytes of all files under `path`, by their length.
pub(crate) fn tree_bytes(path: &Path) -> u64 {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    let sizes = entries.map(|entry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => tree_bytes(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    });
    sizes.sum()
}

/// Copies a directory with everything below it, durably, so that no write of the copy happens later.
pub(crate) fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| format!("create {}", to.display()))?;
    for entry in fs::read_dir(from).with_context(|| format!("read {}", from.display()))? {
        let entry = entry?;
        let copy = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_tree(&entry.path(), &copy)?;
        } else {
            fs::copy(entry.path(), &copy).with_context(|| format!("write {}", copy.display()))?;
            fs::File::open(&copy)?.sync_all().with_context(|| format!("sync {}", copy.display()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_has_what_is_below() {
        let directory = std::env::temp_dir().join(format!("onrush-bench-copy-{}", std::process::id()));
        fs::create_dir_all(directory.join("from/below")).unwrap();
        fs::write(directory.join("from/below/file"), "text").unwrap();
        copy_tree(&directory.join("from"), &directory.join("to")).unwrap();
        assert_eq!(fs::read_to_string(directory.join("to/below/file")).unwrap(), "text");
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn mounts() {
        let line = "22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard";
        assert_eq!(parse_mount(line), Some((PathBuf::from("/"), "ext4 on /dev/vda".into())));
        assert_eq!(parse_mount("nonsense"), None);
        assert_ne!(file_system(Path::new("/")), "unknown");
    }
}
