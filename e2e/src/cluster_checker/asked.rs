//! What was asked for, by whatever can have caused an event: so that nothing is in force that nobody asked for, and nothing that was
//! told is missing or there twice.

use anyhow::{Context as _, Result, ensure};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::events::ReservationNo;
use super::shop::{Known, Shop};
use super::timeline::Timeline;
use super::told::{Answer, Told, may_have_effect};
use crate::api::{Reservation, time_ms};
use crate::ledger::{Ask, Outcome, Reserved, Times, Verb};

/// What can have caused an event.
#[derive(Debug, Clone)]
pub(super) enum Cause {
    /// Time, or the server itself.
    Server,
    /// Whoever asked for this reservation.
    Reserve(ReservationNo),
    /// Whoever asked for a step of it.
    Step(Verb, ReservationNo),
    /// Whoever added to the number of this path. Additions of one batch are one event.
    Add(String),
}

/// Everything that was asked for and may have had an effect.
#[derive(Debug, Clone, Default)]
pub(super) struct Asked {
    keys: HashMap<String, Key>,
    steps: HashMap<(Verb, String), u64>,
    numbers: BTreeMap<String, Number>,
    /// What clients call reservations.
    nos: HashMap<String, ReservationNo>,
    ids: HashMap<ReservationNo, String>,
}

#[derive(Debug, Clone)]
struct Key {
    ask: Arc<Ask>,
    /// When it was asked first. If it is known which attempt made the reservation, when that was sent.
    sent_ns: u64,
    is_created: bool,
}

#[derive(Debug, Clone, Default)]
struct Number {
    /// Values that were told, with what was there before the addition.
    told: BTreeMap<u64, u64>,
    told_total: u64,
    /// What was added in vain or not, nobody was told.
    unknown_total: u64,
    /// By the offset of an event that has them, when the last of the additions that were told was sent.
    sent_ns: BTreeMap<u64, u64>,
}

impl Asked {
    /// Takes a question whose events, if it had any that were told, are in the shop.
    pub(super) fn take(&mut self, answer: &Answer, shop: &Shop) -> Result<()> {
        match &answer.told {
            Told::Added { number, by, outcome } => {
                let asked = self.numbers.entry(number.clone()).or_default();
                if let Outcome::Acknowledged(value) = outcome {
                    asked.told((*value, *by), answer.times, shop.numbers.get(number))?;
                } else if may_have_effect(outcome) {
                    asked.unknown_total += by;
                }
            }
            Told::Reserved { ask, outcome } => self.reserved(ask, answer.times, outcome, shop)?,
            Told::Stepped { verb, reservation, outcome } if may_have_effect(outcome) => {
                let first = self.steps.entry((*verb, reservation.clone())).or_insert(answer.times.sent_ns);
                *first = (*first).min(answer.times.sent_ns);
            }
            Told::Stepped { .. } | Told::NumberRead { .. } | Told::ReservationRead(_) | Told::SaleRead(_) => {
            }
        }
        Ok(())
    }

