//! A node's own copy of what is in force, read from its files by `docs/log-format.md`.

use anyhow::{Context as _, Result, ensure};
use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use crate::cluster_checker::Kept;
use crate::server::Launch;

/// Bytes of a frame before its payload.
const FRAME_HEADER_BYTES: u64 = 48;

/// The batches of the copy of a node that does not run. The program says where they are, and finds all of it sound.
pub(super) fn read(launch: &Launch) -> Result<Vec<Kept>> {
    let directory = launch.data.join("copy");
    let output =
        launch.command().args(["log", "inspect"]).arg(&directory).output().context("run log inspect")?;
    let text = String::from_utf8(output.stdout).context("read what log inspect says")?;
    ensure!(
        output.status.success(),
        "log inspect ended with {}:\n{text}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    let segments = segments(&directory)?;
    let batches =
        text.lines().filter_map(|line| line.strip_prefix("segment ")).filter(|line| line.contains(" Batch "));
    batches.map(|line| read_batch(line, &segments).with_context(|| line.to_owned())).collect()
}

/// The digests of the states that the snapshots of a node hold, by their offsets. There are none of a copy that changes while it is read.
pub(super) fn digests(launch: &Launch) -> Result<BTreeMap<u64, String>> {
    let output = launch.command().args(["log", "verify"]).arg(launch.data.join("copy")).output();
    let text = String::from_utf8(output.context("run log verify")?.stdout).context("read the report")?;
    Ok(text.lines().filter_map(read_snapshot).collect())
}

/// `snapshot PATH: offset OFFSET, BYTES bytes, digest DIGEST`
fn read_snapshot(line: &str) -> Option<(u64, String)> {
    let (_, told) = line.strip_prefix("snapshot ")?.split_once(": offset ")?;
    let (offset, rest) = told.split_once(", ")?;
    Some((offset.parse().ok()?, rest.split_once(", digest ")?.1.to_owned()))
}

/// Files by the number of their segment.
fn segments(directory: &Path) -> Result<HashMap<u64, PathBuf>> {
    let entries = fs::read_dir(directory).with_context(|| format!("list {}", directory.display()))?;
    let mut segments = HashMap::new();
    for entry in entries {
        let path = entry?.path();
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        if path.extension().is_some_and(|extension| extension == "seg")
            && let Some((_, number)) = stem.split_once('-')
        {
            segments.insert(number.parse().context("read the number of a segment")?, path);
        }
    }
    Ok(segments)
}

/// `SEGMENT byte POSITION Batch offset OFFSET events COUNT epoch EPOCH time_ms TIME payload_bytes BYTES`
fn read_batch(line: &str, segments: &HashMap<u64, PathBuf>) -> Result<Kept> {
    let words = line.split(' ').collect::<Vec<_>>();
    let number = |at: usize| -> Result<u64> { Ok(words.get(at).context("a short line")?.parse()?) };
    let path = segments.get(&number(0)?).context("no such segment")?;
    let mut payload = vec![0; usize::try_from(number(13)?)?];
    File::open(path)?
        .read_exact_at(&mut payload, number(2)? + FRAME_HEADER_BYTES)
        .context("read a payload")?;
    Ok(Kept { offset: number(5)?, event_count: number(7)?, time_ms: number(11)?, payload })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_is_read_from_the_report() {
        let line = "snapshot copy/00000000000000000260.snap: offset 260, 1014042 bytes, digest d2c0";
        assert_eq!(read_snapshot(line), Some((260, "d2c0".to_owned())));
        assert_eq!(read_snapshot("whole: 2 segments, offsets 0..266, 119 batches, 1 snapshot"), None);
    }
}
