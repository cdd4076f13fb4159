//! Requests that come to the wrong listener.

use super::{ALL, app, operator_router, public_router, send};
use crate::settings::Scenarios;

#[test]
fn a_request_for_the_other_listener_is_told_which_one_answers() {
    let public = public_router(app(ALL, None));
    let operator = operator_router(app(ALL, None));
    let to_operator = "setting operator.listen.";
    let to_public = "setting server.listen.";
    for (router, request, hint) in [
        (&public, "GET /metrics", to_operator),
        (&public, "GET /v1/sinks", to_operator),
        (&public, "GET /v1/sinks/shop/skip", to_operator),
        (&public, "PUT /v1/sales/PWTC\n\n{}", to_operator),
        (&public, "DELETE /v1/sales/PWTC", to_operator),
        (&public, "PUT /v1/windows/home", to_operator),
        (&public, "POST /v1/sales/PWTC", "methods in the Allow header."),
        (&public, "GET /nowhere", "Check the path against /openapi.json."),
        (&operator, "POST /v1/counters/home", to_public),
        (&operator, "GET /v1/sales/PWTC", to_public),
        (&operator, "POST /v1/windows/home", to_public),
        (&operator, "BREW /", to_public),
        (&operator, "POST /v1/sales/PWTC", "methods in the Allow header."),
        (&operator, "GET /nowhere", "Check the path against /openapi.json."),
    ] {
        let (status, _, body) = send(router, request);
        assert!(matches!(status.as_u16(), 404 | 405), "{request}: {status}");
        assert!(body.contains(hint), "{request}: {body} lacks {hint}");
        let names_both = body.contains("operator.listen") && body.contains("server.listen");
        assert!(!names_both && !body.contains("127.0.0.1"), "{request}: {body}");
    }
    let without = operator_router(app(Scenarios::default(), None));
    let (_, _, body) = send(&without, "GET /booking");
    assert!(body.contains("Check the path"), "a scenario that is off is nowhere: {body}");
}
