//! The tables as a naive fold of the events gives them, and as the server has them, in one form.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::place::Place;
use crate::story::{Claimed, Story, StoryEvent, What};

pub(crate) type Tables = BTreeMap<&'static str, Vec<Value>>;

/// Columns and order of each table; times in milliseconds.
const TABLES: [(&str, &str, &str); 8] = [
    ("events", "event_offset, MS(at), kind, key, reservation, body", "events ORDER BY event_offset"),
    (
        "sales",
        "sale_no, sale, title, MS(opens_at), MS(closes_at), per_customer_max, hold_ttl_ms, MS(archived_at), updated_offset",
        "sales ORDER BY sale_no",
    ),
    (
        "stocks",
        "sale_no, stock_no, stock, title, MS(starts_at), MS(ends_at), quantity_total, quantity_held, quantity_confirmed, removed,
         MS(closes_at)",
        "stocks ORDER BY sale_no, stock_no",
    ),
    (
        "reservations",
        "sale_no, reservation_seq, reservation, sale, customer, lines, details, idempotency_key, MS(created_at),
         MS(expires_at), created_offset, status, MS(settled_at), updated_offset",
        "reservations ORDER BY sale_no, reservation_seq",
    ),
    ("counters", "counter, value, MS(updated_at), updated_offset", "counters ORDER BY counter"),
    ("counter_history", "id, event_offset, counter, by, value, MS(at)", "counter_history ORDER BY id"),
    ("windows", "\"window\", span_ms, precision_ms, MS(updated_at), updated_offset", "windows ORDER BY 1"),
    ("sinks", "sink, log_id, partition, next_offset, next_row_id", "sinks"),
];

/// The tables as the server has them.
pub(crate) fn stored(place: &Place) -> Tables {
    let table = |&(name, columns, rest): &(&'static str, &str, &str)| {
        let mut columns = columns.to_owned();
        while let Some((before, after)) = columns.split_once("MS(") {
            let (time, after) = after.split_once(')').unwrap();
            columns = format!("{before}(extract(epoch FROM {time}) * 1000)::bigint{after}");
        }
        (name, place.rows(&columns, rest))
    };
    TABLES.iter().map(table).collect()
}

/// The tables that a story ends in, up to an offset.
pub(crate) fn folded(place: &Place, story: &Story, to: u64, visits: bool) -> Tables {
    let mut fold = Fold { visits, next_row_id: 1, ..Fold::default() };
    for event in story.events.iter().filter(|event| event.offset < to) {
        fold.apply(event);
    }
    let source = &place.source;
    let sink = json!([source.sink, source.log_id, source.partition, to, fold.next_row_id]);
    BTreeMap::from([
        ("events", fold.events),
        ("sales", fold.sales.into_values().collect()),
        ("stocks", fold.stocks.into_values().collect()),
        ("reservations", fold.reservations.into_values().collect()),
        ("counters", fold.counters.into_values().collect()),
        ("counter_history", fold.history),
        ("windows", fold.windows.into_values().collect()),
        ("sinks", vec![sink]),
    ])
}

#[derive(Default)]
struct Fold {
    visits: bool,
    next_row_id: u64,
    events: Vec<Value>,
    sales: BTreeMap<u32, Value>,
    stocks: BTreeMap<(u32, u16), Value>,
    reservations: BTreeMap<(u32, u32), Value>,
    counters: BTreeMap<String, Value>,
    history: Vec<Value>,
    windows: BTreeMap<String, Value>,
}

/// Places of columns that change.
const ARCHIVED_AT: usize = 7;
const HELD: usize = 7;
const CONFIRMED: usize = 8;
const REMOVED: usize = 9;
const STATUS: usize = 11;

