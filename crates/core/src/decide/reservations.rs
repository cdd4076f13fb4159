//! Decisions about reservations.

use super::{Answer, Decision, check_ceiling, check_memory, check_new_name, find_sale};
use crate::{
    Ceiling, DETAILS_BYTES_MAX, Event, IdempotencyKey, KEY_BYTES_MAX, LINES_MAX, Line, LineRequest, Lines,
    Now, QUANTITY_MAX, Refusal, ReservationNo, ReservationRef, ReservationStatus, Reserve, State, TimeMs,
    state::{Record, Sale},
};

pub(super) fn decide_reserve<'a>(
    state: &State,
    claim: &Reserve<'a>,
    now: Now,
) -> Result<Decision<'a>, Refusal> {
    let sale = find_sale(state, claim.sale)?;
    if let Some(key) = claim.key
        && let Some(answer) = find_replay(state, sale, key, now.partition)?
    {
        return Ok(Decision::nothing_new(answer));
    }
    check_open(sale, now.wall)?;

    let customer = sale.customers.find(&state.hash, claim.customer);
    if customer.is_none() {
        check_new_name("customer", claim.customer)?;
    }
    let lines = find_lines(sale, claim.lines)?;
    check_stocks_open(sale, &lines, now.wall)?;
    if claim.details.len() > DETAILS_BYTES_MAX {
        return Err(Refusal::Invalid { field: "details", rule: "must be at most 4096 bytes" });
    }
    if let Some(per_customer_max) = sale.terms.per_customer_max {
        let asked: u64 = lines.iter().map(|line| u64::from(line.quantity)).sum();
        let quantity_taken = customer.map_or(0, |customer| sale.customers.units(customer));
        if quantity_taken + asked > u64::from(per_customer_max) {
            return Err(Refusal::CustomerLimitReached { per_customer_max, quantity_taken });
        }
    }
    for (line, asked) in (0..).zip(&lines) {
        let quantity_available =
            sale.available(sale.place(asked.stock).expect("the line's stock was found by its name"));
        if u32::from(asked.quantity) > quantity_available {
            return Err(Refusal::InsufficientStock { line, quantity_available });
        }
    }
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
    now: TimeMs,
) -> Result<Decision<'static>, Refusal> {
    let record = find_reservation(state, sale, reservation)?;
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

pub(super) fn decide_release(
    state: &State,
    sale: &str,
    reservation: ReservationRef,
    now: TimeMs,
) -> Result<Decision<'static>, Refusal> {
    let record = find_reservation(state, sale, reservation)?;
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

/// What became of the first claim with this key, if there was one. A hold that is over counts as expired, though no event
/// has said so yet: whoever is told "held" may go and pay.
fn find_replay(
    state: &State,
    sale: &Sale,
    key: IdempotencyKey<'_>,
    now: TimeMs,
) -> Result<Option<Answer>, Refusal> {
    if !(1..=KEY_BYTES_MAX).contains(&key.key.len()) {
        return Err(Refusal::Invalid { field: "idempotency_key", rule: "must be 1 to 128 bytes" });
    }
    let Some((seq, fingerprint)) = sale.reservations.find_key(&state.hash, key.key) else { return Ok(None) };
    if fingerprint != key.fingerprint {
        return Err(Refusal::IdempotencyKeyReused);
    }
    let record = sale.reservations.get(seq).expect("a key belongs to a reservation");
    let is_over = is_over(record, now);
    Ok(Some(Answer::Reserved {
        reservation: sale.reservation_ref(seq),
        status: if is_over { ReservationStatus::Expired } else { record.status() },
        created_at: record.created_at,
        expires_at: record.expires_at().filter(|_| !is_over),
        replayed: true,
    }))
}

fn check_open(sale: &Sale, wall: TimeMs) -> Result<(), Refusal> {
    match (sale.terms.opens_at, sale.terms.closes_at) {
        (Some(opens_at), _) if wall < opens_at => Err(Refusal::SaleNotOpen { opens_at }),
        (_, Some(closes_at)) if closes_at <= wall => Err(Refusal::SaleClosed { closes_at }),
        _ => Ok(()),
    }
}

fn check_stocks_open(sale: &Sale, lines: &Lines, wall: TimeMs) -> Result<(), Refusal> {
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
) -> Result<&'s Record, Refusal> {
    let sale = find_sale(state, sale)?;
    sale.find(reservation).ok_or(Refusal::ReservationNotFound)
}

/// Whether the reservation is held no longer, though no event has said so yet.
fn is_over(record: &Record, now: TimeMs) -> bool {
    record.expires_at().is_some_and(|expires_at| expires_at <= now)
}
