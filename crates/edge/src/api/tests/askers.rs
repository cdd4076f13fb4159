//! Who is said to ask, by the listener that was asked.

use super::{ALL, app, check, operator_router, public_router};

/// The shop of these tests confirms, reads and reserves in the sale `guarded` for the operator alone.
#[test]
fn the_operators_listener_asks_for_the_operator() {
    let body = "content-type: application/json\n\n{\"customer\":\"ann\",\"lines\":[{\"stock\":\"a\",\"quantity\":1}]}";
    let (public, operator) = (public_router(app(ALL, None)), operator_router(app(ALL, None)));
    for (request, refused, done) in [
        (format!("POST /v1/sales/guarded/reservations\n{body}"), "401 session_required", "201 "),
        ("GET /v1/sales/guarded/reservations/{id}".to_owned(), "401 session_required", "200 "),
        ("POST /v1/sales/guarded/reservations/{id}/confirm".to_owned(), "403 operator_only", "200 "),
        ("POST /v1/sales/guarded/reservations/{id}/release".to_owned(), "401 session_required", "200 "),
        ("GET /v1/sales/guarded/customers/ann/reservations".to_owned(), "401 session_required", "200 "),
    ] {
        check(&public, &request, refused);
        check(&operator, &request, done);
    }
}
