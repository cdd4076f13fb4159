//! One sale: its terms, its stocks' figures, its customers and its reservations.

use std::sync::Arc;

use super::{
    customers::Customers,
    index::KeyedHash,
    reservations::{NewReservation, Record, Reservations},
};
use crate::{
    GateMode, IdempotencyKey, Incarnation, Incarnations, Lines, ReservationNo, ReservationRef,
    ReservationStatus, SaleNo, SaleTerms, SaleVersion, StockNo, StockNumbers, StockTerms, TimeMs, UnitTotals,
    terms_version,
};

/// A sale that is not archived.
pub(crate) struct Sale {
    pub(crate) no: SaleNo,
    pub(crate) name: Arc<str>,
    /// With the stocks in the order of their names.
    pub(crate) terms: Arc<SaleTerms>,
    pub(crate) stock_numbers: StockNumbers,
    /// The figures of each stock of the terms.
    pub(crate) figures: Vec<StockUnits>,
    pub(crate) version: SaleVersion,
    /// Reservations that are held.
    pub(crate) held_count: u32,
    /// The latest time until which any reservation ever was held: no hold lasts longer.
    pub(crate) held_until_max: TimeMs,
    pub(crate) incarnations: Incarnations,
    pub(crate) customers: Customers,
    pub(crate) reservations: Reservations,
    /// Bytes of all but the last three, the sale itself included.
    terms_bytes: usize,
}

/// What has become of the units of a stock.
#[derive(Clone, Copy, Default)]
pub(crate) struct StockUnits {
    pub(crate) held: u32,
    pub(crate) confirmed: u32,
    /// Whether any reservation ever had it, so that it cannot be taken out.
    pub(crate) is_reserved: bool,
}

/// A reservation as an event or a stored fact tells it.
pub(crate) struct Claim<'a> {
    pub(crate) customer: &'a str,
    pub(crate) status: ReservationStatus,
    pub(crate) lines: &'a Lines,
    pub(crate) created_at: TimeMs,
    pub(crate) hold_until: Option<TimeMs>,
    pub(crate) key: Option<IdempotencyKey<'a>>,
    pub(crate) details: &'a [u8],
}

/// What an `Arc` has beside its content: two counts.
const ARC_BYTES: usize = 2 * size_of::<usize>();

impl Sale {
    pub(crate) fn new(no: SaleNo, name: &str, terms: &SaleTerms, incarnation: Incarnation) -> Self {
        let terms_before = empty(terms);
        let version = SaleVersion { number: 0, incarnation, terms: terms_version(no, &terms_before) };
        let mut sale = Self::restore(no, name, terms_before, Vec::new(), 0, version);
        sale.put_terms(terms, incarnation);
        sale
    }

    /// A sale with terms whose stocks are in order and have these numbers, all below `stocks_ever`.
    pub(crate) fn restore(
        no: SaleNo,
        name: &str,
        terms: SaleTerms,
        stock_nos: Vec<StockNo>,
        stocks_ever: u16,
        version: SaleVersion,
    ) -> Self {
        let mut sale = Self {
            no,
            name: name.into(),
            figures: vec![StockUnits::default(); stock_nos.len()],
            terms: Arc::new(terms),
            stock_numbers: StockNumbers::restore(stock_nos, stocks_ever),
            version,
            held_count: 0,
            held_until_max: 0,
            incarnations: Incarnations::default(),
            customers: Customers::new(),
            reservations: Reservations::new(),
            terms_bytes: 0,
        };
        sale.terms_bytes = sale.count_terms_bytes();
        sale
    }

