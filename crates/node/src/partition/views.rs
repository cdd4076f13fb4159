//! What readers see without waiting for whoever decides: the partition as it stands with every batch that is in force. The
//! writer publishes a new view with each batch, before any answer that rests on the batch leaves. So nobody is told what a
//! crash could forget, and a client that was answered finds its own change.
//!
//! A sale that a batch changed is replaced where it stands, in one step; the map of sales is replaced when one is added or
//! archived, and shares what did not change. So a batch costs as much as it has changed sales, however many sales there are.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use onrush_core::{RowCollection, SaleImage, SaleNo, SaleView, SalesPage, State, TimeMs, UnitTotals};
use rpds::RedBlackTreeMapSync;

use super::partition_clock::PartitionClock;
use super::shown_denylist::{DenialChange, ShownDenylist};
use crate::clock::ClockReading;

/// A sale as it is with the newest batch that is in force and changed it.
type ShownSale = Arc<ArcSwap<SaleImage>>;

/// What readers take.
#[derive(Clone)]
pub(crate) struct View {
    sales: RedBlackTreeMapSync<Arc<str>, ShownSale>,
    denylist: ShownDenylist,
    collections: RedBlackTreeMapSync<Arc<str>, RowCollection>,
    counts: Counts,
    /// As it was when the newest batch was closed.
    clock: PartitionClock,
}

/// Takes the changes of each batch, for readers. Only the log writer has it.
pub(crate) struct ViewWriter {
    view: View,
    by_no: HashMap<SaleNo, ShownSale>,
}

/// Figures of the whole partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) units: UnitTotals,
    pub(crate) counter_count: u32,
    pub(crate) window_count: u32,
    pub(crate) sale_count: u32,
    pub(crate) reservation_count: u32,
    pub(crate) denial_count: u32,
    pub(crate) account_count: u32,
    pub(crate) row_count: u64,
    pub(crate) state_bytes: u64,
    /// When the next hold expires.
    pub(crate) next_expiry: Option<TimeMs>,
}

/// What a batch changes in the view before it.
#[derive(Default)]
pub(crate) struct ViewChange {
    /// Names of sales that were archived. One of these may be the name of a sale in `images`, which came later.
    pub(crate) archived: Vec<Arc<str>>,
    /// Sales that changed, as they are now.
    pub(crate) images: Vec<Arc<SaleImage>>,
    /// Denials that changed.
    pub(crate) denials: Vec<DenialChange>,
    /// Collections of the catalogue that changed, as they are now.
    pub(crate) collections: Vec<(Arc<str>, RowCollection)>,
    pub(crate) counts: Counts,
    pub(crate) clock: PartitionClock,
}

impl ViewWriter {
    /// Of a state that is in force as it is.
    pub(crate) fn of(state: &State, clock: PartitionClock) -> Self {
        let (sales, mut denylist) = (RedBlackTreeMapSync::new_sync(), ShownDenylist::new());
        for denial in state.denials() {
            denylist.apply(DenialChange::Put(Arc::clone(denial)));
        }
        let collections =
            state.collections().map(|(name, found)| (Arc::clone(name), found.clone())).collect();
        let view = View { sales, denylist, collections, counts: Counts::of(state), clock };
        let mut writer = Self { view, by_no: HashMap::new() };
        for image in state.sale_images() {
            writer.show(Arc::new(image));
        }
        writer
    }

    /// Takes the change of the next batch. Readers see its sales at once, and the rest when the view is published.
    pub(crate) fn apply(&mut self, change: &mut ViewChange) {
        for name in change.archived.drain(..) {
            if let Some(shown) = self.view.sales.get(&name) {
                self.by_no.remove(&shown.load().no());
                self.view.sales.remove_mut(&name);
            }
        }
        for image in change.images.drain(..) {
            self.show(image);
        }
        for denial in change.denials.drain(..) {
            self.view.denylist.apply(denial);
        }
        for (name, found) in change.collections.drain(..) {
            self.view.collections.insert_mut(name, found);
        }
        (self.view.counts, self.view.clock) = (change.counts, change.clock);
    }

