//! The operation that explains, and what it answers.

use serde_json::json;
use utoipa::openapi::path::{Parameter, ParameterIn};
use utoipa::openapi::schema::{SchemaType, Type};
use utoipa::openapi::{HttpMethod, RefOr, Schema};

use super::words::Verdict;
use crate::gate::CHECKS;
use crate::openapi::operation::{OPERATOR, Operation, optional_parameter};
use crate::openapi::parts::{list, name_text, named, object, one_of, text};
use crate::problem::Code;

pub(super) fn explained() -> Operation {
    let example = json!({"verdict": "refused", "checks": [
        {"check": "rate_limits", "verdict": "passed", "code": null,
         "detail": "12 of 1,000 requests of this address's burst are left."},
        {"check": "cooldown", "verdict": "refused", "code": "cooling_down",
         "detail": "The customer's cool-down ends in 4.2 s."},
    ]});
    Operation::new(
        HttpMethod::Get,
        "/v1/gate/explain",
        OPERATOR,
        "explain",
        "Explain why a customer may reserve, or may not",
    )
    .description(
        "Every check that a reservation of one unit goes through, in their order, though an earlier one refuses it already. Asking \
         takes from no limit and changes nothing. At least one of the three has to be named.",
    )
    .parameter(optional_parameter("sale", ParameterIn::Query, "The sale.", name_text("The sale.")))
    .parameter(optional_parameter("customer", ParameterIn::Query, "The customer.", name_text("The customer.")))
    .parameter(address())
    .json(200, "What each check says.", "Explanation", example)
    .problems(&[Code::SaleNotFound])
    .asks()
}

fn address() -> Parameter {
    let description = "The address that the customer comes from.";
    optional_parameter("address", ParameterIn::Query, description, text(description).min_length(Some(2)))
}

pub(in crate::api) fn schemas() -> [(&'static str, RefOr<Schema>); 2] {
    let code = text("What it refuses with, or would refuse with if the sale were not in shadow mode.")
        .schema_type(SchemaType::from_iter([Type::String, Type::Null]));
    let verdicts = [Verdict::Passed, Verdict::Refused, Verdict::NotAsked].map(Verdict::as_str);
    let check = vec![
        ("check", one_of("Which check.", &CHECKS)),
        ("verdict", one_of("`not_asked` if it is about somebody who was not named.", &verdicts)),
        ("code", code.into()),
        ("detail", text("The figures that it goes by, for people.").into()),
    ];
    let explanation = vec![
        (
            "verdict",
            one_of(
                "`refused` if any check refuses; the first one is what is answered.",
                &["allowed", "refused"],
            ),
        ),
        ("checks", list("In the order in which they are asked.", named("ExplainedCheck"), None)),
    ];
    [
        ("Explanation", object("Whether a customer may reserve one unit, and why.", explanation)),
        ("ExplainedCheck", object("What one check says.", check)),
    ]
}
