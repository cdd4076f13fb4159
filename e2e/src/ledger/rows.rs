//! Rows of a collection of the catalogue: what clients were told of changes and of reads, and whether one order of the changes
//! explains all of it. Each row has a counter, and no key ever has the same counter twice, so a row tells which change it is from.

use anyhow::{Context as _, Result, ensure};
use std::collections::BTreeMap;

use super::{Outcome, Times};

/// The number of a key.
pub(crate) type Key = usize;

/// What keys have: the counters of their rows, or no row.
pub(crate) type Counters = Vec<(Key, Option<u64>)>;

/// A change of one key or of several at once. A key is changed by one connection, one change after another.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    /// What the keys have after it.
    pub rows: Counters,
    /// When.
    pub times: Times,
    /// The version, where the answer says one.
    pub outcome: Outcome<Option<u64>>,
}

/// An answered read.
#[derive(Debug, Clone)]
pub(crate) struct Read {
    /// What the keys had.
    pub rows: Counters,
    /// When.
    pub times: Times,
    /// The version, where the answer says one.
    pub version: Option<u64>,
}

/// A read that was told that the collection does not have this version.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Incoherent {
    /// What it asked for.
    pub min_version: u64,
    /// When.
    pub times: Times,
}

/// What happened to a collection between two reads of all of it at rest.
#[derive(Debug, Default)]
pub(crate) struct Period {
    /// All changes sent.
    pub changes: Vec<Change>,
    /// All answered reads, those of each connection in the order of their answers.
    pub reads: Vec<Vec<Read>>,
    /// All reads that were refused.
    pub incoherent: Vec<Incoherent>,
}

impl Period {
    /// Takes what another client wrote down.
    pub(crate) fn absorb(&mut self, other: Self) {
        self.changes.extend(other.changes);
        self.reads.extend(other.reads);
        self.incoherent.extend(other.incoherent);
    }
}

/// A collection as it was when nobody changed it.
#[derive(Debug, Clone)]
pub(crate) struct Collection {
    /// What each of its keys has.
    pub rows: BTreeMap<Key, Option<u64>>,
    /// Its version.
    pub version: u64,
    twins: Vec<[Key; 2]>,
}

/// One state of one key.
#[derive(Debug)]
struct Step {
    row: Option<u64>,
    /// The version that it began with, if it was told.
    version: Option<u64>,
    /// Nobody can have seen it before.
    sent_ns: u64,
    /// From then on nobody may see an older one.
    known_ns: u64,
}

impl Collection {
    /// One without rows. Both keys of a pair of twins always have the same.
    pub(crate) fn new(keys: impl IntoIterator<Item = Key>, twins: Vec<[Key; 2]>) -> Self {
        Self { rows: keys.into_iter().map(|key| (key, None)).collect(), version: 0, twins }
    }

    /// Checks what clients were told, and `after`, a read of all keys when it was over. From then on the collection is known to be
    /// as it was read.
    pub(crate) fn pass(&mut self, mut period: Period, after: Read) -> Result<()> {
        let version = after.version.context("a read of all keys tells no version")?;
        let rows = after.rows.iter().copied().collect::<BTreeMap<_, _>>();
        ensure!(rows.keys().eq(self.rows.keys()), "the read at rest is not one of all keys");
        period.reads.push(vec![after]);
        self.check(&period)?;
        (self.rows, self.version) = (rows, version);
        Ok(())
    }

    fn check(&self, period: &Period) -> Result<()> {
        let steps = self.steps(period)?;
        for read in period.reads.iter().flatten() {
            check_times(read, &steps)?;
            self.check_twins(read)?;
        }
        self.check_versions(period)?;
        steps.iter().try_for_each(|(key, steps)| self.check_order(*key, steps, period))
    }

    /// The states that each key may have been in, in order: one connection changed it.
    fn steps(&self, period: &Period) -> Result<BTreeMap<Key, Vec<Step>>> {
        let first = |row: &Option<u64>| vec![Step { row: *row, version: None, sent_ns: 0, known_ns: 0 }];
        let mut steps = self.rows.iter().map(|(key, row)| (*key, first(row))).collect::<BTreeMap<_, _>>();
        let mut changes = period.changes.iter().collect::<Vec<_>>();
        changes.sort_by_key(|change| change.times.sent_ns);
        let mut at = BTreeMap::new();
        for Change { rows, times, outcome } in changes {
            let (version, known_ns) = match outcome {
                Outcome::Acknowledged(version) => (*version, times.ended_ns),
                Outcome::Unknown(_) => (None, u64::MAX),
                Outcome::Refused { .. } => continue,
            };
            for (key, row) in rows {
                let steps =
                    steps.get_mut(key).with_context(|| format!("key {key} is not of the collection"))?;
                at.insert((*key, *row), steps.len());
                steps.push(Step { row: *row, version, sent_ns: times.sent_ns, known_ns });
            }
        }
        // What somebody was told of is known, whatever the one who changed it was told.
        for read in period.reads.iter().flatten() {
            for (key, row) in read.rows.iter().filter(|(_, row)| row.is_some()) {
                if let Some(step) = at.get(&(*key, *row)).and_then(|at| steps.get_mut(key)?.get_mut(*at)) {
                    step.known_ns = step.known_ns.min(read.times.ended_ns);
                }
            }
        }
        // Whoever knows of a change does not see what was before the changes before it.
        for steps in steps.values_mut() {
            let mut known_ns = u64::MAX;
            for step in steps.iter_mut().rev() {
                known_ns = known_ns.min(step.known_ns);
                step.known_ns = known_ns;
            }
        }
        Ok(steps)
    }

