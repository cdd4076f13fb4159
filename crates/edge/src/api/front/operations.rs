//! What proxies ask, as operations.

use utoipa::openapi::path::{Parameter, ParameterIn};
use utoipa::openapi::{HttpMethod, ObjectBuilder, ResponseBuilder, Type};

use super::{CHECK, FORWARD};
use crate::openapi::operation::{EVERY_METHOD, Operation, PUBLIC, optional_parameter, text_header};
use crate::problem::Code;

const PROBLEMS: [Code; 5] =
    [Code::SessionRequired, Code::SessionExpired, Code::InvalidCredentials, Code::CrossSite, Code::Denied];
const CUSTOMER: &str = "The customer of the session, if there is one.";

/// What nginx asks.
pub(super) fn check() -> Operation {
    Operation::new(
        HttpMethod::Get,
        CHECK,
        PUBLIC,
        "checkForProxy",
        "Ask whether a proxy may let a request through (nginx)",
    )
    .description(
        "For `auth_request` of nginx. Rate limits, denylist and session are asked as for every request. A refusal is 401 or 403, \
         whatever its code has elsewhere; `Onrush-Refusal` has the code. `X-Original-Method` is the method of the request itself.",
    )
    .parameter(session())
    .answer(204, ResponseBuilder::new().description("The request may go on."))
    .header(204, "Onrush-Customer", text_header(CUSTOMER))
    .problems(&PROBLEMS)
}

/// What Traefik and Caddy ask: one for each method, as a proxy may ask by the method of the request that it has.
pub(super) fn forward() -> Vec<Operation> {
    EVERY_METHOD.into_iter().map(|(method, name)| forward_by(method, name)).collect()
}

fn forward_by(method: HttpMethod, name: &str) -> Operation {
    // The first that there was has the short id, which clients may have.
    let name = if method == HttpMethod::Get { "" } else { name };
    let id = format!("forward{name}ForProxy");
    let summary = "Ask whether a proxy may let a request through (Traefik, Caddy)";
    Operation::new(method, FORWARD, PUBLIC, &id, summary)
        .description(
            "For forward authentication. Every method asks alike, because a proxy may ask by the method of the request that it has. A \
             refusal is what this server would answer; `Onrush-Refusal` has its code. `X-Forwarded-Method` is the method of the \
             request itself.",
        )
        .parameter(session())
        .answer(200, ResponseBuilder::new().description("The request may go on."))
        .header(200, "Onrush-Customer", text_header(CUSTOMER))
        .problems(&PROBLEMS)
}

fn session() -> Parameter {
    let description = "`required`, which it is if it is absent, refuses whoever has no session; `optional` lets them through.";
    let schema = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(["required", "optional"]));
    optional_parameter("session", ParameterIn::Query, description, schema)
}
