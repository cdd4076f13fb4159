//! The `OpenAPI` 3.1 document of both listeners, built from the bounds that the parsers use and from problems as they are
//! really written.

pub(crate) mod operation;
pub(crate) mod operator;
pub(crate) mod parts;
pub(crate) mod public;
mod schemas;

use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{
    Components, ComponentsBuilder, InfoBuilder, License, OpenApiBuilder, PathsBuilder, Server,
};

use self::operation::Shared;
use crate::api;
use crate::limits::{BODY_BYTES_MAX, HEAD_BYTES_MAX, OPERATOR_BODY_BYTES_MAX, TARGET_BYTES_MAX};
use crate::problem::Code;
use crate::settings::Scenarios;

/// The document as pretty JSON that ends in a newline.
///
/// # Panics
/// Never in practice: the document has only string keys.
pub fn document() -> String {
    let mut paths = PathsBuilder::new();
    let mut shared = Shared::default();
    let routes = api::public_routes(Scenarios::ALL).into_iter().chain(api::operator_routes());
    for operation in routes.flat_map(|route| route.operations) {
        paths = operation.add_to(paths, &mut shared);
    }
    let document = OpenApiBuilder::new()
        .info(
            InfoBuilder::new()
                .title("onrush")
                .version(env!("CARGO_PKG_VERSION"))
                .description(Some(description()))
                .license(Some(License::builder().name("Apache-2.0").identifier(Some("Apache-2.0")).build()))
                .build(),
        )
        .servers(Some([Server::builder()
            .url("/")
            .description(Some("The listener that served this document."))
            .build()]))
        .tags(Some([
            tag("public", "What customers' requests reach: the public listener, 127.0.0.1:8080 by default."),
            tag(
                "operator",
                "Sales, windows, sinks and figures: the operator listener, 127.0.0.1:8081 by default.",
            ),
            tag("health", "Answered by both listeners."),
            tag(
                "scenarios",
                "Ready-made applications on the public listener; unknown paths unless they are switched on.",
            ),
        ]))
        .paths(paths.build())
        .components(Some(components(&shared)))
        .build();
    let mut text = serde_json::to_string_pretty(&document).expect("a document of strings is JSON");
    text.push('\n');
    text
}

fn components(shared: &Shared) -> Components {
    let bearer = Http::builder()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("The operator key, if one is set."))
        .build();
    let mut components = ComponentsBuilder::new()
        .security_scheme(operation::OPERATOR_KEY, SecurityScheme::Http(bearer))
        .header(operation::REQUEST_ID, operation::request_id_header());
    for (name, schema) in schemas::all().into_iter().chain(api::schemas()) {
        components = components.schema(name, schema);
    }
    for code in Code::ALL {
        components = components.example(code.as_str(), operation::problem_example(code));
    }
    for code in &shared.codes {
        components = components.response(code.as_str(), operation::problem_response(&[*code], None));
    }
    components.build()
}

fn tag(name: &str, description: &str) -> utoipa::openapi::Tag {
    TagBuilder::new().name(name).description(Some(description)).build()
}

fn description() -> String {
    format!(
        "Counts, admits and reserves when everyone arrives at once. A success is answered only after it is durable.\n\n\
         Times are RFC 3339 in UTC. Names are 1 to 64 of `A-Z a-z 0-9 . _ ~ : @ -`. Unknown fields and query \
         parameters are an error, and so is a body where a call takes none. A body is at most {BODY_BYTES_MAX} bytes ({OPERATOR_BODY_BYTES_MAX} on the operator listener), a target \
         {TARGET_BYTES_MAX}, request line and header fields together {HEAD_BYTES_MAX}. Every error is \
         `application/problem+json` (RFC 9457) with a stable `code`. Every GET but `/web-counter/increment` also answers \
         HEAD. An `X-Request-Id` of a request comes back in its answer; without one it is made."
    )
}
