//! What others have of a partition: a way in and out for calls, its figures, and its end.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use onrush_core::{Denial, DenialKind, Digest, RowCollection, State, TimeMs};
use onrush_log::{Log, LogWriter};

use super::cell::LeaderCell;
use super::identity::Identity;
use super::loading::{self, LoadError, Loaded, Recovered};
use super::machine::{Machine, Submission};
use super::partition_clock::PartitionClock;
use super::port::{Calls, Port, Replies, ReplyTo};
use super::retention::Retention;
use super::snapshots::Snapshotter;
use super::views::ViewWriter;
use super::writer::Writer;
use crate::clock::Clock;
use crate::metrics::by_code;
use crate::threads::{abort_after_panic, spawn};
use crate::{Call, MetricsSnapshot, Outcome, Reply, ReservationIds, Settings};

/// Whether calls make sense now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// They do.
    Ready,
    /// The log cannot take writes.
    LogUnavailable,
    /// Another node decides.
    Following,
    /// The server is stopping.
    Draining,
}

/// One partition. Shared by all edge threads.
pub struct Partition {
    cell: Arc<LeaderCell>,
    /// Nobody's, until those of the log are known.
    no_ids: ReservationIds,
    /// The log, if another process may take it over at any time.
    rivals_log: Option<Arc<dyn Log>>,
    /// The server is about to drain; nothing but readiness shows it.
    leaving: AtomicBool,
    /// Reads that the view answered.
    view_read_count: AtomicU64,
    /// Times that somebody turned out to be denied, by kind.
    denied_counts: [AtomicU64; DenialKind::ALL.len()],
    /// The ceiling of the state's bytes.
    state_bytes_max: u64,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// What a partition begins with.
struct Beginning {
    writer: Option<Box<dyn LogWriter>>,
    identity: Identity,
    view: ViewWriter,
    replayed_bytes: u64,
}

/// What works for a partition beside those who call.
pub(crate) struct Parts {
    pub(crate) writer: Writer,
    pub(crate) snapshotter: Snapshotter,
}

impl Partition {
    /// Opens the partition on its log, reads back what is there, and starts its threads. The log is kept for whoever holds
    /// some of it.
    ///
    /// # Errors
    /// The log is in use, cannot be read or written, or is damaged. Nothing is changed then.
    pub fn open(
        log: Arc<dyn Log>,
        settings: Settings,
        clock: Arc<dyn Clock>,
        retention: Retention,
    ) -> Result<(Arc<Self>, Recovered), LoadError> {
        let (partition, parts, recovered) = Self::assemble(log, settings, clock, retention)?;
        partition.start(parts)?;
        Ok((partition, recovered))
    }

    /// Starts a partition on a log that has rivals: it follows, and refuses calls until this process leads.
    ///
    /// # Errors
    /// The newest snapshot cannot be looked for, or there is no room for another thread.
    pub fn follow(
        log: Arc<dyn Log>,
        settings: Settings,
        clock: Arc<dyn Clock>,
        retention: Retention,
    ) -> Result<Arc<Self>, LoadError> {
        let (partition, parts) = Self::assemble_follower(log, settings, clock, retention)?;
        partition.start(parts)?;
        Ok(partition)
    }

    fn start(&self, parts: Parts) -> Result<(), LoadError> {
        let Parts { writer, snapshotter } = parts;
        let writer = spawn("log-writer", move || writer.run()).map_err(start_failure)?;
        self.cell.set_writer(writer.thread().clone());
        let snapshotter = spawn("snapshotter", move || snapshotter.run()).map_err(start_failure)?;
        self.threads().extend([writer, snapshotter]);
        Ok(())
    }

