//! Reservations: what a customer claims of a sale, and what becomes of it.

pub mod body;
pub(crate) mod claim;
pub(crate) mod key;
pub(crate) mod one_unit;
mod operations;
mod schemas;

use std::sync::Arc;

use axum::extract::{Request, State};
use compact_str::{CompactString, format_compact};
use http::{HeaderName, HeaderValue, StatusCode, Uri, header};
use onrush_core::{ReservationRef, ReservationView, TimeMs};
use onrush_node::{Asker, Call, ChallengeCall, Failure, Name, Outcome, Reply, ReservationIds, ReserveCall};

use super::answer::{
    Answer, WithoutBody, WithoutQuery, admission_of, json, json_body, name_at, segment, with_header,
    with_standing,
};
use super::app::{App, mismatched};
use super::asker::AskedBy;
use super::route::Route;
use crate::gate::{Admission, Brought, Identity};
use crate::hot::{Head, Hot, Rendering, Sender, is_plain_json, plain_name};
use crate::http::media_type::JSON;
use crate::http::query::flag;
use crate::http::request::Request as HotRequest;
use crate::limits::BODY_BYTES_MAX;
use crate::problem::Problem;
use crate::text::decode_segment;
use body::{parse_reservation_of, write_reservation, write_reservations, write_reserved};
use key::parse_idempotency_key;
pub(super) use schemas::schemas;

/// Routes of both listeners. The operator's are for the shop's own system.
pub(super) fn routes() -> [Route; 5] {
    let [reserved, read_one, confirmed, released, of_customer] = operations::all();
    [
        Route::new(reserved, reserve).hot(decode_reserve).reserving(),
        Route::new(read_one, read_reservation),
        Route::new(confirmed, confirm),
        Route::new(released, release),
        Route::new(of_customer, read_customer),
    ]
}

async fn reserve(
    State(app): State<Arc<App>>,
    _: WithoutQuery,
    AskedBy(sender): AskedBy,
    request: Request,
) -> Answer {
    let sale = name_at(request.uri(), 2, "sale")?;
    let key = idempotency_key(&request)?;
    let mut admission = admission_of(&request);
    let body = json_body(request, BODY_BYTES_MAX).await?;
    let now = app.backend.now_ms();
    let call = admit(&app, &sender, &mut admission, now, |read_challenge| {
        parse_reservation_of(&sender, &sale, key.as_deref(), &body, read_challenge)
    })?;
    match app.ask(Call::Reserve(call)).await? {
        Outcome::Reserved { reservation, status: now, created_at, expires_at, replayed, call } => {
            let id = app.backend.ids(&call.sale).write(reservation);
            let status = if replayed { StatusCode::OK } else { StatusCode::CREATED };
            let response = json(status, |out| {
                write_reserved(out, &id, &call, now, created_at, expires_at);
            });
            let response = with_standing(response, &admission);
            Ok(if replayed {
                with_header(response, HeaderName::from_static("idempotent-replayed"), "true")
            } else {
                let id = std::str::from_utf8(&id).unwrap_or_default();
                with_header(response, header::LOCATION, &format!("/v1/sales/{}/reservations/{id}", call.sale))
            })
        }
        other => mismatched(&other),
    }
}

