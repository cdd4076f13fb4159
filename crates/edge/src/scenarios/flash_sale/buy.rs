//! Buying one unit: `/check` for programs and scripts, which answers `true` or `false`, and the form of the page, which is answered
//! by a page. Both reserve as the API does.

use std::borrow::Cow;
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use onrush_node::{Asker, Call, ChallengeCall, Name, Outcome};

use super::detail::{frame, show_refusal};
use super::product::{PRODUCT_ID, back_to, parse_product_id, read_sale};
use super::sender::{counted, sender_of};
use super::{SALE, captcha};
use crate::api::answer::{
    Answer, WithoutBody, WithoutQuery, admission_of, form_body, with_refusal, with_standing,
};
use crate::api::app::{App, mismatched};
use crate::api::reservations::one_unit::one_unit;
use crate::gate::{Admission, Brought, Identity};
use crate::http::form::parse_form;
use crate::http::query::parameters;
use crate::http::request::Fields;
use crate::limits::BODY_BYTES_MAX;
use crate::pages::{notice, with_fields_of};
use crate::problem::Problem;

/// Buys one unit of `productID`: `true`, or `false` with the status of the refusal.
pub(super) async fn check(State(app): State<Arc<App>>, request: Request) -> Answer {
    if !matches!(*request.method(), Method::GET | Method::POST) {
        return Err(Problem::method_not_allowed(Some("GET,POST")));
    }
    let mut admission = admission_of(&request);
    let bought = check_request(&app, &mut admission, request).await;
    let response = bought.map_or_else(|problem| said_no(&problem), |()| said("true"));
    Ok(with_standing(response, &admission))
}

async fn check_request(app: &App, admission: &mut Admission, request: Request) -> Result<(), Problem> {
    let (parts, body) = request.into_parts();
    to_bytes(body, 0).await.map_err(|_| Problem::unexpected_body())?;
    let [product_id] = parameters(parts.uri.query(), [PRODUCT_ID])?;
    let product_id = parse_product_id(product_id.as_deref())?;
    if parts.method == Method::GET && is_navigation(&parts.headers) {
        return Err(counted(app, Problem::cross_site_session()));
    }
    let sender = sender_of(app, &parts.headers)?;
    let challenge = |customer: &str| captcha::brought(app, &Fields::Mapped(&parts.headers), customer);
    reserve(app, admission, &sender, product_id, None, challenge).await
}

/// What the form of the page sends. Its answer leads back to the page, or is the page with the reason.
pub(super) async fn buy(State(app): State<Arc<App>>, _: WithoutQuery, request: Request) -> Response {
    let mut admission = admission_of(&request);
    let (parts, body) = request.into_parts();
    let response = match sent(&app, &parts.headers, body).await {
        Ok(Sent { sender, product_id, key, challenge }) => {
            let challenge = |customer: &str| read_challenge(&app, challenge.as_deref(), customer);
            match reserve(&app, &mut admission, &sender, product_id.clone(), Some(&key), challenge).await {
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
        Ok(()) => said("true"),
        Err(problem) => said_no(&problem),
    }
}

async fn right(app: &App, fields: &HeaderMap) -> Result<(), Problem> {
    let sender = sender_of(app, fields)?;
    let claim = one_unit(&sender, Name::const_new(SALE), Name::default(), None, |_| ChallengeCall::Missing)?;
    app.check_denied(&claim)?;
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
    let challenge = work.map(Cow::into_owned).or(digits);
    Ok(Sent { sender: sender_of(app, fields)?, product_id, key, challenge })
}

fn read_challenge(app: &App, text: Option<&str>, customer: &str) -> ChallengeCall {
    text.map_or(ChallengeCall::Missing, |text| {
        app.gate.challenges().read(Brought { text, sale: SALE, customer }, app.backend.now_ms())
    })
}

/// The same as `POST /v1/sales/flash/reservations`.
async fn reserve(
    app: &App,
    admission: &mut Admission,
    sender: &Identity,
    stock: Name,
    key: Option<&str>,
    challenge: impl FnOnce(&str) -> ChallengeCall,
) -> Result<(), Problem> {
    let call = one_unit(sender, Name::const_new(SALE), stock, key, challenge)
        .map_err(|problem| counted(app, problem))?;
    debug_assert!(matches!(call.asker, Asker::Customer(_)), "nobody else has proved anything");
    app.gate.check_customer(admission, &call.customer)?;
    app.check_denied(&call)?;
    match app.ask(Call::Reserve(call)).await? {
        Outcome::Reserved { .. } => Ok(()),
        other => mismatched(&other),
    }
}

/// Whether a browser opens this as a page. A link in a letter, or a page of another site, can make it do so; a script of our own
/// pages does not. Browsers that do not say what they do ask for HTML when they open a page.
fn is_navigation(fields: &HeaderMap) -> bool {
    match fields.get("sec-fetch-mode") {
        Some(mode) => mode == "navigate",
        None => fields.get_all(header::ACCEPT).iter().any(|accept| {
            let accept = accept.as_bytes().to_ascii_lowercase();
            memchr::memmem::find(&accept, b"text/html").is_some()
        }),
    }
}

fn said(word: &'static str) -> Response {
    let mut response = Response::new(Body::from(word));
    let fields = response.headers_mut();
    fields.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    fields.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn said_no(problem: &Problem) -> Response {
    let mut response = with_fields_of(problem, said("false"));
    *response.status_mut() = StatusCode::from_u16(problem.status()).unwrap_or(StatusCode::BAD_REQUEST);
    with_refusal(response, problem.code())
}
