//! What a partition knows. Everything here follows from its events alone; the hash seed and the limits, which do not, only
//! place entries in tables and refuse commands.

mod accounts;
mod buckets;
mod chunked;
mod counters;
mod customers;
mod denylist;
mod facts;
mod image;
mod index;
mod look_ahead;
mod names;
mod read;
mod reservations;
mod restore;
mod rows;
mod sale;
mod sales;
mod side_table;
mod windows;

use std::collections::BTreeSet;

pub use self::image::SaleImage;
pub(crate) use self::index::KeyedHash;
pub use self::look_ahead::{ClaimKeys, LOOK_AHEAD_MAX};
use self::{
    accounts::Accounts, counters::Counters, denylist::Denylist, rows::Rows, sales::Sales, windows::Windows,
};
pub(crate) use self::{
    reservations::Record,
    sale::{Claim, Sale, copy_bytes},
};
use crate::{Incarnation, Limits, SaleNo, TIME_MS_MAX, TimeMs, UnitTotals};

/// The state of one partition.
pub struct State {
    pub(crate) limits: Limits,
    pub(crate) hash: KeyedHash,
    pub(crate) time: TimeMs,
    pub(crate) id_key: Option<[u8; 16]>,
    pub(crate) incarnation: Incarnation,
    pub(crate) counters: Counters,
    pub(crate) windows: Windows,
    pub(crate) denylist: Denylist,
    pub(crate) accounts: Accounts,
    pub(crate) rows: Rows,
    pub(crate) sales: Sales,
    /// The number that the next new sale will get.
    pub(crate) sales_ever: u32,
    /// Held reservations by the time at which they expire.
    pub(crate) expiries: BTreeSet<Expiry>,
    /// Sales whose gate refuses nobody.
    pub(crate) shadow_sale_count: u32,
    pub(crate) stock_count: u32,
    pub(crate) reservation_count: u32,
    pub(crate) details_bytes: u64,
    pub(crate) unit_totals: UnitTotals,
}

/// When a held reservation expires.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Expiry {
    pub(crate) at: TimeMs,
    pub(crate) sale: SaleNo,
    pub(crate) seq: u32,
}

impl State {
    /// An empty state. `hash_seed` should be secret and random, so that nobody can choose names that collide; it shows in
    /// nothing that the state gives out. The limits bound later commands, never events.
    pub const fn new(limits: Limits, hash_seed: u64) -> Self {
        Self {
            limits,
            hash: KeyedHash::new(hash_seed),
            time: 0,
            id_key: None,
            incarnation: Incarnation::FIRST,
            counters: Counters::new(),
            windows: Windows::new(),
            denylist: Denylist::new(),
            accounts: Accounts::new(),
            rows: Rows::new(),
            sales: Sales::new(),
            sales_ever: 0,
            expiries: BTreeSet::new(),
            shadow_sale_count: 0,
            stock_count: 0,
            reservation_count: 0,
            details_bytes: 0,
            unit_totals: UnitTotals { total: 0, held: 0, confirmed: 0 },
        }
    }

    /// The partition's time: the latest that it was told of.
    pub fn time(&self) -> TimeMs {
        self.time
    }

    /// Moves the time on to `at`; an earlier time changes nothing, and one after [`TIME_MS_MAX`] counts as that.
    pub fn advance_time(&mut self, at: TimeMs) {
        self.time = self.clamp(at);
    }

    /// The secret under which reservation ids are written, once the partition is created.
    pub fn id_key(&self) -> Option<[u8; 16]> {
        self.id_key
    }

    /// That of what was decided last.
    pub fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    /// When the next held reservation expires.
    pub fn next_expiry(&self) -> Option<TimeMs> {
        self.expiries.first().map(|expiry| expiry.at)
    }

    /// Counters that exist.
    pub fn counter_count(&self) -> u32 {
        self.counters.count()
    }

    /// Windows that exist.
    pub fn window_count(&self) -> u32 {
        self.windows.count()
    }

    /// Denials that are not forgotten.
    pub fn denial_count(&self) -> u32 {
        self.denylist.count()
    }

    /// Accounts of customers.
    pub fn account_count(&self) -> u32 {
        self.accounts.count()
    }

    /// Rows of all collections.
    pub fn row_count(&self) -> u64 {
        self.rows.row_count()
    }

    /// Sales that are not archived.
    pub fn sale_count(&self) -> u32 {
        self.sales.count()
    }

    /// Whether the gate of any of those sales is in shadow mode.
    pub fn has_shadow_sales(&self) -> bool {
        self.shadow_sale_count > 0
    }

    /// Stocks of those sales.
    pub fn stock_count(&self) -> u32 {
        self.stock_count
    }

    /// Reservations of those sales, whatever their status.
    pub fn reservation_count(&self) -> u32 {
        self.reservation_count
    }

    /// Held reservations of those sales.
    pub fn held_count(&self) -> usize {
        self.expiries.len()
    }

    /// Bytes of the details of those reservations.
    pub fn details_bytes(&self) -> u64 {
        self.details_bytes
    }

    /// Units of all stocks of those sales.
    pub fn unit_totals(&self) -> UnitTotals {
        self.unit_totals
    }

    /// The bytes that the state owns, without what the allocator adds: those of its tables as they are, and those of its
    /// trees as far as such trees are full. The figure is kept with every event, so asking for it costs nothing.
    pub fn memory_bytes(&self) -> usize {
        // Entries that come in order leave the tree's leaves half full.
        let expiries = self.expiries.len() * size_of::<Expiry>() * 2;
        size_of::<Self>()
            + self.counters.heap_bytes()
            + self.windows.heap_bytes()
            + self.denylist.heap_bytes()
            + self.accounts.heap_bytes()
            + self.rows.heap_bytes()
            + self.sales.memory_bytes()
            + expiries
    }

    /// Adds up the bytes of everything anew, for tests.
    ///
    /// # Panics
    /// A figure that is kept differs from what there is.
    pub fn check_memory_bytes(&self) {
        self.counters.check_bytes();
        self.windows.check_bytes();
        self.denylist.check_bytes();
        self.accounts.check_bytes();
        self.rows.check_bytes();
        self.sales.check_bytes();
    }

    /// `now` as the partition sees it: never before its own time, nor after the last time there is.
    pub(crate) fn clamp(&self, now: TimeMs) -> TimeMs {
        now.min(TIME_MS_MAX).max(self.time)
    }
}
