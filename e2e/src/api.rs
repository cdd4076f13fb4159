//! The bodies of the HTTP contract as a client sees them. Unknown fields are errors, so that a run notices when the server
//! says more than is documented.

#![allow(clippy::struct_field_names, reason = "the names are those of the contract")]

use anyhow::{Context as _, Result};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use std::net::SocketAddr;

use crate::http::{self, Connection, request, request_json};

/// A sale with its figures.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sale {
    /// Its name.
    pub sale: String,
    /// What people read.
    pub title: Option<String>,
    /// RFC 3339, or null.
    pub opens_at: Option<String>,
    /// RFC 3339, or null.
    pub closes_at: Option<String>,
    /// Units that one customer may have, or null.
    pub per_customer_max: Option<u64>,
    /// Milliseconds that a hold lasts; 0 confirms at once.
    pub hold_ttl_ms: u64,
    /// What it asks of a buyer.
    pub gate: Gate,
    /// `scheduled`, `open`, `sold_out` or `closed`.
    pub status: String,
    /// Sorted by start, then name.
    pub stocks: Vec<Stock>,
}

impl Sale {
    /// Reads the sale from the public listener.
    pub(crate) fn read(connection: &mut Connection, sale: &str) -> Result<Self> {
        connection.call(&request("GET", &format!("/v1/sales/{sale}")))?.expect(200)
    }

    /// The named stock.
    pub(crate) fn stock(&self, name: &str) -> Result<&Stock> {
        self.stocks.iter().find(|stock| stock.stock == name).with_context(|| format!("no stock {name}"))
    }
}

/// What a sale asks of a buyer.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Gate {
    pub session: String,
    pub challenge: String,
    pub cooldown_ms: u64,
    pub holds_unpaid_max: Option<u64>,
    pub confirm_by: String,
    pub mode: String,
}

/// One stock of a sale.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Stock {
    /// Its name.
    pub stock: String,
    /// What people read.
    pub title: Option<String>,
    /// RFC 3339, or null.
    pub starts_at: Option<String>,
    /// RFC 3339, or null.
    pub ends_at: Option<String>,
    /// RFC 3339, or null.
    pub closes_at: Option<String>,
    /// Units for sale.
    pub quantity_total: u64,
    /// Units held.
    pub quantity_held: u64,
    /// Units confirmed.
    pub quantity_confirmed: u64,
    /// Units free.
    pub quantity_available: u64,
}

/// The state of a reservation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    /// Kept for the customer until it expires.
    Held,
    /// Taken for good.
    Confirmed,
    /// Given back by someone.
    Released,
    /// Given back by time.
    Expired,
}

/// One line of a reservation.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Line {
    /// The stock.
    pub stock: String,
    /// Units of it.
    pub quantity: u64,
}

/// A reservation.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Reservation {
    /// Its opaque id.
    pub reservation: String,
    /// The sale it belongs to.
    pub sale: String,
    /// Who reserved.
    pub customer: String,
    /// Its state.
    pub status: Status,
    /// What is reserved.
    pub lines: Vec<Line>,
    /// What the customer sent along.
    pub details: Option<Value>,
    /// RFC 3339.
    pub created_at: String,
    /// RFC 3339, or null when it does not expire.
    pub expires_at: Option<String>,
}

impl Reservation {
    /// When it expires, in milliseconds since 1970, if it does.
    pub(crate) fn expires_at_ms(&self) -> Result<Option<i64>> {
        self.expires_at.as_deref().map(time_ms).transpose()
    }
}

/// A customer's reservations.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReservationList {
    /// All of them.
    pub reservations: Vec<Reservation>,
}

/// A page of the denylist.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DenialList {
    /// Its entries.
    pub denials: Vec<Denial>,
    /// Where the next page goes on, or null.
    pub next_cursor: Option<String>,
}

/// An entry of the denylist.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Denial {
    /// `customer`, `address` or `session`.
    pub kind: String,
    /// Whom it denies.
    pub value: String,
    /// What the operator wrote.
    pub reason: String,
    /// RFC 3339, or null.
    pub expires_at: Option<String>,
}

/// An error body after RFC 9457, of which only the code is compared.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Problem {
    /// Repeats the status of the answer.
    pub status: u16,
    /// The stable code.
    pub code: String,
}

/// What an operator sets of a sale: `(stock, quantity_total)` pairs, limit and hold.
#[derive(Debug, Clone)]
pub(crate) struct SaleSettings<'a> {
    /// Its name.
    pub sale: &'a str,
    /// Stocks and their quantities.
    pub stocks: &'a [(&'a str, u64)],
    /// Units that one customer may have.
    pub per_customer_max: Option<u64>,
    /// Milliseconds that a hold lasts; 0 confirms at once.
    pub hold_ttl_ms: u64,
    /// Milliseconds in which a customer who reserved reserves nothing more.
    pub cooldown_ms: u64,
}

impl SaleSettings<'_> {
    /// The request that puts the sale.
    pub(crate) fn put_request(&self) -> Vec<u8> {
        let stocks =
            self.stocks.iter().map(|(stock, total)| json!({"stock": stock, "quantity_total": total}));
        let body = json!({
            "title": self.sale,
            "per_customer_max": self.per_customer_max,
            "hold_ttl_ms": self.hold_ttl_ms,
            "gate": {"session": "off", "cooldown_ms": self.cooldown_ms},
            "stocks": stocks.collect::<Vec<_>>(),
        });
        request_json("PUT", &format!("/v1/sales/{}", self.sale), &[], &body.to_string())
    }

    /// Puts the sale on the operator listener and returns it as the server shows it.
    pub(crate) fn put(&self, operator: SocketAddr) -> Result<Sale> {
        let response =
            http::once(operator, &self.put_request()).with_context(|| format!("put sale {}", self.sale))?;
        response.expect(if response.status == 201 { 201 } else { 200 })
    }
}

/// Milliseconds since 1970 of an RFC 3339 time.
pub(crate) fn time_ms(text: &str) -> Result<i64> {
    let time: Timestamp = text.parse().with_context(|| format!("read the time {text:?}"))?;
    Ok(time.as_millisecond())
}