/// The call that `read` makes of a claim, once all was asked that is asked before the partition. `now` is the wall clock's.
///
/// # Errors
/// What the claim is answered instead.
pub(crate) fn admit(
    app: &App,
    sender: &Identity,
    admission: &mut Admission,
    now: TimeMs,
    read: impl FnOnce(&dyn Fn(Brought<'_>) -> ChallengeCall) -> Result<Box<ReserveCall>, Problem>,
) -> Result<Box<ReserveCall>, Problem> {
    let call = read(&|brought| match sender {
        Identity::Operator => ChallengeCall::Missing,
        _ => app.gate.challenges().read(brought, now),
    });
    let call = call.inspect_err(|problem| app.gate.count_refusal(problem))?;
    app.gate.check_customer(admission, &call)?;
    app.backend.check_claim(&call, now)?;
    Ok(call)
}

async fn read_reservation(
    State(app): State<Arc<App>>,
    _: WithoutQuery,
    AskedBy(sender): AskedBy,
    request: WithoutBody,
) -> Answer {
    let (sale, reservation) = reservation_at(&app, &request.uri)?;
    reservation_answer(&app, Call::ReadReservation { sale, reservation, asker: sender.asker() }).await
}

async fn confirm(State(app): State<Arc<App>>, AskedBy(sender): AskedBy, request: WithoutBody) -> Answer {
    let reclaims = flag(request.uri.query(), "reclaim")?;
    let (sale, reservation) = reservation_at(&app, &request.uri)?;
    let call = match sender.asker() {
        asker if !reclaims => Call::Confirm { sale, reservation, asker },
        Asker::Operator => Call::Reclaim { sale, reservation },
        _ => return Err(Problem::reclaim_is_the_operators()),
    };
    reservation_answer(&app, call).await
}

async fn release(
    State(app): State<Arc<App>>,
    _: WithoutQuery,
    AskedBy(sender): AskedBy,
    request: WithoutBody,
) -> Answer {
    let (sale, reservation) = reservation_at(&app, &request.uri)?;
    reservation_answer(&app, Call::Release { sale, reservation, asker: sender.asker() }).await
}

async fn reservation_answer(app: &App, call: Call) -> Answer {
    let view = ask_for_one(app, call).await?;
    let id = app.backend.ids(&view.sale).write(view.reservation);
    Ok(json(StatusCode::OK, |out| write_reservation(out, &id, &view)))
}

/// The reservation that a call is about, as it is after it.
pub(crate) async fn ask_for_one(app: &App, call: Call) -> Result<Box<ReservationView>, Problem> {
    match app.ask(call).await? {
        Outcome::Reservation(view) => Ok(view),
        other => mismatched(&other),
    }
}

async fn read_customer(
    State(app): State<Arc<App>>,
    _: WithoutQuery,
    AskedBy(sender): AskedBy,
    request: WithoutBody,
) -> Answer {
    let sale = name_at(&request.uri, 2, "sale")?;
    let customer = name_at(&request.uri, 4, "customer")?;
    let views = ask_for_all(&app, sale, customer, sender.asker()).await?;
    Ok(json(StatusCode::OK, |out| {
        write_reservations(out, &views, |view| app.backend.ids(&view.sale).write(view.reservation));
    }))
}

/// The reservations of a customer in a sale, oldest first.
pub(crate) async fn ask_for_all(
    app: &App,
    sale: Name,
    customer: Name,
    asker: Asker,
) -> Result<Vec<ReservationView>, Problem> {
    match app.ask(Call::ReadCustomer { sale, customer, asker }).await? {
        Outcome::Reservations(views) => Ok(views),
        other => mismatched(&other),
    }
}

/// The sale and the reservation that a path names. An id that this server never wrote is one that does not exist.
fn reservation_at(app: &App, uri: &Uri) -> Result<(Name, ReservationRef), Problem> {
    let sale = name_at(uri, 2, "sale")?;
    let id = decode_segment(segment(uri, 4)).ok_or_else(Problem::reservation_not_found)?;
    let reservation = read_id(app, &sale, &id)?;
    Ok((sale, reservation))
}

/// The reservation of a sale that an id names.
///
/// # Errors
/// This server never wrote such an id for the sale.
pub(crate) fn read_id(app: &App, sale: &str, id: &str) -> Result<ReservationRef, Problem> {
    app.backend.ids(sale).read(id).ok_or_else(Problem::reservation_not_found)
}

fn idempotency_key(request: &Request) -> Result<Option<String>, Problem> {
    let mut fields = request.headers().get_all("idempotency-key").iter().map(HeaderValue::as_bytes);
    let key = fields.next().map(parse_idempotency_key).transpose()?;
    if fields.next().is_some() {
        return Err(Problem::invalid("Idempotency-Key", "is given twice"));
    }
    Ok(key.map(str::to_owned))
}

/// A hot request for a reservation.
fn decode_reserve(request: &HotRequest<'_>, segment: &[u8], sender: &Sender<'_>) -> Hot {
    if !is_plain_json(request) || request.fields.repeats_key() {
        return Hot::Routed;
    }
    let key = request.fields.idempotency_key().map(std::str::from_utf8).transpose();
    let (Some(sale), Ok(key)) = (plain_name(segment), key) else { return Hot::Routed };
    let read_challenge = |brought: Brought<'_>| sender.gate.read_challenge(brought, sender.now);
    let call = sender
        .of(request)
        .and_then(|sender| parse_reservation_of(&sender, &sale, key, request.body, read_challenge));
    match call {
        Ok(call) => Hot::Call(Call::Reserve(call), Rendering::without_name(write_reserve)),
        Err(problem) => Hot::Problem(Box::new(problem)),
    }
}

/// The answer to a hot request for a reservation.
fn write_reserve(_: &Name, reply: Reply, ids: &ReservationIds, out: &mut Vec<u8>) -> Result<Head, Failure> {
    let mut head = Head::ok(JSON);
    match reply? {
        Outcome::Reserved { reservation, status, created_at, expires_at, replayed, call } => {
            let id = ids.write(reservation);
            write_reserved(out, &id, &call, status, created_at, expires_at);
            if replayed {
                head.fields.push(("idempotent-replayed", CompactString::const_new("true")));
            } else {
                head.status = 201;
                let id = std::str::from_utf8(&id).unwrap_or_default();
                head.fields.push(("location", format_compact!("/v1/sales/{}/reservations/{id}", call.sale)));
            }
        }
        other => mismatched(&other),
    }
    Ok(head)
}
