//! A state from its facts. They come from a file whose checksums held, and are believed no further than that: whatever
//! could break an invariant is turned away.

use super::{Claim, Sale, State};
use crate::{
    DETAILS_BYTES_MAX, Denial, Fact, HOLD_TTL_MS_MAX, IdempotencyKey, Incarnation, KEY_BYTES_MAX, Limits,
    Lines, QUANTITY_MAX, ReservationNo, ReservationStatus, SaleNo, SaleTerms, SaleVersion, StockNo,
    TIME_MS_MAX, TimeMs, is_name, terms_version,
};

impl State {
    /// A state that is to take facts. See [`State::new`].
    pub const fn restore(limits: Limits, hash_seed: u64) -> Self {
        Self::new(limits, hash_seed)
    }

    /// Takes the next fact of a stored state, in the order in which [`State::facts`] gave them. After an error, which says
    /// what is wrong with the fact, the state is of no use.
    pub fn restore_fact(&mut self, fact: &Fact<'_>) -> Result<(), &'static str> {
        match *fact {
            Fact::Partition { id_key, time, sales_ever, incarnation } => {
                let is_known = self.id_key.is_some() || self.time > 0 || self.sales_ever > 0;
                ensure(
                    !is_known && self.counter_count() == 0 && self.window_count() == 0,
                    "the partition does not come first",
                )?;
                ensure(time <= TIME_MS_MAX, "the partition's time is out of bounds")?;
                (self.id_key, self.time, self.sales_ever) = (id_key, time, sales_ever);
                self.incarnation = incarnation;
                Ok(())
            }
            Fact::Counter { counter, value } => {
                ensure(is_name(counter), "a counter's name is not a name")?;
                ensure(
                    self.window_count() == 0 && self.denial_count() == 0 && self.has_no_accounts_or_sales(),
                    "a counter comes too late",
                )?;
                self.counters.restore(&self.hash, counter, value)
            }
            Fact::Window { window, shape } => {
                ensure(is_name(window), "a window's name is not a name")?;
                ensure(shape.check().is_ok(), "a window's shape is out of bounds")?;
                ensure(
                    self.denial_count() == 0 && self.has_no_accounts_or_sales(),
                    "a window comes too late",
                )?;
                self.windows.restore(&self.hash, window, shape)
            }
            Fact::Pane { pane, count } => {
                ensure(self.has_no_accounts_or_sales(), "a pane comes too late")?;
                self.windows.restore_pane(self.time, pane, count)
            }
            Fact::Denial { kind, value, reason, expires_at } => {
                ensure(self.has_no_accounts_or_sales(), "a denial comes too late")?;
                let (value, reason) = (value.into(), reason.into());
                self.denylist.restore(Denial { kind, value, reason, expires_at })
            }
            Fact::Account { customer, password } => {
                ensure(self.has_no_rows_or_sales(), "an account comes too late")?;
                self.accounts.restore(customer, password)
            }
            Fact::Collection { collection, version } => {
                ensure(self.sale_count() == 0, "a collection comes too late")?;
                self.rows.restore(&self.hash, collection, version)
            }
            Fact::Row { row } => {
                ensure(self.sale_count() == 0, "a row comes too late")?;
                self.rows.restore_row(row)
            }
            Fact::Sale { sale_no, sale, terms, stock_nos, stocks_ever, version } => {
                self.restore_sale(sale_no, sale, terms, stock_nos, stocks_ever, version)
            }
            Fact::Incarnation { first, incarnation } => self.restore_incarnation(first, incarnation),
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
                let claim = Claim { customer, status, lines, created_at, hold_until, key, details };
                self.restore_reservation(reservation, &claim)
            }
        }
    }
}

impl State {
    fn has_no_accounts_or_sales(&self) -> bool {
        self.account_count() == 0 && self.has_no_rows_or_sales()
    }

    fn has_no_rows_or_sales(&self) -> bool {
        self.rows.is_empty() && self.sale_count() == 0
    }

    fn restore_sale(
        &mut self,
        no: SaleNo,
        name: &str,
        terms: &SaleTerms,
        stock_nos: &[StockNo],
        stocks_ever: u16,
        version: u64,
    ) -> Result<(), &'static str> {
        ensure(is_name(name), "a sale's name is not a name")?;
        ensure(no.0 < self.sales_ever, "a sale's number was never given")?;
        ensure(
            self.sales.last().is_none_or(|last| last.no < no),
            "sales are not in the order of their numbers",
        )?;
        ensure(self.sales.find(&self.hash, name).is_none(), "two sales have the same name")?;
        ensure(version <= VERSION_MAX, "a sale's version is out of bounds")?;
        ensure(terms.check().is_ok(), "a sale's terms are out of bounds")?;
        ensure(
            terms.stocks.is_sorted_by(|a, b| a.stock < b.stock),
            "stocks are not in the order of their names",
        )?;
        ensure(stock_nos.len() == terms.stocks.len(), "stocks and their numbers are not as many")?;
        let mut numbers = stock_nos.to_vec();
        numbers.sort_unstable();
        ensure(numbers.is_sorted_by(|a, b| a < b), "two stocks have the same number")?;
        ensure(numbers.last().is_some_and(|last| last.0 < stocks_ever), "a stock's number was never given")?;

