//! Every ceiling of the edge that is not a setting, and what happens at it.

use std::time::Duration;

/// Bytes of a request's target. At it: 414 and the connection closes.
pub const TARGET_BYTES_MAX: usize = 2 << 10;

/// Bytes of a request's line and header fields. At it: 431 and the connection closes.
pub const HEAD_BYTES_MAX: usize = 16 << 10;

/// Header fields of a request. At it: 431 and the connection closes.
pub const HEADERS_MAX: usize = 64;

/// Bytes of a public request's body. At it: 413 and the connection closes.
pub const BODY_BYTES_MAX: usize = 16 << 10;

/// Bytes of an operator's request body: a sale may have 1,000 stocks with titles, and many rows of the catalogue come at once. At it:
/// 413 and the connection closes.
pub const OPERATOR_BODY_BYTES_MAX: usize = 2 << 20;

/// Rows of the catalogue that one request may ask for. Beyond it: 400.
pub(crate) const ROWS_PER_READ_MAX: usize = 100;

/// Objects and lists within each other in the `details` of a reservation, the object itself included: readers of events
/// have parsers that give up, or worse, at some depth. At it: 400.
pub const DETAILS_DEPTH_MAX: usize = 64;

/// Requests of one connection that are served at once when a client sends them without waiting. The rest stay in the
/// connection's buffer, and then in the client's.
pub(crate) const PIPELINE_MAX: usize = 64;

/// Calls handed to the partition at once. At it the rest of the turn's calls are handed over next, in the same order.
pub(crate) const SUBMISSION_CALLS_MAX: usize = 256;

/// Items of one message of a stream of batches, which are handed to the partition at once. Beyond it: the stream ends with
/// `INVALID_ARGUMENT`.
pub(crate) const BATCH_ITEMS_MAX: usize = SUBMISSION_CALLS_MAX;

/// Messages of one stream of batches that were read and whose answers were not taken over by HTTP/2. At it the stream is not
/// read further, so the rest stays with HTTP/2, and then with the client.
pub(crate) const STREAM_BATCHES_MAX: usize = 4;

/// Streams of one HTTP/2 connection that are served at once. A client is told so; a stream beyond it is refused by the
/// protocol's rules (RFC 9113, section 5.1.2).
pub(crate) const H2_STREAMS_MAX: u32 = 64;

/// Bytes of answers that one HTTP/2 connection may leave untaken. At it, further requests of the connection wait until some
/// are taken. What was being made by then comes on top: a short answer for each stream, and [`H2_READS_MAX`] and
/// [`H2_WAITING_READS_MAX`] long ones.
pub(crate) const H2_UNSENT_BYTES_MAX: usize = 1 << 20;

/// Reads by the router that one HTTP/2 connection may have in the making. The rest wait for their turn.
pub(crate) const H2_READS_MAX: usize = 4;

/// Reads that may wait for what they read and that one HTTP/2 connection may have in the making. They do not
/// count as other reads, which would stand behind them.
pub(crate) const H2_WAITING_READS_MAX: usize = 16;

/// Streams of one HTTP/2 connection that are read while they are answered. Each holds up to [`STREAM_BATCHES_MAX`] messages with
/// their answers, which count nowhere else. One more is refused as `overloaded`.
pub(crate) const H2_READ_STREAMS_MAX: usize = 16;

/// Bytes of an answer that are given to HTTP/2 at once, and that it buffers for each stream. The rest of the answer
/// waits until these are taken.
pub(crate) const H2_PIECE_BYTES: usize = 16 << 10;

/// Bytes of HTTP/2 that one turn of a connection gathers before they go to the system. Beyond it they go in several parts, each
/// longer one from where it is.
pub(crate) const H2_GATHERED_BYTES_MAX: usize = 16 << 10;

/// Frames that ask for nothing (SETTINGS, PING, `WINDOW_UPDATE` and the like) that an HTTP/2 client may send in a row.
/// At it the connection is cut off.
pub(crate) const H2_QUIET_FRAMES_MAX: u64 = 512;

/// How many such frames become allowed again in a second, up to [`H2_QUIET_FRAMES_MAX`].
pub(crate) const H2_QUIET_FRAMES_PER_S: u64 = 64;

/// How many such frames become allowed again by a request, and by a part of an answer that is taken, up to
/// [`H2_QUIET_FRAMES_MAX`].
pub(crate) const H2_QUIET_FRAMES_PER_REQUEST: u64 = 8;

/// Since anything came from an HTTP/2 client, after which it is asked whether anybody is still there.
pub(crate) const H2_PING_INTERVAL: Duration = Duration::from_secs(20);

/// How long it may take to say so. At it the connection is cut off.
pub(crate) const H2_PING_TIMEOUT: Duration = Duration::from_secs(10);

/// Entries on one page of a list. Beyond it: 400.
pub(crate) const LIST_LIMIT_MAX: u16 = 100;

/// Bytes of answers that all clients together may leave untaken. At it, connections that have taken nothing for
/// [`STALLED_MS_MIN`] are cut off, the slowest first; while there are none, an answer is 503 `overloaded` instead.
pub const UNSENT_BYTES_MAX: usize = 128 << 20;

/// Milliseconds without taking anything before a connection may be cut off to make room. One that took something since
/// is left alone, whatever the room.
pub(crate) const STALLED_MS_MIN: u64 = 1_000;

/// Bytes of a body from which on HTTP/1.1 sends it from where it is, and does not copy it behind its head.
pub(crate) const COPIED_BODY_BYTES_MAX: usize = 16 << 10;

/// Bytes of an answer that a client has to take within the write timeout, again and again. A client that takes less is
/// cut off.
pub(crate) const TAKEN_BYTES_MIN: usize = 16 << 10;

/// Connections of the operator's listener, apart from those of the public one. One more is answered 503 and closed.
pub(crate) const OPERATOR_CONNECTIONS_MAX: usize = 256;

/// Bytes of an `X-Request-Id` that is taken over from the client; a longer one is replaced.
pub(crate) const REQUEST_ID_BYTES_MAX: usize = 128;

/// Bytes read from a connection at once, and kept for it while it is busy. The rest is read next.
pub(crate) const READ_BYTES: usize = 4 << 10;
