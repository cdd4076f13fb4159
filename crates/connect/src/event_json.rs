//! Events as JSON: the `data` of a CloudEvent, the body of a row, the field of a stream entry. One encoding for every target,
//! so that a consumer can move from one to another. The same event always gives the same bytes.

use onrush_core::{GateTerms, Incarnation, TimeMs, write_rfc3339};
use onrush_sinks::{Change, Claim, EventKind, ReservationSubject, SinkEvent, Source};
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};
use serde_json::value::RawValue;

/// The id of an event: partition and offset, and behind them the log's incarnation, in hexadecimal digits, unless it is the
/// first. Together with [`source_uri`] it is unique for ever and the same at every repeat, also when an older copy of the
/// log goes on and gives an offset to another event.
pub fn event_id(source: &Source, event: &SinkEvent<'_>) -> String {
    let mut id = Vec::with_capacity(32);
    write_event_id(&mut id, source.partition, event);
    String::from_utf8(id).expect("an id is digits")
}

/// Appends the id of an event.
pub fn write_event_id(out: &mut Vec<u8>, partition: u32, event: &SinkEvent<'_>) {
    use std::io::Write as _;
    write!(out, "{partition}-{}", event.offset).expect("writing to memory succeeds");
    if event.incarnation != Incarnation::FIRST {
        write!(out, "-{:08x}", event.incarnation.0).expect("writing to memory succeeds");
    }
}

/// The offset in the id of an event of this partition.
pub(crate) fn offset_in_id(partition: u32, id: &str) -> Option<u64> {
    let mut parts = id.split('-');
    let is_of_partition = parts.next()?.parse() == Ok(partition);
    parts.next()?.parse().ok().filter(|_| is_of_partition)
}

/// Which log an event comes from, as the `source` of a CloudEvent: a URI reference.
pub fn source_uri(source: &Source) -> String {
    format!("/onrush/{}", source.log_id)
}

/// The `type` of a CloudEvent: the kind of the event in reverse-DNS form.
pub fn event_type(event: &SinkEvent<'_>) -> String {
    kind_type(event.kind())
}

/// That of every event of a kind.
pub(crate) fn kind_type(kind: EventKind) -> String {
    format!("dev.onrush.{}", kind.name())
}

/// Appends what happened, as one JSON object.
pub fn write_event_data(out: &mut Vec<u8>, event: &SinkEvent<'_>) {
    serde_json::to_writer(out, &EventData(&event.change))
        .expect("events are plain values, and memory takes them");
}

struct EventData<'a>(&'a Change<'a>);

impl Serialize for EventData<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match self.0 {
            Change::CounterAdded { counter, by, value } => {
                map.serialize_entry("counter", counter)?;
                map.serialize_entry("by", by)?;
                map.serialize_entry("value", value)?;
            }
            Change::WindowPut { window, shape } => {
                map.serialize_entry("window", window)?;
                map.serialize_entry("span_ms", &shape.span_ms)?;
                map.serialize_entry("precision_ms", &shape.precision_ms)?;
            }
            Change::WindowHit { window, pane, by } => {
                map.serialize_entry("window", window)?;
                map.serialize_entry("pane", pane)?;
                map.serialize_entry("by", by)?;
            }
            Change::SalePut { sale, terms, .. } => {
                map.serialize_entry("sale", sale)?;
                map.serialize_entry("title", &terms.title)?;
                map.serialize_entry("opens_at", &terms.opens_at.map(Time))?;
                map.serialize_entry("closes_at", &terms.closes_at.map(Time))?;
                map.serialize_entry("per_customer_max", &terms.per_customer_max)?;
                map.serialize_entry("hold_ttl_ms", &terms.hold_ttl_ms)?;
                if terms.gate != GateTerms::default() {
                    map.serialize_entry("gate", &Gate(terms.gate))?;
                }
                map.serialize_entry("stocks", &Stocks(terms))?;
            }
            Change::SaleArchived { sale, .. } => map.serialize_entry("sale", sale)?,
            Change::Reserved { subject, claim, expires_at } => {
                let status = if expires_at.is_some() { "held" } else { "confirmed" };
                reservation(&mut map, subject, status, Some(claim))?;
                map.serialize_entry("expires_at", &expires_at.map(Time))?;
            }
            Change::Confirmed { subject, claim } => reservation(&mut map, subject, "confirmed", Some(claim))?,
            Change::Released { subject, claim } => {
                reservation(&mut map, subject, "released", claim.as_ref())?;
            }
            Change::Expired { subject, claim } => reservation(&mut map, subject, "expired", Some(claim))?,
        }
        map.end()
    }
}

