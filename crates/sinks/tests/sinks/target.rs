//! A target in memory that fails as real ones do: before it took a batch, after it took it, at one event for ever.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard};

use onrush_core::Incarnation;
use onrush_sinks::{Confirmed, Expected, Opened, SinkEvent, Skipped, Source, Target, TargetError};

/// What is in the target, seen by everybody who writes to it.
#[derive(Default)]
#[allow(clippy::struct_excessive_bools, reason = "each is a fault of its own")]
pub(crate) struct Store {
    /// Offset and content of every event taken, in the order in which they came.
    pub(crate) events: Vec<(u64, String)>,
    /// Below it everything was taken, if the target keeps that.
    pub(crate) next_offset: u64,
    pub(crate) forgets_offset: bool,
    /// What the next open says although it forgets its offset: it lost everything from there on.
    pub(crate) lost_from: Option<u64>,
    /// The incarnation kept with the offset, and the name of the server that answers.
    pub(crate) incarnation: Option<Incarnation>,
    pub(crate) server: Option<String>,
    /// Raised by whoever opens it.
    pub(crate) fence: u64,
    pub(crate) skipped: Vec<Skipped>,
    /// Offsets of events that are never taken.
    pub(crate) rejected: BTreeSet<u64>,
    /// Whether a rejection says which event it was.
    pub(crate) names_rejected: bool,
    /// A rejection comes when the event is pushed, not when its batch is sent.
    pub(crate) rejects_pushed: bool,
    /// Pushing this event fails an assertion of the target's.
    pub(crate) panics_at: Option<u64>,
    /// The target cannot be reached.
    pub(crate) is_away: bool,
    /// One exchange in so many fails, half of them after they took effect; 0 for none.
    pub(crate) fails_one_in: u64,
    pub(crate) random: u64,
    pub(crate) open_count: u64,
    /// Events in a batch at most, if not a few.
    pub(crate) batch_events_max: Option<usize>,
    /// From so many pushed events on they are sent without being asked for.
    pub(crate) sends_from: Option<usize>,
    /// The greatest number of events in a batch.
    pub(crate) batch_max: usize,
}

/// The store, shared.
#[derive(Clone, Default)]
pub(crate) struct SharedStore(Arc<Mutex<Store>>);

impl SharedStore {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Store> {
        self.0.lock().unwrap()
    }

    pub(crate) fn target(&self) -> Box<dyn Target> {
        Box::new(MemoryTarget {
            store: self.clone(),
            open: Vec::new(),
            under_way: None,
            durable: 0,
            incarnation: Incarnation::FIRST,
            expected: Expected::default(),
        })
    }
}

impl Store {
    /// What the server that answers has.
    fn confirmed(&self) -> Option<Confirmed> {
        let (offset, fence) = (self.next_offset, self.fence);
        self.server.clone().map(|server| Confirmed { server, offset, fence })
    }

    /// xorshift64*, Marsaglia 2003.
    fn chance(&mut self) -> u64 {
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        self.random.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33
    }

    fn fails(&mut self) -> bool {
        self.is_away || (self.fails_one_in > 0 && self.chance().is_multiple_of(self.fails_one_in))
    }
}

type Batch = Vec<(u64, String)>;

struct MemoryTarget {
    store: SharedStore,
    open: Batch,
    /// Sent, with its offset; taken when the next is sent, as in a pipeline of depth one.
    under_way: Option<(Batch, u64, Incarnation)>,
    durable: u64,
    incarnation: Incarnation,
    /// What it was told of a server.
    expected: Expected,
}

fn away() -> TargetError {
    TargetError::Unavailable("the target is away".to_owned())
}

impl MemoryTarget {
    /// The batch under way takes effect, or fails before or after it did.
    fn land(&mut self) -> Result<(), TargetError> {
        let Some((batch, offset, incarnation)) = self.under_way.take() else { return Ok(()) };
        let mut store = self.store.lock();
        if store.fails() && (store.is_away || store.chance().is_multiple_of(2)) {
            return Err(away());
        }
        if let Some((rejected, _)) = batch.iter().find(|(offset, _)| store.rejected.contains(offset)) {
            let offset = store.names_rejected.then_some(*rejected);
            return Err(TargetError::Rejected { offset, reason: "no such thing here".to_owned() });
        }
        store.events.extend(batch);
        (store.next_offset, store.incarnation) = (offset, Some(incarnation));
        let answer_is_lost = store.fails();
        self.durable = offset;
        if answer_is_lost { Err(away()) } else { Ok(()) }
    }
}

impl Target for MemoryTarget {
    fn kind(&self) -> &'static str {
        "memory"
    }

    fn keeps_offset(&self) -> bool {
        !self.store.lock().forgets_offset
    }

    fn set_expected(&mut self, expected: Expected) {
        self.expected = expected;
    }

    fn open(&mut self, source: &Source) -> Result<Option<u64>, TargetError> {
        (self.open, self.under_way) = (Vec::new(), None);
        let mut store = self.store.lock();
        store.open_count += 1;
        if store.fails() {
            return Err(away());
        }
        if let Some(found) = store.confirmed() {
            self.expected.check(&found, &source.sink).map_err(TargetError::LeftBehind)?;
        }
        store.fence = store.fence.max(self.expected.left_fence()) + 1;
        self.durable = store.next_offset;
        if store.forgets_offset {
            let lost_from = store.lost_from.take();
            self.durable = lost_from.unwrap_or(0);
            return Ok(lost_from);
        }
        Ok((store.next_offset > 0).then_some(store.next_offset))
    }

    fn opened(&self) -> Opened {
        let store = self.store.lock();
        let incarnation = store.incarnation.filter(|_| !store.forgets_offset);
        Opened { incarnation, confirmed: store.confirmed() }
    }

    fn enter_incarnation(&mut self, incarnation: Incarnation) {
        self.incarnation = incarnation;
    }

    fn push(&mut self, event: &SinkEvent<'_>) -> Result<(), TargetError> {
        {
            let store = self.store.lock();
            let panics = store.panics_at == Some(event.offset);
            let rejects = store.rejects_pushed && store.rejected.contains(&event.offset);
            drop(store);
            assert!(!panics, "the target's own fault");
            if rejects {
                let offset = Some(event.offset);
                return Err(TargetError::Rejected { offset, reason: "no such thing here".to_owned() });
            }
        }
        self.open.push((event.offset, format!("{} {:?}", event.at, event.change)));
        let sends_from = self.store.lock().sends_from;
        if sends_from.is_some_and(|count| self.open.len() >= count) {
            self.send(event.offset + 1)?;
        }
        Ok(())
    }

    fn push_skipped(&mut self, skipped: &Skipped) -> Result<(), TargetError> {
        let mut store = self.store.lock();
        if !store.skipped.contains(skipped) {
            store.skipped.push(skipped.clone());
        }
        Ok(())
    }

    fn send(&mut self, offset: u64) -> Result<u64, TargetError> {
        self.land()?;
        let batch = std::mem::take(&mut self.open);
        {
            let mut store = self.store.lock();
            store.batch_max = store.batch_max.max(batch.len());
        }
        self.under_way = Some((batch, offset, self.incarnation));
        Ok(self.durable)
    }

    fn wait_until_durable(&mut self) -> Result<u64, TargetError> {
        self.land()?;
        Ok(self.durable)
    }

    fn batch_events_max(&self) -> usize {
        self.store.lock().batch_events_max.unwrap_or(16)
    }
}