    /// Replaces the terms.
    pub(crate) fn put_terms(&mut self, terms: &SaleTerms, incarnation: Incarnation) {
        let (terms, places_before) = self.stock_numbers.put(&self.terms, terms);
        let mut kept = vec![false; self.terms.stocks.len()];
        let figures_of = |before: &Option<usize>| {
            before.map_or_else(StockUnits::default, |place| {
                kept[place] = true;
                self.figures[place]
            })
        };
        let figures: Vec<StockUnits> = places_before.iter().map(figures_of).collect();
        for (figures, kept) in self.figures.iter().zip(kept) {
            assert!(kept || !figures.is_reserved, "a stock that has reservations stays");
        }
        for (figures, stock) in figures.iter().zip(&terms.stocks) {
            assert!(
                figures.taken() <= stock.quantity_total,
                "a stock keeps the units that are held and confirmed"
            );
        }
        self.version.terms = terms_version(self.no, &terms);
        (self.terms, self.figures) = (Arc::new(terms), figures);
        self.terms_bytes = self.count_terms_bytes();
        self.begin_version(incarnation);
    }

    /// Counts a change.
    pub(crate) fn begin_version(&mut self, incarnation: Incarnation) {
        self.version = SaleVersion { number: self.version.number + 1, incarnation, ..self.version };
    }

    /// Where the stock of this name is in the terms.
    pub(crate) fn place_of(&self, stock: &str) -> Option<usize> {
        self.terms.stocks.binary_search_by(|terms| terms.stock.as_str().cmp(stock)).ok()
    }

    /// Where the stock of this number is in the terms.
    pub(crate) fn place(&self, stock: StockNo) -> Option<usize> {
        self.stock_numbers.place_of(stock)
    }

    pub(crate) fn available(&self, place: usize) -> u32 {
        self.terms.stocks[place].quantity_total - self.figures[place].taken()
    }

    /// The reservation of this ordinal as its id names it.
    pub(crate) fn reservation_ref(&self, seq: u32) -> ReservationRef {
        let incarnation = self.incarnations.of(seq);
        ReservationRef { no: ReservationNo { sale: self.no, seq }, incarnation }
    }

    /// The reservation that an id names.
    pub(crate) fn find(&self, reservation: ReservationRef) -> Option<&Record> {
        let seq = reservation.no.seq;
        self.reservations.get(seq).filter(|_| self.reservation_ref(seq) == reservation)
    }

    /// Adds the next reservation.
    pub(crate) fn add(&mut self, hash: &KeyedHash, claim: &Claim<'_>) {
        assert!(!claim.lines.is_empty(), "a reservation has lines");
        let seq = self.reservations.len();
        let mut units = 0;
        for line in claim.lines {
            let place = self.place(line.stock).expect("a line names a stock of the sale");
            let figures = &mut self.figures[place];
            figures.is_reserved = true;
            match claim.status {
                ReservationStatus::Held => figures.held += u32::from(line.quantity),
                ReservationStatus::Confirmed => figures.confirmed += u32::from(line.quantity),
                ReservationStatus::Released | ReservationStatus::Expired => continue,
            }
            assert!(figures.taken() <= self.terms.stocks[place].quantity_total, "no unit is sold twice");
            units += u64::from(line.quantity);
        }
        self.held_count += u32::from(claim.status == ReservationStatus::Held);
        self.held_until_max = self.held_until_max.max(claim.hold_until.unwrap_or_default());
        let (customer, previous) = self.customers.add_reservation(hash, claim.customer, seq, units);
        let new = NewReservation {
            customer,
            previous,
            status: claim.status,
            lines: claim.lines,
            created_at: claim.created_at,
            hold_until: claim.hold_until,
            key: claim.key,
            details: claim.details,
        };
        self.reservations.push(hash, &new);
        if claim.status == ReservationStatus::Expired {
            self.customers.add_unpaid(customer);
        }
    }