fn reservation<M: SerializeMap>(
    map: &mut M,
    subject: &ReservationSubject<'_>,
    status: &str,
    claim: Option<&Claim<'_>>,
) -> Result<(), M::Error> {
    map.serialize_entry("sale", subject.sale)?;
    map.serialize_entry("reservation", subject.id())?;
    map.serialize_entry("status", status)?;
    let Some(claim) = claim else { return Ok(()) };
    map.serialize_entry("customer", claim.customer)?;
    map.serialize_entry("lines", &Lines(claim))?;
    if !claim.details.is_empty() {
        map.serialize_entry("details", raw_details(claim))?;
    }
    if !claim.idempotency_key.is_empty() {
        map.serialize_entry("idempotency_key", claim.idempotency_key)?;
    }
    Ok(())
}

/// The details as the client sent them, byte for byte.
fn raw_details<'a>(claim: &Claim<'a>) -> &'a RawValue {
    serde_json::from_slice(claim.details)
        .expect("details were checked to be a JSON object before they were recorded")
}

struct Time(TimeMs);

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = Vec::with_capacity(24);
        write_rfc3339(&mut text, self.0);
        serializer.serialize_str(std::str::from_utf8(&text).expect("times are ASCII"))
    }
}

struct Lines<'a>(&'a Claim<'a>);

impl Serialize for Lines<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(serde::Serialize)]
        struct LineData<'a> {
            stock: &'a str,
            quantity: u16,
        }
        let mut lines = serializer.serialize_seq(Some(self.0.lines.len()))?;
        for line in self.0.lines {
            lines.serialize_element(&LineData { stock: line.stock, quantity: line.quantity })?;
        }
        lines.end()
    }
}

/// What a sale asks of a buyer, in the words of the API.
struct Gate(GateTerms);

impl Serialize for Gate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let GateTerms { session, challenge, cooldown_ms, holds_unpaid_max, confirm_by, mode } = self.0;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("session", session.as_str())?;
        map.serialize_entry("challenge", challenge.as_str())?;
        map.serialize_entry("cooldown_ms", &cooldown_ms)?;
        map.serialize_entry("holds_unpaid_max", &holds_unpaid_max)?;
        map.serialize_entry("confirm_by", confirm_by.as_str())?;
        map.serialize_entry("mode", mode.as_str())?;
        map.end()
    }
}

struct Stocks<'a>(&'a onrush_core::SaleTerms);

impl Serialize for Stocks<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(serde::Serialize)]
        struct StockData<'a> {
            stock: &'a str,
            title: &'a str,
            starts_at: Option<Time>,
            ends_at: Option<Time>,
            #[serde(skip_serializing_if = "Option::is_none")]
            closes_at: Option<Time>,
            quantity_total: u32,
        }
        let mut stocks = serializer.serialize_seq(Some(self.0.stocks.len()))?;
        for stock in &self.0.stocks {
            stocks.serialize_element(&StockData {
                stock: &stock.stock,
                title: &stock.title,
                starts_at: stock.starts_at.map(Time),
                ends_at: stock.ends_at.map(Time),
                closes_at: stock.closes_at.map(Time),
                quantity_total: stock.quantity_total,
            })?;
        }
        stocks.end()
    }
}

#[cfg(test)]
#[path = "event_json_tests.rs"]
mod tests;
