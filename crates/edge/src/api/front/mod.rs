//! What a proxy asks before it lets a request through to another application: the same checks as for requests to this server.
//! `/v1/gate/check` is for nginx `auth_request`, which takes 401 and 403 as refusals and nothing else; `/v1/gate/forward` is for
//! Traefik and Caddy, which hand the answer on as it is.

mod operations;

use std::sync::Arc;

use axum::body::to_bytes;
use axum::extract::{Request, State};
use compact_str::CompactString;
use onrush_gate::RouteGroup;

use super::answer::{Answer, of_ready};
use super::app::App;
use super::route::Route;
use crate::gate::{Admission, Identity};
use crate::hot::{Head, Hot, Ready, Sender, bare_query, render_problem};
use crate::http::query::parameters;
use crate::http::request::{Peer, Request as HotRequest};
use crate::problem::Problem;

const CHECK: &str = "/v1/gate/check";
const FORWARD: &str = "/v1/gate/forward";

/// What a kind of proxy says and understands.
struct Proxy {
    /// The field with the method of the request that it has.
    method_field: &'static str,
    /// The status by which it lets that request through.
    let_through: u16,
    /// Whether it takes a refusal of any status. If not, it takes 401 and 403.
    takes_all: bool,
}

const NGINX: Proxy = Proxy { method_field: "x-original-method", let_through: 204, takes_all: false };
const OTHERS: Proxy = Proxy { method_field: "x-forwarded-method", let_through: 200, takes_all: true };

pub(super) fn routes() -> [Route; 2] {
    // They ask the limits and the denylist themselves, so that a refusal has the status that the proxy takes.
    [
        Route::new(operations::check(), check)
            .hot_with_query(|request, _, sender| decode(&NGINX, request, sender))
            .for_proxies(),
        Route::any(FORWARD, operations::forward(), forward)
            .hot_with_query(|request, _, sender| decode(&OTHERS, request, sender))
            .for_proxies(),
    ]
}

async fn check(State(app): State<Arc<App>>, request: Request) -> Answer {
    NGINX.answer_routed(&app, request).await
}

async fn forward(State(app): State<Arc<App>>, request: Request) -> Answer {
    OTHERS.answer_routed(&app, request).await
}

fn decode(proxy: &Proxy, request: &HotRequest<'_>, sender: &Sender<'_>) -> Hot {
    let Some(query) = bare_query(request) else { return Hot::Routed };
    if !proxy.takes_all && ![&b"GET"[..], b"HEAD"].contains(&request.method) {
        return Hot::Routed;
    }
    match proxy.answer(request, query, sender) {
        Ok(ready) => Hot::Ready(Box::new(ready)),
        Err(problem) => Hot::Problem(Box::new(problem)),
    }
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

impl Proxy {
    async fn answer_routed(&self, app: &App, request: Request) -> Answer {
        let (parts, body) = request.into_parts();
        to_bytes(body, 0).await.map_err(|_| Problem::unexpected_body())?;
        let peer = parts.extensions.get().copied().unwrap_or(Peer::UNKNOWN);
        let request = HotRequest::of_http2(&parts, b"", peer);
        app.with_sender(|sender| self.answer(&request, parts.uri.query(), sender)).map(of_ready)
    }

    /// # Errors
    /// The proxy asks wrongly.
    fn answer(
        &self,
        request: &HotRequest<'_>,
        query: Option<&str>,
        sender: &Sender<'_>,
    ) -> Result<Ready, Problem> {
        let demands_session = demands_session(query)?;
        if demands_session {
            // Nobody can have one while they are off: that is a mistake of the operator, and no refusal.
            sender.gate.demand_sessions()?;
        }
        let mut admission = Admission::default();
        let mut ready = match self.decide(request, sender, demands_session, &mut admission) {
            Ok(identity) => self.let_through(&identity),
            Err(problem) => {
                sender.gate.count_refusal(&problem);
                self.refuse(&problem)
            }
        };
        ready.head.standing = admission.standing().or(ready.head.standing);
        Ok(ready)
    }

    /// Asks what every request is asked, in the same order: rate limits, denylist, session. Unless the proxy says the method of
    /// the request that it has, it is one that changes nothing.
    fn decide(
        &self,
        request: &HotRequest<'_>,
        sender: &Sender<'_>,
        demands_session: bool,
        admission: &mut Admission,
    ) -> Result<Identity, Problem> {
        *admission = sender.gate.check(request, Some(RouteGroup::Pages), sender.clock)?;
        sender.denylist.check_address(sender.gate.client_address(request), sender.now)?;
        let method = request.fields.all(self.method_field).next().unwrap_or(b"GET");
        let may_write = ![&b"GET"[..], b"HEAD", b"OPTIONS"].contains(&method);
        let authority = || {
            // Traefik asks with a host of its own.
            let forwarded = request.fields.all("x-forwarded-host").last();
            let forwarded = forwarded.filter(|_| sender.gate.is_from_proxy(request));
            forwarded.or(request.fields.authority()).unwrap_or_default()
        };
        let identity = sender.gate.identify_at(&request.fields, may_write.then(authority), sender.now)?;
        let identity = identity.checked(sender.denylist, sender.now)?;
        if demands_session {
            identity.proof()?;
        }
        Ok(identity)
    }

    fn let_through(&self, identity: &Identity) -> Ready {
        let mut head = Head { status: self.let_through, ..Head::default() };
        head.fields.push(("cache-control", CompactString::const_new("no-store")));
        if let Identity::Customer(proof) = identity {
            // For the application behind.
            head.fields.push(("onrush-customer", CompactString::from(proof.customer.as_str())));
        }
        Ready { head, body: Vec::new() }
    }

    fn refuse(&self, problem: &Problem) -> Ready {
        let mut body = Vec::new();
        let mut head = render_problem(problem, &mut body);
        if !self.takes_all && head.status != 401 {
            head.status = 403;
        }
        head.fields.push(("onrush-refusal", CompactString::const_new(problem.code())));
        Ready { head, body }
    }
}
