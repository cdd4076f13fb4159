//! The session of a customer: begun with a token of the shop or with a password, read, and ended in the browser that has it.

mod body;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use http::{StatusCode, header};
use serde_json::json;
use utoipa::openapi::{HttpMethod, RefOr, ResponseBuilder, Schema};

use super::answer::{Answer, WithoutBody, WithoutQuery, json, json_body, with_header};
use super::app::App;
use super::asker::AskedBy;
use super::route::Route;
use crate::gate::Identity;
use crate::http::request::Fields;
use crate::limits::BODY_BYTES_MAX;
use crate::openapi::operation::{Operation, PUBLIC, text_header};
use crate::openapi::parts::{name, object, text, time};
use crate::problem::{Code, Problem};
use body::{Credentials, parse_credentials, write_session};

const PATH: &str = "/v1/session";

pub(super) fn routes() -> [Route; 3] {
    let new = |method, id, summary| Operation::new(method, PATH, PUBLIC, id, summary);
    let example = json!({"customer": "900127015527", "expires_at": "2021-05-16T12:00:00.000Z"});
    let begun = new(HttpMethod::Post, "beginSession", "Begin a session")
        .description(
            "With a token of the shop (JWT), or with the customer's name and password where accounts are on. The cookie of the answer is the session: nothing is kept of it here. 404 while \
             sessions are off.",
        )
        .body("SessionRequest", json!({"token": "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiI5MDAxMjcwMTU1MjcifQ.c2lnbmF0dXJl"}))
        .json(200, "The session.", "Session", example.clone())
        .header(200, "Set-Cookie", text_header("The session, as `onrush_session` or `__Host-onrush_session`."))
        .problems(&[Code::InvalidCredentials, Code::CrossSite, Code::Denied, Code::Overloaded])
        .asks();
    let read = new(HttpMethod::Get, "readSession", "Read whose session it is, and until when")
        .description("By the cookie, or by a token as `Authorization: Bearer`.")
        .json(200, "The session.", "Session", example)
        .problems(&[Code::SessionRequired, Code::SessionExpired, Code::InvalidCredentials, Code::Denied]);
    let ended = new(HttpMethod::Delete, "endSession", "Make a browser forget its session")
        .description("A copy of the token stays good until it expires.")
        .answer(204, ResponseBuilder::new().description("The cookie is forgotten."))
        .header(204, "Set-Cookie", text_header("An empty cookie that expires at once."))
        .problems(&[Code::SessionRequired, Code::SessionExpired, Code::InvalidCredentials, Code::CrossSite]);
    [Route::new(begun, begin), Route::new(read, read_session), Route::new(ended, end)]
}

pub(super) fn schemas() -> [(&'static str, RefOr<Schema>); 2] {
    [
        (
            "SessionRequest",
            object(
                "Who begins a session.",
                vec![
                    (
                        "token?",
                        text("A JWT of the shop, of at most 4,096 characters. It stands alone.").into(),
                    ),
                    ("customer?", name("A customer with an account here; with `password`.")),
                    ("password?", text("The customer's password.").into()),
                ],
            ),
        ),
        (
            "Session",
            object(
                "Whose requests these are, and how long.",
                vec![
                    ("customer", name("The customer's name.")),
                    ("expires_at", time("From then on it is none.")),
                ],
            ),
        ),
    ]
}

async fn begin(State(app): State<Arc<App>>, _: WithoutQuery, request: Request) -> Answer {
    let sessions = app.gate.sessions()?;
    let fields = request.headers().clone();
    let body = json_body(request, BODY_BYTES_MAX).await?;
    let begun = match parse_credentials(&body)? {
        Credentials::Token(token) => {
            app.check_site(&fields)?;
            let now = app.backend.now_ms();
            let proof = sessions
                .check_jwt(token.as_bytes(), now)
                .map_err(|refused| Problem::invalid_token(&refused))
                .inspect_err(|problem| app.gate.count_refusal(problem))?;
            app.begin_session(&proof.customer)?
        }
        Credentials::Password(customer, password) => app.log_in(&fields, &customer, password).await?,
    };
    let session = &begun.session;
    let answer = json(StatusCode::OK, |out| write_session(out, session.customer(), session.expires_at()));
    Ok(private(with_header(answer, header::SET_COOKIE, &begun.cookie)))
}

async fn read_session(
    State(app): State<Arc<App>>,
    _: WithoutQuery,
    AskedBy(sender): AskedBy,
    _: WithoutBody,
) -> Answer {
    let proof = sender.proof().inspect_err(|problem| app.gate.count_refusal(problem))?;
    Ok(private(json(StatusCode::OK, |out| write_session(out, &proof.customer, proof.expires_at))))
}

async fn end(State(app): State<Arc<App>>, _: WithoutQuery, request: WithoutBody) -> Answer {
    let sender = app.gate.identify(&Fields::Mapped(&request.fields), true, app.backend.now_ms());
    // A browser can always forget a session, also one that is no longer good for anything.
    let has_one = sender.and_then(|sender| match sender {
        Identity::Expired => Ok(()),
        other => other.proof().map(drop),
    });
    has_one.inspect_err(|problem| app.gate.count_refusal(problem))?;
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    Ok(private(with_header(response, header::SET_COOKIE, &app.gate.sessions()?.ending_cookie())))
}

/// An answer that nobody keeps.
fn private(response: Response) -> Response {
    with_header(response, header::CACHE_CONTROL, "no-store")
}