    /// As [`Partition::open`], without threads: somebody has to let the parts take their turns.
    pub(crate) fn assemble(
        log: Arc<dyn Log>,
        settings: Settings,
        clock: Arc<dyn Clock>,
        retention: Retention,
    ) -> Result<(Arc<Self>, Parts, Recovered), LoadError> {
        let identity = loading::draw_identity()?;
        let Loaded { writer, leader, recovered } = loading::load(&*log, &settings, None, identity)?;
        let partition_clock = PartitionClock::start(leader.time(), clock.read());
        let view = ViewWriter::of(leader.state(), partition_clock);
        let ids = leader.ids().clone();
        let machine = Machine::new(Some(leader), log.has_rivals(), partition_clock);
        let cell = Arc::new(LeaderCell::new(machine, view.view().clone(), clock, settings.waiting_max));
        cell.note_ids(&ids);
        cell.set_leads(true);
        cell.set_durable_offset(recovered.offset);
        cell.set_snapshot_offset(recovered.snapshot_offset.unwrap_or(0));
        let parts =
            Beginning { writer: Some(writer), identity, view, replayed_bytes: recovered.replayed_bytes };
        let (partition, parts) = Self::of_parts(cell, log, settings, retention, parts);
        Ok((partition, parts, recovered))
    }

    /// As [`Partition::follow`], without threads.
    pub(crate) fn assemble_follower(
        log: Arc<dyn Log>,
        settings: Settings,
        clock: Arc<dyn Clock>,
        retention: Retention,
    ) -> Result<(Arc<Self>, Parts), LoadError> {
        let identity = loading::draw_identity()?;
        let partition_clock = PartitionClock::start(0, clock.read());
        let nothing = State::new(settings.limits, loading::random_u64()?);
        let view = ViewWriter::of(&nothing, partition_clock);
        let machine = Machine::new(None, log.has_rivals(), partition_clock);
        let cell = Arc::new(LeaderCell::new(machine, view.view().clone(), clock, settings.waiting_max));
        cell.set_snapshot_offset(log.snapshots()?.first().copied().unwrap_or(0));
        let parts = Beginning { writer: None, identity, view, replayed_bytes: 0 };
        Ok(Self::of_parts(cell, log, settings, retention, parts))
    }

    fn of_parts(
        cell: Arc<LeaderCell>,
        log: Arc<dyn Log>,
        settings: Settings,
        retention: Retention,
        beginning: Beginning,
    ) -> (Arc<Self>, Parts) {
        let Beginning { writer, identity, view, replayed_bytes } = beginning;
        let snapshotter =
            Snapshotter::new(Arc::clone(&cell), Arc::clone(&log), retention, &settings, replayed_bytes);
        let state_bytes_max = settings.limits.state_bytes_max;
        let rivals_log = log.has_rivals().then(|| Arc::clone(&log));
        let no_ids = ReservationIds::new(settings.partition, identity.id_key);
        let writer = Writer::new(Arc::clone(&cell), log, writer, settings, identity, view);
        let partition = Self {
            cell,
            no_ids,
            rivals_log,
            leaving: AtomicBool::new(false),
            view_read_count: AtomicU64::new(0),
            denied_counts: Default::default(),
            state_bytes_max,
            threads: Mutex::default(),
        };
        (Arc::new(partition), Parts { writer, snapshotter })
    }

    /// Refuses further calls, answers those that wait, closes the log and stops the partition's threads. Returns the
    /// digest of the state, which a replay of the log gives again.
    pub fn close(&self) -> Option<Digest> {
        self.cell.drain();
        let threads = std::mem::take(&mut *self.threads());
        for thread in threads {
            thread.thread().unpark();
            if thread.join().is_err() {
                abort_after_panic();
            }
        }
        self.cell.read(|machine| machine.leader().map(|leader| leader.state().digest()))
    }

    fn threads(&self) -> MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How reservation ids of this partition are written and read. Before it is known that its log has any, none can be read.
    pub fn reservation_ids(&self) -> &ReservationIds {
        self.cell.ids().unwrap_or(&self.no_ids)
    }

    /// The same while this process decides; nothing while another does, or nothing is known of them yet.
    pub fn ids_while_leading(&self) -> Option<ReservationIds> {
        self.cell.ids().filter(|_| self.leads()).cloned()
    }

    /// Whether another process may decide at any time, without this one knowing yet.
    pub fn has_rivals(&self) -> bool {
        self.rivals_log.is_some()
    }

    /// Whether whoever decided has left a moment ago, and this process may be next. That is known within two seconds; until then a call that
    /// has done nothing yet may wait.
    pub fn is_vacant(&self) -> bool {
        self.rivals_log.as_ref().is_some_and(|log| log.is_vacant())
    }

