//! Facts and terms as bytes of which hashes are taken: equal for what is equal, on every machine and in every version.
//!
//! A fact is its tag (one byte), then its fields in the order in which [`Fact`] declares them: numbers little-endian in their own
//! width; strings and byte strings behind their length in 32 bits; an optional field behind a byte that is 1 if it is there and 0,
//! alone, if not; sequences behind their count in 32 bits; a struct as its fields in the order of its declaration.
//!
//! A field that was added to a fact later stands at its end, behind a byte of its own, from 0x40 on, that is the tag of no
//! fact; at its default it is left out. So what does not have it keeps its bytes.

use xxhash_rust::xxh3::xxh3_64;

use crate::{
    ChallengeTerms, DenialKind, Fact, GateTerms, IdempotencyKey, Incarnation, Lines, SaleNo, SaleTerms,
    StockNo, TermsVersion, TimeMs, WindowShape,
};

/// Before a field that was added later: the incarnation of a partition.
const PARTITION_INCARNATION: u8 = 0x40;

/// Before a field that was added later: which stock of a sale's terms closes, and when.
const STOCK_CLOSES_AT: u8 = 0x41;

/// Before a field that was added later: what a sale asks of a buyer.
const SALE_GATE: u8 = 0x42;

/// Before a field that was added later: which challenges a sale asks for.
const SALE_CHALLENGE: u8 = 0x43;

/// The version of a sale's terms: the XXH3-64 (seed 0) of the sale's number and its terms, with the stocks in the order of
/// their names.
pub fn terms_version(sale: SaleNo, terms: &SaleTerms) -> TermsVersion {
    let mut encoding = Encoding(Vec::new());
    encoding.bytes(&sale.0.to_le_bytes());
    encoding.terms(terms);
    encoding.closings(terms);
    encoding.gate(terms.gate);
    TermsVersion(xxh3_64(&encoding.0))
}

/// Bytes to be hashed.
pub(crate) struct Encoding(pub(crate) Vec<u8>);

impl Encoding {
    pub(crate) fn fact(&mut self, fact: &Fact<'_>) {
        match *fact {
            Fact::Partition { ref id_key, time, sales_ever, incarnation } => {
                self.partition(id_key.as_ref(), time, sales_ever, incarnation);
            }
            Fact::Counter { counter, value } => {
                self.tag_and_name(1, counter);
                self.bytes(&value.to_le_bytes());
            }
            Fact::Window { window, shape } => self.window(window, shape),
            Fact::Pane { pane, count } => self.pane(pane, count),
            Fact::Denial { kind, value, reason, expires_at } => {
                self.denial(kind, value, reason, expires_at);
            }
            Fact::Account { customer, password } => {
                self.tag_and_name(8, customer);
                self.run(password.0);
            }
            Fact::Collection { collection, version } => {
                self.tag_and_name(9, collection);
                self.bytes(&version.to_le_bytes());
            }
            Fact::Row { row } => {
                self.tag_and_name(10, row.key);
                self.run(row.json);
            }
            Fact::Sale { sale_no, sale, terms, stock_nos, stocks_ever, version } => {
                self.bytes(&[4]);
                self.bytes(&sale_no.0.to_le_bytes());
                self.run(sale.as_bytes());
                self.terms(terms);
                self.stock_nos(stock_nos);
                self.bytes(&stocks_ever.to_le_bytes());
                self.bytes(&version.to_le_bytes());
                self.closings(terms);
                self.gate(terms.gate);
            }
            Fact::Incarnation { first, incarnation } => {
                self.bytes(&[6]);
                self.bytes(&first.sale.0.to_le_bytes());
                self.bytes(&first.seq.to_le_bytes());
                self.bytes(&incarnation.0.to_le_bytes());
            }
            Fact::Reservation {
                reservation,
                customer,
                status,
                ref lines,
                created_at,
                hold_until,
                key,
                details,
            } => {
                self.bytes(&[5]);
                self.bytes(&reservation.sale.0.to_le_bytes());
                self.bytes(&reservation.seq.to_le_bytes());
                self.run(customer.as_bytes());
                self.bytes(&[status as u8]);
                self.lines(lines);
                self.bytes(&created_at.to_le_bytes());
                self.optional(hold_until.as_ref(), |this, time| this.bytes(&time.to_le_bytes()));
                self.optional(key.as_ref(), |this, IdempotencyKey { key, fingerprint }| {
                    this.run(key);
                    this.bytes(&fingerprint.to_le_bytes());
                });
                self.run(details);
            }
        }
    }

