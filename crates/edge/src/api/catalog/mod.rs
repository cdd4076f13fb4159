//! The catalogue: rows of collections, read by everybody and put by the operator.

pub mod body;
mod operations;
mod read;

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use onrush_core::{ROW_BYTES_MAX, ROW_KEY_RULE, is_row_key};
use onrush_node::{Call, Name, Outcome, RowCall};

use super::answer::{Answer, WithoutBody, WithoutQuery, json, json_body, name_at, segment, with_header};
use super::app::{App, mismatched};
use super::route::Route;
use crate::http::media_type::is_json_lines;
use crate::limits::OPERATOR_BODY_BYTES_MAX;
use crate::problem::Problem;
use crate::text::decode_segment;
use body::{parse_row, parse_rows, write_collections, write_put, write_puts};
pub(super) use operations::schemas;
pub(crate) use read::{ETAG_BYTES, answer_hot, each_once, etag, may_wait};

/// The field with the version of the collection.
const VERSION: &str = "onrush-version";

pub(super) fn routes() -> [Route; 2] {
    let [row, rows] = operations::public();
    [Route::new(row, read::one).hot(read::decode), Route::new(rows, read::many)]
}

/// Routes of the operator listener.
pub(super) fn operator_routes() -> [Route; 4] {
    let [put, deleted, put_many, list] = operations::of_operator();
    [
        Route::new(put, put_row),
        Route::new(deleted, delete_row),
        Route::new(put_many, put_rows),
        Route::new(list, list_collections),
    ]
}

async fn put_row(State(app): State<Arc<App>>, _: WithoutQuery, request: Request) -> Answer {
    let (collection, key) = (embedded_collection_at(&app, request.uri())?, key_at(request.uri())?);
    check_unconditional(request.headers())?;
    let body = json_body(request, ROW_BYTES_MAX).await?;
    let rows = vec![RowCall { key: key.as_str().into(), json: parse_row(&body)?.into() }];
    match app.ask(Call::PutRows { collection: collection.clone(), rows }).await? {
        Outcome::RowsPut { version } => {
            Ok(json(StatusCode::OK, |out| write_put(out, &collection, &key, version)))
        }
        other => mismatched(&other),
    }
}

async fn delete_row(State(app): State<Arc<App>>, _: WithoutQuery, request: WithoutBody) -> Answer {
    let (collection, key) = (embedded_collection_at(&app, &request.uri)?, key_at(&request.uri)?);
    check_unconditional(&request.fields)?;
    match app.ask(Call::DeleteRow { collection, key: key.into() }).await? {
        Outcome::RowDeleted { version } => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::NO_CONTENT;
            Ok(with_header(response, HeaderName::from_static(VERSION), &version.to_string()))
        }
        other => mismatched(&other),
    }
}

async fn put_rows(State(app): State<Arc<App>>, _: WithoutQuery, request: Request) -> Answer {
    let collection = embedded_collection_at(&app, request.uri())?;
    check_unconditional(request.headers())?;
    if !is_json_lines(request.headers().get(header::CONTENT_TYPE).map(HeaderValue::as_bytes)) {
        return Err(Problem::not_json_lines());
    }
    let body = to_bytes(request.into_body(), OPERATOR_BODY_BYTES_MAX).await;
    let rows = parse_rows(&body.map_err(|_| Problem::body_too_large(OPERATOR_BODY_BYTES_MAX))?)?;
    let row_count = rows.len();
    match app.ask(Call::PutRows { collection, rows }).await? {
        Outcome::RowsPut { version } => Ok(json(StatusCode::OK, |out| write_puts(out, row_count, version))),
        other => mismatched(&other),
    }
}

async fn list_collections(State(app): State<Arc<App>>, _: WithoutQuery, _: WithoutBody) -> Answer {
    Ok(json(StatusCode::OK, |out| write_collections(out, app.catalog.figures())))
}

/// A change of rows takes no conditions, and one that names some must not be made as if it had none.
fn check_unconditional(fields: &HeaderMap) -> Result<(), Problem> {
    const CONDITIONS: [HeaderName; 4] =
        [header::IF_MATCH, header::IF_NONE_MATCH, header::IF_MODIFIED_SINCE, header::IF_UNMODIFIED_SINCE];
    match CONDITIONS.into_iter().find(|name| fields.contains_key(name)) {
        Some(name) => Err(Problem::invalid(name.to_string(), "is no condition that changes of rows take")),
        None => Ok(()),
    }
}

/// The collection that a path names.
fn collection_at(app: &App, uri: &Uri) -> Result<Name, Problem> {
    let collection = name_at(uri, 2, "collection")?;
    if app.catalog.has(&collection) { Ok(collection) } else { Err(Problem::collection_not_found()) }
}

/// The same for a change, which rows from a source do not take here.
fn embedded_collection_at(app: &App, uri: &Uri) -> Result<Name, Problem> {
    let collection = collection_at(app, uri)?;
    if app.catalog.has_source(&collection) { Err(Problem::rows_of_source()) } else { Ok(collection) }
}

/// The key that a path names.
fn key_at(uri: &Uri) -> Result<String, Problem> {
    parse_key(segment(uri, 3))
}

/// The key that a percent-encoded text is.
fn parse_key(text: &str) -> Result<String, Problem> {
    let key = decode_segment(text).filter(|key| is_row_key(key));
    key.map(String::from).ok_or_else(|| Problem::invalid("key", ROW_KEY_RULE))
}
