//! The denylist: customers, addresses and networks that are refused on the public listener, and sessions that are none any more, kept
//! by the operator.

mod body;
mod operations;
mod page;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use http::{StatusCode, Uri};
use onrush_core::DenialKind;
use onrush_gate::Network;
use onrush_node::{Call, Name, Outcome};

use super::answer::{Answer, WithoutBody, WithoutQuery, json, json_body, name_at, put_status, segment};
use super::app::{App, mismatched};
use super::route::Route;
use crate::limits::OPERATOR_BODY_BYTES_MAX;
use crate::problem::Problem;
use crate::text::decode_segment;
use body::{parse_denial, write_denial, write_denials};
pub(super) use operations::schemas;
use page::parse_list;

/// Routes of the operator listener.
pub(super) fn operator_routes() -> [Route; 4] {
    let [put, read, removed, list] = operations::all();
    [
        Route::new(put, put_denial),
        Route::new(read, read_denial),
        Route::new(removed, remove_denial),
        Route::new(list, list_denials),
    ]
}

async fn put_denial(State(app): State<Arc<App>>, _: WithoutQuery, request: Request) -> Answer {
    let (kind, value) = subject_at(request.uri())?;
    let body = json_body(request, OPERATOR_BODY_BYTES_MAX).await?;
    let denial = parse_denial(kind, &value, &body)?;
    match app.ask(Call::Deny(Box::new(denial))).await? {
        Outcome::DenialPut { created, denial } => {
            Ok(json(put_status(created), |out| write_denial(out, &denial)))
        }
        other => mismatched(&other),
    }
}

async fn read_denial(State(app): State<Arc<App>>, _: WithoutQuery, request: WithoutBody) -> Answer {
    let (kind, value) = subject_at(&request.uri)?;
    match app.ask(Call::ReadDenial { kind, value }).await? {
        Outcome::Denial(denial) => Ok(json(StatusCode::OK, |out| write_denial(out, &denial))),
        other => mismatched(&other),
    }
}

async fn remove_denial(State(app): State<Arc<App>>, _: WithoutQuery, request: WithoutBody) -> Answer {
    let (kind, value) = subject_at(&request.uri)?;
    match app.ask(Call::Undeny { kind, value }).await? {
        Outcome::DenialRemoved => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::NO_CONTENT;
            Ok(response)
        }
        other => mismatched(&other),
    }
}

async fn list_denials(State(app): State<Arc<App>>, request: WithoutBody) -> Answer {
    let (after, count_max) = parse_list(request.uri.query())?;
    match app.ask(Call::ListDenials { after, count_max }).await? {
        Outcome::Denials(page) => Ok(json(StatusCode::OK, |out| write_denials(out, &page))),
        other => mismatched(&other),
    }
}

/// Whom a path names. An address gets the one form that stands for it.
fn subject_at(uri: &Uri) -> Result<(DenialKind, Name), Problem> {
    let kind = DenialKind::ALL.into_iter().find(|kind| kind.as_str() == segment(uri, 2));
    match kind {
        Some(kind @ (DenialKind::Customer | DenialKind::Session)) => Ok((kind, name_at(uri, 3, "customer")?)),
        Some(DenialKind::Address) => {
            let text = decode_segment(segment(uri, 3));
            let text = text.ok_or_else(|| Problem::invalid("address", "is not percent-encoded UTF-8"))?;
            let network: Result<Network, _> = text.parse();
            let network = network.map_err(|error| Problem::invalid("address", &error.to_string()))?;
            Ok((DenialKind::Address, Name::from(network.to_string())))
        }
        None => Err(Problem::invalid("kind", "must be customer, address or session")),
    }
}
