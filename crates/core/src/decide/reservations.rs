//! Decisions about reservations.

use super::gate::Admitted;
use super::replay::is_over;
use super::{Answer, Decision, check_ceiling, check_memory, check_new_name, find_sale, gate};
use crate::{
    Asker, Ceiling, DETAILS_BYTES_MAX, Event, LINES_MAX, Line, LineRequest, Lines, Now, QUANTITY_MAX,
    ReclaimedClaim, Refusal, ReservationNo, ReservationRef, ReservationStatus, Reserve, State, TimeMs,
    state::{Record, Sale},
};

pub(super) fn decide_reserve<'a>(
    state: &State,
    claim: &Reserve<'a>,
    now: Now,
) -> Result<Decision<'a>, Refusal> {
    let sale = find_sale(state, claim.sale)?;
    let customer = match gate::admit(state, sale, claim, now)? {
        Admitted::Replayed(answer) => return Ok(Decision::nothing_new(answer)),
        Admitted::New(customer) => customer,
    };
    gate::check_challenge(sale, claim)?;
    if customer.is_none() {
        check_new_name("customer", claim.customer)?;
    }
    let lines = find_lines(sale, claim.lines)?;
    check_stocks_open(sale, &lines, now.wall)?;
    if claim.details.len() > DETAILS_BYTES_MAX {
        return Err(Refusal::Invalid { field: "details", rule: "must be at most 4096 bytes" });
    }
    check_customer_limit(sale, customer, lines.iter().map(|line| u64::from(line.quantity)).sum())?;
    check_stock(sale, &lines)?;
    let limits = &state.limits;
    check_ceiling(state.reservation_count() < limits.reservations_max, Ceiling::Reservations)?;
    let details_bytes = state.details_bytes() + claim.details.len() as u64;
    check_ceiling(
        claim.details.is_empty() || details_bytes <= limits.details_bytes_max,
        Ceiling::DetailsBytes,
    )?;
    check_memory(state)?;

    let reservation = ReservationNo { sale: sale.no, seq: sale.reservations.len() };
    let hold_ttl_ms = sale.terms.hold_ttl_ms;
    let created_at = now.partition;
    let expires_at = (hold_ttl_ms > 0).then(|| created_at + u64::from(hold_ttl_ms));
    let (customer, key, details) = (claim.customer, claim.key, claim.details);
    let event = Event::Reserved { reservation, customer, lines, expires_at, key, details };
    let reservation = ReservationRef { no: reservation, incarnation: state.incarnation };
    let status = if expires_at.is_some() { ReservationStatus::Held } else { ReservationStatus::Confirmed };
    let answer = Answer::Reserved { reservation, status, created_at, expires_at, replayed: false };
    Ok(Decision::new(event, answer))
}

pub(super) fn decide_confirm(
    state: &State,
    sale: &str,
    reservation: ReservationRef,
    asker: Asker<'_>,
    now: TimeMs,
) -> Result<Decision<'static>, Refusal> {
    let (sale, record) = find_reservation(state, sale, reservation)?;
    gate::check_change(sale, record, asker, true)?;
    let answer = Answer::Confirmed { reservation };
    match record.status() {
        ReservationStatus::Held if is_over(record, now) => Err(Refusal::HoldExpired),
        ReservationStatus::Held => {
            Ok(Decision::new(Event::Confirmed { reservation: reservation.no }, answer))
        }
        ReservationStatus::Confirmed => Ok(Decision::nothing_new(answer)),
        ReservationStatus::Released => Err(Refusal::ReservationNotHeld),
        ReservationStatus::Expired => Err(Refusal::HoldExpired),
    }
}

pub(super) fn decide_reclaim(
    state: &State,
    sale: &str,
    reservation: ReservationRef,
    now: TimeMs,
) -> Result<Decision<'static>, Refusal> {
    let (found, record) = find_reservation(state, sale, reservation)?;
    if record.status() != ReservationStatus::Expired {
        return decide_confirm(state, sale, reservation, Asker::Operator, now);
    }
    let (customer, seq) = (record.customer, reservation.no.seq);
    let lines = found.reservations.lines(seq);
    check_customer_limit(found, Some(customer), record.units())?;
    check_stock(found, &lines)?;
    let claim = ReclaimedClaim {
        customer: found.customers.name(customer).into(),
        lines,
        key: found.reservations.key(seq).map_or(&[][..], |key| key.key).into(),
        details: found.reservations.details(seq).into(),
    };
    let event = Event::Reclaimed { reservation: reservation.no, claim: Box::new(claim) };
    Ok(Decision::new(event, Answer::Confirmed { reservation }))
}

