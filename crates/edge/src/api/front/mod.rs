//! What a proxy asks before it lets a request through to another application: the same checks as for requests to this server.
//! `/v1/gate/check` is for nginx `auth_request`, which takes 401 and 403 as refusals and nothing else; `/v1/gate/forward` is for
//! Traefik and Caddy, which hand the answer on as it is.

mod operations;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Instant;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};
use onrush_gate::RouteGroup;

use super::answer::{Answer, with_header, with_refusal, with_standing};
use super::app::App;
use super::route::Route;
use crate::gate::{Admission, Identity};
use crate::http::query::parameters;
use crate::http::request::{Fields, Peer};
use crate::problem::Problem;

const CHECK: &str = "/v1/gate/check";
const FORWARD: &str = "/v1/gate/forward";

/// Of a request that came by no socket, as in tests.
const UNKNOWN_PEER: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// The customer of the session, for the application behind.
const CUSTOMER: &str = "onrush-customer";

pub(super) fn routes() -> [Route; 2] {
    let [checked, forwarded] = operations::all();
    // They ask the limits and the denylist themselves, so that a refusal has the status that the proxy takes.
    [Route::new(checked, check).unlimited(), Route::any(FORWARD, vec![forwarded], forward).unlimited()]
}

async fn check(State(app): State<Arc<App>>, request: Request) -> Answer {
    let mut admission = Admission::default();
    let response = match ask(&app, request, "x-original-method", &mut admission).await? {
        Ok(identity) => told(StatusCode::NO_CONTENT, &identity),
        Err(problem) => {
            let mut response = refused(&app, problem);
            if response.status() != StatusCode::UNAUTHORIZED {
                *response.status_mut() = StatusCode::FORBIDDEN;
            }
            response
        }
    };
    Ok(with_standing(response, &admission))
}

async fn forward(State(app): State<Arc<App>>, request: Request) -> Answer {
    let mut admission = Admission::default();
    let response = match ask(&app, request, "x-forwarded-method", &mut admission).await? {
        Ok(identity) => told(StatusCode::OK, &identity),
        Err(problem) => refused(&app, problem),
    };
    Ok(with_standing(response, &admission))
}

/// Whether a request without a session is refused, which it is unless the proxy says `session=optional`.
fn demands_session(query: Option<&str>) -> Result<bool, Problem> {
    let [session] = parameters(query, ["session"])?;
    match session.as_deref() {
        None | Some("required") => Ok(true),
        Some("optional") => Ok(false),
        Some(_) => Err(Problem::invalid("session", "must be required or optional")),
    }
}

/// Asks what every request is asked, in the same order: rate limits, denylist, session. `method_field` says the method of the
/// request that the proxy has; without it, it is one that changes nothing. The inner error is the refusal; the outer one says that
/// the proxy asks wrongly.
async fn ask(
    app: &App,
    request: Request,
    method_field: &'static str,
    admission: &mut Admission,
) -> Result<Result<Identity, Problem>, Problem> {
    let (parts, body) = request.into_parts();
    to_bytes(body, 0).await.map_err(|_| Problem::unexpected_body())?;
    let demands_session = demands_session(parts.uri.query())?;
    if demands_session {
        // Nobody can have one while they are off: that is a mistake of the operator, and no refusal.
        app.gate.sessions()?;
    }
    let fields = Fields::Mapped(&parts.headers);
    let peer = parts.extensions.get::<Peer>().map_or(UNKNOWN_PEER, |Peer(address)| address.ip());
    let method = parts.headers.get(method_field).map_or(&b"GET"[..], HeaderValue::as_bytes);
    let may_write = ![&b"GET"[..], b"HEAD", b"OPTIONS"].contains(&method);
    Ok(decide(app, peer, &fields, may_write, demands_session, admission))
}

fn decide(
    app: &App,
    peer: IpAddr,
    fields: &Fields<'_>,
    may_write: bool,
    demands_session: bool,
    admission: &mut Admission,
) -> Result<Identity, Problem> {
    let address = app.gate.address_of(peer, fields);
    *admission = app.gate.check_limits(RouteGroup::Pages, address, now)?;
    if app.backend.denies_address(address) {
        return Err(Problem::denied());
    }
    let identity = app.gate.identify(fields, may_write, app.backend.now_ms())?;
    match &identity {
        Identity::Customer(proof) if app.backend.denies_customer(proof.customer.as_str()) => {
            Err(Problem::denied())
        }
        Identity::Customer(_) => Ok(identity),
        _ if demands_session => identity.proof().map(|_| identity),
        _ => Ok(identity),
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "rate limits count from now, and no turn has read the clock for this request"
)]
fn now() -> Instant {
    Instant::now()
}

fn told(status: StatusCode, identity: &Identity) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    let response = with_header(response, header::CACHE_CONTROL, "no-store");
    match identity {
        Identity::Customer(proof) => {
            with_header(response, HeaderName::from_static(CUSTOMER), proof.customer.as_str())
        }
        _ => response,
    }
}

fn refused(app: &App, problem: Problem) -> Response {
    app.gate.count_refusal(&problem);
    let code = problem.code();
    with_refusal(problem.into_response(), code)
}
