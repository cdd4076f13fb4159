//! The way to the router: for everything that is not hot, or not plain.

use axum::body::Body as RouterBody;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Uri, header};
use http_body_util::BodyExt;
use hyper::body::Body as _;
use tower::ServiceExt;

use crate::gate::Admission;
use crate::grpc;
use crate::http::request::Peer;
use crate::http::response::{self, Response, Stream};
use crate::leading;
use crate::net::h1::{Body, Request as Parsed, fields_of};
use crate::net::thread::EdgeThread;
use crate::problem::Problem;

/// Makes a request for the router out of one that was parsed from `bytes`.
///
/// # Errors
/// The target is a byte string that no URI can have.
pub(crate) fn request_from(
    bytes: &Bytes,
    parsed: Parsed,
    peer: Peer,
) -> Result<Request<RouterBody>, Problem> {
    let method = Method::from_bytes(&bytes[parsed.method.clone()]);
    let method = method.map_err(|_| Problem::malformed("The method is not a valid HTTP method."))?;
    let uri = match &parsed.query {
        Some(query) => Uri::try_from([parsed.path_of(bytes), &bytes[query.clone()]].join(&b'?')),
        None => Uri::try_from(parsed.path_of(bytes)),
    };
    let uri = uri.map_err(|_| {
        Problem::malformed("The target holds bytes that a path cannot have; escape them with %.")
    })?;
    let body = match parsed.body {
        Body::Inline(range) => bytes.slice(range),
        Body::Unfolded(body) => Bytes::from(body),
    };
    let mut request = Request::new(RouterBody::from(body));
    request.extensions_mut().insert(peer);
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    for (name, value) in fields_of(&bytes[parsed.fields.all.clone()]) {
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) {
            request.headers_mut().append(name, value);
        }
    }
    // What an absolute target names counts in place of Host (RFC 9112, section 3.2.2).
    let authority =
        parsed.fields.authority.as_ref().map(|range| HeaderValue::from_bytes(&bytes[range.clone()]));
    if let Some(Ok(authority)) = authority {
        request.headers_mut().insert(header::HOST, authority);
    }
    Ok(request)
}

/// Sends a request to the router. An answer whose length is known, and that of a call with one message, is in memory and comes whole;
/// any other is a stream.
pub(crate) async fn dispatch(
    thread: &EdgeThread,
    mut request: Request<RouterBody>,
    admission: Admission,
) -> Response {
    request.extensions_mut().insert(admission);
    thread.counters.routed_count.add(1);
    let seen = tracing::enabled!(tracing::Level::DEBUG).then(|| {
        (request.extensions().get::<Peer>().copied(), request.method().clone(), request.uri().clone())
    });
    let is_head = request.method() == Method::HEAD;
    let is_whole_call = grpc::is_whole_call(request.uri().path());
    let is_unsure = leading::is_unsure(thread, request.uri().path());
    let Ok(response) = thread.routes.router.clone().oneshot(request).await;
    if is_unsure && let Err(problem) = leading::confirm(thread).await {
        return Response { page_origin: admission.page_origin, ..Response::of_problem(&problem) };
    }
    let (parts, body) = response.into_parts();
    if let Some((peer, method, uri)) = seen {
        let (peer, status) = (peer.map(|Peer(address)| address), parts.status.as_u16());
        tracing::debug!(?peer, %method, path = uri.path(), status, "answered by the router");
    }
    let response = if is_whole_call || body.size_hint().exact().is_some() {
        // Collecting what is in memory cannot fail.
        let whole = body.collect().await.unwrap_or_default();
        let trailers = whole.trailers().cloned();
        let body = response::Body::Bytes(whole.to_bytes());
        Response { trailers, ..Response::of_router(parts, body, is_head) }
    } else {
        Response::of_router(parts, response::Body::Stream(Stream::new(body)), is_head)
    };
    let standing = response.standing.or(admission.standing());
    Response { standing, page_origin: admission.page_origin, ..response }
}