    pub(crate) fn view(&self) -> &View {
        &self.view
    }

    fn show(&mut self, image: Arc<SaleImage>) {
        if let Some(shown) = self.by_no.get(&image.no()) {
            return shown.store(image);
        }
        let (no, name) = (image.no(), Arc::clone(image.name()));
        let shown = Arc::new(ArcSwap::new(image));
        self.by_no.insert(no, Arc::clone(&shown));
        self.view.sales.insert_mut(name, shown);
    }
}

impl View {
    /// Whether this is what the partition would answer at the moment of `reading`: no hold is over that the view still shows.
    pub(crate) fn is_current(&self, reading: ClockReading) -> bool {
        let mut clock = self.clock;
        let now = clock.advance(reading);
        self.counts.next_expiry.is_none_or(|due| due > now.partition)
    }

    pub(crate) fn sale(&self, sale: &str, wall: TimeMs) -> Option<SaleView> {
        self.sales.get(sale).map(|shown| shown.load().view(wall))
    }

    /// At most `count_max` sales in the order of names, from the first whose name comes after `after`.
    pub(crate) fn sales_after(&self, after: Option<&str>, count_max: usize, wall: TimeMs) -> SalesPage {
        use std::ops::Bound::{Excluded, Unbounded};
        let from = after.map_or(Unbounded, Excluded);
        let images = self.sales.range::<str, _>((from, Unbounded)).map(|(_, shown)| shown.load_full());
        SaleImage::page(images, count_max, wall)
    }

    pub(crate) fn denylist(&self) -> &ShownDenylist {
        &self.denylist
    }

    pub(crate) fn collection(&self, collection: &str) -> Option<&RowCollection> {
        self.collections.get(collection)
    }

    pub(crate) fn counts(&self) -> Counts {
        self.counts
    }
}

impl Counts {
    pub(crate) fn of(state: &State) -> Self {
        Self {
            units: state.unit_totals(),
            counter_count: state.counter_count(),
            window_count: state.window_count(),
            sale_count: state.sale_count(),
            reservation_count: state.reservation_count(),
            denial_count: state.denial_count(),
            account_count: state.account_count(),
            row_count: state.row_count(),
            state_bytes: state.memory_bytes() as u64,
            next_expiry: state.next_expiry(),
        }
    }
}

/// The newest view, for any thread.
pub(crate) struct PublishedView {
    view: ArcSwap<View>,
    /// Whether somebody may be denied. Most servers deny nobody, and then it is all that a request looks at.
    has_denials: AtomicBool,
}

impl PublishedView {
    pub(crate) fn new(view: View) -> Self {
        let has_denials = AtomicBool::new(!view.denylist.is_empty());
        Self { view: ArcSwap::from_pointee(view), has_denials }
    }

    pub(crate) fn publish(&self, view: &View) {
        self.view.store(Arc::new(view.clone()));
        // Behind the view, and before any answer of the batch: whoever sees it finds the denial.
        self.has_denials.store(!view.denylist.is_empty(), Ordering::Release);
    }

    pub(crate) fn read(&self) -> arc_swap::Guard<Arc<View>> {
        self.view.load()
    }

    pub(crate) fn denies_customer(&self, customer: &str, wall: TimeMs) -> bool {
        self.has_denials.load(Ordering::Acquire) && self.read().denylist.of_customer(customer, wall).is_some()
    }

    pub(crate) fn denies_address(&self, address: IpAddr, wall: TimeMs) -> bool {
        self.has_denials.load(Ordering::Acquire) && self.read().denylist.of_address(address, wall).is_some()
    }

    pub(crate) fn sessions_ended_at(&self, customer: &str) -> Option<TimeMs> {
        let has_denials = self.has_denials.load(Ordering::Acquire);
        has_denials.then(|| self.read().denylist.sessions_ended_at(customer)).flatten()
    }
}
