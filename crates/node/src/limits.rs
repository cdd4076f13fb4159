//! Every ceiling of a node that is not a setting, and what happens at it.

use std::time::Duration;

/// Between two attempts to open a log that failed. Up to it each wait is twice the one before.
pub(crate) const REOPEN_INTERVAL_MAX: Duration = Duration::from_secs(20);

/// Records of one open batch, bytes. When they pass it, calls wait in the mailbox until the batch has gone to the log.
pub(crate) const OPEN_BATCH_BYTES_MAX: usize = 4 << 20;

/// The largest record of a call that is neither a sale nor rows: details, key, customer, 16 lines, all integers at their widest. A
/// call is only decided if the log is certain to take as much; otherwise it is answered that the log is unavailable.
pub(crate) const RECORD_BYTES_MAX: usize = 8 << 10;

/// The most that a stock takes in the record of its sale, its name and title aside: lengths, times, quantity.
pub(crate) const STOCK_BYTES_MAX: usize = 80;

/// What the calls of one submission may add to a batch without anybody looking whether there is still room: 256 calls,
/// which is what an edge hands over at once, of the largest sort.
pub(crate) const SUBMISSION_BYTES_MAX: usize = 256 * RECORD_BYTES_MAX;

/// Holds that one turn lets expire. Calls wait in the mailbox until the turns that follow have let the rest expire.
pub(crate) const EXPIRIES_PER_TURN_MAX: usize = 4_096;

/// Denials that are over and that one turn forgets. The turns that follow forget the rest; until then they deny nobody.
pub(crate) const DENIALS_FORGOTTEN_PER_TURN_MAX: usize = 256;

/// Challenges of which a partition knows whether they were used, the newest of all that were given out: a bit for each. Who
/// brings an older one has to solve another. Within the five minutes that one lasts it takes 100,000 a second to get there.
pub(crate) const CHALLENGES_REMEMBERED: u64 = 1 << 25;

/// Holds of a closed sale that one call ends. The answer says where the next call goes on.
pub(crate) const HOLDS_ENDED_PER_CALL_MAX: usize = 512;

/// The record of the end of a hold: kind, length, number of the sale, ordinal. No such record is longer; room is
/// counted by it.
pub(crate) const HOLD_END_BYTES_MAX: usize = 12;

/// Times in a row that one thread takes the mailbox before it leaves the rest to the log writer.
pub(crate) const ROUNDS_PER_TURN_MAX: usize = 8;

/// For so long at most does an answer rest on a time that the log does not have yet. A start at the log's time skips as
/// much, so that nobody sees the time run backwards.
pub(crate) const ANSWERED_BEFORE_LOGGED_MAX: Duration = Duration::from_secs(2);

/// A partition's time that differs by more from the wall clock is told to the operator.
pub(crate) const CLOCK_OFFSET_WARNED: Duration = Duration::from_secs(1);

/// Once it differs by no more than this, the operator is told that it is over.
pub(crate) const CLOCK_OFFSET_OVER: Duration = Duration::from_millis(50);

/// Content bytes of one chunk of a snapshot. The fact that passes it is the last of its chunk, and the next begins another.
pub(crate) const SNAPSHOT_CHUNK_BYTES: usize = 1 << 20;

const _: () = assert!(
    (OPEN_BATCH_BYTES_MAX + SUBMISSION_BYTES_MAX + onrush_core::ROWS_BYTES_MAX) as u64
        <= onrush_log::BATCH_BYTES_MAX,
    "a batch that was not quite full, a submission, and the rows of one call, or a sale of 1,000 stocks, still fit one frame"
);
const _: () = assert!(CLOCK_OFFSET_OVER.as_nanos() < CLOCK_OFFSET_WARNED.as_nanos());
const _: () = assert!(
    HOLDS_ENDED_PER_CALL_MAX * HOLD_END_BYTES_MAX + 100 < RECORD_BYTES_MAX,
    "with a time and an incarnation, a call that ends holds adds no more than any other"
);
const _: () = assert!(
    RECORD_BYTES_MAX
        > onrush_core::DETAILS_BYTES_MAX
            + onrush_core::KEY_BYTES_MAX
            + onrush_core::NAME_BYTES_MAX
            + onrush_core::LINES_MAX * 20
            + 100
);
