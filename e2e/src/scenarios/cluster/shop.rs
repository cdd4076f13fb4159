//! What is sold: in every round other sales, so that there is always something left and always something sold out.

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use std::net::SocketAddr;

use crate::api::SaleSettings;
use crate::http::{self, request_json};

/// Paths of what only grows, below `/v1/`.
pub(super) const COUNTERS: &[&str] = &["counters/visits-0", "counters/visits-1", "counters/visits-2"];
pub(super) const WINDOW: &str = "windows/long";

/// As many stocks as a sale can have, with names of 64 bytes, the longest.
const LARGE_SALE_STOCKS: u64 = 1_000;
const LARGE_SALES: u64 = 8;

/// A sale of a round.
#[derive(Debug)]
pub(super) struct RoundSale {
    pub(super) name: String,
    pub(super) stocks: &'static [(&'static str, u64)],
    /// How many customers want something.
    pub(super) customer_count: u64,
    per_customer_max: Option<u64>,
    hold_ttl_ms: u64,
}

/// One that is soon sold out, one whose customers soon have all that they may have, one whose holds end while it is sold, and one that
/// never sells out. Holds end at once or not during the run.
pub(super) fn sales(round: u64) -> Vec<RoundSale> {
    let sale = |name: &str, stocks, customer_count, per_customer_max, hold_ttl_ms| RoundSale {
        name: format!("{name}-{round}"),
        stocks,
        customer_count,
        per_customer_max,
        hold_ttl_ms,
    };
    vec![
        sale("limited", &[("back", 120), ("front", 40), ("middle", 60)], 500, Some(5), 0),
        sale("tour", &[("a", 900), ("b", 900), ("c", 900), ("d", 900)], 60, Some(12), 86_400_000),
        sale("brief", &[("unit", 60)], 200, None, 300),
        sale("wide", &[("unit", 10_000_000)], 1_000, None, 86_400_000),
    ]
}

/// Puts the sales of a round, by the node that leads.
pub(super) fn put_sales(operator: SocketAddr, round: u64) -> Result<()> {
    for sale in sales(round) {
        let settings = SaleSettings {
            sale: &sale.name,
            stocks: sale.stocks,
            per_customer_max: sale.per_customer_max,
            hold_ttl_ms: sale.hold_ttl_ms,
            cooldown_ms: 0,
        };
        settings.put(operator)?;
    }
    Ok(())
}

/// Puts sales that together take half a file of a node's copy.
pub(super) fn put_large_sales(operator: SocketAddr, round: u64) -> Result<()> {
    let names = (0..LARGE_SALE_STOCKS).map(|stock| format!("{stock:0>64}")).collect::<Vec<_>>();
    let stocks = names.iter().map(|name| (name.as_str(), 1)).collect::<Vec<_>>();
    for sale in 0..LARGE_SALES {
        let sale = format!("large-{round}-{sale}");
        let settings = SaleSettings {
            sale: &sale,
            stocks: &stocks,
            per_customer_max: None,
            hold_ttl_ms: 0,
            cooldown_ms: 0,
        };
        settings.put(operator)?;
    }
    Ok(())
}

/// Puts the window, which outlasts the run, so that it counts every request ever made.
pub(super) fn put_window(operator: SocketAddr) -> Result<()> {
    let body = json!({"span_ms": 86_400_000, "precision_ms": 10_000}).to_string();
    let answer = http::once(operator, &request_json("PUT", &format!("/v1/{WINDOW}"), &[], &body));
    let answer = answer.context("put the window")?;
    ensure!(matches!(answer.status, 200 | 201), "put {WINDOW}: {} {}", answer.status, answer.text());
    Ok(())
}
