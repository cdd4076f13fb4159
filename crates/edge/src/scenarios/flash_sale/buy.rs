//! Buying one unit: `/check` for programs and scripts, which answers `true` or `false`, and the form of the page, which is answered
//! by a page. Both reserve as the API does.

use std::borrow::Cow;
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use compact_str::CompactString;
use http::{HeaderMap, Method};
use onrush_node::{Asker, Call, ChallengeCall, Failure, Name, Outcome, Reply, ReservationIds, ReserveCall};

use super::detail::{frame, show_refusal};
use super::product::{PRODUCT_ID, back_to, parse_product_id, read_sale};
use super::sender::counted;
use super::{SALE, captcha};
use crate::api::answer::{
    Answer, WithoutBody, WithoutQuery, admission_of, form_body, of_ready, with_standing,
};
use crate::api::app::{App, mismatched};
use crate::api::reservations::one_unit::one_unit;
use crate::gate::{Admission, Brought, Identity};
use crate::hot::{Head, Hot, Ready, Rendering, Sender, bare_query};
use crate::http::form::parse_form;
use crate::http::query::parameters;
use crate::http::request::{Fields, Peer, Request as HotRequest};
use crate::limits::BODY_BYTES_MAX;
use crate::pages::notice;
use crate::problem::Problem;

/// Buys one unit of `productID`: `true`, or `false` with the status of the refusal.
pub(super) async fn check(State(app): State<Arc<App>>, request: Request) -> Answer {
    if !matches!(*request.method(), Method::GET | Method::POST) {
        return Err(Problem::method_not_allowed(Some("GET,POST")));
    }
    let mut admission = admission_of(&request);
    let bought = check_request(&app, &mut admission, request).await;
    let mut ready = bought.map_or_else(|problem| no(&problem), |()| yes());
    ready.head.standing = ready.head.standing.or(admission.standing());
    Ok(of_ready(ready))
}

async fn check_request(app: &App, admission: &mut Admission, request: Request) -> Result<(), Problem> {
    let (parts, body) = request.into_parts();
    to_bytes(body, 0).await.map_err(|_| Problem::unexpected_body())?;
    let request = HotRequest::of_http2(&parts, b"", Peer::UNKNOWN);
    let call = app.with_sender(|sender| claim(&request, parts.uri.query(), sender));
    let call = call.map_err(|problem| counted(app, problem))?;
    reserve(app, admission, call).await
}

/// The same by its bytes.
pub(super) fn decode_check(request: &HotRequest<'_>, _: &[u8], sender: &Sender<'_>) -> Hot {
    let query = bare_query(request).filter(|_| matches!(request.method, b"GET" | b"POST"));
    let Some(query) = query else { return Hot::Routed };
    match claim(request, query, sender) {
        Ok(call) => Hot::Call(Call::Reserve(call), Rendering::without_name(write_bought)),
        Err(problem) => Hot::Problem(Box::new(problem)),
    }
}

/// What a request to buy claims.
fn claim(
    request: &HotRequest<'_>,
    query: Option<&str>,
    sender: &Sender<'_>,
) -> Result<Box<ReserveCall>, Problem> {
    let [product_id] = parameters(query, [PRODUCT_ID])?;
    let product_id = parse_product_id(product_id.as_deref())?;
    if request.method == b"GET" && is_navigation(&request.fields) {
        return Err(Problem::cross_site_session());
    }
    let challenge = |customer: &str| captcha::brought(sender, &request.fields, customer);
    one_unit(&sender.of(request)?, Name::const_new(SALE), product_id, None, challenge)
}

/// What the form of the page sends. Its answer leads back to the page, or is the page with the reason.
pub(super) async fn buy(State(app): State<Arc<App>>, _: WithoutQuery, request: Request) -> Response {
    let mut admission = admission_of(&request);
    let (parts, body) = request.into_parts();
    let response = match sent(&app, &parts.headers, body).await {
        Ok(Sent { sender, product_id, key, challenge }) => {
            let challenge = |customer: &str| read_challenge(&app, challenge.as_deref(), customer);
            let stock = product_id.clone();
            let call = one_unit(&sender, Name::const_new(SALE), stock, Some(&key), challenge);
            let bought = match call {
                Ok(call) => reserve(&app, &mut admission, call).await,
                Err(problem) => Err(counted(&app, problem)),
            };
            match bought {
                Ok(()) => back_to(&product_id),
                Err(problem) => show_refusal(&app, &sender, &product_id, &problem).await,
            }
        }
        Err(problem) => notice(&problem, frame(&app, &Identity::Anyone)),
    };
    with_standing(response, &admission)
}

