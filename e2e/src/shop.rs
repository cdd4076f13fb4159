//! What the traffic of a run is about: its sales, their customers, and its windows.

use crate::api::SaleSettings;

/// The sales of the traffic: one that never sells out, one with a tight limit, one with several stocks, one that operators
/// resize, one whose holds end while the run watches, one with a cool-down, whose customers are denied at times.
pub(crate) const SALES: &[SaleSettings<'static>] = &[
    SaleSettings {
        sale: "wide",
        stocks: &[("unit", 100_000_000)],
        per_customer_max: None,
        hold_ttl_ms: 86_400_000,
        cooldown_ms: 0,
    },
    SaleSettings {
        sale: "limited",
        stocks: &[("front", 40), ("middle", 60), ("back", 400)],
        per_customer_max: Some(2),
        hold_ttl_ms: 0,
        cooldown_ms: 0,
    },
    SaleSettings {
        sale: "tour",
        stocks: &[("a", 9_000), ("b", 9_000), ("c", 9_000), ("d", 9_000), ("e", 9_000), ("f", 9_000)],
        per_customer_max: Some(12),
        hold_ttl_ms: 3_600_000,
        cooldown_ms: 0,
    },
    SaleSettings {
        sale: RESIZED_SALE,
        stocks: &[("unit", 500)],
        per_customer_max: None,
        hold_ttl_ms: 0,
        cooldown_ms: 0,
    },
    SaleSettings {
        sale: "brief",
        stocks: &[("unit", 300)],
        per_customer_max: None,
        hold_ttl_ms: 300,
        cooldown_ms: 0,
    },
    SaleSettings {
        sale: COOLED_SALE,
        stocks: &[("unit", 100_000)],
        per_customer_max: None,
        hold_ttl_ms: 0,
        cooldown_ms: 1_500,
    },
];

/// The sale whose quantity an operator raises and lowers while it is sold.
pub(crate) const RESIZED_SALE: &str = "resized";

/// The sale with a cool-down.
pub(crate) const COOLED_SALE: &str = "cooled";

/// Its customers, of whom the first so many are put on the denylist and taken off.
pub(crate) const COOLED_CUSTOMER_COUNT: u64 = 60;
pub(crate) const DENIED_CUSTOMER_COUNT: u64 = 8;

/// The customers of the sale with a cool-down are the same in all cycles.
pub(crate) fn cooled_customer(number: u64) -> String {
    format!("p{number}")
}

/// A window that outlasts the run, so that it counts every request ever made.
pub(crate) const LONG_WINDOW: &str = "windows/long";

/// A window that forgets while the run goes on.
pub(crate) const SHORT_WINDOW: &str = "windows/short";
