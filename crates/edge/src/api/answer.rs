//! Pieces that handlers share: names out of paths, bodies out of requests, and JSON answers.

use axum::body::{Body, to_bytes};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::response::Response;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use onrush_node::Name;

use crate::gate::Admission;
use crate::hot::Ready;
use crate::http::etag::is_known;
use crate::http::media_type::{JSON, is_form, is_json, is_merge_patch};
use crate::http::name::parse_name;
use crate::http::query::parse_no_query;
use crate::problem::Problem;

/// What a handler answers.
pub(crate) type Answer = Result<Response, Problem>;

/// A request that has no query parameters. Every handler asks for this, or takes the query apart by itself.
pub(crate) struct WithoutQuery;

impl<S: Sync> FromRequestParts<S> for WithoutQuery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parse_no_query(parts.uri.query()).map(|()| Self)
    }
}

/// A request that has no body. Every handler asks for this, or reads the body by itself.
pub(crate) struct WithoutBody {
    pub(crate) uri: Uri,
    pub(crate) fields: HeaderMap,
}

impl<S: Sync> FromRequest<S> for WithoutBody {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        match to_bytes(body, 0).await {
            Ok(_) => Ok(Self { uri: parts.uri, fields: parts.headers }),
            Err(_) => Err(Problem::unexpected_body()),
        }
    }
}

/// Segment number `index` of the path, from 0 after the leading slash, still percent-encoded.
pub(crate) fn segment(uri: &Uri, index: usize) -> &str {
    uri.path().split('/').nth(index + 1).unwrap_or_default()
}

/// The name in segment number `index`; `field` is what the path calls it.
pub(crate) fn name_at(uri: &Uri, index: usize, field: &'static str) -> Result<Name, Problem> {
    parse_name(segment(uri, index), field)
}

/// The whole body, which must say that it is JSON. An absent body is reported before an absent content type.
pub(crate) async fn json_body(request: Request, bytes_max: usize) -> Result<Bytes, Problem> {
    let is_json = is_json(request.headers().get(header::CONTENT_TYPE).map(HeaderValue::as_bytes));
    let body =
        to_bytes(request.into_body(), bytes_max).await.map_err(|_| Problem::body_too_large(bytes_max))?;
    if is_json || body.is_empty() { Ok(body) } else { Err(Problem::unsupported_media_type()) }
}

/// The whole body, which must say that it is a JSON merge patch.
pub(crate) async fn merge_patch_body(request: Request, bytes_max: usize) -> Result<Bytes, Problem> {
    let content_type = request.headers().get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    if !is_merge_patch(content_type) {
        return Err(Problem::not_a_merge_patch());
    }
    to_bytes(request.into_body(), bytes_max).await.map_err(|_| Problem::body_too_large(bytes_max))
}

/// The whole body, which must say that it is an HTML form.
pub(crate) async fn form_body(fields: &HeaderMap, body: Body, bytes_max: usize) -> Result<Bytes, Problem> {
    if !is_form(fields.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes)) {
        return Err(Problem::not_a_form());
    }
    to_bytes(body, bytes_max).await.map_err(|_| Problem::body_too_large(bytes_max))
}

/// An answer of JSON that `write` appends.
pub(crate) fn json(status: StatusCode, write: impl FnOnce(&mut Vec<u8>)) -> Response {
    json_as(JSON, status, write)
}

/// The same with a content type of its own.
pub(crate) fn json_as(
    content_type: &'static str,
    status: StatusCode,
    write: impl FnOnce(&mut Vec<u8>),
) -> Response {
    let mut body = Vec::with_capacity(256);
    write(&mut body);
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// An answer as hot routes write it.
pub(crate) fn of_ready(ready: Ready) -> Response {
    let Ready { head, body } = ready;
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(head.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if let Some(content_type) = head.content_type {
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    }
    for (name, value) in &head.fields {
        response = with_header(response, HeaderName::from_static(name), value);
    }
    if let Some(standing) = head.standing {
        response.extensions_mut().insert(standing);
    }
    response
}

/// The status of an answer to PUT.
pub(crate) const fn put_status(created: bool) -> StatusCode {
    if created { StatusCode::CREATED } else { StatusCode::OK }
}

/// The same answer with one more header field. Values are made of names and numbers, which are all visible ASCII.
pub(crate) fn with_header(mut response: Response, name: HeaderName, value: &str) -> Response {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
    response
}

/// What the gate found out about a request.
pub(crate) fn admission_of(request: &Request) -> Admission {
    request.extensions().get().copied().unwrap_or_default()
}

/// The same answer, which says how the limits stand after the customer's was asked as well.
pub(crate) fn with_standing(mut response: Response, admission: &Admission) -> Response {
    if let Some(standing) = admission.standing() {
        response.extensions_mut().insert(standing);
    }
    response
}

/// An answer under an entity tag, or 304 if the client has it already (RFC 9110 section 13.1.2).
pub(crate) fn tagged(request: &HeaderMap, etag: &str, write: impl FnOnce(&mut Vec<u8>)) -> Response {
    let response = if is_known(request, etag) {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response
    } else {
        json(StatusCode::OK, write)
    };
    let response = with_header(response, header::ETAG, etag);
    with_header(response, header::CACHE_CONTROL, "no-cache")
}