    /// The number of a reservation that somebody was told of.
    pub(super) fn reservation<'a>(&self, id: &str, shop: &'a Shop) -> Result<&'a Known> {
        let no = self.nos.get(id).with_context(|| format!("nobody was told of {id} when it was made"))?;
        shop.reservations.get(no).with_context(|| format!("{id} is not in force"))
    }

    /// The earliest moment at which the event of an offset can have been decided, nanoseconds.
    ///
    /// # Errors
    /// Nobody asked for it.
    pub(super) fn sent_ns(&self, offset: u64, cause: &Cause, shop: &Shop) -> Result<u64> {
        match cause {
            Cause::Server => Ok(0),
            Cause::Add(number) => {
                let asked = self.numbers.get(number).with_context(|| format!("nobody added to {number}"))?;
                Ok(asked.sent_ns.get(&offset).copied().unwrap_or_default())
            }
            Cause::Reserve(no) => {
                let known = &shop.reservations[no];
                let key = known.reserved.key.as_ref().context("a reservation without a key")?;
                let key = self.keys.get(key).with_context(|| format!("nobody asked for {known:?}"))?;
                check_ask(&key.ask, known, shop)?;
                Ok(key.sent_ns)
            }
            Cause::Step(verb, no) => {
                let id =
                    self.ids.get(no).with_context(|| format!("{verb:?} of {no:?}, whose id nobody knows"))?;
                let sent_ns = self.steps.get(&(*verb, id.clone()));
                sent_ns.copied().with_context(|| format!("nobody asked for {verb:?} of {id}"))
            }
        }
    }

    /// What numbers have grown by was told, or added by somebody who was not told.
    pub(super) fn check_numbers(&self, shop: &Shop) -> Result<()> {
        for (number, timeline) in &shop.numbers {
            let Some(asked) = self.numbers.get(number) else { continue };
            let value = timeline.newest();
            ensure!(
                value <= asked.told_total + asked.unknown_total,
                "{number} is at {value}: {} were told and {} may be there, the rest was issued to nobody who asked",
                asked.told_total,
                asked.unknown_total
            );
        }
        Ok(())
    }

    fn reserved(
        &mut self,
        ask: &Arc<Ask>,
        times: Times,
        outcome: &Outcome<Reserved>,
        shop: &Shop,
    ) -> Result<()> {
        let name = ask.key.as_ref().context("every ask has a key")?;
        let acknowledged = match outcome {
            Outcome::Acknowledged(reserved) => Some(reserved),
            _ => None,
        };
        let is_created = acknowledged.is_some_and(|reserved| !reserved.replayed);
        if may_have_effect(outcome) && acknowledged.is_none_or(|reserved| !reserved.replayed) {
            let first = Key { ask: Arc::clone(ask), sent_ns: times.sent_ns, is_created: false };
            let key = self.keys.entry(name.clone()).or_insert(first);
            ensure!(key.ask == *ask, "the run used key {name} for two bodies");
            ensure!(!(is_created && key.is_created), "key {name} was answered 201 twice");
            if is_created {
                (key.sent_ns, key.is_created) = (times.sent_ns, true);
            } else if !key.is_created {
                key.sent_ns = key.sent_ns.min(times.sent_ns);
            }
        }
        let Some(Reserved { reservation, .. }) = acknowledged else { return Ok(()) };
        let no = shop.keys.get(name);
        let no =
            *no.with_context(|| format!("{reservation:?} was told for key {name} and is not in force"))?;
        let id = &reservation.reservation;
        let (named, numbered) =
            (self.nos.entry(id.clone()).or_insert(no), self.ids.entry(no).or_insert_with(|| id.clone()));
        ensure!(*named == no, "{id} was told of two reservations, {named:?} and {no:?}");
        ensure!(numbered == id, "reservation {no:?} was told under two ids, {numbered} and {id}");
        Ok(())
    }
}

impl Number {
    fn told(
        &mut self,
        (value, by): (u64, u64),
        times: Times,
        timeline: Option<&Timeline<u64>>,
    ) -> Result<()> {
        let start = value.checked_sub(by).with_context(|| format!("{by} was added and {value} told"))?;
        let reached = timeline.and_then(|timeline| timeline.reaching(value));
        let (from, before, _) = reached.with_context(|| format!("{value} was told and is not in force"))?;
        ensure!(before <= start, "{value} was told for {by}, but {before} was there before it");
        let next = self.told.range(start + 1..).next();
        if let Some((other, other_start)) = next {
            ensure!(
                *other_start >= value,
                "{value} was told for {by}, and {other} from {other_start} on too"
            );
        }
        self.told.insert(value, start);
        self.told_total += by;
        let latest = self.sent_ns.entry(from - 1).or_default();
        *latest = (*latest).max(times.sent_ns);
        Ok(())
    }
}

/// A reservation in force is what was asked for.
fn check_ask(ask: &Ask, known: &Known, shop: &Shop) -> Result<()> {
    let sale = shop.sales.get(&known.reserved.reservation.0).context("a reservation of no sale")?;
    let lines = known.reserved.lines.iter().map(|(number, quantity)| {
        let stock = usize::try_from(*number).ok().and_then(|number| sale.stocks.get(number));
        (stock.map_or("", |stock| stock.name.as_str()), *quantity)
    });
    let fits = sale.name == ask.sale
        && known.reserved.customer == ask.customer
        && lines.eq(ask.lines.iter().map(|(stock, quantity)| (stock.as_str(), *quantity)));
    ensure!(fits, "{known:?} is in force, but {ask:?} was asked for");
    Ok(())
}

/// A reservation that was shown is the one in force, whatever its status.
pub(super) fn check_shown(shown: &Reservation, known: &Known, shop: &Shop) -> Result<()> {
    let created_ms = u64::try_from(time_ms(&shown.created_at)?)?;
    let expires_at_ms = shown.expires_at_ms()?.map(u64::try_from).transpose()?;
    let ask = Ask {
        sale: shown.sale.clone(),
        customer: shown.customer.clone(),
        lines: shown.lines.iter().map(|line| (line.stock.clone(), line.quantity)).collect(),
        details: None,
        key: None,
    };
    check_ask(&ask, known, shop)?;
    ensure!(created_ms == known.at_ms, "{shown:?} was made at {} ms", known.at_ms);
    ensure!(
        expires_at_ms.is_none() || expires_at_ms == known.reserved.expires_at_ms,
        "{shown:?} ends at {:?} ms",
        known.reserved.expires_at_ms
    );
    Ok(())
}
