//! What the operator says of a sale or a window, and the checks that it must pass before anything else looks at it.

use crate::{
    GateTerms, HOLD_TTL_MS_MAX, InvalidTerms, NEW_NAME_RULE, PANES_MAX, PER_CUSTOMER_MAX_MAX,
    QUANTITY_TOTAL_MAX, SPAN_MS_MAX, STOCKS_PER_SALE_MAX, TERMS_TIME_MS_MAX, TITLE_BYTES_MAX, TimeMs,
    is_name, is_new_name,
};

/// The terms of a sale, as an operator puts them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SaleTerms {
    /// At most [`crate::TITLE_BYTES_MAX`] bytes.
    pub title: String,
    /// Reservations are refused before this time.
    pub opens_at: Option<TimeMs>,
    /// Reservations are refused from this time on; later than `opens_at`.
    pub closes_at: Option<TimeMs>,
    /// Units that one customer may hold and have confirmed at once; no limit if absent.
    pub per_customer_max: Option<u32>,
    /// How long a reservation is held before it expires; 0 confirms it at once.
    pub hold_ttl_ms: u32,
    /// What it asks of a buyer besides.
    pub gate: GateTerms,
    /// 1 to [`crate::STOCKS_PER_SALE_MAX`] stocks with distinct names.
    pub stocks: Vec<StockTerms>,
}

/// The terms of one stock of a sale.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StockTerms {
    /// Unique within the sale.
    pub stock: String,
    /// At most [`crate::TITLE_BYTES_MAX`] bytes.
    pub title: String,
    /// A stock with a start and an end is a slot. Both are for people: nothing is decided by them.
    pub starts_at: Option<TimeMs>,
    /// Later than `starts_at`.
    pub ends_at: Option<TimeMs>,
    /// Reservations of it are refused from this time on.
    pub closes_at: Option<TimeMs>,
    /// Units for sale, at most [`crate::QUANTITY_TOTAL_MAX`].
    pub quantity_total: u32,
}

/// The shape of a window: it counts `span_ms / precision_ms + 1` panes, the current one among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowShape {
    /// How far back the window looks, `precision_ms` to [`crate::SPAN_MS_MAX`].
    pub span_ms: u32,
    /// The width of one pane, at least 1; at most [`crate::PANES_MAX`] of them in a span.
    pub precision_ms: u32,
}

const TITLE_RULE: &str = "must be at most 256 bytes";
const TIME_RULE: &str = "must not be later than 9999-12-31T23:59:59.999Z";

impl SaleTerms {
    /// Whether every field is within its bounds; the first that is not, otherwise.
    pub fn check(&self) -> Result<(), InvalidTerms> {
        ensure(self.title.len() <= TITLE_BYTES_MAX, || "title".into(), TITLE_RULE)?;
        check_time(self.opens_at, || "opens_at".into())?;
        check_time(self.closes_at, || "closes_at".into())?;
        ensure(
            precedes(self.opens_at, self.closes_at),
            || "closes_at".into(),
            "must be later than opens_at",
        )?;
        if let Some(max) = self.per_customer_max {
            ensure(
                (1..=PER_CUSTOMER_MAX_MAX).contains(&max),
                || "per_customer_max".into(),
                "must be 1 to 1000000",
            )?;
        }
        ensure(self.hold_ttl_ms <= HOLD_TTL_MS_MAX, || "hold_ttl_ms".into(), "must be at most 86400000")?;
        self.gate.check()?;
        let count = self.stocks.len();
        ensure(
            (1..=STOCKS_PER_SALE_MAX).contains(&count),
            || "stocks".into(),
            "must have 1 to 1000 entries",
        )?;
        self.stocks.iter().enumerate().try_for_each(|(at, stock)| stock.check(at))?;

        let mut names: Vec<(&str, usize)> =
            self.stocks.iter().enumerate().map(|(at, stock)| (stock.stock.as_str(), at)).collect();
        names.sort_unstable();
        let repeated = names.windows(2).filter(|pair| pair[0].0 == pair[1].0).map(|pair| pair[1].1).min();
        repeated
            .map_or(Ok(()), |at| Err(invalid(stock_field(at, "stock"), "must differ from every other stock")))
    }
}