pub(super) fn decide_release(
    state: &State,
    sale: &str,
    reservation: ReservationRef,
    asker: Asker<'_>,
    now: TimeMs,
) -> Result<Decision<'static>, Refusal> {
    let (sale, record) = find_reservation(state, sale, reservation)?;
    gate::check_change(sale, record, asker, false)?;
    let answer = Answer::Released { reservation };
    match record.status() {
        ReservationStatus::Held if is_over(record, now) => Err(Refusal::HoldExpired),
        ReservationStatus::Held | ReservationStatus::Confirmed => {
            Ok(Decision::new(Event::Released { reservation: reservation.no }, answer))
        }
        ReservationStatus::Released => Ok(Decision::nothing_new(answer)),
        ReservationStatus::Expired => Err(Refusal::HoldExpired),
    }
}

/// Whether the customer, if the sale knows them, may have `asked` more units.
pub(super) fn check_customer_limit(sale: &Sale, customer: Option<u32>, asked: u64) -> Result<(), Refusal> {
    let Some(per_customer_max) = sale.terms.per_customer_max else { return Ok(()) };
    let quantity_taken = customer.map_or(0, |customer| sale.customers.units(customer));
    if quantity_taken + asked > u64::from(per_customer_max) {
        return Err(Refusal::CustomerLimitReached { per_customer_max, quantity_taken });
    }
    Ok(())
}

/// Whether every stock has the units of its line.
pub(super) fn check_stock(sale: &Sale, lines: &Lines) -> Result<(), Refusal> {
    for (line, asked) in (0..).zip(lines) {
        let place = sale.place(asked.stock).expect("a stock that a line names is in the sale");
        let quantity_available = sale.available(place);
        if u32::from(asked.quantity) > quantity_available {
            return Err(Refusal::InsufficientStock { line, quantity_available });
        }
    }
    Ok(())
}

pub(super) fn check_stocks_open(sale: &Sale, lines: &Lines, wall: TimeMs) -> Result<(), Refusal> {
    for (line, asked) in (0..).zip(lines) {
        let place = sale.place(asked.stock).expect("the line's stock was found by its name");
        let terms = &sale.terms.stocks[place];
        if let Some(closes_at) = terms.closes_at.filter(|_| terms.is_closed(wall)) {
            return Err(Refusal::StockClosed { line, closes_at });
        }
    }
    Ok(())
}

/// The lines by the numbers of their stocks.
fn find_lines(sale: &Sale, asked: &[LineRequest<'_>]) -> Result<Lines, Refusal> {
    if !(1..=LINES_MAX).contains(&asked.len()) {
        return Err(Refusal::Invalid { field: "lines", rule: "must have 1 to 16 entries" });
    }
    if !asked.iter().all(|line| (1..=QUANTITY_MAX).contains(&line.quantity)) {
        return Err(Refusal::Invalid { field: "quantity", rule: "must be 1 to 1000" });
    }
    let mut lines = Lines::new();
    let mut is_repeated = false;
    for (number, line) in (0..).zip(asked) {
        let place = sale.place_of(line.stock).ok_or(Refusal::StockNotFound { line: number })?;
        let stock = sale.stock_numbers.nos()[place];
        is_repeated |= lines.iter().any(|other: &Line| other.stock == stock);
        lines.push(Line {
            stock,
            quantity: u16::try_from(line.quantity).expect("a line's quantity fits 16 bits"),
        });
    }
    if is_repeated {
        return Err(Refusal::Invalid { field: "lines", rule: "must not name a stock twice" });
    }
    Ok(lines)
}

fn find_reservation<'s>(
    state: &'s State,
    sale: &str,
    reservation: ReservationRef,
) -> Result<(&'s Sale, &'s Record), Refusal> {
    let sale = find_sale(state, sale)?;
    sale.find(reservation).map(|record| (sale, record)).ok_or(Refusal::ReservationNotFound)
}
