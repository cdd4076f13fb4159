//! How far reading is: whether all has been taken that a topic had when it was asked.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

/// Questions whose answers have not been reached. With more none is asked.
const QUESTIONS_MAX: usize = 64;

/// What a topic had when it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Question<T> {
    pub(super) asked_at: Instant,
    /// What was known then.
    pub(super) known: T,
    /// The end of each partition.
    pub(super) ends: BTreeMap<i32, i64>,
}

/// See the module.
pub(super) struct Ends<T> {
    /// The message of each partition that comes next.
    next: BTreeMap<i32, i64>,
    /// An end behind which there was nothing, though no message is before it: it was removed, or is none of ours.
    empty_to: BTreeMap<i32, i64>,
    /// Ends that are looked for once more.
    looked_for: BTreeMap<i32, i64>,
    questions: VecDeque<Question<T>>,
    /// When the newest message of each partition had been read.
    came_at: BTreeMap<i32, Instant>,
}

/// A topic does not have what was read of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Shrunk;

impl<T> Ends<T> {
    pub(super) fn new() -> Self {
        Self {
            next: BTreeMap::new(),
            empty_to: BTreeMap::new(),
            looked_for: BTreeMap::new(),
            questions: VecDeque::new(),
            came_at: BTreeMap::new(),
        }
    }

    /// The message that comes next, if one was read.
    pub(super) fn next(&self, partition: i32) -> Option<i64> {
        self.next.get(&partition).copied()
    }

    /// A message was read, before this moment.
    pub(super) fn take(&mut self, partition: i32, offset: i64, now: Instant) {
        self.next.insert(partition, offset + 1);
        self.came_at.insert(partition, now);
    }

    /// Reading has come to the end of a partition.
    pub(super) fn take_end(&mut self, partition: i32) {
        if let Some(end) = self.looked_for.remove(&partition) {
            self.empty_to.insert(partition, end);
        }
    }

    /// Takes an answer.
    pub(super) fn ask(&mut self, question: Question<T>) -> Result<(), Shrunk> {
        // A message that was read since may be behind the end that was told.
        let is_behind = |(partition, end): (&i32, &i64)| {
            let is_newest = self.is_quiet(*partition, question.asked_at);
            is_newest && self.next(*partition).is_some_and(|next| *end < next)
        };
        if question.ends.iter().any(is_behind) {
            return Err(Shrunk);
        }
        if self.questions.len() < QUESTIONS_MAX {
            self.questions.push_back(question);
        }
        Ok(())
    }

    /// The newest question up to whose answer all was taken, and it is forgotten with those before it.
    pub(super) fn reached(&mut self) -> Option<Question<T>> {
        let mut reached = None;
        while self.questions.front().is_some_and(|question| self.missing(question).next().is_none()) {
            reached = self.questions.pop_front();
        }
        reached
    }

    /// A partition that has to be looked at again, from its next message on: nothing came since this moment, though its end is further.
    pub(super) fn stalled(&mut self, since: Instant) -> Option<i32> {
        let question = self.questions.front().filter(|question| question.asked_at < since)?;
        let missing = self.missing(question).find(|(partition, _)| self.is_quiet(*partition, since));
        let (partition, end) = missing?;
        (self.looked_for.insert(partition, end) != Some(end)).then_some(partition)
    }

    /// Whether nothing of a partition was read from this moment on.
    fn is_quiet(&self, partition: i32, since: Instant) -> bool {
        self.came_at.get(&partition).is_none_or(|came_at| *came_at < since)
    }

    /// The partitions whose ends were not reached.
    fn missing(&self, question: &Question<T>) -> impl Iterator<Item = (i32, i64)> {
        let at = |partition| {
            let next = self.next(partition).unwrap_or_default();
            next.max(self.empty_to.get(&partition).copied().unwrap_or_default())
        };
        let ends = question.ends.iter().map(|(partition, end)| (*partition, *end));
        ends.filter(move |(partition, end)| at(*partition) < *end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[allow(clippy::disallowed_methods, reason = "the only way to have any time of this clock")]
    fn start() -> Instant {
        Instant::now()
    }

    fn question(asked_at: Instant, ends: &[(i32, i64)]) -> Question<u32> {
        Question { asked_at, known: 0, ends: ends.iter().copied().collect() }
    }

    #[test]
    fn an_answer_is_reached_when_every_partition_is() {
        let (now, mut ends) = (start(), Ends::new());
        ends.ask(question(now, &[(0, 2), (1, 0)])).unwrap();
        assert_eq!(ends.reached(), None);
        ends.take(0, 0, now);
        assert_eq!(ends.reached(), None);
        ends.take(0, 1, now);
        let later = now + Duration::from_secs(1);
        ends.ask(question(later, &[(0, 2), (1, 0)])).unwrap();
        ends.ask(question(later, &[(0, 3), (1, 0)])).unwrap();
        assert_eq!(ends.reached().map(|question| question.asked_at), Some(later));
        assert_eq!(ends.reached(), None);
        ends.take(0, 2, now);
        assert!(ends.reached().is_some());
    }

    #[test]
    fn an_end_without_a_message_is_looked_for_once() {
        let (now, mut ends) = (start(), Ends::new());
        let later = now + Duration::from_secs(1);
        ends.take(0, 4, now);
        // Reading came to the end before anybody asked, which says nothing of what the question found.
        ends.take_end(0);
        ends.ask(question(now, &[(0, 7)])).unwrap();
        assert_eq!((ends.stalled(now), ends.stalled(later), ends.stalled(later)), (None, Some(0), None));
        assert_eq!(ends.reached(), None);
        ends.take_end(0);
        assert!(ends.reached().is_some());
        ends.ask(question(later, &[(0, 7)])).unwrap();
        assert!(ends.reached().is_some(), "it is known that there is nothing");
        ends.ask(question(later, &[(0, 8)])).unwrap();
        assert_eq!(ends.stalled(later + Duration::from_secs(1)), Some(0));
        ends.take(0, 7, now);
        assert!(ends.reached().is_some());
    }

    #[test]
    fn a_topic_that_was_made_anew_is_shorter() {
        let (now, mut ends) = (start(), Ends::new());
        ends.take(0, 4, now);
        let later = now + Duration::from_secs(1);
        assert_eq!(ends.ask(question(now, &[(0, 4)])), Ok(()), "it was asked before the message came");
        assert_eq!(ends.ask(question(later, &[(0, 5)])), Ok(()));
        assert_eq!(ends.ask(question(later, &[(0, 4)])), Err(Shrunk));
    }

    #[test]
    fn questions_are_bounded() {
        let (now, mut ends) = (start(), Ends::new());
        for end in 1..200 {
            ends.ask(question(now, &[(0, end)])).unwrap();
        }
        ends.take(0, 300, now);
        assert_eq!(ends.reached().unwrap().ends[&0], i64::try_from(QUESTIONS_MAX).unwrap());
    }
}
