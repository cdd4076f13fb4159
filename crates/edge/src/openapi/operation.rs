//! One operation of the document: what it takes, what it answers, and every problem it can end in.

use std::collections::BTreeMap;

use onrush_core::{Ceiling, ChallengeTerms, Refusal, TimeMs, Unmet};
use onrush_gate::jwt::JwtRefused;
use onrush_gate::{Limited, Refused, RouteGroup, Standing};
use onrush_node::{Asker, ChallengeCall, Failure, LineCall, ReserveCall};
use onrush_sinks::SinkRefusal;
use serde_json::Value;
use smallvec::smallvec;
use utoipa::openapi::content::{Content, ContentBuilder};
use utoipa::openapi::example::{Example, ExampleBuilder};
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{OperationBuilder, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::ObjectBuilder;
use utoipa::openapi::{
    Header, HttpMethod, PathItem, PathsBuilder, Ref, RefOr, Required, Response, ResponseBuilder, Schema,
    SecurityRequirement, Server,
};

use super::parts::{name, named, text, whole};
use super::scope::Scope;
use crate::limits::{BODY_BYTES_MAX, HEAD_BYTES_MAX, TARGET_BYTES_MAX};
use crate::problem::{CONTENT_TYPE, Code, Problem};

/// The tag of what customers' requests reach.
pub(crate) const PUBLIC: &str = "public";

/// The tag of what only the operator listener answers.
pub(crate) const OPERATOR: &str = "operator";

/// The tag of what both listeners answer.
pub(crate) const HEALTH: &str = "health";

/// The tag of what ready-made applications answer.
pub(crate) const SCENARIOS: &str = "scenarios";

/// The name of the operator's security scheme.
pub(crate) const OPERATOR_KEY: &str = "operator_key";

/// The name of the header field that every answer has.
pub(crate) const REQUEST_ID: &str = "X-Request-Id";

/// The names of the header fields that answers have where a rate limit is on.
pub(crate) const RATE_LIMIT_FIELDS: [&str; 2] = ["RateLimit-Policy", "RateLimit"];

/// The methods of a path that takes every one, and what tells them apart in the ids of its operations.
pub(crate) const EVERY_METHOD: [(HttpMethod, &str); 7] = [
    (HttpMethod::Get, "Get"),
    (HttpMethod::Post, "Post"),
    (HttpMethod::Put, "Put"),
    (HttpMethod::Delete, "Delete"),
    (HttpMethod::Patch, "Patch"),
    (HttpMethod::Options, "Options"),
    (HttpMethod::Trace, "Trace"),
];

/// The time in examples: 2021-05-16T00:00:00Z.
const EXAMPLE_NOW_MS: TimeMs = 1_621_123_200_000;

/// What every operation can end in, whatever it does.
const ALWAYS: [Code; 5] = [
    Code::InvalidRequest,
    Code::NotFound,
    Code::MethodNotAllowed,
    Code::TargetTooLong,
    Code::HeadersTooLarge,
];

/// An operation under construction.
pub(crate) struct Operation {
    pub(crate) method: HttpMethod,
    pub(crate) path: &'static str,
    tag: &'static str,
    builder: OperationBuilder,
    codes: Vec<Code>,
    answers: BTreeMap<u16, Response>,
}

/// Parts that several operations refer to.
#[derive(Default)]
pub(crate) struct Shared {
    /// Responses that stand for one code alone.
    pub(crate) codes: Vec<Code>,
}

impl Operation {
    pub(crate) fn new(
        method: HttpMethod,
        path: &'static str,
        tag: &'static str,
        id: &str,
        summary: &str,
    ) -> Self {
        let builder = OperationBuilder::new().operation_id(Some(id)).summary(Some(summary));
        Self { method, path, tag, builder, codes: ALWAYS.to_vec(), answers: BTreeMap::new() }
    }

    pub(crate) fn description(mut self, description: &str) -> Self {
        self.builder = self.builder.description(Some(description));
        self
    }

    /// A name in the path.
    pub(crate) fn name(self, parameter: &str, example: &str, description: &str) -> Self {
        self.parameter(path_parameter(parameter, example, description, name(description)))
    }

    pub(crate) fn parameter(mut self, parameter: Parameter) -> Self {
        self.builder = self.builder.parameter(parameter);
        self
    }

    /// A required JSON body of a schema of the components.
    pub(crate) fn body(self, schema: &str, example: Value) -> Self {
        self.body_as("application/json", schema, example)
    }

    /// A JSON body that may be left out.
    pub(crate) fn optional_body(self, schema: &str, example: Value) -> Self {
        self.body_that_is(Required::False, "application/json", schema, example)
    }

    /// A required body of another media type.
    pub(crate) fn body_as(self, media_type: &str, schema: &str, example: Value) -> Self {
        self.body_that_is(Required::True, media_type, schema, example)
    }

    fn body_that_is(mut self, required: Required, media_type: &str, schema: &str, example: Value) -> Self {
        let content = content(named(schema), example);
        let body = RequestBodyBuilder::new().content(media_type, content).required(Some(required)).build();
        self.builder = self.builder.request_body(Some(body));
        self.codes.extend([Code::BodyTooLarge, Code::UnsupportedMediaType]);
        self
    }

    /// A JSON answer of a schema of the components.
    pub(crate) fn json(self, status: u16, description: &str, schema: &str, example: Value) -> Self {
        self.content(status, description, "application/json", named(schema), example)
    }

    pub(crate) fn content(
        self,
        status: u16,
        description: &str,
        content_type: &str,
        schema: RefOr<Schema>,
        example: Value,
    ) -> Self {
        let content = content(schema, example);
        self.answer(status, ResponseBuilder::new().description(description).content(content_type, content))
    }

    pub(crate) fn answer(mut self, status: u16, response: ResponseBuilder) -> Self {
        self.answers.insert(status, with_request_id(response).build());
        self
    }

    /// Adds a header field to an answer that was described before.
    pub(crate) fn header(mut self, status: u16, field: &str, header: Header) -> Self {
        if let Some(response) = self.answers.get_mut(&status) {
            response.headers.insert(field.to_owned(), header.into());
        }
        self
    }

    /// Problems that it can end in besides those that all can.
    pub(crate) fn problems(mut self, codes: &[Code]) -> Self {
        self.codes.extend_from_slice(codes);
        self
    }

    /// Problems of everything that asks the partition.
    pub(crate) fn asks(self) -> Self {
        self.problems(&[Code::Overloaded, Code::LogUnavailable, Code::NotLeader, Code::Draining])
    }

    pub(crate) fn add_to(mut self, paths: PathsBuilder, scope: Scope, shared: &mut Shared) -> PathsBuilder {
        let tag = if matches!(scope, Scope::Everything) { self.tag } else { self.topic() };
        self.builder = self.builder.tag(tag);
        self = self.guarded(scope).limited();
        let mut by_status: BTreeMap<u16, Vec<Code>> = BTreeMap::new();
        for code in Code::ALL.into_iter().filter(|code| self.codes.contains(code)) {
            by_status.entry(code.status()).or_default().push(code);
        }
        for (status, codes) in by_status {
            let response: RefOr<Response> = match (self.answers.remove(&status), codes.as_slice()) {
                (None, [code]) => {
                    if !shared.codes.contains(code) {
                        shared.codes.push(*code);
                    }
                    Ref::from_response_name(code.as_str()).into()
                }
                (described, codes) => problem_response(codes, described).into(),
            };
            self.builder = self.builder.response(status.to_string(), response);
        }
        for (status, response) in self.answers {
            self.builder = self.builder.response(status.to_string(), response);
        }
        paths.path(self.path, PathItem::new(self.method, self.builder))
    }

    /// What it is about, from its path.
    pub(super) fn topic(&self) -> &'static str {
        let segment = |index: usize| self.path.split('/').nth(index).unwrap_or_default();
        match (self.tag, segment(2)) {
            // The pages of a scenario.
            (OPERATOR, page) if segment(1) != "v1" && !page.is_empty() => SCENARIOS,
            (PUBLIC | OPERATOR, "sales") if segment(4).is_empty() => "sales",
            (PUBLIC | OPERATOR, "sales") => "reservations",
            (PUBLIC | OPERATOR, topic) if !topic.is_empty() => topic,
            (PUBLIC | OPERATOR, _) => HEALTH,
            (tag, _) => tag,
        }
    }

    /// Says how often it may be called.
    fn limited(mut self) -> Self {
        if !matches!(self.tag, PUBLIC | SCENARIOS) {
            return self;
        }
        for response in self.answers.values_mut() {
            for field in RATE_LIMIT_FIELDS {
                let header = Ref::new(format!("#/components/headers/{field}"));
                response.headers.insert(field.to_owned(), RefOr::Ref(header));
            }
        }
        self.problems(&[Code::RateLimited])
    }

    /// Says who may call it, and how others are refused.
    fn guarded(mut self, scope: Scope) -> Self {
        let nobody_asks: Vec<SecurityRequirement> = Vec::new();
        let key = SecurityRequirement::new(OPERATOR_KEY, [] as [&str; 0]);
        let (requirements, codes) = match scope {
            Scope::Everything if matches!(self.tag, OPERATOR | HEALTH) => {
                (vec![SecurityRequirement::default(), key], &[Code::Unauthorized, Code::CrossSite][..])
            }
            Scope::Everything | Scope::Public(_) => (nobody_asks, &[][..]),
            Scope::Operator { has_key: true, .. } => (vec![key], &[Code::Unauthorized][..]),
            Scope::Operator { has_key: false, .. } => (nobody_asks, &[Code::CrossSite][..]),
        };
        if matches!(scope, Scope::Everything) && self.tag == OPERATOR {
            let server = Server::builder()
                .url("http://127.0.0.1:8081")
                .description(Some("The operator listener, by default here."))
                .build();
            self.builder = self.builder.server(server);
        }
        self.builder = self.builder.securities(Some(requirements));
        self.problems(codes)
    }
}

