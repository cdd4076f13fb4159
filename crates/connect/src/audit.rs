//! Comparing a target with the log: what is missing in it, there twice, or different.

use std::collections::HashMap;
use std::fmt;

use onrush_sinks::{SinkEvent, Skipped, Source, TargetError};
use xxhash_rust::xxh3::Xxh3;

/// Examples that a tally keeps.
const EXAMPLES_MAX: usize = 10;

/// Compares one target with the log. Changes nothing in it; a sink may be writing meanwhile.
pub trait Audit {
    /// Connects. Events from `from` on are going to be compared. Returns the offset below which they are: that of the sink if
    /// the target knows it, `to` otherwise.
    fn open(&mut self, source: &Source, from: u64, to: u64) -> Result<u64, TargetError>;

    /// The next event that the target must hold exactly once (or, with brokers, at least once), in order of offsets.
    fn expect(&mut self, event: &SinkEvent<'_>) -> Result<(), TargetError>;

    /// Events that an operator had left out: they may be absent.
    fn excuse(&mut self, skipped: &Skipped) -> Result<(), TargetError>;

    /// All were named: what was found.
    fn finish(self: Box<Self>) -> Result<Findings, TargetError>;
}

/// What a comparison found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Events that the target must hold.
    pub compared_count: u64,
    /// In the log, not in the target.
    pub missing: Tally,
    /// More than once in a target that must hold each once.
    pub doubled: Tally,
    /// In both, with another content.
    pub different: Tally,
    /// In the target, not in the log.
    pub unexpected: Tally,
    /// What else a reader should know: repeats that are allowed, what could not be seen.
    pub notes: Vec<String>,
}

impl Findings {
    /// Whether log and target agree.
    pub fn agree(&self) -> bool {
        [&self.missing, &self.doubled, &self.different, &self.unexpected].iter().all(|tally| tally.count == 0)
    }
}

/// How many, and the first few.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many.
    pub count: u64,
    /// The first ten, in words.
    pub examples: Vec<String>,
}

impl Tally {
    /// One more.
    pub fn add(&mut self, example: impl fmt::Display) {
        self.count += 1;
        if self.examples.len() < EXAMPLES_MAX {
            self.examples.push(example.to_string());
        }
    }

    /// As many more as another tally has.
    pub fn merge(&mut self, other: Self) {
        self.count += other.count;
        self.examples.extend(other.examples);
        self.examples.truncate(EXAMPLES_MAX);
    }
}

/// An event as a target holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredEvent {
    /// Its offset, taken from its id.
    pub offset: u64,
    /// What [`fingerprint`] says of its content.
    pub fingerprint: u64,
}

