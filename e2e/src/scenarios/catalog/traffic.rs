//! What the connections of one life of the server share.

use anyhow::{Result, ensure};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::http::Lost;
use crate::ledger::rows::Key;
use crate::run_clock::Clock;

/// What they share. Each goes on until its connection is lost, which it is when the server is killed.
#[derive(Debug)]
pub(super) struct Traffic {
    pub(super) clock: Clock,
    killed: AtomicBool,
    newest_version: AtomicU64,
    tags: Mutex<Tags>,
}

impl Traffic {
    /// Traffic that has not begun.
    pub(super) fn new(clock: Clock) -> Self {
        let (killed, newest_version) = (AtomicBool::new(false), AtomicU64::new(0));
        Self { clock, killed, newest_version, tags: Mutex::default() }
    }

    /// A server lives.
    pub(super) fn begin(&self) {
        self.killed.store(false, Ordering::SeqCst);
    }

    /// It is killed now.
    pub(super) fn kill(&self) {
        self.killed.store(true, Ordering::SeqCst);
    }

    /// While the server lives it may not leave a connection without an answer.
    pub(super) fn check_lost(&self, lost: &Lost) -> Result<()> {
        ensure!(self.killed.load(Ordering::SeqCst), "before the kill, {lost}");
        ensure!(!matches!(lost, Lost::Malformed(_)), "{lost}");
        Ok(())
    }

    /// Takes the version of a change that was answered.
    pub(super) fn changed(&self, version: u64) {
        self.newest_version.fetch_max(version, Ordering::SeqCst);
    }

    /// The newest version that a change was answered with.
    pub(super) fn newest_version(&self) -> u64 {
        self.newest_version.load(Ordering::SeqCst)
    }

    /// Takes the tag that a row was answered with.
    pub(super) fn tagged(&self, key: Key, counter: u64, tag: &str) -> Result<()> {
        self.tags.lock().unwrap_or_else(PoisonError::into_inner).take((key, counter), tag)
    }
}

/// The tags of all rows ever read. Equal rows have equal tags, and others have others.
#[derive(Debug, Default)]
struct Tags {
    tags: BTreeMap<(Key, u64), String>,
    rows: BTreeMap<String, (Key, u64)>,
}

impl Tags {
    fn take(&mut self, row: (Key, u64), tag: &str) -> Result<()> {
        ensure!(
            tag.len() > 2 && tag.starts_with('"') && tag.ends_with('"'),
            "the ETag of {row:?} is {tag:?}"
        );
        let known = self.tags.entry(row).or_insert_with(|| tag.to_owned());
        ensure!(known == tag, "the ETag of {row:?} is {tag}, and was {known}");
        let known = self.rows.entry(tag.to_owned()).or_insert(row);
        ensure!(*known == row, "{row:?} and {known:?} have the same ETag {tag}");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_one_tag_and_a_tag_one_row() {
        let mut tags = Tags::default();
        for (row, tag, fits) in [
            ((1, 1), "\"a\"", true),
            ((1, 1), "\"a\"", true),
            ((1, 1), "\"b\"", false),
            ((1, 2), "\"a\"", false),
            ((2, 2), "\"c\"", true),
            ((2, 3), "d", false),
            ((2, 3), "\"\"", false),
        ] {
            assert_eq!(tags.take(row, tag).is_ok(), fits, "{row:?} {tag}");
        }
    }
}