/// A segment of the path. A page fills the example in for whoever wants to try a call.
pub(crate) fn path_parameter(
    parameter: &str,
    example: &str,
    description: &str,
    schema: RefOr<Schema>,
) -> Parameter {
    ParameterBuilder::new()
        .name(parameter)
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .description(Some(description))
        .schema(Some(schema))
        .example(Some(Value::from(example)))
        .build()
}

pub(crate) fn optional_parameter(
    parameter: &str,
    place: ParameterIn,
    description: &str,
    schema: ObjectBuilder,
) -> Parameter {
    ParameterBuilder::new()
        .name(parameter)
        .parameter_in(place)
        .required(Required::False)
        .description(Some(description))
        .schema(Some(schema))
        .build()
}

pub(crate) fn text_header(description: &str) -> Header {
    HeaderBuilder::new().schema(Some(text(description))).description(Some(description)).build()
}

/// The field that every answer has.
pub(crate) fn request_id_header() -> Header {
    text_header("The request's own, or one that was made for it.")
}

/// The fields of [`RATE_LIMIT_FIELDS`], in that order.
pub(crate) fn rate_limit_headers() -> [Header; 2] {
    [
        text_header(
            "Where a rate limit is on: each limit of this call by name (address, route, customer) with its burst `q` and \
             the seconds `w` in which a whole burst comes back.",
        ),
        text_header(
            "Where a rate limit is on: the limit that is nearest to refusing, the calls `r` that it lets through now, and \
             the seconds `t` until a whole burst is possible.",
        ),
    ]
}

