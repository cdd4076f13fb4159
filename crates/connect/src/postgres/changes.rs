//! What the rows of a batch do to the tables of current state, folded so that each row is touched once.

use std::collections::{BTreeMap, HashMap};

use onrush_core::{ReservationNo, SaleNo, SaleTerms, StockNo, StockTerms, TimeMs, WindowShape};
use onrush_sinks::{Claim, Skipped};

use super::jsonb::storable_text;
use super::numbers::bigint;
use super::time::Timestamp;

/// New statuses of reservations that are in the table already; the newest of each.
#[derive(Debug, Default)]
pub(super) struct StatusChanges {
    pub(super) sale_nos: Vec<i64>,
    pub(super) reservation_seqs: Vec<i64>,
    pub(super) statuses: Vec<&'static str>,
    pub(super) ats: Vec<Timestamp>,
    pub(super) offsets: Vec<i64>,
}

impl StatusChanges {
    /// Adds one and tells its place.
    pub(super) fn add(
        &mut self,
        number: ReservationNo,
        status: &'static str,
        at: TimeMs,
        offset: u64,
    ) -> usize {
        self.sale_nos.push(i64::from(number.sale.0));
        self.reservation_seqs.push(i64::from(number.seq));
        self.statuses.push(status);
        self.ats.push(Timestamp::at(at));
        self.offsets.push(bigint(offset));
        self.ats.len() - 1
    }

    /// Replaces the one at a place by a later one of the same reservation.
    pub(super) fn replace(&mut self, place: usize, status: &'static str, at: TimeMs, offset: u64) {
        self.statuses[place] = status;
        self.ats[place] = Timestamp::at(at);
        self.offsets[place] = bigint(offset);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ats.is_empty()
    }

    fn clear(&mut self) {
        let Self { sale_nos, reservation_seqs, statuses, ats, offsets } = self;
        sale_nos.clear();
        reservation_seqs.clear();
        statuses.clear();
        ats.clear();
        offsets.clear();
    }
}

/// Terms that a sale got, and the offset that gave it them.
#[derive(Debug)]
pub(super) struct PutSale {
    pub(super) sale: String,
    pub(super) terms: SaleTerms,
    pub(super) stock_nos: Vec<StockNo>,
    pub(super) offset: u64,
}

/// A stock as a sale put it, or removed it by leaving it out.
#[derive(Debug)]
pub(super) struct PutStock {
    pub(super) terms: StockTerms,
    pub(super) removed: bool,
}

/// Units that new reservations claim.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Units {
    pub(super) held: i64,
    pub(super) confirmed: i64,
}

/// The newest of something, and when and by which event it came about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Newest<T> {
    pub(super) value: T,
    pub(super) at: TimeMs,
    pub(super) offset: u64,
}

/// Visits of one event, for a row each.
#[derive(Debug)]
pub(super) struct Visits {
    pub(super) first_id: u64,
    pub(super) offset: u64,
    pub(super) counter: String,
    pub(super) by: u64,
    pub(super) value: u64,
    pub(super) at: TimeMs,
}

/// Everything of a batch but the rows that only grow. Bounded as the batch is; see `batch.rs`.
#[derive(Debug, Default)]
pub(super) struct Changes {
    pub(super) new_statuses: StatusChanges,
    pub(super) put_sales: BTreeMap<SaleNo, PutSale>,
    pub(super) put_stocks: BTreeMap<(SaleNo, StockNo), PutStock>,
    pub(super) archived: BTreeMap<SaleNo, Newest<()>>,
    pub(super) units: HashMap<(SaleNo, StockNo), Units>,
    pub(super) counters: HashMap<String, Newest<u64>>,
    pub(super) windows: BTreeMap<String, Newest<WindowShape>>,
    pub(super) visits: Vec<Visits>,
    pub(super) skipped: Vec<Skipped>,
}

impl Changes {
    pub(super) fn put_sale(
        &mut self,
        sale_no: SaleNo,
        sale: &str,
        terms: &SaleTerms,
        stock_nos: &[StockNo],
        offset: u64,
    ) {
        for ((of, _), stock) in
            self.put_stocks.range_mut((sale_no, StockNo(0))..=(sale_no, StockNo(u16::MAX)))
        {
            debug_assert_eq!(*of, sale_no, "the range is that of the sale");
            stock.removed = true;
        }
        for (&stock_no, terms) in stock_nos.iter().zip(&terms.stocks) {
            let stock = PutStock { terms: terms.clone(), removed: false };
            self.put_stocks.insert((sale_no, stock_no), stock);
        }
        let put =
            PutSale { sale: sale.to_owned(), terms: terms.clone(), stock_nos: stock_nos.to_vec(), offset };
        self.put_sales.insert(sale_no, put);
    }

    pub(super) fn set_counter(&mut self, counter: &str, newest: Newest<u64>) {
        match self.counters.get_mut(counter) {
            Some(known) => *known = newest,
            None => {
                self.counters.insert(counter.to_owned(), newest);
            }
        }
    }

    /// Counts what a new reservation claims with the status that it has at the end of the batch.
    pub(super) fn count_units(&mut self, sale_no: SaleNo, lines: &[(StockNo, u16)], status: &str) {
        for &(stock_no, quantity) in lines {
            let units = self.units.entry((sale_no, stock_no)).or_default();
            match status {
                "held" => units.held += i64::from(quantity),
                "confirmed" => units.confirmed += i64::from(quantity),
                _ => {}
            }
        }
    }

    pub(super) fn clear(&mut self) {
        let Self { new_statuses, put_sales, put_stocks, archived, units, counters, windows, visits, skipped } =
            self;
        new_statuses.clear();
        put_sales.clear();
        put_stocks.clear();
        archived.clear();
        units.clear();
        counters.clear();
        windows.clear();
        visits.clear();
        skipped.clear();
    }
}

/// The lines of a claim as the column has them.
pub(super) fn write_lines(out: &mut Vec<u8>, claim: &Claim<'_>) {
    out.push(b'[');
    for (at, line) in claim.lines.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        out.extend_from_slice(br#"{"stock":"#);
        serde_json::to_writer(&mut *out, line.stock).expect("names are JSON strings");
        out.extend_from_slice(br#","quantity":"#);
        serde_json::to_writer(&mut *out, &line.quantity).expect("numbers are JSON");
        out.push(b'}');
    }
    out.push(b']');
}

/// A title as the column takes it.
pub(super) fn title(text: &str) -> String {
    storable_text(text).into_owned()
}
