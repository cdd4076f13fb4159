//! Methods that a path does not take.

use std::collections::BTreeSet;

use http::StatusCode;
use utoipa::openapi::HttpMethod;

use super::{ALL, app, conformance, operator_router, public_router, send, sinks};
use crate::api::route::Route;
use crate::api::{operator_routes, public_routes};

/// Those of HTTP, and one that is none of it.
const METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"];

/// The methods that the document has of a path, by what all routes to it say.
fn documented<'a>(routes: &'a [Route], path: &'a str) -> BTreeSet<&'static str> {
    let of_path = routes.iter().filter(|route| route.path == path);
    let operations = of_path.flat_map(|route| &route.operations);
    operations.map(|operation| text(&operation.method)).collect()
}

fn text(method: &HttpMethod) -> &'static str {
    match method {
        HttpMethod::Get => "GET",
        HttpMethod::Post => "POST",
        HttpMethod::Put => "PUT",
        HttpMethod::Delete => "DELETE",
        HttpMethod::Options => "OPTIONS",
        HttpMethod::Head => "HEAD",
        HttpMethod::Patch => "PATCH",
        HttpMethod::Trace => "TRACE",
    }
}

#[test]
fn a_path_takes_the_methods_of_the_document_and_names_them_to_every_other() {
    let app = sinks::with_all();
    for (router, routes) in
        [(public_router(app.clone()), public_routes(ALL)), (operator_router(app), operator_routes(ALL))]
    {
        for path in routes.iter().map(|route| route.path).collect::<BTreeSet<_>>() {
            let documented = documented(&routes, path);
            // A path that takes each of these takes every method.
            let takes_all =
                METHODS[..8].iter().all(|method| documented.contains(method) || *method == "HEAD");
            for method in METHODS {
                let request = format!("{method} {}", conformance::target_of(path));
                let (status, fields, _) = send(&router, &request);
                if takes_all || documented.contains(method) {
                    assert_ne!(status, StatusCode::METHOD_NOT_ALLOWED, "{request}");
                } else if status == StatusCode::METHOD_NOT_ALLOWED {
                    let allow = fields.split(", ").find_map(|field| field.strip_prefix("allow: "));
                    let mut allowed: BTreeSet<_> = allow.expect("Allow").split(',').collect();
                    assert!(method != "HEAD" || !allowed.contains("HEAD"), "{request}: {fields}");
                    // That a path takes HEAD is said of all at once.
                    allowed.remove("HEAD");
                    assert_eq!(allowed, documented, "{request}");
                } else {
                    assert!(method == "HEAD" && documented.contains("GET"), "{request}: {status}");
                }
            }
        }
    }
}

#[test]
fn methods_that_a_path_does_not_take_name_those_that_it_does() {
    for (request, allow) in [
        ("DELETE /v1/counters/home", "GET,HEAD,POST"),
        ("OPTIONS /v1/sales", "GET,HEAD"),
        ("GET /v1/sales/PWTC/reservations", "POST"),
        ("BREW /v1/sales/PWTC", "GET,HEAD"),
        ("POST /web-counter/increment", "GET"),
        ("POST /web-counter/increment?x=1\n\n{}", "GET"),
        ("HEAD /web-counter/increment", "GET"),
        ("GET /booking", "POST"),
        ("POST /openapi.json", "GET,HEAD"),
    ] {
        let (status, fields, _) = send(&public_router(app(ALL, None)), request);
        assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED, "{request}");
        assert!(fields.contains(&format!("allow: {allow}")), "{request}: {fields}");
    }
    let (status, fields, _) = send(&operator_router(app(ALL, None)), "GET /v1/sales/PWTC");
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
    assert!(fields.contains("allow: PUT,PATCH,DELETE"), "{fields}");
}
