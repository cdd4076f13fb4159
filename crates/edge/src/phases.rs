//! What every request goes through, whichever protocol it came by, in this order:
//!
//! 1. **parse**: bytes become a [`Request`]; each protocol does that for itself ([`crate::net`]), with the same meaning
//!    ([`crate::http`]);
//! 2. **limits**: of its target, fields and body, on the way of parsing ([`crate::http::size`]);
//! 3. **origin**: where the page is from that made it, if the operator listed origins. What a browser asks the public listener
//!    about a request that is to follow is answered here ([`crate::preflights`]);
//! 4. **gate**: who may ask this listener at all ([`crate::gate`]), who is denied ([`crate::denied`]), and whether this node decides
//!    ([`crate::leading`]);
//! 5. **route**: [`Exchange::begin`] tells the requests of a rush by their bytes; the rest go to the router by way of
//!    [`crate::router_bridge`];
//! 6. **decide**: the call goes to the partition of its name with all others of this turn, and [`Exchange::poll_decided`] says
//!    when its answer may be told;
//! 7. **render**: [`Exchange::render`] writes the answer down; the router's handlers have done so;
//! 8. **leave**: HEAD loses the body, and an answer for which there is no room is another one ([`finish`]). What is left
//!    to a protocol is to write down a [`Response`]. A hot answer over HTTP/1.1 is short and goes out at once: it loses its
//!    body as it is rendered, and asks for room only if the socket does not take it.

use std::mem;
use std::task::{Context, Poll};

use http::{HeaderName, HeaderValue};
use onrush_gate::Standing;
use onrush_node::{Call, Reply};

use crate::denied::{check_address, check_claim};
use crate::gate::{Admission, PageOrigin, write_standing};
use crate::hot::{self, Found, Hot, Ready, Rendering, Sender, WriteProblem};
use crate::http::request::Request;
use crate::http::response::{Response, has_no_body};
use crate::leading::{check_leads, is_held};
use crate::net::call_batcher::PendingCall;
use crate::net::request_id::RequestId;
use crate::net::thread::EdgeThread;
use crate::problem::Problem;

/// A hot request and its answer.
pub(crate) struct Exchange {
    state: State,
    pub(crate) request_id: RequestId,
    is_head: bool,
    /// How a rate limit stands, if one was asked.
    standing: Option<Standing>,
    page_origin: PageOrigin,
}

/// What becomes of a request.
pub(crate) enum Begun {
    /// It is on its way, or refused.
    Hot(Exchange),
    /// It is one for the router, with what the gate found out about it.
    Routed(Admission),
    /// Nothing was done with it. It is to begin again when [`crate::leading::wait_for_leader`] is over.
    Held,
}

enum State {
    Called(Rendering, PendingCall),
    Ready(Box<Ready>),
    /// It is ready or refused, and may be told once it is sure that nobody else led by then.
    Unsure(Box<State>, WriteProblem, PendingCall),
    Refused(Box<Problem>, WriteProblem),
}

impl Exchange {
    /// Puts a request on its way, or refuses it, unless it is one for the router.
    pub(crate) fn begin(thread: &EdgeThread, request: &Request<'_>) -> Begun {
        let page_origin = thread.routes.gate.page_origin(&request.fields);
        let preflights = thread.routes.preflights.as_ref();
        if let Some(ready) = preflights.and_then(|preflights| preflights.answer(request, page_origin)) {
            let request_id = thread.request_id(request.fields.request_id());
            let state = State::Ready(Box::new(ready));
            return Begun::Hot(Self { state, request_id, is_head: false, standing: None, page_origin });
        }
        let found = thread.routes.hot.find(request);
        let now = || thread.turn_clock.now();
        let leads = check_leads(thread, request);
        if leads.is_err() && is_held(thread, request) {
            return Begun::Held;
        }
        // Nobody is counted who has to ask another node.
        let checked = leads.and_then(|()| thread.routes.gate.check(request, hot::group_of(found), now));
        let mut admission = match &checked {
            Ok(admission) => *admission,
            Err(_) => Admission::default(),
        };
        admission.page_origin = page_origin;
        let state = match checked.and_then(|_| check_address(thread, request)) {
            Ok(()) => Self::route(thread, request, found, &mut admission),
            Err(problem) => Some(State::Refused(Box::new(problem), hot::write_problem_of(found))),
        };
        let Some(state) = state else { return Begun::Routed(admission) };
        let state = make_sure(thread, state, hot::write_problem_of(found));
        let request_id = thread.request_id(request.fields.request_id());
        let (is_head, standing) = (request.is_head(), admission.standing());
        Begun::Hot(Self { state, request_id, is_head, standing, page_origin })
    }

