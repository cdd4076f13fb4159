//! Every limit of the log, tied together at compile time, with what happens at it.

/// Largest payload of one batch, bytes. A larger one is refused with `AppendError::TooLarge` before anything is written.
pub const BATCH_BYTES_MAX: u64 = 8 << 20;

/// Segment size unless the settings say otherwise, bytes.
pub const SEGMENT_BYTES_DEFAULT: u64 = 64 << 20;

/// Smallest segment a server accepts, bytes. Below it opening refuses the settings.
pub const SEGMENT_BYTES_MIN: u64 = 1 << 20;

/// Largest segment a server accepts, bytes. Above it opening refuses the settings.
pub const SEGMENT_BYTES_MAX: u64 = 4 << 30;

/// Largest chunk of a snapshot, bytes. A writer that is given more refuses; a reader that meets more reports damage.
pub const CHUNK_BYTES_MAX: usize = 8 << 20;

/// Snapshots kept. When a newer one is complete, the oldest beyond this count is removed.
pub(crate) const SNAPSHOT_COUNT_MAX: usize = 2;

/// Trimmed segments kept to be written over, beside the spare; one that finds as many is removed.
pub(crate) const RESERVE_COUNT_MAX: usize = 4;

/// Unit of writing, bytes: every batch is written as whole blocks, so that it may bypass the page cache.
pub(crate) const BLOCK_BYTES: usize = 4096;

/// Bytes before the first frame of a segment: one block, so that frames never share one with the header.
pub(crate) const SEGMENT_HEADER_BYTES: u64 = BLOCK_BYTES as u64;

/// Frames begin at multiples of this many bytes; the search for a frame behind a bad one steps by it.
pub(crate) const FRAME_ALIGN_BYTES: u64 = FRAME_STEP_BYTES as u64;
/// The same as a distance in memory.
pub(crate) const FRAME_STEP_BYTES: usize = 8;

/// Bytes read ahead at once by recovery and readers.
pub(crate) const READ_BYTES: usize = 1 << 20;

/// Bytes of zeros written and synced at once while a spare segment is made, so that a batch never queues behind more.
pub(crate) const SPARE_CHUNK_BYTES: usize = 64 << 10;

const _: () = assert!(SEGMENT_BYTES_MIN < SEGMENT_BYTES_DEFAULT && SEGMENT_BYTES_DEFAULT < SEGMENT_BYTES_MAX);
const _: () = assert!(BATCH_BYTES_MAX + 2 * SEGMENT_HEADER_BYTES < SEGMENT_BYTES_DEFAULT);
const _: () = assert!(BATCH_BYTES_MAX < u32::MAX as u64 && CHUNK_BYTES_MAX < u32::MAX as usize);
const _: () =
    assert!(SNAPSHOT_COUNT_MAX >= 2, "a damaged newest snapshot needs an older one to fall back to");
const _: () = assert!((BLOCK_BYTES as u64).is_multiple_of(FRAME_ALIGN_BYTES));
