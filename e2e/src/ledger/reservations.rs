//! Everything known about the reservations of a run: which exist, under which key, in which states they may be, and what
//! the figures of each sale must therefore be.

use anyhow::{Context as _, Result, bail, ensure};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::{Ask, Outcome, Reserved, Times, Verb};
use crate::api::{Reservation, Sale, Status, time_ms};

/// How far the server's clock reading for a batch may lie from ours, both taken from the same clock.
pub(crate) const CLOCK_SLACK_MS: i64 = 50;

/// What the ledger needs to know of a sale.
#[derive(Debug, Clone)]
pub(crate) struct Terms {
    /// Stocks and the quantities that each may have: several while the outcome of a change is unknown.
    pub stocks: BTreeMap<String, BTreeSet<u64>>,
    /// Units that one customer may have.
    pub per_customer_max: Option<u64>,
    /// Milliseconds that a hold lasts.
    pub hold_ttl_ms: u64,
    /// Whether a customer who reserved has to wait.
    pub cools_down: bool,
}

/// How sure it is that a step was asked for and done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Asked {
    No,
    Maybe,
    Yes,
}

#[derive(Debug)]
struct Known {
    ask: Arc<Ask>,
    /// Requests with the same body that it may be the answer to as well.
    others: Vec<Arc<Ask>>,
    created_at: String,
    expires_at: Option<String>,
    expires_at_ms: Option<i64>,
    /// Known for sure, before what is asked now.
    status: Status,
    confirm: Asked,
    release: Asked,
}

#[derive(Debug)]
struct Key {
    ask: Arc<Ask>,
    reservation: Option<String>,
    created: bool,
    /// When the first answer that gave the reservation was there.
    acknowledged_ns: Option<u64>,
}

/// The state of knowledge.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    sales: BTreeMap<String, Terms>,
    known: HashMap<String, Known>,
    keys: HashMap<String, Key>,
    by_customer: HashMap<(String, String), BTreeSet<String>>,
}

impl Known {
    /// The states in which the reservation may be at `now_ms`.
    fn allowed(&self, now_ms: i64) -> Vec<Status> {
        if matches!(self.status, Status::Released | Status::Expired) {
            return vec![self.status];
        }
        if self.release == Asked::Yes {
            return vec![Status::Released];
        }
        let mut allowed = Vec::new();
        if self.status == Status::Confirmed || self.confirm == Asked::Yes {
            allowed.push(Status::Confirmed);
        } else {
            allowed.push(Status::Held);
            if self.confirm == Asked::Maybe {
                allowed.push(Status::Confirmed);
            }
            if self.may_be_expired(now_ms) {
                allowed.push(Status::Expired);
            }
        }
        if self.release == Asked::Maybe {
            allowed.push(Status::Released);
        }
        allowed
    }

    fn may_be_expired(&self, now_ms: i64) -> bool {
        self.expires_at_ms.is_some_and(|expires_at_ms| expires_at_ms <= now_ms + CLOCK_SLACK_MS)
    }
}

impl Ledger {
    /// Tells the ledger of a sale.
    pub(crate) fn add_sale(&mut self, sale: &str, terms: Terms) {
        self.sales.insert(sale.to_owned(), terms);
    }

    /// The reservation of a key, if it has one.
    pub(crate) fn reservation_of(&self, key: &str) -> Option<&str> {
        self.keys.get(key).and_then(|key| key.reservation.as_deref())
    }

    /// What was asked to get a reservation.
    pub(crate) fn ask_of(&self, reservation: &str) -> Option<&Arc<Ask>> {
        self.known.get(reservation).map(|known| &known.ask)
    }

    /// True when a reservation is known to be held.
    pub(crate) fn is_held(&self, reservation: &str) -> bool {
        self.known.get(reservation).is_some_and(|known| known.status == Status::Held)
    }

    /// How many reservations are known.
    pub(crate) fn reservation_count(&self) -> usize {
        self.known.len()
    }

