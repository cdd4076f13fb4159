//! Challenges by the paths of the other system: `/captcha/` gives one out and names it in a cookie, `/captcha/verify` takes the
//! digits. What was verified is in the cookie then, and is used up by the reservation.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::{HeaderName, StatusCode, header};
use onrush_core::ChallengeKind;
use onrush_gate::challenge::CHALLENGE_TTL_MS;
use onrush_node::{Call, ChallengeCall, Name, Outcome};

use super::SALE;
use super::product::read_sale;
use crate::api::answer::{Answer, WithoutBody, WithoutQuery, json, segment, with_header};
use crate::api::app::{App, mismatched};
use crate::api::challenges::{kind_of, shown};
use crate::gate::{Brought, Given};
use crate::hot::Sender;
use crate::http::credentials::cookie;
use crate::http::query::{parameters, parse_no_query};
use crate::http::request::Fields;
use crate::problem::{Code, Problem};

/// The cookie that names a challenge, or what is left of one that was verified.
const COOKIE: &str = "captcha_id";

/// The picture of a new challenge, whose id is in the cookie. Clients put the time into the query, so that no cache answers.
pub(super) async fn give(State(app): State<Arc<App>>, request: WithoutBody) -> Answer {
    let is_time = |query: &&str| query.bytes().all(|byte| byte.is_ascii_digit());
    parse_no_query(request.uri.query().filter(|query| !is_time(query)))?;
    let sender = app.identify(&request.fields, true)?;
    let customer = sender.proof()?.customer.as_str();
    let kind = kind_of(&*read_sale(&app).await?, Some(ChallengeKind::Image.as_str()))?;
    let given = app.gate.challenges().give(kind, SALE, customer, app.backend.now_ms())?;
    let Given::Picture { id, .. } = given else { return Err(Problem::challenge_over()) };
    with_cookie(&app, shown(&app, &format!("{id}.png")).await?, &id)
}

/// The picture or the sound of a challenge.
pub(super) async fn show(State(app): State<Arc<App>>, _: WithoutQuery, request: WithoutBody) -> Answer {
    shown(&app, segment(&request.uri, 1)).await
}

/// Whether these are the digits of the challenge in the cookie, which is used up.
pub(super) async fn verify(State(app): State<Arc<App>>, request: WithoutBody) -> Answer {
    let [code] = parameters(request.uri.query(), ["code"])?;
    let code = code.ok_or_else(|| Problem::invalid("code", "is missing"))?;
    let sender = app.identify(&request.fields, true)?;
    let customer = sender.proof()?.customer.as_str();
    let challenges = app.gate.challenges();
    let fields = Fields::Mapped(&request.fields);
    let id = cookie_of(&fields).unwrap_or_default();
    let done = challenges.read_done(Brought { text: id, sale: SALE, customer }, app.backend.now_ms());
    if done != ChallengeCall::Missing {
        // Asked again: what was won stays as it is.
        return Ok(said(StatusCode::OK, 0, "Pass verification"));
    }
    let text = format!("{id}:{code}");
    let brought = Brought { text: &text, sale: SALE, customer };
    let challenge = challenges.read(brought, app.backend.now_ms());
    match app.ask(Call::VerifyChallenge { sale: Name::const_new(SALE), challenge }).await {
        Ok(Outcome::ChallengeVerified) => {
            let done = challenges.done(SALE, customer, app.backend.now_ms())?;
            with_cookie(&app, said(StatusCode::OK, 0, "Pass verification"), &done)
        }
        Ok(other) => mismatched(&other),
        Err(problem) if problem.known_code() == Code::ChallengeFailed => {
            let refused = said(StatusCode::FORBIDDEN, 1, "Fail to pass verification");
            Ok(with_header(refused, HeaderName::from_static("onrush-refusal"), problem.code()))
        }
        Err(problem) => Err(problem),
    }
}

/// What a reservation brings: what `/captcha/verify` put into the cookie. A challenge that was not verified there is nothing.
pub(super) fn brought(sender: &Sender<'_>, fields: &Fields<'_>, customer: &str) -> ChallengeCall {
    cookie_of(fields).map_or(ChallengeCall::Missing, |id| {
        sender.gate.read_done_challenge(Brought { text: id, sale: SALE, customer }, sender.now)
    })
}

fn cookie_of<'a>(fields: &Fields<'a>) -> Option<&'a str> {
    cookie(fields, COOKIE).and_then(|value| std::str::from_utf8(value).ok())
}

fn with_cookie(app: &App, response: Response, id: &str) -> Answer {
    let cookie = app.gate.sessions()?.cookie(COOKIE, id, CHALLENGE_TTL_MS / 1_000);
    Ok(with_header(response, header::SET_COOKIE, &cookie))
}

/// In the words of the other system.
fn said(status: StatusCode, error_code: u8, message: &str) -> Response {
    let response = json(status, |out| {
        out.extend_from_slice(format!(r#"{{"error_code":{error_code},"msg":"{message}"}}"#).as_bytes());
    });
    with_header(response, header::CACHE_CONTROL, "no-store")
}