/// A problem of this code as it is really written.
pub(crate) fn problem_example(code: Code) -> Example {
    ExampleBuilder::new().summary(code.title()).value(Some(example_body(code))).build()
}

/// One response for all problems of a status. An answer of another form with the same status keeps its content beside them.
pub(crate) fn problem_response(codes: &[Code], described: Option<Response>) -> Response {
    let names: Vec<String> = codes.iter().map(|code| format!("`{}`", code.as_str())).collect();
    let mut content = ContentBuilder::new().schema(Some(named("Problem"))).build();
    for code in codes {
        let example = Ref::new(format!("#/components/examples/{}", code.as_str()));
        content.examples.insert(code.as_str().to_owned(), RefOr::Ref(example));
    }
    let mut response =
        with_request_id(ResponseBuilder::new().description(names.join(", ")).content(CONTENT_TYPE, content));
    for code in codes {
        for (field, _) in example(*code).headers() {
            response = match field {
                "retry-after" => {
                    let seconds = "Seconds to wait before trying again.";
                    let header =
                        HeaderBuilder::new().schema(Some(whole(seconds, 1, None))).description(Some(seconds));
                    response.header("Retry-After", header.build())
                }
                "allow" => {
                    response.header("Allow", text_header("The methods that the path takes on this listener."))
                }
                "www-authenticate" => response.header("WWW-Authenticate", text_header("`Bearer`")),
                _ => response,
            };
        }
    }
    if codes.contains(&Code::RateLimited) {
        for field in RATE_LIMIT_FIELDS {
            response = response.header_ref(field, Ref::new(format!("#/components/headers/{field}")));
        }
    }
    let mut response = response.build();
    if let Some(described) = described {
        response.description = format!("{}; or {}", described.description, response.description);
        response.content.extend(described.content);
    }
    response
}