/// A hash over the parts of an event's content, each with its length, to compare what is too much to keep.
pub fn fingerprint(parts: &[&[u8]]) -> u64 {
    let mut hash = Xxh3::new();
    for part in parts {
        hash.update(&(part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.digest()
}

/// What a target without an order of its own holds: 24 bytes or so an event, in memory for one comparison.
#[derive(Debug, Default)]
pub struct Ledger {
    stored: HashMap<u64, Entry>,
    repeat_count: u64,
    findings: Findings,
}

#[derive(Debug)]
struct Entry {
    fingerprint: u64,
    /// Another content came under the same id.
    contradicted: bool,
}

impl Ledger {
    /// Takes what the target holds, in any order. Returns whether it is the first of its id.
    pub fn store(&mut self, stored: StoredEvent) -> bool {
        let StoredEvent { offset, fingerprint } = stored;
        match self.stored.get_mut(&offset) {
            None => {
                self.stored.insert(offset, Entry { fingerprint, contradicted: false });
                true
            }
            Some(entry) => {
                self.repeat_count += 1;
                entry.contradicted |= entry.fingerprint != fingerprint;
                false
            }
        }
    }

    /// Whether the target holds an event of this offset that was not expected yet.
    pub fn holds(&self, offset: u64) -> bool {
        self.stored.contains_key(&offset)
    }

    /// Takes what it must hold, each offset once.
    pub fn expect(&mut self, event: StoredEvent) {
        self.findings.compared_count += 1;
        match self.stored.remove(&event.offset) {
            None => self.findings.missing.add(format_args!("offset {}", event.offset)),
            Some(entry) if entry.contradicted || entry.fingerprint != event.fingerprint => {
                self.findings.different.add(format_args!("offset {}", event.offset));
            }
            Some(_) => {}
        }
    }

    /// Offsets from `from` up to `to` may be there or not.
    pub fn excuse(&mut self, from: u64, to: u64) {
        self.stored.retain(|offset, _| !(from..to).contains(offset));
    }

    /// What was found; what nobody expected between `from` and `to` is unexpected, what lies outside was not compared.
    pub fn finish(mut self, from: u64, to: u64) -> Findings {
        let mut left: Vec<u64> =
            self.stored.into_keys().filter(|offset| (from..to).contains(offset)).collect();
        left.sort_unstable();
        for offset in left {
            self.findings.unexpected.add(format_args!("offset {offset}"));
        }
        if self.repeat_count > 0 {
            let note = format!("{} repeats under the same id, which a consumer drops", self.repeat_count);
            self.findings.notes.push(note);
        }
        self.findings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `+N` stored, `*N` stored with another content, `=N` expected, `-N..M` excused; then compared from 0 to 100.
    fn after(script: &str) -> Findings {
        let mut ledger = Ledger::default();
        for step in script.split_whitespace() {
            let (verb, rest) = step.split_at(1);
            let (offset, to) = rest.split_once("..").unwrap_or((rest, "0"));
            let (offset, to) = (offset.parse().unwrap(), to.parse().unwrap());
            match verb {
                "+" => drop(ledger.store(StoredEvent { offset, fingerprint: offset })),
                "*" => drop(ledger.store(StoredEvent { offset, fingerprint: offset + 1 })),
                "=" => ledger.expect(StoredEvent { offset, fingerprint: offset }),
                "-" => ledger.excuse(offset, to),
                _ => panic!("no such step: {step}"),
            }
        }
        ledger.finish(0, 100)
    }

    #[test]
    fn a_ledger_finds_what_differs() {
        for (script, [compared, missing, different, unexpected], note_count) in [
            ("", [0, 0, 0, 0], 0),
            ("+1 +2 =1 =2", [2, 0, 0, 0], 0),
            ("+2 +1 +2 =1 =2", [2, 0, 0, 0], 1),
            ("+1 =1 =2", [2, 1, 0, 0], 0),
            ("*1 =1", [1, 0, 1, 0], 0),
            ("+1 *1 =1", [1, 0, 1, 0], 1),
            ("+1 +2 =1", [1, 0, 0, 1], 0),
            ("+1 +100 +200 =1", [1, 0, 0, 0], 0),
            ("+1 +5 +6 +7 -5..7 =1", [1, 0, 0, 1], 0),
            ("=1 =1", [2, 2, 0, 0], 0),
        ] {
            let findings = after(script);
            let Findings {
                compared_count,
                missing: lacks,
                doubled,
                different: other,
                unexpected: more,
                notes,
            } = &findings;
            let found = [*compared_count, lacks.count, other.count, more.count];
            assert_eq!(found, [compared, missing, different, unexpected], "{script}");
            assert_eq!((doubled.count, notes.len()), (0, note_count), "{script}");
            assert_eq!(findings.agree(), missing + different + unexpected == 0, "{script}");
        }
    }

    #[test]
    fn a_ledger_tells_the_first_of_an_id_and_what_it_still_holds() {
        let mut ledger = Ledger::default();
        let stored = StoredEvent { offset: 7, fingerprint: 1 };
        assert!(!ledger.holds(7) && ledger.store(stored) && ledger.holds(7));
        assert!(!ledger.store(stored));
        ledger.expect(stored);
        assert!(!ledger.holds(7));
    }

    #[test]
    fn a_tally_counts_all_and_keeps_the_first_ten() {
        let of = |range: std::ops::Range<u32>| {
            let mut tally = Tally::default();
            range.for_each(|number| tally.add(number));
            tally
        };
        let mut tally = of(0..7);
        tally.merge(of(7..30));
        assert_eq!((tally.count, tally.examples.len()), (30, EXAMPLES_MAX));
        assert_eq!(tally.examples, of(0..30).examples);
    }

    #[test]
    fn a_fingerprint_knows_where_parts_end() {
        assert_eq!(fingerprint(&[b"ab", b"c"]), fingerprint(&[b"ab", b"c"]));
        assert_ne!(fingerprint(&[b"ab", b"c"]), fingerprint(&[b"a", b"bc"]));
        assert_ne!(fingerprint(&[b"ab", b""]), fingerprint(&[b"ab"]));
    }
}
