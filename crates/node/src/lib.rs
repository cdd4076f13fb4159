//! One node: partitions, each with a leader that decides, a log that remembers, and ports by which edges ask.
//!
//! [`Partition::open`] reads back what was there and starts the threads; [`Partition::port`] gives an edge thread its
//! way in and out, and [`Partitions`] say which partition a call is for. Nothing here knows HTTP, and no database or broker has a name here.

mod call;
pub mod catalog;
mod clock;
mod limits;
mod metrics;
mod partition;
mod partitions;
pub mod record;
mod reservation_id;
mod router;
mod settings;
mod threads;

pub use call::{
    Asker, Call, ChallengeCall, Failure, KeyCall, LineCall, Name, Outcome, Reply, ReserveCall, RowCall,
    StoredPassword,
};
pub use clock::{Clock, ClockReading, MachineClock, ManualClock, Stopwatch};
pub use metrics::{BATCH_BUCKETS, Histogram, MetricsSnapshot, SYNC_BUCKETS_US};
pub use partition::{
    Calls, LoadError, Partition, PartitionPort, Readiness, Recovered, Replies, Retention, RetentionHold,
    Token,
};
pub use partitions::Partitions;
pub use reservation_id::{RESERVATION_ID_BYTES, ReservationIds};
pub use router::{Router, RoutingKey};
pub use settings::Settings;
pub use threads::spawn;