    /// Whether this process decides, as far as it knows. What only reads the view is not to be asked otherwise.
    pub fn leads(&self) -> bool {
        !self.has_rivals() || (self.cell.leads() && !self.cell.is_draining())
    }

    /// Runs one call and hands its answer to `done`, on this thread or another, once everything it rests on is durable.
    /// For callers without a [`PartitionPort`]. `done` must not block.
    pub fn call(&self, call: Call, done: impl FnOnce(Reply) + Send + 'static) {
        if let Some(outcome) = self.read_view(&call) {
            self.view_read_count.fetch_add(1, Ordering::Relaxed);
            return done(Ok(outcome));
        }
        self.call_together(vec![(0, call)], |replies| {
            if let Some((_, reply)) = replies.into_iter().next() {
                done(reply);
            }
        });
    }

    /// Runs calls that came together, a few hundred at most: they are decided in their order and go into one batch. Hands all answers,
    /// with the tokens of their calls, to `done` at once, on this thread or another, when everything that they rest on is durable.
    /// For callers without a [`PartitionPort`]. `done` must not block.
    pub fn call_together(&self, calls: Calls, done: impl FnOnce(Replies) + Send + 'static) {
        let reply_to = ReplyTo::Caller(Box::new(done));
        self.cell.submit(Submission { reply_to, calls }, None);
    }

    /// What the view answers to a call, if it can: a sale or a list of sales, as long as no hold is over that it still shows.
    fn read_view(&self, call: &Call) -> Option<Outcome> {
        let is_read = matches!(call, Call::ReadSale { .. } | Call::ListSales { .. });
        // A process that does not lead any more may not know it yet, so with rivals no answer comes from here alone.
        if !is_read || self.has_rivals() || self.cell.is_draining() {
            return None;
        }
        let reading = self.cell.read_clock();
        let view = self.cell.view().read();
        if !view.is_current(reading) {
            return None;
        }
        let wall = reading.wall_ms();
        match call {
            Call::ReadSale { sale } => Some(Outcome::Sale(Box::new(view.sale(sale, wall)?))),
            Call::ListSales { after, count_max } => {
                Some(Outcome::Sales(view.sales_after(after.as_deref(), usize::from(*count_max), wall)))
            }
            _ => None,
        }
    }

    /// Whether the denylist has this customer when the wall clock shows `wall`. Takes no lock.
    pub fn denies_customer(&self, customer: &str, wall: TimeMs) -> bool {
        let is_denied = self.cell.view().denies_customer(customer, wall);
        self.count_denied(DenialKind::Customer, is_denied)
    }

    /// The same for an address, which may be in any network that is denied.
    pub fn denies_address(&self, address: IpAddr, wall: TimeMs) -> bool {
        let is_denied = self.cell.view().denies_address(address, wall);
        self.count_denied(DenialKind::Address, is_denied)
    }

    /// Whether a session of this customer that began at `began_at`, by the wall clock, is one that an operator has ended. Takes no
    /// lock.
    pub fn ends_session(&self, customer: &str, began_at: TimeMs) -> bool {
        let is_ended = self.sessions_ended_at(customer).is_some_and(|ended_at| began_at <= ended_at);
        self.count_denied(DenialKind::Session, is_ended)
    }

    /// The moment up to which an operator has ended the sessions of this customer. Nothing is counted for that.
    pub fn sessions_ended_at(&self, customer: &str) -> Option<TimeMs> {
        self.cell.view().sessions_ended_at(customer)
    }

    /// The entry of the denylist that denies this customer when the wall clock shows `wall`. Nobody is counted as denied for that.
    pub fn denial_of_customer(&self, customer: &str, wall: TimeMs) -> Option<Arc<Denial>> {
        self.cell.view().read().denylist().of_customer(customer, wall).cloned()
    }

    /// The same for an address.
    pub fn denial_of_address(&self, address: IpAddr, wall: TimeMs) -> Option<Arc<Denial>> {
        self.cell.view().read().denylist().of_address(address, wall).cloned()
    }

