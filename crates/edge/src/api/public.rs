//! Handlers of the public listener.

use std::sync::Arc;

use axum::extract::{Request, State};
use compact_str::{CompactString, format_compact};
use http::{HeaderName, HeaderValue, StatusCode, Uri, header};
use onrush_core::ReservationRef;
use onrush_core::SalesPage;
use onrush_node::{Call, Failure, Name, Outcome, Reply, ReservationIds};

use super::answer::{
    Answer, WithoutBody, WithoutQuery, json, json_body, name_at, segment, tagged, with_header,
};
use super::app::{App, mismatched};
use super::route::Route;
use super::sales::page::parse_list;
use crate::dto;
use crate::hot::{Head, Hot, Rendering, is_plain_json, plain_name};
use crate::http::media_type::JSON;
use crate::http::request::Request as HotRequest;
use crate::limits::BODY_BYTES_MAX;
use crate::openapi::public as operations;
use crate::problem::Problem;
use crate::text::decode_segment;

pub(super) fn routes() -> [Route; 7] {
    let [list, read] = operations::sales();
    let [reserved, read_one, confirmed, released, of_customer] = operations::reservations();
    [
        Route::new(list, list_sales),
        Route::new(read, read_sale),
        Route::new(reserved, reserve).hot(decode_reserve),
        Route::new(read_one, read_reservation),
        Route::new(confirmed, confirm),
        Route::new(released, release),
        Route::new(of_customer, read_customer),
    ]
}

async fn list_sales(State(app): State<Arc<App>>, request: WithoutBody) -> Answer {
    let query = parse_list(request.uri.query())?;
    let call = Call::ListSales { after: query.after, count_max: query.limit };
    let SalesPage { sales, has_more } = match app.ask(call).await? {
        Outcome::Sales(page) => page,
        other => mismatched(&other),
    };
    let next_after = sales.last().filter(|_| has_more).map(|sale| sale.sale.as_str());
    let etag = dto::sales_etag(&sales, next_after, app.backend.ids());
    Ok(tagged(&request.fields, &etag, |out| dto::write_sales(out, &sales, next_after)))
}

async fn read_sale(State(app): State<Arc<App>>, _: WithoutQuery, request: WithoutBody) -> Answer {
    let sale = name_at(&request.uri, 2, "sale")?;
    match app.ask(Call::ReadSale { sale }).await? {
        Outcome::Sale(sale) => {
            let etag = dto::sale_etag(&sale, app.backend.ids());
            Ok(tagged(&request.fields, &etag, |out| dto::write_sale(out, &sale)))
        }
        other => mismatched(&other),
    }
}

async fn reserve(State(app): State<Arc<App>>, _: WithoutQuery, request: Request) -> Answer {
    let sale = name_at(request.uri(), 2, "sale")?;
    let key = idempotency_key(&request)?;
    let body = json_body(request, BODY_BYTES_MAX).await?;
    let call = dto::parse_reservation(&sale, key.as_deref(), &body)?;
    match app.ask(Call::Reserve(call)).await? {
        Outcome::Reserved { reservation, status: now, created_at, expires_at, replayed, call } => {
            let id = app.backend.ids().write(reservation);
            let status = if replayed { StatusCode::OK } else { StatusCode::CREATED };
            let response = json(status, |out| {
                dto::write_reserved(out, &id, &call, now, created_at, expires_at);
            });
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

async fn read_reservation(State(app): State<Arc<App>>, _: WithoutQuery, request: WithoutBody) -> Answer {
    let (sale, reservation) = reservation_at(&app, &request.uri)?;
    reservation_answer(&app, Call::ReadReservation { sale, reservation }).await
}

async fn confirm(State(app): State<Arc<App>>, _: WithoutQuery, request: WithoutBody) -> Answer {
    let (sale, reservation) = reservation_at(&app, &request.uri)?;
    reservation_answer(&app, Call::Confirm { sale, reservation }).await
}

async fn release(State(app): State<Arc<App>>, _: WithoutQuery, request: WithoutBody) -> Answer {
    let (sale, reservation) = reservation_at(&app, &request.uri)?;
    reservation_answer(&app, Call::Release { sale, reservation }).await
}

async fn reservation_answer(app: &App, call: Call) -> Answer {
    match app.ask(call).await? {
        Outcome::Reservation(view) => {
            let id = app.backend.ids().write(view.reservation);
            Ok(json(StatusCode::OK, |out| dto::write_reservation(out, &id, &view)))
        }
        other => mismatched(&other),
    }
}

async fn read_customer(State(app): State<Arc<App>>, _: WithoutQuery, request: WithoutBody) -> Answer {
    let sale = name_at(&request.uri, 2, "sale")?;
    let customer = name_at(&request.uri, 4, "customer")?;
    match app.ask(Call::ReadCustomer { sale, customer }).await? {
        Outcome::Reservations(views) => Ok(json(StatusCode::OK, |out| {
            dto::write_reservations(out, &views, |view| app.backend.ids().write(view.reservation));
        })),
        other => mismatched(&other),
    }
}

/// The sale and the reservation that a path names. An id that this server never wrote is one that does not exist.
fn reservation_at(app: &App, uri: &Uri) -> Result<(Name, ReservationRef), Problem> {
    let sale = name_at(uri, 2, "sale")?;
    decode_segment(segment(uri, 4))
        .and_then(|id| app.backend.ids().read(&id))
        .map(|reservation| (sale, reservation))
        .ok_or_else(Problem::reservation_not_found)
}

fn idempotency_key(request: &Request) -> Result<Option<String>, Problem> {
    let mut fields = request.headers().get_all("idempotency-key").iter().map(HeaderValue::as_bytes);
    let key = fields.next().map(dto::parse_idempotency_key).transpose()?;
    if fields.next().is_some() {
        return Err(Problem::invalid("Idempotency-Key", "is given twice"));
    }
    Ok(key.map(str::to_owned))
}

/// A hot request for a reservation.
fn decode_reserve(request: &HotRequest<'_>, segment: &[u8]) -> Hot {
    if !is_plain_json(request) || request.fields.repeats_key() {
        return Hot::Cold;
    }
    let key = request.fields.idempotency_key().map(std::str::from_utf8).transpose();
    let (Some(sale), Ok(key)) = (plain_name(segment), key) else { return Hot::Cold };
    match dto::parse_reservation(&sale, key, request.body) {
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
            dto::write_reserved(out, &id, &call, status, created_at, expires_at);
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
