//! What of the messages given to the producer has been acknowledged, and what went wrong.

use std::collections::VecDeque;

use rdkafka::types::RDKafkaErrorCode;

/// Messages of one producer, by batch. A batch without messages needs no place: it belongs to the one before it.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Those not yet acknowledged wholly, oldest first; no more than messages, and those have a bound in the producer.
    batches: VecDeque<Batch>,
    /// Everything below is acknowledged, or was before this producer; unknown until it is told.
    durable: Option<u64>,
    waiting_count: u64,
    done_count: u64,
    failure: Option<Failure>,
}

#[derive(Debug)]
struct Batch {
    /// Offset of its first message.
    from: u64,
    /// Offset after it, once it was sent.
    to: Option<u64>,
    /// Messages not acknowledged; one that failed stays among them.
    open_count: u64,
}

/// Why the producer is of no more use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The broker never takes a message: that at `offset`, or one of several.
    Rejected { offset: Option<u64>, code: RDKafkaErrorCode },
    /// Anything that may pass.
    Lost(RDKafkaErrorCode),
}

impl Progress {
    /// The message at `offset` was queued.
    pub(super) fn queued(&mut self, offset: u64) {
        self.durable.get_or_insert(offset);
        self.waiting_count += 1;
        match self.batches.back_mut() {
            Some(batch) if batch.to.is_none() => batch.open_count += 1,
            _ => self.batches.push_back(Batch { from: offset, to: None, open_count: 1 }),
        }
    }

    /// The batch of everything below `to` is complete.
    pub(super) fn sent(&mut self, to: u64) {
        match self.batches.back_mut() {
            Some(batch) => batch.to = Some(to),
            None => self.durable = Some(to),
        }
        self.advance();
    }

    /// The producer is done with the message at `offset`.
    pub(super) fn done(&mut self, offset: u64, outcome: Result<(), RDKafkaErrorCode>) {
        self.done_count += 1;
        self.waiting_count -= 1;
        match outcome {
            Ok(()) => {
                let after = self.batches.partition_point(|batch| batch.from <= offset);
                let batch = after.checked_sub(1).and_then(|index| self.batches.get_mut(index));
                batch.expect("what is acknowledged was queued").open_count -= 1;
                self.advance();
            }
            Err(code) => self.fail(offset, code),
        }
    }

    fn advance(&mut self) {
        while let Some(Batch { to: Some(to), open_count: 0, .. }) = self.batches.front() {
            self.durable = Some(*to);
            self.batches.pop_front();
        }
    }

    fn fail(&mut self, offset: u64, code: RDKafkaErrorCode) {
        let failure = match (rejects(code), self.failure) {
            // The broker says it of a whole request, and which message of several it means is not known.
            (true, Some(Failure::Rejected { code, .. })) => Failure::Rejected { offset: None, code },
            (true, _) => Failure::Rejected { offset: Some(offset), code },
            (false, Some(earlier)) => earlier,
            (false, None) => Failure::Lost(code),
        };
        self.failure = Some(failure);
    }

    /// Offset below which everything is acknowledged, if any is known.
    pub(super) fn durable(&self) -> Option<u64> {
        self.durable
    }

    /// How many messages the producer was done with so far.
    pub(super) fn done_count(&self) -> u64 {
        self.done_count
    }

    /// Whether the producer is done with every message.
    pub(super) fn is_idle(&self) -> bool {
        self.waiting_count == 0
    }

    /// What went wrong, if anything did.
    pub(super) fn failure(&self) -> Option<Failure> {
        self.failure
    }
}

/// Whether a broker that says this says it of the message, and will say it again.
pub(super) fn rejects(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode::{InvalidRecord, MessageBatchTooLarge, MessageSizeTooLarge};
    matches!(code, MessageSizeTooLarge | MessageBatchTooLarge | InvalidRecord)
}

#[cfg(test)]
mod tests {
    use super::*;
    use RDKafkaErrorCode::{BrokerTransportFailure, InvalidRecord, MessageSizeTooLarge, PurgeQueue};

    /// `+N` queued, `>N` sent, `=N` acknowledged, `!N` rejected, `?N` lost, `~N` purged.
    fn after(script: &str) -> Progress {
        let mut progress = Progress::default();
        for step in script.split_whitespace() {
            let (verb, offset) = step.split_at(1);
            let offset = offset.parse().unwrap();
            match verb {
                "+" => progress.queued(offset),
                ">" => progress.sent(offset),
                "=" => progress.done(offset, Ok(())),
                "!" => progress.done(offset, Err(MessageSizeTooLarge)),
                "?" => progress.done(offset, Err(BrokerTransportFailure)),
                "~" => progress.done(offset, Err(PurgeQueue)),
                _ => panic!("no such step: {step}"),
            }
        }
        progress
    }

    #[test]
    fn durable_is_what_no_gap_precedes() {
        for (script, durable) in [
            ("", None),
            (">9", Some(9)),
            ("+5", Some(5)),
            ("+5 +7 >8", Some(5)),
            ("+5 +7 =5 =7", Some(5)),
            ("+5 +7 =7 >8 =5", Some(8)),
            ("+5 >6 +6 >7 =6", Some(5)),
            ("+5 >6 +6 >7 =6 =5", Some(7)),
            ("+5 >6 >20", Some(5)),
            ("+5 >6 >20 =5", Some(20)),
            ("+5 >6 =5 >20", Some(20)),
            ("+5 =5 >6", Some(6)),
            ("+5 >6 +6 >7 ?5 =6", Some(5)),
            ("+5 >6 +6 >7 =5 ?6", Some(6)),
        ] {
            assert_eq!(after(script).durable(), durable, "{script}");
        }
    }

    #[test]
    fn a_rejection_names_its_offset_only_if_it_was_alone() {
        let rejected = |offset| Some(Failure::Rejected { offset, code: MessageSizeTooLarge });
        for (script, failure) in [
            ("+5 >6 =5", None),
            ("+5 +6 ?6 ~5", Some(Failure::Lost(BrokerTransportFailure))),
            ("+5 +6 ~5 !6", rejected(Some(6))),
            ("+5 +6 !6 ~5", rejected(Some(6))),
            ("+5 +6 +7 !5 !6 !7", rejected(None)),
        ] {
            assert_eq!(after(script).failure(), failure, "{script}");
        }
        assert!(rejects(InvalidRecord) && !rejects(BrokerTransportFailure));
    }

    #[test]
    fn a_producer_is_idle_when_it_is_done_with_all() {
        for (script, done_count, is_idle) in
            [("", 0, true), ("+1 +2 =1", 1, false), ("+1 +2 =1 =2", 2, true), ("+1 +2 ?1 ~2 >3", 2, true)]
        {
            let progress = after(script);
            assert_eq!((progress.done_count(), progress.is_idle()), (done_count, is_idle), "{script}");
        }
    }
}
