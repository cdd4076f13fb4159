//! A little of everything, all of which must succeed: what happens in a shop while something else is looked at.

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use std::net::SocketAddr;

use crate::api::{Reservation, SaleSettings};
use crate::http::{self, Connection, request, request_json};

/// The sale of which it reserves.
pub(crate) const SALE: &str = "shop";

/// Requests in flight on its connection.
const PIPELINE_DEPTH: usize = 32;

/// Puts the sale and a window.
pub(crate) fn set_up(operator: SocketAddr) -> Result<()> {
    let stocks = [("front", 1_000_000), ("back", 1_000_000)];
    SaleSettings {
        sale: SALE,
        stocks: &stocks,
        per_customer_max: None,
        hold_ttl_ms: 3_600_000,
        cooldown_ms: 0,
    }
    .put(operator)?;
    let body = json!({"span_ms": 3_600_000, "precision_ms": 1_000}).to_string();
    let answer = http::once(operator, &request_json("PUT", "/v1/windows/visits", &[], &body))?;
    ensure!(matches!(answer.status, 200 | 201), "put a window: {} {}", answer.status, answer.text());
    Ok(())
}

/// `count` rounds of an addition, a hit, a reservation, and for two of three a confirm or a release; returns the reservations.
pub(crate) fn go_on(public: SocketAddr, count: usize) -> Result<Vec<Reservation>> {
    let mut connection = Connection::open(public).context("connect")?;
    let details = json!({"name": "Zoë", "note": "x".repeat(200)});
    let first = (0..count).flat_map(|round| {
        let lines = json!([{"stock": "front", "quantity": 1}, {"stock": "back", "quantity": 2}]);
        let body = json!({"customer": format!("c{round}"), "lines": lines, "details": details});
        [
            request("POST", &format!("/v1/counters/home-{}", round % 3)),
            request("POST", "/v1/windows/visits"),
            request_json("POST", &format!("/v1/sales/{SALE}/reservations"), &[], &body.to_string()),
        ]
    });
    let mut reservations = Vec::new();
    for answer in connection.pipeline(&first.collect::<Vec<_>>(), PIPELINE_DEPTH)? {
        ensure!(matches!(answer.status, 200 | 201), "answered {}: {}", answer.status, answer.text());
        if answer.status == 201 {
            reservations.push(answer.json::<Reservation>()?);
        }
    }
    let steps = reservations.iter().enumerate().filter_map(|(round, reservation)| {
        let verb = ["confirm", "release"].get(round % 3)?;
        let target = format!("/v1/sales/{SALE}/reservations/{}/{verb}", reservation.reservation);
        Some(request("POST", &target))
    });
    for answer in connection.pipeline(&steps.collect::<Vec<_>>(), PIPELINE_DEPTH)? {
        ensure!(answer.status == 200, "answered {}: {}", answer.status, answer.text());
    }
    Ok(reservations)
}
