//! Where in the order of events an answer was true. An answer must have a place behind all that was told before it was asked for, and
//! before all that was asked for after it. Of several places the first is taken: it keeps the fewest others out.

use anyhow::{Context as _, Result, bail, ensure};

use super::asked::{Asked, check_shown};
use super::events::ReservationNo;
use super::shop::{Known, Shop};
use super::timeline::first_true;
use super::told::{Answer, Told, decided};
use crate::api::{Reservation, Sale, Status};
use crate::ledger::{Ask, Outcome, Verb};

/// A place is the number of events before it.
pub(super) type Place = u64;

/// Finds the place of an answer between two others, both included; `None` if it says nothing.
pub(super) fn find(
    answer: &Answer,
    shop: &Shop,
    asked: &Asked,
    span: (Place, Place),
) -> Result<Option<Place>> {
    let found = match &answer.told {
        Told::Added { number, outcome: Outcome::Acknowledged(value), .. } => {
            let reached = shop.numbers.get(number).and_then(|timeline| timeline.reaching(*value));
            let (from, ..) = reached.context("it is not in force")?;
            after_event(from - 1, span)?
        }
        Told::NumberRead { number, value } => number_place(shop, number, *value, span),
        Told::Reserved { ask, outcome: Outcome::Acknowledged(reserved) } => {
            let known = asked.reservation(&reserved.reservation.reservation, shop)?;
            ensure!(ask.key == known.reserved.key, "it is the reservation of {:?}", known.reserved.key);
            check_shown(&reserved.reservation, known, shop)?;
            if reserved.replayed {
                status_place(known, reserved.reservation.status, span)
            } else {
                let status = known.status.at(known.offset + 1);
                ensure!(Some(reserved.reservation.status) == status, "it was made {status:?}");
                after_event(known.offset, span)?
            }
        }
        Told::Stepped { verb, reservation, outcome: Outcome::Acknowledged(shown) } => {
            let known = asked.reservation(reservation, shop)?;
            ensure!(shown.reservation == *reservation, "it is another reservation");
            let status = match verb {
                Verb::Confirm => Status::Confirmed,
                Verb::Release => Status::Released,
            };
            ensure!(shown.status == status, "a {verb:?} makes it {status:?}");
            shown_place(shown, known, shop, span)?
        }
        Told::ReservationRead(shown) => {
            shown_place(shown, asked.reservation(&shown.reservation, shop)?, shop, span)?
        }
        Told::SaleRead(shown) => sale_place(shop, shown, span)?,
        Told::Reserved { ask, outcome } => match decided(outcome) {
            Some(code) => refusal_place(shop, ask, code, span)?,
            None => return Ok(None),
        },
        Told::Stepped { reservation, outcome, .. } => {
            let status = match decided(outcome) {
                Some("reservation_not_held") => Status::Released,
                Some("hold_expired") => Status::Expired,
                Some(code) => bail!("nothing is refused with {code}"),
                None => return Ok(None),
            };
            status_place(asked.reservation(reservation, shop)?, status, span)
        }
        Told::Added { outcome, .. } => match decided(outcome) {
            Some(code) => bail!("nothing is refused with {code}"),
            None => return Ok(None),
        },
    };
    found.map(Some).with_context(|| format!("after {} to {} events it was never true", span.0, span.1))
}

/// Right behind the event that the answer tells of.
fn after_event(offset: u64, (lower, upper): (Place, Place)) -> Result<Option<Place>> {
    ensure!(
        lower <= offset,
        "its event is number {offset}, but {lower} had been told before it was asked for"
    );
    ensure!(
        offset < upper,
        "its event is number {offset}, but number {upper} was asked for after it was told"
    );
    Ok(Some(offset + 1))
}

/// Additions of one batch are one event, so a value can lie inside of one.
fn number_place(shop: &Shop, number: &str, value: u64, (lower, upper): (Place, Place)) -> Option<Place> {
    let Some(timeline) = shop.numbers.get(number) else { return (value == 0).then_some(lower) };
    first_true((lower, upper), timeline.changes(lower, upper).flat_map(|from| [from - 1, from]), |place| {
        place >= lower
            && (timeline.at(place) == value
                || place < upper && timeline.at(place) < value && value < timeline.at(place + 1))
    })
}

fn shown_place(
    shown: &Reservation,
    known: &Known,
    shop: &Shop,
    span: (Place, Place),
) -> Result<Option<Place>> {
    check_shown(shown, known, shop)?;
    Ok(status_place(known, shown.status, span))
}

fn status_place(known: &Known, status: Status, (lower, upper): (Place, Place)) -> Option<Place> {
    first_true((lower, upper), known.status.changes(lower, upper), |place| {
        known.status.at(place) == Some(status)
    })
}

fn sale_place(shop: &Shop, shown: &Sale, (lower, upper): (Place, Place)) -> Result<Option<Place>> {
    let sale = shop.sale(&shown.sale)?;
    ensure!(shown.stocks.len() == sale.stocks.len(), "it has other stocks than those in force");
    let stocks = shown.stocks.iter().map(|stock| Ok((stock, sale.stock(&stock.stock)?)));
    let stocks = stocks.collect::<Result<Vec<_>>>()?;
    let changes = stocks.iter().flat_map(|(_, stock)| stock.taken.changes(lower, upper));
    Ok(first_true((lower, upper), changes, |place| {
        stocks.iter().all(|(shown, stock)| {
            let (held, confirmed) = stock.taken.at(place);
            (shown.quantity_total, shown.quantity_held, shown.quantity_confirmed, shown.quantity_available)
                == (stock.total, held, confirmed, stock.total - held - confirmed)
        })
    }))
}

fn refusal_place(
    shop: &Shop,
    ask: &Ask,
    code: &str,
    (lower, upper): (Place, Place),
) -> Result<Option<Place>> {
    let sale = shop.sale(&ask.sale)?;
    let no: Option<&ReservationNo> = ask.key.as_ref().and_then(|key| shop.keys.get(key));
    let made = no.map_or(u64::MAX, |no| shop.reservations[no].offset);
    let lines = ask.lines.iter().map(|(stock, quantity)| Ok((sale.stock(stock)?, *quantity)));
    let lines = lines.collect::<Result<Vec<_>>>()?;
    let span = (lower, upper.min(made));
    Ok(match code {
        "insufficient_stock" => {
            let changes = lines.iter().flat_map(|(stock, _)| stock.taken.changes(lower, upper));
            first_true(span, changes, |place| {
                lines.iter().any(|(stock, quantity)| *quantity > stock.available(place))
            })
        }
        "customer_limit_reached" => {
            let max = sale.per_customer_max.context("the sale has no limit")?;
            let quantity: u64 = lines.iter().map(|(_, quantity)| quantity).sum();
            let units = sale.units_of(&ask.customer);
            let changes = units.into_iter().flat_map(|units| units.changes(lower, upper));
            first_true(span, changes, |place| units.map_or(0, |units| units.at(place)) + quantity > max)
        }
        _ => bail!("nothing is refused with {code}"),
    })
}
