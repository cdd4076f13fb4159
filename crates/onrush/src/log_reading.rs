//! `onrush log verify` and `onrush log inspect`: what a log holds, told without changing or locking it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, anyhow};
use onrush_log::file::{self, DirStorage, FrameRef, Report, SegmentHeader, Storage};

use crate::failure::Failure;
use crate::output::print;
use crate::terminal::printable;

/// Reads everything, checks every checksum, and prints a line for each file and a verdict.
pub(crate) fn verify(directory: &Path) -> Result<(), Failure> {
    let report = file::verify(&storage(directory)?).context("read the log")?;
    conclude(directory, &report)
}

/// The same with a line for each frame before it.
pub(crate) fn inspect(directory: &Path) -> Result<(), Failure> {
    let mut unprinted = Ok(());
    let report = file::inspect(&storage(directory)?, |segment, frame| {
        if unprinted.is_ok() {
            unprinted = print(&frame_line(segment, &frame));
        }
        Ok(())
    })
    .context("read the log")?;
    unprinted?;
    conclude(directory, &report)
}

/// Where the log is in a data directory: in the directory itself, or, of a node that shares its log with others, in its copy.
pub(crate) fn log_in(directory: &Path) -> PathBuf {
    let copy = onrush_cluster::copy_in(directory);
    if copy.is_dir() { copy } else { directory.to_owned() }
}

fn storage(directory: &Path) -> Result<Arc<dyn Storage>, Failure> {
    let directory = &log_in(directory);
    let storage = DirStorage::existing(directory)
        .with_context(|| format!("open the directory {}", directory.display()))?;
    Ok(Arc::new(storage))
}

fn frame_line(segment: &SegmentHeader, frame: &FrameRef<'_>) -> String {
    let header = &frame.header;
    format!(
        "segment {} byte {} {:?} offset {} events {} epoch {} time_ms {} payload_bytes {}\n",
        segment.sequence,
        frame.position,
        header.kind,
        header.base_offset,
        header.event_count,
        header.epoch,
        header.time_ms,
        header.payload_bytes,
    )
}

fn conclude(directory: &Path, report: &Report) -> Result<(), Failure> {
    if report.segments.is_empty() && report.snapshots.is_empty() {
        return Err(anyhow!("{} holds no log", directory.display()).into());
    }
    let lines = report.to_string().lines().map(printable).collect::<Vec<_>>().join("\n");
    print(&format!("{lines}\n"))?;
    match report.damage() {
        None => Ok(()),
        // The report has said what is wrong there.
        Some(damage) => {
            Err(Failure::Damaged(format!("{} is damaged at byte {}", damage.path, damage.position)))
        }
    }
}