    /// Takes the outcome of a reserve request; returns the id when the reservation was not known before. Outcomes come in
    /// the order in which they ended.
    pub(crate) fn reserved(
        &mut self,
        ask: &Arc<Ask>,
        times: Times,
        outcome: &Outcome<Reserved>,
    ) -> Result<Option<String>> {
        let terms = self.sales.get(&ask.sale).with_context(|| format!("no sale {}", ask.sale))?;
        if let Some(key) = &ask.key {
            let entry = self.keys.entry(key.clone()).or_insert_with(|| Key {
                ask: Arc::clone(ask),
                reservation: None,
                created: false,
                acknowledged_ns: None,
            });
            ensure!(entry.ask == *ask, "the run used key {key} for two bodies");
        }
        match outcome {
            Outcome::Unknown(_) => Ok(None),
            Outcome::Refused { status, code } => {
                let fits = match (*status, code.as_str()) {
                    (409, "insufficient_stock") | (503, "overloaded" | "draining") => true,
                    (409, "customer_limit_reached") => terms.per_customer_max.is_some(),
                    (429, "cooling_down") => terms.cools_down,
                    _ => false,
                };
                ensure!(fits, "{ask:?} was refused with {status} {code}");
                let key = ask.key.as_ref().and_then(|key| self.keys.get(key));
                let acknowledged_ns = key.and_then(|key| key.acknowledged_ns);
                ensure!(
                    *status == 503 || acknowledged_ns.is_none_or(|acknowledged| acknowledged > times.sent_ns),
                    "key {:?} has a reservation, but a retry was refused with {code}",
                    ask.key
                );
                Ok(None)
            }
            Outcome::Acknowledged(reserved) => {
                let hold_ttl_ms = terms.hold_ttl_ms;
                self.acknowledged(ask, times, reserved, hold_ttl_ms)
                    .with_context(|| format!("answer to {ask:?}"))
            }
        }
    }

    fn acknowledged(
        &mut self,
        ask: &Arc<Ask>,
        times: Times,
        reserved: &Reserved,
        hold_ttl_ms: u64,
    ) -> Result<Option<String>> {
        let Reserved { reservation, replayed } = reserved;
        let id = &reservation.reservation;
        check_body(ask, reservation)?;
        match ask.key.as_ref().and_then(|key| self.keys.get_mut(key)) {
            None => ensure!(!replayed, "a request without a key was answered as a replay"),
            Some(key) => {
                if let Some(first) = &key.reservation {
                    ensure!(first == id, "one key gave two reservations, {first} and {id}");
                }
                ensure!(*replayed || !key.created, "one key was answered 201 twice");
                key.created |= !replayed;
                let first_ns = key.acknowledged_ns.unwrap_or(u64::MAX);
                key.acknowledged_ns = Some(first_ns.min(times.ended_ns));
                key.reservation = Some(id.clone());
            }
        }
        if let Some(known) = self.known.get_mut(id) {
            if known.others.contains(ask) {
                known.ask = Arc::clone(ask);
            }
            known.others.clear();
            ensure!(known.ask == *ask, "{id} was given to two requests, first to {:?}", known.ask);
            ensure!(ask.key.is_some(), "{id} was given twice");
            return check_same(known, reservation).map(|()| None);
        }
        self.adopt(ask, reservation, hold_ttl_ms)?;
        Ok(Some(id.clone()))
    }

    fn adopt(&mut self, ask: &Arc<Ask>, reservation: &Reservation, hold_ttl_ms: u64) -> Result<()> {
        let id = &reservation.reservation;
        ensure!(!id.is_empty() && id.len() <= 32, "the id {id:?} is not 1 to 32 characters");
        let expires_at_ms = reservation.expires_at_ms()?;
        let created_at_ms = time_ms(&reservation.created_at)?;
        if reservation.status == Status::Held {
            let ttl_ms = expires_at_ms.context("a hold without an end")? - created_at_ms;
            ensure!(u64::try_from(ttl_ms) == Ok(hold_ttl_ms), "{id} is held for {ttl_ms} ms");
        }
        // Found only after it had ended, it is shown without the end that it had.
        let ended_at_ms = (reservation.status == Status::Expired)
            .then(|| created_at_ms.saturating_add_unsigned(hold_ttl_ms));
        let expires_at_ms = expires_at_ms.or(ended_at_ms);
        let status = if hold_ttl_ms == 0 { Status::Confirmed } else { Status::Held };
        let known = Known {
            ask: Arc::clone(ask),
            created_at: reservation.created_at.clone(),
            expires_at: reservation.expires_at.clone(),
            others: Vec::new(),
            expires_at_ms,
            status,
            confirm: Asked::No,
            release: Asked::No,
        };
        self.known.insert(id.clone(), known);
        let customer = (ask.sale.clone(), ask.customer.clone());
        self.by_customer.entry(customer).or_default().insert(id.clone());
        Ok(())
    }

    /// Takes the outcome of a confirm or release that was not refused; refusals go to `step_refused` afterwards, since
    /// what justifies them may come from another connection.
    pub(crate) fn stepped(&mut self, verb: Verb, id: &str, outcome: &Outcome<Reservation>) -> Result<()> {
        let known = self.known.get_mut(id).with_context(|| format!("{verb:?} of unknown {id}"))?;
        let asked = match outcome {
            Outcome::Refused { .. } => return Ok(()),
            Outcome::Unknown(_) => Asked::Maybe,
            Outcome::Acknowledged(reservation) => {
                let expected = match verb {
                    Verb::Confirm => Status::Confirmed,
                    Verb::Release => Status::Released,
                };
                ensure!(reservation.status == expected, "{verb:?} of {id} answered {:?}", reservation.status);
                check_same(known, reservation)?;
                Asked::Yes
            }
        };
        let step = match verb {
            Verb::Confirm => &mut known.confirm,
            Verb::Release => &mut known.release,
        };
        *step = (*step).max(asked);
        ensure!(
            known.status != Status::Expired || asked != Asked::Yes,
            "{verb:?} of {id} succeeded after it had expired"
        );
        ensure!(
            !(known.status == Status::Released && verb == Verb::Confirm && asked == Asked::Yes),
            "{id} was confirmed after it had been released"
        );
        Ok(())
    }

