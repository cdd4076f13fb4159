//! Handlers of the public listener.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::{get, post};
use http::{HeaderName, HeaderValue, StatusCode, Uri, header};
use onrush_core::ReservationRef;
use onrush_core::SalesPage;
use onrush_node::{Call, Name, Outcome, Readiness};

use super::answer::{WithoutBody, WithoutQuery, json, json_body, name_at, segment, tagged, with_header};
use super::app::{App, mismatched};
use crate::dto;
use crate::limits::BODY_BYTES_MAX;
use crate::problem::Problem;
use crate::text::decode_segment;

type Answer = Result<Response, Problem>;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/v1/counters/{counter}", get(read_counter).post(add_to_counter))
        .route("/v1/windows/{window}", get(read_window).post(hit_window))
        .route("/v1/sales", get(list_sales))
        .route("/v1/sales/{sale}", get(read_sale))
        .route("/v1/sales/{sale}/reservations", post(reserve))
        .route("/v1/sales/{sale}/reservations/{reservation}", get(read_reservation))
        .route("/v1/sales/{sale}/reservations/{reservation}/confirm", post(confirm))
        .route("/v1/sales/{sale}/reservations/{reservation}/release", post(release))
        .route("/v1/sales/{sale}/customers/{customer}/reservations", get(read_customer))
        .route("/livez", get(live))
        .route("/readyz", get(ready))
}

/// Answers as long as the process can.
pub(super) async fn live(_: WithoutQuery, _: WithoutBody) -> Response {
    json(StatusCode::OK, |out| out.extend_from_slice(b"{\"status\":\"live\"}"))
}

/// Answers whether calls make sense now.
pub(super) async fn ready(State(app): State<Arc<App>>, _: WithoutQuery, _: WithoutBody) -> Answer {
    match app.backend.readiness() {
        Readiness::Ready => Ok(json(StatusCode::OK, |out| out.extend_from_slice(b"{\"status\":\"ready\"}"))),
        Readiness::LogUnavailable => Err(Problem::log_unavailable()),
        Readiness::Draining => Err(Problem::draining()),
    }
}

async fn add_to_counter(State(app): State<Arc<App>>, request: WithoutBody) -> Answer {
    let counter = name_at(&request.uri, 2, "counter")?;
    let by = dto::parse_by(request.uri.query())?;
    counter_answer(&app, counter.clone(), Call::AddToCounter { counter, by }).await
}

async fn read_counter(State(app): State<Arc<App>>, _: WithoutQuery, request: WithoutBody) -> Answer {
    let counter = name_at(&request.uri, 2, "counter")?;
    counter_answer(&app, counter.clone(), Call::ReadCounter { counter }).await
}

async fn counter_answer(app: &App, counter: Name, call: Call) -> Answer {
    match app.ask(call).await? {
        Outcome::Counter { value } => {
            Ok(json(StatusCode::OK, |out| dto::write_counter(out, &counter, value)))
        }
        other => mismatched(&other),
    }
}

async fn hit_window(State(app): State<Arc<App>>, _: WithoutQuery, request: WithoutBody) -> Answer {
    let window = name_at(&request.uri, 2, "window")?;
    window_answer(&app, window.clone(), Call::HitWindow { window }).await
}

async fn read_window(State(app): State<Arc<App>>, _: WithoutQuery, request: WithoutBody) -> Answer {
    let window = name_at(&request.uri, 2, "window")?;
    window_answer(&app, window.clone(), Call::ReadWindow { window }).await
}

async fn window_answer(app: &App, window: Name, call: Call) -> Answer {
    match app.ask(call).await? {
        Outcome::Window { count, shape } => {
            Ok(json(StatusCode::OK, |out| dto::write_window(out, &window, count, shape)))
        }
        other => mismatched(&other),
    }
}

async fn list_sales(State(app): State<Arc<App>>, request: WithoutBody) -> Answer {
    let query = dto::parse_list(request.uri.query())?;
    let call = Call::ListSales { after: query.after, count_max: query.limit };
    let SalesPage { sales, has_more } = match app.ask(call).await? {
        Outcome::Sales(page) => page,
        other => mismatched(&other),
    };
    let next_after = sales.last().filter(|_| has_more).map(|sale| sale.sale.as_str());
    let etag = dto::sales_etag(&sales, next_after);
    Ok(tagged(&request.fields, &etag, |out| dto::write_sales(out, &sales, next_after)))
}

async fn read_sale(State(app): State<Arc<App>>, _: WithoutQuery, request: WithoutBody) -> Answer {
    let sale = name_at(&request.uri, 2, "sale")?;
    match app.ask(Call::ReadSale { sale }).await? {
        Outcome::Sale(sale) => {
            Ok(tagged(&request.fields, &dto::sale_etag(&sale), |out| dto::write_sale(out, &sale)))
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