        let version =
            SaleVersion { number: version, incarnation: self.incarnation, terms: terms_version(no, terms) };
        let sale = Sale::restore(no, name, terms.clone(), stock_nos.to_vec(), stocks_ever, version);
        self.unit_totals.total += sale.unit_totals().total;
        let stock_count = u32::try_from(stock_nos.len()).map_err(|_| "a sale has too many stocks")?;
        self.stock_count = self.stock_count.checked_add(stock_count).ok_or("there are too many stocks")?;
        self.shadow_sale_count += u32::from(sale.is_shadow());
        self.sales.insert(&self.hash, sale);
        Ok(())
    }

    fn restore_incarnation(
        &mut self,
        first: ReservationNo,
        incarnation: Incarnation,
    ) -> Result<(), &'static str> {
        let sale = self.sales.last().ok_or("an incarnation has no sale")?;
        let is_next = first.sale == sale.no && first.seq == sale.reservations.len();
        ensure(is_next, "an incarnation does not begin with the next reservation")?;
        let begin = |sale: &mut Sale| sale.incarnations.begin(first.seq, incarnation);
        let is_other = self.sales.change(&self.hash, first.sale, begin);
        ensure(is_other == Some(true), "an incarnation is that of the reservation before")
    }

    fn restore_reservation(&mut self, number: ReservationNo, claim: &Claim<'_>) -> Result<(), &'static str> {
        let sale = self.sales.last().ok_or("a reservation has no sale")?;
        ensure(number.sale == sale.no, "a reservation is not behind its sale")?;
        ensure(number.seq == sale.reservations.len(), "reservations are not in the order of their numbers")?;
        ensure(
            number.seq < u32::MAX && self.reservation_count < u32::MAX,
            "there are too many reservations",
        )?;
        ensure(is_name(claim.customer), "a customer's name is not a name")?;
        ensure(claim.details.len() <= DETAILS_BYTES_MAX, "a reservation's details are too long")?;
        check_times(self.time, sale, claim)?;
        check_lines(sale, claim.status, claim.lines)?;
        if let Some(IdempotencyKey { key, .. }) = claim.key {
            ensure((1..=KEY_BYTES_MAX).contains(&key.len()), "an idempotency key's length is out of bounds")?;
            ensure(
                sale.reservations.find_key(&self.hash, key).is_none(),
                "two reservations have the same key",
            )?;
        }
        self.add_reservation(number, claim, |_| ());
        Ok(())
    }
}

/// Leaves room to count for ever.
const VERSION_MAX: u64 = 1 << 63;

fn check_times(time: TimeMs, sale: &Sale, claim: &Claim<'_>) -> Result<(), &'static str> {
    let is_later = sale.reservations.last().is_none_or(|last| last.created_at <= claim.created_at);
    ensure(is_later && claim.created_at <= time, "a reservation's time is out of order")?;
    let Some(hold_until) = claim.hold_until else {
        let is_final = matches!(claim.status, ReservationStatus::Confirmed | ReservationStatus::Released);
        return ensure(is_final, "a reservation without a hold is held or expired");
    };
    let hold_ms = hold_until.checked_sub(claim.created_at);
    ensure(
        hold_ms.is_some_and(|hold| (1..=u64::from(HOLD_TTL_MS_MAX)).contains(&hold)),
        "a hold is out of bounds",
    )?;
    ensure(claim.status != ReservationStatus::Expired || hold_until <= time, "a hold expired before its time")
}

fn check_lines(sale: &Sale, status: ReservationStatus, lines: &Lines) -> Result<(), &'static str> {
    ensure(!lines.is_empty(), "a reservation has no lines")?;
    for (number, line) in lines.iter().enumerate() {
        let quantity = u32::from(line.quantity);
        ensure((1..=QUANTITY_MAX).contains(&quantity), "a line's quantity is out of bounds")?;
        ensure(
            lines[..number].iter().all(|other| other.stock != line.stock),
            "two lines have the same stock",
        )?;
        let place = sale.place(line.stock).ok_or("a line has no stock")?;
        let takes = matches!(status, ReservationStatus::Held | ReservationStatus::Confirmed);
        ensure(!takes || quantity <= sale.available(place), "more units are reserved than a stock has")?;
    }
    Ok(())
}

fn ensure(holds: bool, otherwise: &'static str) -> Result<(), &'static str> {
    if holds { Ok(()) } else { Err(otherwise) }
}
