//! What the tables of a sink have to hold.

use anyhow::{Context as _, Result, ensure};

use super::events::{Event, ReservationNo};
use super::shop::Shop;
use crate::api::{Reservation, Status};

/// An event as a row of a sink says it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct EventRow {
    pub(crate) offset: u64,
    /// `counter.added` and so on.
    pub(crate) kind: String,
    /// The counter, window or sale.
    pub(crate) key: String,
}

/// A reservation: its sale, customer, lines and status.
type ReservationRow<'a> = (&'a str, &'a str, Vec<(&'a str, u64)>, Option<Status>);

/// The row of an event that is about to be applied, if it has one.
pub(super) fn row_of(offset: u64, event: &Event, shop: &Shop) -> Option<EventRow> {
    let sale = |no: &ReservationNo| shop.sales.get(&no.0).map(|sale| sale.name.clone()).unwrap_or_default();
    let (kind, key) = match event {
        Event::CounterAdded { counter, .. } => ("counter.added", counter.clone()),
        Event::WindowPut { window } => ("window.put", window.clone()),
        Event::WindowHit { window, .. } => ("window.hit", window.clone()),
        Event::SalePut { sale, .. } => ("sale.put", sale.clone()),
        Event::Reserved(reserved) => ("reservation.reserved", sale(&reserved.reservation)),
        Event::Confirmed(no) => ("reservation.confirmed", sale(no)),
        Event::Released(no) => ("reservation.released", sale(no)),
        Event::Expired(no) => ("reservation.expired", sale(no)),
        Event::Other => return None,
    };
    Some(EventRow { offset, kind: kind.to_owned(), key })
}

/// Each event is there once, and nothing else is.
pub(super) fn check_events(expected: &[EventRow], found: &[EventRow]) -> Result<()> {
    for (expected, found) in expected.iter().zip(found) {
        ensure!(expected == found, "in force is {expected:?}, and the next row is {found:?}");
    }
    ensure!(
        expected.len() == found.len(),
        "{} events are in force, and {} rows",
        expected.len(),
        found.len()
    );
    Ok(())
}

/// Each reservation is there once, as it stands.
pub(super) fn check_reservations(shop: &Shop, found: &[Reservation]) -> Result<()> {
    let mut expected: Vec<ReservationRow<'_>> = Vec::with_capacity(shop.reservations.len());
    for known in shop.reservations.values() {
        let reserved = &known.reserved;
        let sale = shop.sales.get(&reserved.reservation.0).context("a reservation of no sale")?;
        let lines = reserved.lines.iter().map(|(stock, quantity)| {
            let stock = sale.stocks.get(usize::try_from(*stock)?).context("a line of no stock")?;
            Ok((stock.name.as_str(), *quantity))
        });
        let lines = lines.collect::<Result<Vec<_>>>()?;
        expected.push((sale.name.as_str(), reserved.customer.as_str(), lines, known.status.newest()));
    }
    let mut rows: Vec<ReservationRow<'_>> = Vec::with_capacity(found.len());
    for row in found {
        let lines = row.lines.iter().map(|line| (line.stock.as_str(), line.quantity)).collect();
        rows.push((&row.sale, &row.customer, lines, Some(row.status)));
    }
    expected.sort();
    rows.sort();
    for (expected, row) in expected.iter().zip(&rows) {
        ensure!(expected == row, "in force is the reservation {expected:?}, and a row has {row:?}");
    }
    ensure!(
        expected.len() == rows.len(),
        "{} reservations are in force, and {} rows",
        expected.len(),
        rows.len()
    );
    Ok(())
}