    /// Moves a reservation on to another status, and its units with it. Returns the status that it had.
    pub(crate) fn transition(
        &mut self,
        seq: u32,
        to: ReservationStatus,
        incarnation: Incarnation,
    ) -> ReservationStatus {
        let record = *self.reservations.get(seq).expect("an event names a reservation of the sale");
        let from = record.status();
        let is_allowed = match to {
            ReservationStatus::Held => false,
            ReservationStatus::Confirmed | ReservationStatus::Expired => from == ReservationStatus::Held,
            ReservationStatus::Released => {
                matches!(from, ReservationStatus::Held | ReservationStatus::Confirmed)
            }
        };
        assert!(is_allowed, "a reservation that is {from:?} does not become {to:?}");
        for line in &self.reservations.lines(seq) {
            let place = self.place(line.stock).expect("a stock that has reservations stays");
            let (figures, quantity) = (&mut self.figures[place], u32::from(line.quantity));
            let source =
                if from == ReservationStatus::Held { &mut figures.held } else { &mut figures.confirmed };
            *source = source.checked_sub(quantity).expect("units are given back once");
            if to == ReservationStatus::Confirmed {
                figures.confirmed += quantity;
            }
        }
        if to != ReservationStatus::Confirmed {
            self.customers.give_back(record.customer, record.units());
        }
        if to == ReservationStatus::Expired {
            self.customers.add_unpaid(record.customer);
        }
        self.held_count -= u32::from(from == ReservationStatus::Held);
        self.reservations.set_status(seq, to);
        self.begin_version(incarnation);
        from
    }

    /// Gives a reservation that expired its units again, for good. Returns how many.
    pub(crate) fn reclaim(&mut self, seq: u32, incarnation: Incarnation) -> u64 {
        let record = *self.reservations.get(seq).expect("an event names a reservation of the sale");
        assert_eq!(record.status(), ReservationStatus::Expired, "what is reclaimed had expired");
        for line in &self.reservations.lines(seq) {
            let place = self.place(line.stock).expect("a stock that has reservations stays");
            let figures = &mut self.figures[place];
            figures.confirmed += u32::from(line.quantity);
            assert!(figures.taken() <= self.terms.stocks[place].quantity_total, "no unit is sold twice");
        }
        self.customers.reclaim(record.customer, record.units());
        self.reservations.set_status(seq, ReservationStatus::Confirmed);
        self.begin_version(incarnation);
        record.units()
    }

    /// Whether its gate refuses nobody.
    pub(crate) fn is_shadow(&self) -> bool {
        self.terms.gate.mode == GateMode::Shadow
    }

    /// Holds of the customer that ran out, up to 255.
    pub(crate) fn unpaid_count(&self, customer: u32) -> u32 {
        self.customers.unpaid_count(customer).into()
    }

    /// Units of all stocks.
    pub(crate) fn unit_totals(&self) -> UnitTotals {
        self.terms.stocks.iter().zip(&self.figures).fold(UnitTotals::default(), |sum, (terms, figures)| {
            UnitTotals {
                total: sum.total + u64::from(terms.quantity_total),
                held: sum.held + u64::from(figures.held),
                confirmed: sum.confirmed + u64::from(figures.confirmed),
            }
        })
    }

    /// Bytes that the sale owns, itself included.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.terms_bytes
            + self.incarnations.heap_bytes()
            + self.customers.heap_bytes()
            + self.reservations.heap_bytes()
    }

    pub(crate) fn check_bytes(&self) {
        assert_eq!(self.terms_bytes, self.count_terms_bytes(), "bytes of a sale's terms");
        self.customers.check_bytes();
        self.reservations.check_bytes();
    }

    fn count_terms_bytes(&self) -> usize {
        size_of::<Self>()
            + 2 * ARC_BYTES
            + self.name.len()
            + copy_bytes(&self.terms)
            + self.stock_numbers.heap_bytes()
            + self.figures.capacity() * size_of::<StockUnits>()
    }
}

impl StockUnits {
    /// Units held and confirmed.
    pub(crate) fn taken(self) -> u32 {
        self.held + self.confirmed
    }
}

/// The same terms without stocks.
fn empty(terms: &SaleTerms) -> SaleTerms {
    SaleTerms { title: String::new(), stocks: Vec::new(), ..*terms }
}

/// Bytes of a copy of these terms.
pub(crate) fn copy_bytes(terms: &SaleTerms) -> usize {
    let texts: usize = terms.stocks.iter().map(|stock| stock.stock.len() + stock.title.len()).sum();
    size_of::<SaleTerms>() + terms.title.len() + terms.stocks.len() * size_of::<StockTerms>() + texts
}
