//! Requests as text, and what a router answers.

use axum::Router;
use axum::body::{Body, to_bytes};
use http::{Request, StatusCode};
use tower::ServiceExt as _;

use super::conformance;
use super::shop::Shop;

/// Sends `METHOD target`, lines of header fields, an empty line and a body, and returns status, fields and body as text, which
/// the `OpenAPI` document has to allow. `{id}` stands for the id of a reservation.
pub(super) fn send(router: &Router, request: &str) -> (StatusCode, String, String) {
    let request = request.replace("{id}", &Shop::default().id(7));
    let (parts, body) = exchange(router, &request);
    let first = request.lines().next().unwrap_or_default();
    let (method, target) = first.split_once(' ').expect("METHOD target");
    conformance::check(method, target, &parts, &body);
    (parts.status, fields(&parts).join(", "), body)
}

/// The answer, whatever the document says of it.
pub(super) fn exchange(router: &Router, request: &str) -> (http::response::Parts, String) {
    let (parts, body) = parse(request);
    let request = Request::from_parts(parts, Body::from(body.to_owned()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    runtime.block_on(async {
        let response = router.clone().oneshot(request).await.expect("routers do not fail");
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.expect("a body in memory");
        (parts, String::from_utf8(body.to_vec()).expect("UTF-8"))
    })
}

/// The request that such a text is.
pub(super) fn parse(request: &str) -> (http::request::Parts, &str) {
    let (head, body) = request.split_once("\n\n").unwrap_or((request, ""));
    let mut lines = head.lines();
    let (method, target) = lines.next().and_then(|line| line.split_once(' ')).expect("METHOD target");
    let mut built = Request::builder().method(method).uri(target);
    for line in lines {
        let (name, value) = line.split_once(": ").expect("name: value");
        built = built.header(name, value);
    }
    let (parts, ()) = built.body(()).expect("a request that HTTP knows").into_parts();
    (parts, body)
}

/// The fields of an answer, each as `name: value`.
pub(super) fn fields(parts: &http::response::Parts) -> Vec<String> {
    let fields = parts.headers.iter().filter(|(name, _)| !matches!(name.as_str(), "content-length"));
    fields.map(|(name, value)| format!("{name}: {}", value.to_str().expect("ASCII"))).collect()
}