impl Fold {
    fn apply(&mut self, event: &StoryEvent) {
        let StoryEvent { offset, at, what } = event;
        let row = event.with_event(|event| {
            let mut body = Vec::new();
            onrush_connect::write_event_data(&mut body, event);
            let body: Value = serde_json::from_slice(&body).unwrap();
            json!([offset, at, event.kind().name(), event.key(), body["reservation"], body])
        });
        self.events.push(row);
        match what {
            What::Added { counter, by, value } => {
                self.counters.insert(counter.clone(), json!([counter, value, at, offset]));
                let rows = if self.visits { *by } else { 1 };
                for n in 1..=rows {
                    let row_value = value - rows + n;
                    let row = json!([self.next_row_id, offset, counter, by / rows, row_value, at]);
                    self.history.push(row);
                    self.next_row_id += 1;
                }
            }
            What::WindowPut { window, shape } => {
                let row = json!([window, shape.span_ms, shape.precision_ms, at, offset]);
                self.windows.insert(window.clone(), row);
            }
            What::WindowHit { .. } => {}
            What::SalePut { no, sale, terms: t, stock_nos } => {
                let (opens, closes, max) = (t.opens_at, t.closes_at, t.per_customer_max);
                let row = json!([no, sale, t.title, opens, closes, max, t.hold_ttl_ms, null, offset]);
                self.sales.insert(*no, row);
                for (_, stock) in self.stocks.range_mut((*no, 0)..=(*no, u16::MAX)) {
                    stock[REMOVED] = json!(true);
                }
                for (stock_no, s) in stock_nos.iter().zip(&t.stocks) {
                    let old = self.stocks.get(&(*no, *stock_no));
                    let (held, confirmed) =
                        old.map_or((json!(0), json!(0)), |old| (old[HELD].clone(), old[CONFIRMED].clone()));
                    let (starts, ends, total) = (s.starts_at, s.ends_at, s.quantity_total);
                    let (title, closes) = (&s.title, s.closes_at);
                    let row = json!([
                        no, stock_no, s.stock, title, starts, ends, total, held, confirmed, false, closes
                    ]);
                    self.stocks.insert((*no, *stock_no), row);
                }
            }
            What::Archived { no, .. } => {
                let sale = self.sales.get_mut(no).unwrap();
                sale[ARCHIVED_AT] = json!(at);
                sale[ARCHIVED_AT + 1] = json!(offset);
            }
            What::Reserved { claim, expires_at } => self.reserve(event, claim, *expires_at),
            What::Confirmed { claim } => self.set_status(event, claim, "confirmed"),
            What::Released { claim, .. } => self.set_status(event, claim, "released"),
            What::Expired { claim } => self.set_status(event, claim, "expired"),
        }
    }

    fn reserve(&mut self, event: &StoryEvent, claim: &Claimed, expires_at: Option<u64>) {
        let StoryEvent { offset, at, .. } = event;
        let lines: Vec<Value> = claim
            .lines
            .iter()
            .map(|(_, stock, quantity)| json!({"stock": stock, "quantity": quantity}))
            .collect();
        let details: Value = serde_json::from_str(&claim.details).unwrap_or(Value::Null);
        let key = (!claim.key.is_empty()).then_some(&claim.key);
        let (status, settled_at) =
            if expires_at.is_some() { ("held", Value::Null) } else { ("confirmed", json!(at)) };
        let row = json!([
            claim.sale_no,
            claim.seq,
            claim.id(),
            claim.sale,
            claim.customer,
            lines,
            details,
            key,
            at,
            expires_at,
            offset,
            status,
            settled_at,
            offset
        ]);
        self.reservations.insert((claim.sale_no, claim.seq), row);
        self.move_units(claim, "", status);
    }

    fn set_status(&mut self, event: &StoryEvent, claim: &Claimed, status: &str) {
        let row = self.reservations.get_mut(&(claim.sale_no, claim.seq)).unwrap();
        let before = row[STATUS].as_str().unwrap().to_owned();
        row[STATUS] = json!(status);
        row[STATUS + 1] = json!(event.at);
        row[STATUS + 2] = json!(event.offset);
        self.move_units(claim, &before, status);
    }

    fn move_units(&mut self, claim: &Claimed, before: &str, after: &str) {
        for (stock_no, _, quantity) in &claim.lines {
            let stock = self.stocks.get_mut(&(claim.sale_no, *stock_no)).unwrap();
            for (status, column) in [("held", HELD), ("confirmed", CONFIRMED)] {
                let units = stock[column].as_i64().unwrap()
                    + i64::from(*quantity) * i64::from(after == status)
                    - i64::from(*quantity) * i64::from(before == status);
                stock[column] = json!(units);
            }
        }
    }
}
