//! Sinks: readers of the log that write elsewhere. What they write to is behind [`Target`]; no database or broker has a
//! name here.
//!
//! Each sink has a thread of its own at the lowest priority. It reads what is durable, tells every event whole
//! ([`SinkEvent`]), and goes on after any trouble from what its target says is there. The log is trimmed only below
//! what every sink has passed, which it says by a [`onrush_node::RetentionHold`].

mod back_off;
mod ceiling;
mod confirmed;
mod event;
mod files;
mod handle;
mod history;
mod known_server;
mod leading;
mod name_table;
mod replay;
mod replica;
mod runner;
mod settings;
mod sinks;
mod start_point;
mod status;
mod target;
mod writer;

pub use confirmed::{Confirmed, Expected};
pub use event::{Change, Claim, EventKind, ReservationSubject, SinkEvent, SinkLine};
pub use leading::IdsWhileLeading;
pub use replay::{
    ReplayError, Replayed, SinkPlaces, log_extent, noted_offset, replay, sink_places, sink_snapshot_offset,
    skipped,
};
pub use replica::{CounterRow, Replica, ReplicaAnswer};
pub use settings::{AtBacklogMax, BACKLOG_BYTES_MAX_DEFAULT, SINK_NAME_BYTES_MAX, Selection, SinkSettings};
pub use sinks::{PreparedSinks, Sinks};
pub use status::{SLOW_ANSWER, SinkRefusal, SinkState, SinkStatus, Stop};
pub use target::{EXCHANGE_TIMEOUT, Opened, Skipped, Source, Target, TargetError};