/// Content with one example, in the form that viewers show rather than one that they make up.
fn content(schema: RefOr<Schema>, example: Value) -> Content {
    let example = ExampleBuilder::new().value(Some(example)).build();
    ContentBuilder::new().schema(Some(schema)).examples_from_iter([("example", example)]).build()
}

fn with_request_id(response: ResponseBuilder) -> ResponseBuilder {
    response.header_ref(REQUEST_ID, Ref::new(format!("#/components/headers/{REQUEST_ID}")))
}

fn example_body(code: Code) -> Value {
    let mut body = Vec::new();
    example(code).write_body(&mut body);
    serde_json::from_slice(&body).unwrap_or_default()
}

/// A problem of each code, made the way that the server makes it.
#[allow(clippy::too_many_lines, reason = "a row for each code")]
fn example(code: Code) -> Problem {
    let refused = |refusal| {
        let line = LineCall { stock: "2021-05-16".into(), quantity: 1 };
        let call = ReserveCall {
            sale: "PWTC".into(),
            asker: Asker::Anyone,
            customer: "900127015527".into(),
            lines: smallvec![line],
            details: Box::default(),
            challenge: ChallengeCall::Missing,
            key: None,
        };
        Problem::from_failure(&Failure::Refused { refusal, call: Some(Box::new(call)) }, EXAMPLE_NOW_MS)
    };
    match code {
        Code::InvalidRequest => {
            Problem::invalid("lines[0].quantity", "must be a whole number from 1 to 1000")
        }
        Code::Unauthorized => Problem::unauthorized(),
        Code::SessionRequired => Problem::session_required(),
        Code::SessionExpired => Problem::session_expired(),
        Code::InvalidCredentials => Problem::invalid_token(&JwtRefused::WrongAudience),
        Code::CustomerMismatch => Problem::customer_mismatch(),
        Code::CrossSite => Problem::cross_site(),
        Code::HoldsUnpaid => refused(Refusal::HoldsUnpaid { holds_unpaid_max: 3 }),
        Code::ChallengeRequired => refused(Refusal::ChallengeRequired { challenge: ChallengeTerms::Either }),
        Code::ChallengeFailed => refused(Refusal::ChallengeFailed),
        Code::OperatorOnly => refused(Refusal::OperatorOnly),
        Code::CoolingDown => refused(Refusal::CoolingDown { left_ms: 6_400 }),
        Code::NotFound => Problem::not_found(),
        Code::CounterNotFound => refused(Refusal::CounterNotFound),
        Code::WindowNotFound => refused(Refusal::WindowNotFound),
        Code::SaleNotFound => refused(Refusal::SaleNotFound),
        Code::StockNotFound => refused(Refusal::StockNotFound { line: 0 }),
        Code::ReservationNotFound => refused(Refusal::ReservationNotFound),
        Code::Denied => Problem::denied(),
        Code::CustomerExists => refused(Refusal::CustomerExists),
        Code::DenialNotFound => refused(Refusal::DenialNotFound),
        Code::CollectionNotFound => Problem::collection_not_found(),
        Code::RowNotFound => Problem::row_not_found(),
        Code::Incoherent => Problem::incoherent(),
        Code::SourceUnavailable => Problem::source_unavailable(),
        Code::SinkNotFound => Problem::from_sink_refusal(&SinkRefusal::NotFound),
        Code::MethodNotAllowed => Problem::method_not_allowed(Some("GET,HEAD")),
        Code::InsufficientStock => refused(Refusal::InsufficientStock { line: 0, quantity_available: 0 }),
        Code::CustomerLimitReached => {
            refused(Refusal::CustomerLimitReached { per_customer_max: 1, quantity_taken: 1 })
        }
        Code::SaleNotOpen => refused(Refusal::SaleNotOpen { opens_at: EXAMPLE_NOW_MS + 60_000 }),
        Code::SaleClosed => refused(Refusal::SaleClosed { closes_at: EXAMPLE_NOW_MS - 3_600_000 }),
        Code::StockClosed => refused(Refusal::StockClosed { line: 0, closes_at: EXAMPLE_NOW_MS - 3_600_000 }),
        Code::ReservationNotHeld => refused(Refusal::ReservationNotHeld),
        Code::QuantityBelowReserved => refused(Refusal::QuantityBelowReserved {
            stock: "2021-05-16".into(),
            quantity_held: 12,
            quantity_confirmed: 340,
        }),
        Code::StockInUse => refused(Refusal::StockInUse {
            stock: "2021-05-16".into(),
            quantity_held: 0,
            quantity_confirmed: 0,
        }),
        Code::PreconditionFailed => refused(Refusal::PreconditionFailed(Unmet::TermsDiffer)),
        Code::SaleOpen => refused(Refusal::SaleOpen),
        Code::HoldsPending => refused(Refusal::HoldsPending {
            quantity_held: 12,
            held_count: 9,
            held_until: EXAMPLE_NOW_MS + 600_000,
        }),
        Code::SinkNotStopped => Problem::from_sink_refusal(&SinkRefusal::NotStoppedThere),
        Code::HoldExpired => refused(Refusal::HoldExpired),
        Code::BodyTooLarge => Problem::body_too_large(BODY_BYTES_MAX),
        Code::TargetTooLong => Problem::target_too_long(TARGET_BYTES_MAX),
        Code::UnsupportedMediaType => Problem::unsupported_media_type(),
        Code::IdempotencyKeyReused => refused(Refusal::IdempotencyKeyReused),
        Code::RateLimited => Problem::rate_limited(&Refused {
            standing: Standing {
                group: RouteGroup::Reserve,
                limited: Limited::Address,
                remaining: 0,
                full_after_s: 1,
            },
            retry_after_s: 2,
        }),
        Code::HeadersTooLarge => Problem::headers_too_large(HEAD_BYTES_MAX),
        Code::Overloaded => refused(Refusal::CeilingReached(Ceiling::Reservations)),
        Code::LogUnavailable => Problem::log_unavailable(),
        Code::NotLeader => Problem::not_leader(),
        Code::Draining => Problem::draining(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_its_own_example() {
        for code in Code::ALL {
            assert_eq!(example(code).code(), code.as_str());
        }
    }
}