    /// Checks that a refused confirm or release was refused rightly.
    pub(crate) fn step_refused(
        &self,
        verb: Verb,
        id: &str,
        status: u16,
        code: &str,
        now_ms: i64,
    ) -> Result<()> {
        let known = self.known.get(id).with_context(|| format!("{verb:?} of unknown {id}"))?;
        let released = known.release != Asked::No || known.status == Status::Released;
        let fits = match (status, code) {
            (409, "reservation_not_held") => released || known.may_be_expired(now_ms),
            (410, "hold_expired") => known.may_be_expired(now_ms),
            (503, "overloaded" | "draining") => true,
            _ => false,
        };
        ensure!(fits, "{verb:?} of {id}, {:?}, was refused with {status} {code}", known.status);
        Ok(())
    }

    /// Takes a reservation as the server shows it at rest; nothing about it is unknown then.
    pub(crate) fn observed(&mut self, reservation: &Reservation, now_ms: i64) -> Result<()> {
        let id = &reservation.reservation;
        let known = self.known.get_mut(id).with_context(|| format!("nobody asked for {id}"))?;
        check_body(&known.ask, reservation)?;
        check_same(known, reservation)?;
        let allowed = known.allowed(now_ms);
        ensure!(
            allowed.contains(&reservation.status),
            "{id} is {:?}, but may only be one of {allowed:?} (confirm asked: {:?}, release asked: {:?})",
            reservation.status,
            known.confirm,
            known.release
        );
        known.status = reservation.status;
        known.confirm = Asked::No;
        known.release = Asked::No;
        Ok(())
    }

    /// Takes the list of a customer's reservations at rest: those known and, for each request in `unknown` without a known
    /// reservation, at most one more, which is known from then on.
    pub(crate) fn listed(
        &mut self,
        sale: &str,
        customer: &str,
        list: &[Reservation],
        unknown: &[Arc<Ask>],
    ) -> Result<usize> {
        let hold_ttl_ms = self.sales.get(sale).with_context(|| format!("no sale {sale}"))?.hold_ttl_ms;
        let mut open = unknown
            .iter()
            .filter(|ask| ask.sale == sale && ask.customer == customer)
            .filter(|ask| ask.key.as_deref().is_none_or(|key| self.reservation_of(key).is_none()))
            .collect::<Vec<_>>();
        let mut adopted_count = 0;
        for reservation in list {
            if self.known.contains_key(&reservation.reservation) {
                continue;
            }
            let Some(at) = open.iter().position(|ask| check_body(ask, reservation).is_ok()) else {
                bail!("nobody asked for {reservation:?}");
            };
            let ask = open.swap_remove(at);
            // Of requests with the same body nobody knows which one it was, until one of them is tried again.
            let alike = unknown.iter().filter(|other| {
                *other != ask
                    && other.sale == sale
                    && other.customer == customer
                    && check_body(other, reservation).is_ok()
            });
            let others = alike.cloned().collect::<Vec<_>>();
            if others.is_empty()
                && let Some(key) = ask.key.as_ref().and_then(|key| self.keys.get_mut(key))
            {
                key.reservation = Some(reservation.reservation.clone());
                key.created = true;
                key.acknowledged_ns = Some(0);
            }
            self.adopt(ask, reservation, hold_ttl_ms)?;
            if let Some(known) = self.known.get_mut(&reservation.reservation) {
                known.others = others;
            }
            adopted_count += 1;
        }
        let shown = list.iter().map(|reservation| reservation.reservation.as_str()).collect::<BTreeSet<_>>();
        ensure!(shown.len() == list.len(), "{customer} of {sale} is shown a reservation twice");
        let expected = self.by_customer.get(&(sale.to_owned(), customer.to_owned()));
        for id in expected.into_iter().flatten() {
            ensure!(shown.contains(id.as_str()), "{customer} of {sale} is not shown {id}");
        }
        self.check_limit(sale, customer, list)?;
        Ok(adopted_count)
    }