    /// Gives a collection of the catalogue, as it is with every batch that is in force, to `read`; nothing if it never had a row.
    /// Takes no lock.
    pub fn read_collection<R>(&self, collection: &str, read: impl FnOnce(Option<&RowCollection>) -> R) -> R {
        read(self.cell.view().read().collection(collection))
    }

    fn count_denied(&self, kind: DenialKind, is_denied: bool) -> bool {
        if is_denied {
            self.denied_counts[kind as usize].fetch_add(1, Ordering::Relaxed);
        }
        is_denied
    }

    /// A place for the answers of one edge thread. `wake` is called at most once per batch, from any thread, when there
    /// are answers to take; it must not block.
    pub fn port(self: &Arc<Self>, wake: impl Fn() + Send + Sync + 'static) -> PartitionPort {
        PartitionPort { partition: Arc::clone(self), port: Port::new(wake) }
    }

    /// From now on [`Partition::readiness`] is [`Readiness::Draining`], while calls are still answered.
    pub fn leave(&self) {
        self.leaving.store(true, Ordering::Relaxed);
    }

    /// Whether calls make sense now.
    pub fn readiness(&self) -> Readiness {
        if self.leaving.load(Ordering::Relaxed) || self.cell.is_draining() {
            return Readiness::Draining;
        }
        if !self.leads() {
            return Readiness::Following;
        }
        let is_ready = self
            .cell
            .read(|machine| (machine.leader().is_some() && machine.has_room()) || machine.has_waiting());
        if is_ready { Readiness::Ready } else { Readiness::LogUnavailable }
    }

    /// Figures as of now. Those of the state are the view's; the rest takes the cell for a moment.
    pub fn metrics(&self) -> MetricsSnapshot {
        let counts = self.cell.view().read().counts();
        self.cell.read(|machine| {
            let tally = machine.tally().clone();
            MetricsSnapshot {
                done_count: tally.done_count + self.view_read_count.load(Ordering::Relaxed),
                refusals: by_code(&tally.refusals),
                shadow_refusals: by_code(&tally.shadow_refusals),
                overloaded_count: self.cell.overloaded_count(),
                log_unavailable_count: tally.log_unavailable_count,
                waiting_count: self.cell.waiting_count() as u64,
                batch_count: tally.batch_count,
                event_count: tally.event_count,
                batch_bytes: tally.batch_bytes,
                batch_replies: tally.batch_replies,
                sync_us: tally.sync_us,
                reopened_count: tally.reopened_count,
                durable_offset: self.cell.durable_offset(),
                snapshot_offset: Some(self.cell.snapshot_offset()).filter(|offset| *offset > 0),
                room_bytes: machine.room_bytes() as u64,
                clock_offset_ms: machine.clock().offset_ms(),
                available: machine.leader().is_some(),
                units: counts.units,
                counter_count: counts.counter_count.into(),
                window_count: counts.window_count.into(),
                sale_count: counts.sale_count.into(),
                reservation_count: counts.reservation_count.into(),
                denial_count: counts.denial_count.into(),
                account_count: counts.account_count.into(),
                row_count: counts.row_count,
                denied_counts: self.denied_counts.each_ref().map(|count| count.load(Ordering::Relaxed)),
                state_bytes: counts.state_bytes,
                state_bytes_max: self.state_bytes_max,
            }
        })
    }
}

fn start_failure(source: std::io::Error) -> LoadError {
    LoadError::System { doing: "start a thread", source }
}

/// One edge thread's access to a partition.
pub struct PartitionPort {
    partition: Arc<Partition>,
    port: Arc<Port>,
}

impl PartitionPort {
    /// Submits calls under tokens of the caller's and returns answers that are ready, of these calls or earlier ones.
    /// Each call is answered exactly once, here, or by [`PartitionPort::take`] after a wake-up. Hand over a few hundred
    /// calls at once at most: a submission goes into one batch.
    pub fn submit(&self, calls: Calls) -> Replies {
        let reply_to = ReplyTo::Port(Arc::clone(&self.port));
        self.partition.cell.submit(Submission { reply_to, calls }, Some(&self.port));
        self.port.take()
    }

    /// Answers that are ready.
    pub fn take(&self) -> Replies {
        self.port.take()
    }
}
