//! What all events in force add up to, and how everything stood after each of them. It knows no rule of the server but those that must
//! never be broken: no stock has more units taken than it has, no customer more than the sale allows.

use anyhow::{Context as _, Result, ensure};
use std::collections::{BTreeMap, HashMap};

use super::events::{Event, ReservationNo, Reserved};
use super::timeline::Timeline;
use crate::api::Status;

/// A sale with its stocks, in the order of their numbers.
#[derive(Debug, Clone)]
pub(super) struct Sale {
    pub(super) name: String,
    pub(super) per_customer_max: Option<u64>,
    pub(super) stocks: Vec<Stock>,
    customers: HashMap<String, Timeline<u64>>,
}

/// A stock.
#[derive(Debug, Clone)]
pub(super) struct Stock {
    pub(super) name: String,
    pub(super) total: u64,
    /// Units held and confirmed.
    pub(super) taken: Timeline<(u64, u64)>,
}

/// A reservation.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) reserved: Reserved,
    pub(super) at_ms: u64,
    /// Of the event that made it.
    pub(super) offset: u64,
    pub(super) status: Timeline<Option<Status>>,
}

/// Everything.
#[derive(Debug, Clone, Default)]
pub(super) struct Shop {
    pub(super) sales: BTreeMap<u64, Sale>,
    pub(super) reservations: HashMap<ReservationNo, Known>,
    pub(super) keys: HashMap<String, ReservationNo>,
    /// Counters and windows, by their path below `/v1/`.
    pub(super) numbers: BTreeMap<String, Timeline<u64>>,
}

impl Shop {
    /// Takes the event of this offset.
    ///
    /// # Errors
    /// It cannot have come from what was before it.
    pub(super) fn apply(&mut self, offset: u64, at_ms: u64, event: Event) -> Result<()> {
        match event {
            Event::CounterAdded { counter, by, value } => {
                let number = self.numbers.entry(format!("counters/{counter}")).or_default();
                let before = number.newest();
                ensure!(before + by == value, "{counter} grew from {before} by {by} to {value}");
                number.set(offset + 1, value);
            }
            Event::WindowHit { window, by } => {
                let number = self.numbers.entry(format!("windows/{window}")).or_default();
                number.set(offset + 1, number.newest() + by);
            }
            Event::SalePut { sale_no, sale, per_customer_max, stocks } => {
                ensure!(!self.sales.contains_key(&sale_no), "{sale} was put and changed");
                let stocks = stocks.into_iter().map(|(name, total)| Stock::new(name, total)).collect();
                let customers = HashMap::new();
                self.sales.insert(sale_no, Sale { name: sale, per_customer_max, stocks, customers });
            }
            Event::Reserved(reserved) => self.reserve(offset, at_ms, reserved)?,
            Event::Confirmed(reservation) => self.change(offset, at_ms, reservation, Status::Confirmed)?,
            Event::Released(reservation) => self.change(offset, at_ms, reservation, Status::Released)?,
            Event::Expired(reservation) => self.change(offset, at_ms, reservation, Status::Expired)?,
            Event::WindowPut { .. } | Event::Other => {}
        }
        Ok(())
    }

    pub(super) fn sale(&self, name: &str) -> Result<&Sale> {
        self.sales.values().find(|sale| sale.name == name).with_context(|| format!("no sale {name}"))
    }

    fn reserve(&mut self, offset: u64, at_ms: u64, reserved: Reserved) -> Result<()> {
        let no = reserved.reservation;
        let status = if reserved.expires_at_ms.is_some() { Status::Held } else { Status::Confirmed };
        ensure!(!self.reservations.contains_key(&no), "reservation {no:?} was made twice");
        if let Some(key) = &reserved.key {
            let first = self.keys.insert(key.clone(), no);
            ensure!(first.is_none(), "key {key} made two reservations, {first:?} and {no:?}");
        }
        self.count(offset, &reserved, None, Some(status))?;
        let mut known = Known { reserved, at_ms, offset, status: Timeline::default() };
        known.status.set(offset + 1, Some(status));
        self.reservations.insert(no, known);
        Ok(())
    }

    fn change(&mut self, offset: u64, at_ms: u64, no: ReservationNo, to: Status) -> Result<()> {
        let known = self.reservations.get_mut(&no).with_context(|| format!("{to:?} is {no:?}, of nobody"))?;
        let from = known.status.newest().context("it was made with a status")?;
        let fits = match to {
            Status::Confirmed => from == Status::Held,
            Status::Released => matches!(from, Status::Held | Status::Confirmed),
            Status::Expired => {
                from == Status::Held && known.reserved.expires_at_ms.is_some_and(|end| end <= at_ms)
            }
            Status::Held => false,
        };
        ensure!(fits, "{from:?} at {at_ms} ms, {to:?} becomes {known:?}");
        known.status.set(offset + 1, Some(to));
        let reserved = known.reserved.clone();
        self.count(offset, &reserved, Some(from), Some(to))
    }

    /// Moves the units of a reservation from one figure to another.
    fn count(
        &mut self,
        offset: u64,
        reserved: &Reserved,
        from: Option<Status>,
        to: Option<Status>,
    ) -> Result<()> {
        let sale = self.sales.get_mut(&reserved.reservation.0).context("a reservation of no sale")?;
        for (stock, quantity) in &reserved.lines {
            let stock = usize::try_from(*stock).ok().and_then(|stock| sale.stocks.get_mut(stock));
            let stock = stock.with_context(|| format!("{reserved:?} is of no stock"))?;
            let (mut held, mut confirmed) = stock.taken.newest();
            match from {
                Some(Status::Held) => held -= quantity,
                Some(Status::Confirmed) => confirmed -= quantity,
                _ => {}
            }
            match to {
                Some(Status::Held) => held += quantity,
                Some(Status::Confirmed) => confirmed += quantity,
                _ => {}
            }
            ensure!(
                held + confirmed <= stock.total,
                "{} of {}: {held} held and {confirmed} confirmed are more than {} at offset {offset}",
                stock.name,
                sale.name,
                stock.total
            );
            stock.taken.set(offset + 1, (held, confirmed));
        }
        let takes = |status| matches!(status, Some(Status::Held | Status::Confirmed));
        let quantity: u64 = reserved.lines.iter().map(|(_, quantity)| quantity).sum();
        let units = sale.customers.entry(reserved.customer.clone()).or_default();
        let before = units.newest();
        let after = match (takes(from), takes(to)) {
            (false, true) => before + quantity,
            (true, false) => before - quantity,
            _ => before,
        };
        ensure!(
            sale.per_customer_max.is_none_or(|max| after <= max),
            "{} has {after} units of {} at offset {offset}",
            reserved.customer,
            sale.name
        );
        units.set(offset + 1, after);
        Ok(())
    }
}

impl Sale {
    /// Units of a customer.
    pub(super) fn units_of(&self, customer: &str) -> Option<&Timeline<u64>> {
        self.customers.get(customer)
    }

    pub(super) fn stock(&self, name: &str) -> Result<&Stock> {
        let found = self.stocks.iter().find(|stock| stock.name == name);
        found.with_context(|| format!("no stock {name} of {}", self.name))
    }
}

impl Stock {
    fn new(name: String, total: u64) -> Self {
        Self { name, total, taken: Timeline::default() }
    }

    /// Units free after so many events.
    pub(super) fn available(&self, offset: u64) -> u64 {
        let (held, confirmed) = self.taken.at(offset);
        self.total - held - confirmed
    }
}
