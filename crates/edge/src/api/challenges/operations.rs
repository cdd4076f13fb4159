//! Operations on challenges.

use onrush_gate::challenge::{ALGORITHM, CHALLENGE_ID_CHARS, WORK_MAX};
use serde_json::{Value, json};
use utoipa::openapi::path::{Parameter, ParameterIn};
use utoipa::openapi::schema::OneOfBuilder;
use utoipa::openapi::{ContentBuilder, HttpMethod, RefOr, ResponseBuilder, Schema};

use crate::gate::KINDS;
use crate::openapi::operation::{Operation, PUBLIC, optional_parameter, path_parameter};
use crate::openapi::parts::{name, named, object, one_of, text, time, whole};
use crate::problem::Code;

const PATH: &str = "/v1/sales/{sale}/challenges";

const ABOUT: &str = "For the customer of the session, and for this sale. It is solved within five minutes and brought with one \
                     reservation, as `<challenge>:<digits>` or as what the widget makes of it. It is used up when it is looked at, \
                     whatever comes of it.";

pub(super) fn all() -> [Operation; 3] {
    let new = |method, id, summary| {
        Operation::new(method, PATH, PUBLIC, id, summary)
            .description(ABOUT)
            .name("sale", "PWTC", "The sale's name.")
            .parameter(kind())
    };
    let given = new(HttpMethod::Post, "giveChallenge", "Ask for a challenge")
        .optional_body("ChallengeRequest", json!({"customer": "900127015527"}))
        .json(201, "The challenge.", "Challenge", example_picture())
        .problems(&[Code::CrossSite]);
    let read = new(
        HttpMethod::Get,
        "giveChallengeToWidget",
        "Ask for a challenge, as the ALTCHA widget does",
    )
    .json(200, "The challenge.", "Challenge", example_work());
    let refusals = [
        Code::SaleNotFound,
        Code::SessionRequired,
        Code::SessionExpired,
        Code::InvalidCredentials,
        Code::CustomerMismatch,
        Code::Denied,
    ];
    [given.problems(&refusals).asks(), read.problems(&refusals).asks(), shown()]
}

fn shown() -> Operation {
    shows(Operation::new(
        HttpMethod::Get,
        "/v1/challenges/{file}",
        PUBLIC,
        "showChallenge",
        "Show the digits of a challenge, or speak them",
    ))
}

/// What shows the file that is the last segment of its path.
pub(crate) fn shows(operation: Operation) -> Operation {
    let file = path_parameter("file", "3q0.png", "The challenge, and `.png` or `.wav`.", text("").into());
    let bytes = || ContentBuilder::new().build();
    operation
        .description(
            "A picture of 240 by 80 pixels, or a sound of some seconds. Asking again gives the same bytes.",
        )
        .parameter(file)
        .answer(
            200,
            ResponseBuilder::new()
                .description("The picture or the sound.")
                .content("image/png", bytes())
                .content("audio/wav", bytes()),
        )
        .problems(&[Code::NotFound, Code::Overloaded])
}

fn kind() -> Parameter {
    let description = "Which kind, where the sale takes either. Without it, the first that the sale takes.";
    let schema = text(description).enum_values(Some(KINDS.map(onrush_core::ChallengeKind::as_str)));
    optional_parameter("kind", ParameterIn::Query, description, schema)
}

pub(in crate::api) fn schemas() -> [(&'static str, RefOr<Schema>); 4] {
    let id =
        || text("What is brought, with `:` and the digits behind it.").max_length(Some(CHALLENGE_ID_CHARS));
    let picture = object(
        "Digits that a person reads or hears.",
        vec![
            ("challenge", id().into()),
            ("kind", one_of("What it is.", &[onrush_core::ChallengeKind::Image.as_str()])),
            ("image", text("Where its picture is.").into()),
            ("audio", text("Where its sound is.").into()),
            ("expires_at", time("From then on nobody can solve it.")),
        ],
    );
    let work = object(
        "What the ALTCHA widget reads.",
        vec![
            ("algorithm", one_of("The hash.", &[ALGORITHM])),
            (
                "challenge",
                text("The hash of the salt with the number behind it, in hexadecimal digits.").into(),
            ),
            ("maxnumber", whole("The largest number that it can be.", 0, Some(WORK_MAX as usize)).into()),
            ("salt", text("What the number is put behind.").into()),
            ("signature", text("The widget sends it back. It is not looked at.").into()),
        ],
    );
    let either = OneOfBuilder::new().item(named("PictureChallenge")).item(named("WorkChallenge"));
    let asked = object(
        "For whom a challenge is, where no session says so.",
        vec![("customer?", name("The customer who will bring it."))],
    );
    [
        ("Challenge", either.into()),
        ("ChallengeRequest", asked),
        ("PictureChallenge", picture),
        ("WorkChallenge", work),
    ]
}

fn example_picture() -> Value {
    let id = "AAAAAAAAAAAoKrXE3CLkWSEZ6DzyuVLSmsLLlWlqM7Pqp0nO5QpRsGVRhOJDVaPSVjSVIcUZzdkr_x3ZzQ";
    json!({
        "challenge": id,
        "kind": "image",
        "image": format!("/v1/challenges/{id}.png"),
        "audio": format!("/v1/challenges/{id}.wav"),
        "expires_at": "2021-05-16T12:05:00.000Z",
    })
}

fn example_work() -> Value {
    json!({
        "algorithm": "SHA-256",
        "challenge": "4f8a3cb9b1ab6f5d2f9a2f0e5d0c1b9a8e7d6c5b4a39281706f5e4d3c2b1a090",
        "maxnumber": 50_000,
        "salt": "AAAAAAAAAAAoKrXE3CLkWSEZ6DzyuVLSmsLLlWlqM7Pqp0nO5QpRsGVRhOJDVaPSVjSVIcUZzdkr_x3ZzQ?expires=1621166700&",
        "signature": "4f8a3cb9b1ab6f5d2f9a2f0e5d0c1b9a8e7d6c5b4a39281706f5e4d3c2b1a090",
    })
}
