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

/// A payment that comes late is the operator's to take.
#[test]
fn the_operator_alone_reclaims() {
    let (public, operator) = (public_router(app(ALL, None)), operator_router(app(ALL, None)));
    let path = "/v1/sales/s/reservations/{id}/confirm";
    check(&public, &format!("POST {path}?reclaim=true"), "403 operator_only");
    check(&public, &format!("POST {path}?reclaim=false"), "200 ");
    check(&operator, &format!("POST {path}?reclaim=true"), "200 ");
    check(
        &operator,
        "POST /v1/sales/released/reservations/{id}/confirm?reclaim=true",
        "409 reservation_not_held",
    );
    for query in ["reclaim=yes", "reclaim=", "reclaim", "reclaim=true&reclaim=true", "again=true"] {
        check(&operator, &format!("POST {path}?{query}"), "400 invalid_request");
    }
}
