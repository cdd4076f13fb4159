//! Handlers of the operator listener, and the key that it may ask for.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use onrush_core::Precondition;
use onrush_node::{Call, Name, Outcome};
use subtle::ConstantTimeEq as _;

use super::answer::{
    Answer, WithoutBody, WithoutQuery, json, json_body, merge_patch_body, name_at, put_status, with_header,
};
use super::app::{App, mismatched};
use super::route::Route;
use super::sales::force::parse_force;
use crate::http::authority::{is_loopback, is_loopback_origin};
use crate::limits::OPERATOR_BODY_BYTES_MAX;
use crate::openapi::operator as operations;
use crate::problem::Problem;
use crate::{dto, metrics};

pub(super) fn routes() -> [Route; 4] {
    let [put, changed, archived, figures] = operations::all();
    [
        Route::new(put, put_sale),
        Route::new(changed, change_sale),
        Route::new(archived, archive_sale),
        Route::new(figures, read_metrics),
    ]
}

/// Lets a request through if it carries the key, or if no key is set.
pub(super) async fn ask_key(State(app): State<Arc<App>>, request: Request, next: Next) -> Answer {
    if let Some(key) = &app.operator_key {
        match key.read() {
            Some(key) if carries(request.headers(), &key) => {}
            Some(_) => return Err(Problem::unauthorized()),
            None => return Err(Problem::operator_key_unreadable()),
        }
    }
    Ok(next.run(request).await)
}

/// Where no key is set, lets a request through if no other site can have made it.
pub(super) async fn refuse_other_sites(State(app): State<Arc<App>>, request: Request, next: Next) -> Answer {
    if app.operator_key.is_none() && is_cross_site(request.headers()) {
        return Err(Problem::cross_site());
    }
    Ok(next.run(request).await)
}

/// Whether a browser may have sent this for a page that this machine does not serve. Such a page can have given its own
/// name our address, which `Host` tells, or send a form to us, which `Origin` and `Sec-Fetch-Site` tell. A client that
/// sends none of them is no browser.
fn is_cross_site(headers: &HeaderMap) -> bool {
    let all = |name: &str| headers.get_all(name).iter().map(HeaderValue::as_bytes);
    let is_ours = all("origin").all(is_loopback_origin);
    let is_from_page_of_ours = is_ours && headers.contains_key(header::ORIGIN);
    let is_site_foreign = |site: &[u8]| match site {
        b"same-origin" | b"none" => false,
        b"same-site" => !is_from_page_of_ours,
        _ => true,
    };
    !is_ours || !all("host").all(is_loopback) || all("sec-fetch-site").any(is_site_foreign)
}

async fn put_sale(State(app): State<Arc<App>>, _: WithoutQuery, request: Request) -> Answer {
    let sale = name_at(request.uri(), 2, "sale")?;
    let only_if = dto::parse_precondition(request.headers())?;
    let body = json_body(request, OPERATOR_BODY_BYTES_MAX).await?;
    let (terms, left_out) = dto::parse_sale(&body)?;
    sale_answer(&app, Call::PutSale { sale, terms, left_out, only_if }).await
}

async fn change_sale(State(app): State<Arc<App>>, _: WithoutQuery, request: Request) -> Answer {
    let sale = name_at(request.uri(), 2, "sale")?;
    let only_if = dto::parse_precondition(request.headers())?;
    let body = merge_patch_body(request, OPERATOR_BODY_BYTES_MAX).await?;
    let change = dto::parse_sale_change(&body)?;
    sale_answer(&app, Call::ChangeSale { sale, change, only_if }).await
}

async fn sale_answer(app: &App, call: Call) -> Answer {
    match app.ask(call).await? {
        Outcome::SalePut { created, sale } => {
            let response = json(put_status(created), |out| dto::write_sale(out, &sale));
            Ok(with_header(response, header::ETAG, &dto::sale_etag(&sale, app.backend.ids())))
        }
        other => mismatched(&other),
    }
}

async fn archive_sale(State(app): State<Arc<App>>, request: WithoutBody) -> Answer {
    let sale = name_at(&request.uri, 2, "sale")?;
    let only_if = dto::parse_precondition(&request.fields)?;
    if parse_force(request.uri.query())? {
        end_holds(&app, &sale, &only_if).await?;
    }
    match app.ask(Call::ArchiveSale { sale, only_if }).await? {
        Outcome::SaleArchived => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::NO_CONTENT;
            Ok(response)
        }
        other => mismatched(&other),
    }
}

/// Ends all holds of a closed sale, some with each call, so that nobody waits long behind them.
async fn end_holds(app: &App, sale: &Name, only_if: &Precondition) -> Result<(), Problem> {
    let mut next = Some(0);
    while let Some(from) = next {
        let call = Call::EndHolds { sale: sale.clone(), only_if: only_if.clone(), from };
        next = match app.ask(call).await? {
            Outcome::HoldsEnded { next } => next,
            other => mismatched(&other),
        };
    }
    Ok(())
}

async fn read_metrics(State(app): State<Arc<App>>, _: WithoutQuery, _: WithoutBody) -> Response {
    let mut response = Response::new(Body::from(app.metrics()));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(metrics::CONTENT_TYPE));
    response
}

fn carries(headers: &HeaderMap, key: &str) -> bool {
    let Some(credentials) = headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes) else {
        return false;
    };
    let Some((scheme, token)) = credentials.split_at_checked("Bearer ".len()) else { return false };
    // It takes as long whatever the bytes are, so that a key cannot be guessed a byte at a time; only the length shows.
    let is_key = token.trim_ascii().ct_eq(key.as_bytes());
    scheme.eq_ignore_ascii_case(b"Bearer ") && bool::from(is_key)
}
