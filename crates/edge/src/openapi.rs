//! The `OpenAPI` 3.1 document of both listeners, built from the bounds that the parsers use and from problems as they are
//! really written.

pub(crate) mod operation;
pub(crate) mod parts;
mod problem;
pub(crate) mod scope;

use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::tag::{Tag, TagBuilder};
use utoipa::openapi::{Components, ComponentsBuilder, OpenApiBuilder, PathsBuilder, Server};

use self::operation::{HEALTH, OPERATOR, Operation, PUBLIC, SCENARIOS, Shared};
use self::scope::Scope;
use crate::api;
use crate::problem::Code;
use crate::settings::Scenarios;

/// The document of both listeners, as pretty JSON that ends in a newline.
pub fn document() -> String {
    document_of(Scope::Everything)
}

/// The document of these calls.
///
/// # Panics
/// Never in practice: the document has only string keys.
pub(crate) fn document_of(scope: Scope) -> String {
    let mut paths = PathsBuilder::new();
    let mut shared = Shared::default();
    let operations = operations(scope);
    let tags = tags(scope, &operations);
    for operation in operations {
        paths = operation.add_to(paths, scope, &mut shared);
    }
    let document = OpenApiBuilder::new()
        .info(scope.info())
        .servers(Some([Server::builder()
            .url("/")
            .description(Some("The listener that served this document."))
            .build()]))
        .tags(Some(tags))
        .paths(paths.build())
        .components(Some(components(scope, &shared)))
        .build();
    let mut text = serde_json::to_string_pretty(&document).expect("a document of strings is JSON");
    text.push('\n');
    text
}

/// A path that takes every method is shown once to people, and with each of its methods to programs.
fn operations(scope: Scope) -> Vec<Operation> {
    let (routes, operations_max) = match scope {
        Scope::Everything => {
            let routes =
                api::public_routes(Scenarios::ALL).into_iter().chain(api::operator_routes(Scenarios::ALL));
            (routes.collect(), usize::MAX)
        }
        Scope::Public(scenarios) => (api::public_routes(scenarios), 1),
        Scope::Operator { scenarios, .. } => (api::operator_routes(scenarios), 1),
    };
    routes.into_iter().flat_map(|route| route.operations.into_iter().take(operations_max)).collect()
}

/// In the whole document a tag says which listener answers; on a page it says what the call is about.
fn tags(scope: Scope, operations: &[Operation]) -> Vec<Tag> {
    if matches!(scope, Scope::Everything) {
        return vec![
            tag(
                PUBLIC,
                "What customers' requests reach: the public listener, 127.0.0.1:8080 by default. The operator listener answers \
                 those about reservations as well, for the shop's own system.",
            ),
            tag(
                OPERATOR,
                "Sales, windows, sinks, figures and the operator's pages: the operator listener, 127.0.0.1:8081 by default.",
            ),
            tag(HEALTH, "Answered by both listeners."),
            tag(
                SCENARIOS,
                "Ready-made applications on the public listener; unknown paths unless they are switched on.",
            ),
        ];
    }
    let is_shown = |topic: &str| operations.iter().any(|operation| operation.topic() == topic);
    let topics = TOPICS.iter().filter(|(topic, _)| is_shown(topic));
    topics.map(|(topic, description)| tag(topic, description)).collect()
}

/// What a page groups calls by, in the order that it shows them.
const TOPICS: [(&str, &str); 13] = [
    ("sales", "What opens and closes, with its stocks."),
    ("reservations", "One customer's claim on units of a sale: held, confirmed, released or expired."),
    ("session", "Who a customer is, for as long as the session lasts."),
    ("customers", "Accounts that customers make for themselves."),
    ("challenges", "What a customer solves before reserving."),
    ("gate", "Whether a request may pass, asked by a proxy or by the operator."),
    ("denylist", "Customers, addresses and networks that may not pass."),
    ("counters", "Totals for ever."),
    ("windows", "How many requests there were a short time back."),
    ("catalog", "Rows of the shop's tables, read from memory."),
    ("sinks", "Readers of the log that write to databases and brokers."),
    (SCENARIOS, "Ready-made applications over the same operations."),
    (HEALTH, "For whoever watches the server."),
];

fn components(scope: Scope, shared: &Shared) -> Components {
    let mut components =
        ComponentsBuilder::new().header(operation::REQUEST_ID, operation::request_id_header());
    if !matches!(scope, Scope::Operator { .. }) {
        for (field, header) in operation::RATE_LIMIT_FIELDS.into_iter().zip(operation::rate_limit_headers()) {
            components = components.header(field, header);
        }
    }
    if scope.has_key() {
        let bearer = Http::builder()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("The operator key, without the word Bearer: what the file of the setting operator.key_file holds."))
            .build();
        components = components.security_scheme(operation::OPERATOR_KEY, SecurityScheme::Http(bearer));
    }
    for (name, schema) in [("Problem", problem::schema())].into_iter().chain(api::schemas()) {
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

fn tag(name: &str, description: &str) -> Tag {
    TagBuilder::new().name(name).description(Some(description)).build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_have_a_place_for_every_call() {
        let scenarios = Scenarios::ALL;
        for scope in [Scope::Public(scenarios), Scope::Operator { scenarios, has_key: true }] {
            let operations = operations(scope);
            let is_known = |topic: &str| TOPICS.iter().any(|(known, _)| *known == topic);
            let unknown: Vec<_> =
                operations.iter().map(Operation::topic).filter(|topic| !is_known(topic)).collect();
            assert!(unknown.is_empty(), "{unknown:?}");
        }
    }
}
