//! What the runner of a sink does with a target, and what must be in the target afterwards.
#![expect(clippy::disallowed_methods, reason = "a runner pauses before it tries again")]

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use onrush_connect::Findings;
use onrush_sinks::{Target, TargetError};

use crate::events::{Story, StoryEvent};
use crate::harness::{Harness, Seen};

/// Attempts before a test gives up, and the pause between two: minutes, for a server that has to notice a dead connection.
const ATTEMPTS: usize = 600;
const PAUSE: Duration = Duration::from_millis(200);

/// A runner: a target, the story that it writes, and the offset that it keeps for itself.
pub struct Runner<'s> {
    pub target: Box<dyn Target>,
    pub story: &'s Story,
    /// What it would keep in a file of its own.
    pub durable_offset: u64,
    pub failure_count: usize,
}

impl<'s> Runner<'s> {
    pub fn new(target: Box<dyn Target>, story: &'s Story) -> Self {
        Self { target, story, durable_offset: 0, failure_count: 0 }
    }

    /// Opens the target; returns where to go on.
    pub fn open(&mut self) -> Result<u64, TargetError> {
        let offset = self.target.open(&self.story.source)?;
        Ok(offset.unwrap_or(self.durable_offset))
    }

    /// The same, until the target lets it.
    pub fn open_at_last(&mut self) -> u64 {
        let mut attempts = Attempts::default();
        loop {
            match self.open() {
                Ok(offset) => return offset,
                Err(error) => attempts.failed(&error),
            }
        }
    }

    /// Pushes and sends what lies between, in batches. Leaves it to the target when that is durable.
    pub fn write(&mut self, from: u64, to: u64, batch_events: usize) -> Result<(), TargetError> {
        let events: Vec<&StoryEvent> =
            self.story.events.iter().filter(|event| (from..to).contains(&event.offset)).collect();
        for batch in events.chunks(batch_events) {
            for event in batch {
                event.lend(|event| self.target.push(event))?;
            }
            let offset = batch.last().expect("a chunk has an event").offset + 1;
            self.note(offset, |target| target.send(offset))?;
        }
        Ok(())
    }

    /// Waits until everything sent is durable.
    pub fn wait_until_durable(&mut self) -> Result<(), TargetError> {
        self.note(u64::MAX, |target| target.wait_until_durable())
    }

    fn note(
        &mut self,
        sent_offset: u64,
        ask: impl FnOnce(&mut dyn Target) -> Result<u64, TargetError>,
    ) -> Result<(), TargetError> {
        let offset = ask(self.target.as_mut())?;
        assert!(offset <= sent_offset, "{offset} is durable, and only what is below {sent_offset} was sent");
        self.durable_offset = self.durable_offset.max(offset);
        Ok(())
    }

    /// Writes everything up to an offset, whatever happens meanwhile, as a runner does: after an error it opens again.
    pub fn finish(&mut self, to: u64, batch_events: usize) {
        let mut attempts = Attempts::default();
        loop {
            let done = self.open().and_then(|from| {
                self.write(from, to, batch_events)?;
                self.wait_until_durable()
            });
            match done {
                Ok(()) => break,
                Err(error) => {
                    self.failure_count += 1;
                    attempts.failed(&error);
                }
            }
        }
        let last = self.story.events.iter().rfind(|event| event.offset < to);
        let written = last.map_or(0, |event| event.offset + 1);
        assert!(self.durable_offset >= written, "{} is durable of {written}", self.durable_offset);
    }
}

/// Counts failures that may pass; others fail the test.
#[derive(Default)]
struct Attempts(usize);

impl Attempts {
    fn failed(&mut self, error: &TargetError) {
        assert!(matches!(error, TargetError::Unavailable(_)), "it should pass by itself: {error:?}");
        self.0 += 1;
        assert!(self.0 < ATTEMPTS, "it never passes: {error}");
        std::thread::sleep(PAUSE);
    }
}

/// Fails unless the place holds exactly the story, each key in order, and the auditor says the same.
pub fn check(harness: &dyn Harness, story: &Story) {
    check_seen(harness, &story.seen());
    let findings = audit(harness, story, &[]);
    assert!(findings.agree(), "{findings:?}");
    assert_eq!(findings.compared_count, story.events.len() as u64, "{findings:?}");
}

/// Fails unless somebody who reads the place sees exactly this.
pub fn check_seen(harness: &dyn Harness, expected: &[Seen]) {
    let seen = harness.seen();
    let mut known = HashSet::new();
    let mut first_seen: BTreeMap<&str, Vec<&Seen>> = BTreeMap::new();
    let by_offset: BTreeMap<u64, &Seen> = expected.iter().map(|event| (event.offset, event)).collect();
    for event in &seen {
        assert_eq!(Some(&event), by_offset.get(&event.offset), "it holds what it was not given");
        if known.insert(event.offset) {
            first_seen.entry(&event.key).or_default().push(event);
        } else {
            assert!(!harness.exactly_once(), "offset {} is there twice", event.offset);
        }
    }
    let missing: Vec<u64> = by_offset.keys().copied().filter(|offset| !known.contains(offset)).collect();
    assert!(missing.is_empty(), "{} of {} are missing: {missing:?}", missing.len(), expected.len());
    for (key, events) in first_seen {
        assert!(events.is_sorted_by_key(|event| event.offset), "events of `{key}` are out of order");
    }
}

/// Compares the place with the story, some of whose events are changed.
pub fn audit(harness: &dyn Harness, story: &Story, changed: &[StoryEvent]) -> Findings {
    let mut auditor = harness.auditor();
    let to = auditor.open(&story.source, 0, story.end()).expect("the place can be read");
    for event in story.events.iter().filter(|event| event.offset < to) {
        let changed = changed.iter().find(|other| other.offset == event.offset);
        changed.unwrap_or(event).lend(|event| auditor.expect(event)).expect("the place can be read");
    }
    auditor.finish().expect("the place can be read")
}