    pub(crate) fn terms(&mut self, terms: &SaleTerms) {
        self.run(terms.title.as_bytes());
        self.optional(terms.opens_at.as_ref(), |this, time| this.bytes(&time.to_le_bytes()));
        self.optional(terms.closes_at.as_ref(), |this, time| this.bytes(&time.to_le_bytes()));
        self.optional(terms.per_customer_max.as_ref(), |this, max| this.bytes(&max.to_le_bytes()));
        self.bytes(&terms.hold_ttl_ms.to_le_bytes());
        self.count(terms.stocks.len());
        for stock in &terms.stocks {
            self.run(stock.stock.as_bytes());
            self.run(stock.title.as_bytes());
            self.optional(stock.starts_at.as_ref(), |this, time| this.bytes(&time.to_le_bytes()));
            self.optional(stock.ends_at.as_ref(), |this, time| this.bytes(&time.to_le_bytes()));
            self.bytes(&stock.quantity_total.to_le_bytes());
        }
    }

    fn partition(
        &mut self,
        id_key: Option<&[u8; 16]>,
        time: TimeMs,
        sales_ever: u32,
        incarnation: Incarnation,
    ) {
        self.bytes(&[0]);
        self.optional(id_key, |this, key| this.bytes(key));
        self.bytes(&time.to_le_bytes());
        self.bytes(&sales_ever.to_le_bytes());
        if incarnation != Incarnation::FIRST {
            self.bytes(&[PARTITION_INCARNATION]);
            self.bytes(&incarnation.0.to_le_bytes());
        }
    }

    fn tag_and_name(&mut self, tag: u8, name: &str) {
        self.bytes(&[tag]);
        self.run(name.as_bytes());
    }

    fn window(&mut self, window: &str, WindowShape { span_ms, precision_ms }: WindowShape) {
        self.tag_and_name(2, window);
        self.bytes(&span_ms.to_le_bytes());
        self.bytes(&precision_ms.to_le_bytes());
    }

    fn pane(&mut self, pane: u64, count: u64) {
        self.bytes(&[3]);
        self.bytes(&pane.to_le_bytes());
        self.bytes(&count.to_le_bytes());
    }

    fn denial(&mut self, kind: DenialKind, value: &str, reason: &str, expires_at: Option<TimeMs>) {
        self.bytes(&[7, kind as u8]);
        self.run(value.as_bytes());
        self.run(reason.as_bytes());
        self.optional(expires_at.as_ref(), |this, time| this.bytes(&time.to_le_bytes()));
    }

    fn stock_nos(&mut self, stock_nos: &[StockNo]) {
        self.count(stock_nos.len());
        for StockNo(number) in stock_nos {
            self.bytes(&number.to_le_bytes());
        }
    }

    /// The stocks that close, by their places.
    fn closings(&mut self, terms: &SaleTerms) {
        for (at, stock) in terms.stocks.iter().enumerate() {
            if let Some(closes_at) = stock.closes_at {
                self.bytes(&[STOCK_CLOSES_AT]);
                self.count(at);
                self.bytes(&closes_at.to_le_bytes());
            }
        }
    }

    /// What is asked of a buyer, if anything is.
    fn gate(&mut self, gate: GateTerms) {
        if gate == GateTerms::default() {
            return;
        }
        let GateTerms { session, challenge, cooldown_ms, holds_unpaid_max, confirm_by, mode } = gate;
        self.bytes(&[SALE_GATE, session as u8]);
        self.bytes(&cooldown_ms.to_le_bytes());
        self.optional(holds_unpaid_max.as_ref(), |this, max| this.bytes(&max.to_le_bytes()));
        self.bytes(&[confirm_by as u8, mode as u8]);
        if challenge != ChallengeTerms::Off {
            self.bytes(&[SALE_CHALLENGE, challenge as u8]);
        }
    }

    fn lines(&mut self, lines: &Lines) {
        self.count(lines.len());
        for line in lines {
            self.bytes(&line.stock.0.to_le_bytes());
            self.bytes(&line.quantity.to_le_bytes());
        }
    }

    fn optional<T>(&mut self, value: Option<&T>, encode: impl FnOnce(&mut Self, &T)) {
        self.bytes(&[u8::from(value.is_some())]);
        if let Some(value) = value {
            encode(self, value);
        }
    }

    fn run(&mut self, run: &[u8]) {
        self.count(run.len());
        self.bytes(run);
    }

    fn count(&mut self, count: usize) {
        self.bytes(&u32::try_from(count).expect("a field has fewer than 2^32 entries").to_le_bytes());
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }
}