    fn check_limit(&self, sale: &str, customer: &str, list: &[Reservation]) -> Result<()> {
        let Some(max) = self.sales.get(sale).and_then(|terms| terms.per_customer_max) else { return Ok(()) };
        let units = list
            .iter()
            .filter(|reservation| matches!(reservation.status, Status::Held | Status::Confirmed))
            .flat_map(|reservation| &reservation.lines)
            .map(|line| line.quantity)
            .sum::<u64>();
        ensure!(units <= max, "{customer} has {units} units of {sale}, where {max} are allowed");
        Ok(())
    }

    /// Takes the outcome of a change of the quantity of every stock of a sale; changes come one after another.
    pub(crate) fn resized(&mut self, sale: &str, quantity_total: u64, outcome: &Outcome<()>) -> Result<()> {
        let terms = self.sales.get_mut(sale).with_context(|| format!("no sale {sale}"))?;
        for (stock, totals) in &mut terms.stocks {
            match outcome {
                Outcome::Acknowledged(()) => *totals = BTreeSet::from([quantity_total]),
                Outcome::Unknown(_) => {
                    totals.insert(quantity_total);
                }
                Outcome::Refused { status, code } => {
                    let lowers = totals.iter().any(|total| *total > quantity_total);
                    let fits = *status == 503 || code == "quantity_below_reserved" && lowers;
                    ensure!(
                        fits,
                        "{stock} of {sale}, of which there are {totals:?}, cannot become {quantity_total}: {status} {code}"
                    );
                }
            }
        }
        Ok(())
    }

    /// Checks the figures of a sale at rest, when nothing about its reservations is unknown.
    pub(crate) fn figures(&mut self, shown: &Sale) -> Result<()> {
        let terms = self.sales.get(&shown.sale).with_context(|| format!("no sale {}", shown.sale))?;
        let mut expected: BTreeMap<&str, (u64, u64)> =
            terms.stocks.keys().map(|stock| (stock.as_str(), (0, 0))).collect();
        for known in self.known.values().filter(|known| known.ask.sale == shown.sale) {
            for (stock, quantity) in &known.ask.lines {
                let (held, confirmed) =
                    expected.get_mut(stock.as_str()).with_context(|| format!("no stock {stock}"))?;
                match known.status {
                    Status::Held => *held += quantity,
                    Status::Confirmed => *confirmed += quantity,
                    Status::Released | Status::Expired => {}
                }
            }
        }
        ensure!(shown.stocks.len() == expected.len(), "{} shows {} stocks", shown.sale, shown.stocks.len());
        for stock in &shown.stocks {
            let place = format!("{} of {}", stock.stock, shown.sale);
            ensure!(
                terms.stocks.get(&stock.stock).is_some_and(|totals| totals.contains(&stock.quantity_total)),
                "{place} has a total of {}",
                stock.quantity_total
            );
            let (held, confirmed) = expected.get(stock.stock.as_str()).copied().unwrap_or_default();
            ensure!(
                (stock.quantity_held, stock.quantity_confirmed) == (held, confirmed),
                "{place} shows {} held and {} confirmed, but its reservations make {held} and {confirmed}",
                stock.quantity_held,
                stock.quantity_confirmed
            );
            ensure!(
                stock.quantity_total == held + confirmed + stock.quantity_available,
                "{place}: {} in total is not {held} + {confirmed} + {}",
                stock.quantity_total,
                stock.quantity_available
            );
        }
        if let Some(terms) = self.sales.get_mut(&shown.sale) {
            for stock in &shown.stocks {
                terms.stocks.insert(stock.stock.clone(), BTreeSet::from([stock.quantity_total]));
            }
        }
        Ok(())
    }
}

fn check_body(ask: &Ask, reservation: &Reservation) -> Result<()> {
    let lines = reservation.lines.iter().map(|line| (line.stock.as_str(), line.quantity));
    ensure!(
        reservation.sale == ask.sale
            && reservation.customer == ask.customer
            && lines.eq(ask.lines.iter().map(|(stock, quantity)| (stock.as_str(), *quantity)))
            && reservation.details.as_ref().filter(|details| !is_empty(details)) == ask.details.as_ref(),
        "{reservation:?} is not what {ask:?} asked for"
    );
    Ok(())
}

/// A reservation without details may be shown with empty ones.
fn is_empty(details: &serde_json::Value) -> bool {
    details.as_object().is_some_and(serde_json::Map::is_empty)
}

fn check_same(known: &Known, reservation: &Reservation) -> Result<()> {
    let id = &reservation.reservation;
    ensure!(
        reservation.created_at == known.created_at,
        "{id} was created at {}, now at {}",
        known.created_at,
        reservation.created_at
    );
    if reservation.status == Status::Held && known.expires_at.is_some() {
        ensure!(
            reservation.expires_at == known.expires_at,
            "{id} expired at {:?}, now at {:?}",
            known.expires_at,
            reservation.expires_at
        );
    }
    Ok(())
}

#[cfg(test)]
#[path = "reservations_tests.rs"]
mod tests;