/// Whether the customer may buy at all, as far as that is known before that: `true`, or `false` with the status of the
/// refusal. Nothing is counted and no cool-down begins.
pub(super) async fn check_right(
    State(app): State<Arc<App>>,
    _: WithoutQuery,
    request: WithoutBody,
) -> Response {
    match right(&app, &request.fields).await {
        Ok(()) => of_ready(yes()),
        Err(problem) => of_ready(no(&problem)),
    }
}

async fn right(app: &App, fields: &HeaderMap) -> Result<(), Problem> {
    app.identify(fields, true)?.proof()?;
    read_sale(app).await.map(drop)
}

/// What a form says, and who sends it.
struct Sent {
    sender: Identity,
    product_id: Name,
    key: String,
    /// As the API takes it.
    challenge: Option<String>,
}

async fn sent(app: &App, fields: &HeaderMap, body: Body) -> Result<Sent, Problem> {
    let body = form_body(fields, body, BODY_BYTES_MAX).await?;
    let [product_id, key, captcha, code, work] =
        parse_form(&body, [PRODUCT_ID, "key", "captcha", "code", "work"])?;
    let product_id = parse_product_id(product_id.as_deref())?;
    let key = key.ok_or_else(|| Problem::invalid("key", "is missing"))?.into_owned();
    let digits = captcha.map(|id| format!("{id}:{}", code.unwrap_or_default()));
    // Without the script nothing is found.
    let work = work.filter(|work| !work.is_empty());
    let challenge = work.map(Cow::into_owned).or(digits);
    Ok(Sent { sender: app.identify(fields, true)?, product_id, key, challenge })
}

fn read_challenge(app: &App, text: Option<&str>, customer: &str) -> ChallengeCall {
    text.map_or(ChallengeCall::Missing, |text| {
        app.gate.challenges().read(Brought { text, sale: SALE, customer }, app.backend.now_ms())
    })
}

/// The same as `POST /v1/sales/flash/reservations`.
async fn reserve(app: &App, admission: &mut Admission, call: Box<ReserveCall>) -> Result<(), Problem> {
    debug_assert!(matches!(call.asker, Asker::Customer(_)), "whoever is denied was refused with the session");
    app.gate.check_customer(admission, &call)?;
    match app.ask(Call::Reserve(call)).await? {
        Outcome::Reserved { .. } => Ok(()),
        other => mismatched(&other),
    }
}

/// Whether a browser opens this as a page. A link in a letter, or a page of another site, can make it do so; a script of our own
/// pages does not. Browsers that do not say what they do ask for HTML when they open a page.
fn is_navigation(fields: &Fields<'_>) -> bool {
    match fields.all("sec-fetch-mode").next() {
        Some(mode) => mode == b"navigate",
        None => fields.all("accept").any(|accept| {
            let accept = accept.to_ascii_lowercase();
            memchr::memmem::find(&accept, b"text/html").is_some()
        }),
    }
}

/// The answer to a hot request to buy.
fn write_bought(_: &Name, reply: Reply, _: &ReservationIds, out: &mut Vec<u8>) -> Result<Head, Failure> {
    match reply? {
        Outcome::Reserved { .. } => Ok(write_word("true", out)),
        other => mismatched(&other),
    }
}

/// `false`, with the status and the code of the problem.
pub(super) fn write_no(problem: &Problem, out: &mut Vec<u8>) -> Head {
    let mut head = write_word("false", out);
    head.status = problem.status();
    head.standing = problem.standing();
    head.fields.push(("onrush-refusal", CompactString::const_new(problem.code())));
    head.fields.extend(problem.headers().map(|(name, value)| (name, CompactString::from(value))));
    head
}

fn write_word(word: &str, out: &mut Vec<u8>) -> Head {
    out.extend_from_slice(word.as_bytes());
    let mut head = Head::ok("text/plain; charset=utf-8");
    head.fields.push(("cache-control", CompactString::const_new("no-store")));
    head
}

fn yes() -> Ready {
    let mut body = Vec::new();
    Ready { head: write_word("true", &mut body), body }
}

fn no(problem: &Problem) -> Ready {
    let mut body = Vec::new();
    Ready { head: write_no(problem, &mut body), body }
}