    fn check_twins(&self, read: &Read) -> Result<()> {
        let seen = |key: Key| read.rows.iter().find(|(other, _)| *other == key);
        for [one, other] in &self.twins {
            if let (Some((_, first)), Some((_, second))) = (seen(*one), seen(*other)) {
                ensure!(
                    first == second,
                    "keys {one} and {other} are put together, but half is read: {read:?}"
                );
            }
        }
        Ok(())
    }

    /// Versions only grow, for everybody together and on each connection, and each change has its own.
    fn check_versions(&self, period: &Period) -> Result<()> {
        let changes = period.changes.iter().filter_map(|change| match change.outcome {
            Outcome::Acknowledged(Some(version)) => Some((change.times, version)),
            _ => None,
        });
        let mut changes = changes.collect::<Vec<_>>();
        let reads = || period.reads.iter().flatten().filter_map(|read| Some((read.times, read.version?)));
        let mut told = changes.iter().copied().chain(reads()).collect::<Vec<_>>();
        told.sort_by_key(|(times, _)| times.ended_ns);
        let mut newest = self.version;
        for (_, version) in &mut told {
            newest = newest.max(*version);
            *version = newest;
        }
        let told_before = |ns: u64| match told.partition_point(|(times, _)| times.ended_ns <= ns) {
            0 => self.version,
            count => told[count - 1].1,
        };
        for (times, version) in reads() {
            let newest = told_before(times.sent_ns);
            ensure!(version >= newest, "version {version} was read after version {newest} had been answered");
        }
        for (times, version) in &changes {
            let newest = told_before(times.sent_ns);
            ensure!(*version > newest, "a change made version {version} when {newest} had been answered");
        }
        for Incoherent { min_version, times } in &period.incoherent {
            let newest = told_before(times.sent_ns);
            ensure!(
                *min_version > newest,
                "version {min_version} was refused when {newest} had been answered"
            );
        }
        for reads in &period.reads {
            let versions = reads.iter().filter_map(|read| read.version).collect::<Vec<_>>();
            for pair in versions.windows(2) {
                ensure!(pair[0] <= pair[1], "on one connection version {} came behind {}", pair[1], pair[0]);
            }
        }
        changes.sort_by_key(|(_, version)| *version);
        for pair in changes.windows(2) {
            ensure!(pair[0].1 < pair[1].1, "two changes were answered version {}", pair[0].1);
        }
        Ok(())
    }

    /// Whoever sees a greater version sees a newer state of the key or the same, and of the same version the same.
    fn check_order(&self, key: Key, steps: &[Step], period: &Period) -> Result<()> {
        let of_key = |rows: &Counters| rows.iter().find(|(other, _)| *other == key).map(|(_, row)| *row);
        let mut seen = vec![(self.version, steps[0].row)];
        for change in &period.changes {
            if let Outcome::Acknowledged(Some(version)) = change.outcome {
                seen.extend(of_key(&change.rows).map(|row| (version, row)));
            }
        }
        for read in period.reads.iter().flatten() {
            seen.extend(read.version.zip(of_key(&read.rows)));
        }
        seen.sort_unstable();
        let (mut at, mut before) = (0, seen[0]);
        for (version, row) in seen {
            if version == before.0 {
                let other = before.1;
                ensure!(row == other, "in version {version} key {key} has {} and {}", told(row), told(other));
                continue;
            }
            let Some(further) = steps[at..].iter().position(|step| step.row == row) else {
                let (older, had) = before;
                anyhow::bail!(
                    "in version {version} key {key} has {}, which is older than {} of version {older}",
                    told(row),
                    told(had)
                );
            };
            at += further;
            if let Some(first) = steps[at].version {
                ensure!(
                    version >= first,
                    "in version {version} key {key} has {} of version {first}",
                    told(row)
                );
            }
            before = (version, row);
        }
        Ok(())
    }
}

/// A read sees nothing older than what was known when it was sent, and nothing that was sent after it had ended.
fn check_times(read: &Read, steps: &BTreeMap<Key, Vec<Step>>) -> Result<()> {
    let Times { sent_ns, ended_ns } = read.times;
    for (key, row) in &read.rows {
        let steps = steps.get(key).with_context(|| format!("key {key} is not of the collection"))?;
        let newest = steps.partition_point(|step| step.known_ns <= sent_ns).saturating_sub(1);
        let until = steps.partition_point(|step| step.sent_ns <= ended_ns);
        let possible = steps.get(newest..until).unwrap_or_default();
        ensure!(
            possible.iter().any(|step| step.row == *row),
            "key {key} was read with {}, but at that time it had {}",
            told(*row),
            possible.iter().map(|step| told(step.row)).collect::<Vec<_>>().join(" or ")
        );
    }
    Ok(())
}

fn told(row: Option<u64>) -> String {
    row.map_or_else(|| "no row".to_owned(), |counter| format!("counter {counter}"))
}

#[cfg(test)]
#[path = "rows_tests.rs"]
mod tests;