    fn route(
        thread: &EdgeThread,
        request: &Request<'_>,
        found: Found<'_, '_>,
        admission: &mut Admission,
    ) -> Option<State> {
        let batcher = thread.batcher.as_ref()?;
        let gate = &thread.routes.gate;
        let sender = Sender {
            gate,
            denylist: batcher.partitions(),
            catalog: &thread.routes.catalog,
            now: thread.now_ms(),
            clock: &|| thread.turn_clock.now(),
        };
        match hot::decode(request, found, &sender) {
            Hot::Call(call, rendering) => {
                let checked = match &call {
                    Call::Reserve(reserve) => {
                        gate.check_customer(admission, reserve).and_then(|()| check_claim(thread, reserve))
                    }
                    _ => Ok(()),
                };
                Some(match checked {
                    Ok(()) => State::Called(rendering, batcher.call(call)),
                    Err(problem) => State::Refused(Box::new(problem), hot::write_problem_of(found)),
                })
            }
            Hot::Ready(ready) => Some(State::Ready(ready)),
            Hot::Problem(problem) => {
                gate.count_refusal(&problem);
                Some(State::Refused(problem, hot::write_problem_of(found)))
            }
            Hot::Routed => None,
        }
    }

    /// Ready when its answer may be told.
    pub(crate) fn poll_decided(&mut self, context: &mut Context<'_>) -> Poll<()> {
        match &mut self.state {
            State::Called(_, call) | State::Unsure(_, _, call) => call.poll_answered(context),
            State::Ready(_) | State::Refused(..) => Poll::Ready(()),
        }
    }

    /// Writes the body of the answer, which was decided, into `body`, which is empty. The length is that of the body which
    /// GET would have, and absent for a status that has none. HEAD loses the body here and not in [`finish`], because HTTP/1.1 copies a hot answer from the thread's
    /// buffer to the socket's, and no [`Response`] is made of it.
    pub(crate) fn render(&mut self, thread: &EdgeThread, body: &mut Vec<u8>) -> (hot::Head, Option<usize>) {
        let mut head = self.state.render(thread, body);
        head.standing = head.standing.or(self.standing);
        head.page_origin = self.page_origin;
        let length = (!has_no_body(head.status)).then_some(body.len());
        if self.is_head {
            body.clear();
        }
        (head, length)
    }
}

impl State {
    fn render(&mut self, thread: &EdgeThread, body: &mut Vec<u8>) -> hot::Head {
        match self {
            Self::Called(rendering, call) => {
                let reply: Reply = call.take_reply();
                rendering.render(reply, call.ids(), thread.now_ms(), body)
            }
            Self::Ready(ready) => {
                let Ready { head, body: own } = mem::take(&mut **ready);
                // A buffer that would have to grow is given up for one that has everything.
                if body.capacity() < own.len() {
                    *body = own;
                } else {
                    body.extend_from_slice(&own);
                }
                head
            }
            Self::Unsure(state, write, call) => match call.take_reply() {
                Ok(_) => state.render(thread, body),
                Err(failure) => write(&Problem::from_failure(&failure, thread.now_ms()), body),
            },
            Self::Refused(problem, write) => write(problem, body),
        }
    }

    /// Whether it says what this node has read, and not what was decided or what is wrong with the request itself.
    fn is_of_view(&self) -> bool {
        match self {
            Self::Ready(_) => true,
            Self::Refused(problem, _) => problem.known_code().is_of_view(),
            Self::Called(..) | Self::Unsure(..) => false,
        }
    }
}

/// What was read may be over if another node leads.
fn make_sure(thread: &EdgeThread, state: State, write: WriteProblem) -> State {
    match thread.batcher.as_ref().filter(|batcher| batcher.partitions().have_rivals() && state.is_of_view()) {
        Some(batcher) => State::Unsure(Box::new(state), write, batcher.call(Call::CheckLead)),
        None => state,
    }
}

/// The answer to what is no request that can be served, which is counted.
pub(crate) fn reject(thread: &EdgeThread, problem: &Problem, page_origin: PageOrigin) -> Response {
    thread.counters.rejected_count.add(1);
    Response { page_origin, ..Response::of_problem(problem) }
}

/// Makes an answer ready to leave: what answers HEAD has no body, and nothing is begun that there is no room for.
pub(crate) fn finish(thread: &EdgeThread, response: Response, is_head: bool) -> Response {
    let response = if is_head { response.without_body() } else { response };
    let response = if thread.deadlines.make_room(response.body.memory_bytes()) {
        with_rate_limit_fields(thread, response)
    } else {
        Response { page_origin: response.page_origin, ..Response::of_problem(&Problem::overloaded()) }
    };
    with_origin_fields(thread, response)
}

fn with_rate_limit_fields(thread: &EdgeThread, mut response: Response) -> Response {
    if let Some(standing) = &response.standing {
        let mut limit = Vec::new();
        write_standing(standing, &mut limit);
        let policy = HeaderValue::from_str(thread.routes.gate.policy(standing.group));
        if let (Ok(policy), Ok(limit)) = (policy, HeaderValue::from_bytes(&limit)) {
            response.fields.insert("ratelimit-policy", policy);
            response.fields.insert("ratelimit", limit);
        }
    }
    response
}

fn with_origin_fields(thread: &EdgeThread, mut response: Response) -> Response {
    for (name, value) in thread.routes.gate.origin_fields(response.page_origin) {
        if let Ok(value) = HeaderValue::from_str(value) {
            // A page may vary by its cookie as well.
            response.fields.append(HeaderName::from_static(name), value);
        }
    }
    response
}