impl SaleTerms {
    /// Whether the stocks that `is_known` does not know have names that may be given to new ones; the first that has not,
    /// otherwise.
    pub(crate) fn check_new_names(&self, is_known: impl Fn(&str) -> bool) -> Result<(), InvalidTerms> {
        self.stocks.iter().enumerate().try_for_each(|(at, stock)| {
            let name = stock.stock.as_str();
            ensure(is_new_name(name) || is_known(name), || stock_field(at, "stock"), NEW_NAME_RULE)
        })
    }
}

impl StockTerms {
    /// Checks the fields of the stock at position `at` of its sale.
    fn check(&self, at: usize) -> Result<(), InvalidTerms> {
        let field = |name| move || stock_field(at, name);
        ensure(is_name(&self.stock), field("stock"), NEW_NAME_RULE)?;
        ensure(self.title.len() <= TITLE_BYTES_MAX, field("title"), TITLE_RULE)?;
        check_time(self.starts_at, field("starts_at"))?;
        check_time(self.ends_at, field("ends_at"))?;
        check_time(self.closes_at, field("closes_at"))?;
        ensure(precedes(self.starts_at, self.ends_at), field("ends_at"), "must be later than starts_at")?;
        ensure(
            self.quantity_total <= QUANTITY_TOTAL_MAX,
            field("quantity_total"),
            "must be at most 1000000000",
        )
    }
}

impl StockTerms {
    /// Whether it takes no more reservations when the wall clock shows `wall`, though its sale may.
    pub(crate) fn is_closed(&self, wall: TimeMs) -> bool {
        self.closes_at.is_some_and(|closes_at| closes_at <= wall)
    }
}

impl WindowShape {
    /// Whether both fields are within their bounds; the first that is not, otherwise.
    pub fn check(&self) -> Result<(), InvalidTerms> {
        ensure(self.span_ms <= SPAN_MS_MAX, || "span_ms".into(), "must be at most 86400000")?;
        let within_span = (1..=self.span_ms).contains(&self.precision_ms);
        ensure(within_span, || "precision_ms".into(), "must be 1 to span_ms")?;
        ensure(
            self.span_ms / self.precision_ms <= PANES_MAX,
            || "precision_ms".into(),
            "must leave at most 10000 panes in span_ms",
        )
    }

    /// The pane that `time` falls into.
    pub(crate) fn pane(self, time: TimeMs) -> u64 {
        time / u64::from(self.precision_ms)
    }

    /// The oldest pane that counts when `newest` is the current one.
    pub(crate) fn oldest_pane(self, newest: u64) -> u64 {
        newest.saturating_sub(u64::from(self.span_ms / self.precision_ms))
    }
}

/// Whether there is no interval, as one end is missing, or it has a length.
fn precedes(start: Option<TimeMs>, end: Option<TimeMs>) -> bool {
    start.zip(end).is_none_or(|(start, end)| start < end)
}

fn check_time(time: Option<TimeMs>, field: impl FnOnce() -> String) -> Result<(), InvalidTerms> {
    ensure(time.is_none_or(|time| time <= TERMS_TIME_MS_MAX), field, TIME_RULE)
}

fn stock_field(at: usize, name: &str) -> String {
    format!("stocks[{at}].{name}")
}

fn ensure(holds: bool, field: impl FnOnce() -> String, rule: &'static str) -> Result<(), InvalidTerms> {
    if holds { Ok(()) } else { Err(invalid(field(), rule)) }
}

fn invalid(field: String, rule: &'static str) -> InvalidTerms {
    InvalidTerms { field, rule }
}

const _: () = assert!(TITLE_BYTES_MAX == 256 && STOCKS_PER_SALE_MAX == 1_000);
const _: () = assert!(
    PER_CUSTOMER_MAX_MAX == 1_000_000 && HOLD_TTL_MS_MAX == 86_400_000 && QUANTITY_TOTAL_MAX == 1_000_000_000
);
const _: () =
    assert!(SPAN_MS_MAX == 86_400_000 && PANES_MAX == 10_000 && TERMS_TIME_MS_MAX == 253_402_300_799_999);
