//! Changes of a sale that hold only for terms that were seen.

use super::{ALL, app, check, operator_router, public_router, send};

/// The entity tag of an answer.
pub(super) fn etag_of(router: &axum::Router, request: &str) -> String {
    let (_, fields, _) = send(router, request);
    fields.split("etag: ").nth(1).and_then(|rest| rest.split(", ").next()).expect("an entity tag").to_owned()
}

#[test]
fn the_tag_of_a_read_is_a_condition_of_a_change() {
    let etag = etag_of(&public_router(app(ALL, None)), "GET /v1/sales/PWTC");
    let (first, terms) = etag.rsplit_once('-').expect("parts");
    let sold_meanwhile = format!("\"another-{terms}");
    let other_terms = format!("{first}-0123456789abcdef\"");
    let weak = format!("W/{etag}");
    let body = "\ncontent-type: application/json\n\n{\"stocks\":[{\"stock\":\"a\",\"quantity_total\":1}]}";
    let patch = "\ncontent-type: application/merge-patch+json\n\n{}";
    let router = operator_router(app(ALL, None));
    for (method, content, done) in [("PUT", body, "200 "), ("PATCH", patch, "200 "), ("DELETE", "", "204 ")] {
        for (condition, expected) in [
            (format!("if-match: {etag}"), done),
            (format!("if-match: {sold_meanwhile}"), done),
            (format!("if-match: \"x\", {etag}"), done),
            (format!("if-match: \"x\"\nif-match: {etag}"), done),
            ("if-match: *".to_owned(), done),
            (format!("if-match: {other_terms}"), "412 precondition_failed"),
            (format!("if-match: {weak}"), "412 precondition_failed"),
            ("if-match: \"x\"".to_owned(), "412 precondition_failed"),
            ("if-none-match: *".to_owned(), "412 precondition_failed"),
            (format!("if-match: {etag}\nif-none-match: *"), "412 precondition_failed"),
            ("if-match: x".to_owned(), "400 invalid_request"),
            (format!("if-none-match: {etag}"), "400 invalid_request"),
        ] {
            check(&router, &format!("{method} /v1/sales/PWTC\n{condition}{content}"), expected);
        }
    }
    check(&router, &format!("PUT /v1/sales/new\nif-none-match: *{body}"), "201 etag: ");
    check(&router, &format!("PUT /v1/sales/new\nif-match: *{body}"), "412 precondition_failed");
    check(&router, "DELETE /v1/sales/open\nif-match: \"x\"", "412 precondition_failed");
    check(&router, "DELETE /v1/sales/open\nif-match: *", "409 sale_open");
    check(&router, "DELETE /v1/sales/missing\nif-match: \"x\"", "404 sale_not_found");
}
