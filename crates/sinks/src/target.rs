//! The contract between the sink runner and what it writes to.

use onrush_core::{Incarnation, ReservationNo, SaleNo};
use onrush_node::ReservationIds;

use crate::confirmed::{Confirmed, Expected};
use crate::event::SinkEvent;

/// Where events go: a table, a topic, a queue, a stream. A runner owns it and calls it from one thread.
///
/// ```text
///   open ──▶ push … push ──▶ send ──▶ push … push ──▶ send ──▶ … ──▶ wait_until_durable
///    ▲          (one batch)                                                  │
///    └────────────────────── after any error ◀───────────────────────────────┘
/// ```
///
/// After an error the target forgets what it was told since it was opened; the runner waits, opens it again, and goes on
/// from the offset that `open` gives. So a target needs no repair of its own: what is durable in it decides.
///
/// Calls may block, but never for ever: every exchange with the other side has a timeout of at most [`EXCHANGE_TIMEOUT`] after which
/// it is [`TargetError::Unavailable`].
pub trait Target: Send {
    /// What it is, as in the settings: `postgres`, `kafka`, `rabbitmq`, `redis`.
    fn kind(&self) -> &'static str;

    /// Whether the target itself tells where to go on. Otherwise the runner keeps an offset beside the log, and what was
    /// written since that was noted is written again under the same ids.
    fn keeps_offset(&self) -> bool {
        true
    }

    /// What is known of the server that answered last; told before each `open`. A target of several servers writes nothing to another
    /// one that fails [`Expected::check`]: its `open` is [`TargetError::LeftBehind`]. The fence of one that it takes over is above
    /// [`Expected::left_fence`].
    fn set_expected(&mut self, expected: Expected) {
        let _ = expected;
    }

    /// Connects, prepares what is missing (schema, queue, stream) and takes the target over from whoever wrote to it
    /// before. Returns the offset of the first event that is not yet in it; `None` if it never had one, or keeps none.
    fn open(&mut self, source: &Source) -> Result<Option<u64>, TargetError>;

    /// Another process leads, and has the target as its own. What this one held does not count any more when it leads again.
    fn let_go(&mut self) {}

    /// What the target, which is open, tells beside the offset. Targets that keep no offset know nothing.
    fn opened(&self) -> Opened {
        Opened::default()
    }

    /// What follows was decided in this incarnation of the log. Targets that keep an offset keep with it the incarnation that
    /// holds before it: it tells the history of a log from that of a copy which went on by itself.
    fn enter_incarnation(&mut self, incarnation: Incarnation) {
        let _ = incarnation;
    }

    /// Takes one event into the open batch. Cheap: it encodes, it does not wait for the other side.
    fn push(&mut self, event: &SinkEvent<'_>) -> Result<(), TargetError>;

    /// Notes that events of these offsets are left out by an operator's decision. Targets that can tell keep a record.
    fn push_skipped(&mut self, skipped: &Skipped) -> Result<(), TargetError> {
        let _ = skipped;
        Ok(())
    }

    /// Sends the batch. Everything below `offset` was pushed, or is not for this sink. It may return before the batch is
    /// durable in the target, with any bounded number of batches under way. Returns the offset below which
    /// everything is durable.
    fn send(&mut self, offset: u64) -> Result<u64, TargetError>;

    /// Waits until everything sent is durable; returns the offset below which it is. Nothing was pushed since the last send.
    fn wait_until_durable(&mut self) -> Result<u64, TargetError>;

    /// Events of a batch that suit it best, at most; a batch is sent when the log has no more for now, too.
    fn batch_events_max(&self) -> usize {
        4_096
    }
}

/// Longest wait for the other side in one exchange.
pub const EXCHANGE_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(30);

/// What an open target tells about what is in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Opened {
    /// In which the event before the target's offset was decided; absent if an earlier version wrote it.
    pub incarnation: Option<Incarnation>,
    /// Which server answered, and what it has; absent if the target does not tell servers apart.
    pub confirmed: Option<Confirmed>,
}

/// Where events come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Identity of the log: the same for ever, another for every other log, not secret, 26 letters and digits.
    pub log_id: String,
    /// The partition; ids of events begin with it.
    pub partition: u32,
    /// The sink's name in the settings.
    pub sink: String,
}

/// Events that an operator had left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Offset of the first.
    pub from: u64,
    /// Offset after the last.
    pub to: u64,
    /// When that was decided, milliseconds since the Unix epoch.
    pub at: u64,
    /// Why they could not be written.
    pub reason: String,
}

/// Why a target does not go on.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TargetError {
    /// It is absent, slow, full, busy or refuses for now: trying again later is all there is to do.
    #[error("{0}")]
    Unavailable(String),
    /// It will never take this event, and would take others. The text has no credentials.
    #[error("{reason}")]
    Rejected {
        /// The event, if it is known which; otherwise it is one of those sent since everything was last durable.
        offset: Option<u64>,
        /// What the target said.
        reason: String,
    },
    /// Another server of the target answers, and lacks what one before had confirmed: going on would be wrong until somebody says that
    /// it is the right one.
    #[error("{0}")]
    LeftBehind(String),
    /// Going on would be wrong until somebody looks: another log's target, another runner took over, a schema
    /// of a newer version.
    #[error("{0}")]
    Refused(String),
}

/// The identity of a log: what its secret makes of the number that no reservation has. It tells nothing about the secret.
pub(crate) fn log_id(ids: &ReservationIds) -> String {
    let nobody = ReservationNo { sale: SaleNo(u32::MAX), seq: u32::MAX };
    ids.write(nobody.into()).iter().map(|letter| char::from(*letter)).collect()
}
