//! What every request goes through, whichever protocol it came by, in this order:
//!
//! 1. **parse**: bytes become a [`Request`]; each protocol does that for itself ([`crate::net`]), with the same meaning
//!    ([`crate::http`]);
//! 2. **limits**: of its target, fields and body, on the way of parsing ([`crate::http::size`]);
//! 3. **route**: [`Exchange::begin`] tells the requests of a rush by their bytes; the rest go to the router by way of
//!    [`crate::router_bridge`], which is where the operator's key and foreign sites are looked at too;
//! 4. **decide**: the call goes to the partition of its name with all others of this turn, and [`Exchange::decided`] waits for it;
//! 5. **render**: [`Exchange::render`] writes the answer down; the router's handlers have done so;
//! 6. **leave**: HEAD loses the body, and an answer for which there is no room is another one ([`finish`]). What is left
//!    to a protocol is to write down a [`Response`].

use std::mem;

use compact_str::CompactString;
use onrush_node::Reply;

use crate::hot::{self, Hot, Rendering};
use crate::http::request::Request;
use crate::http::response::Response;
use crate::net::call_batcher::PendingCall;
use crate::net::thread::EdgeThread;
use crate::problem::Problem;

/// A hot request and its answer.
pub(crate) struct Exchange {
    state: State,
    pub(crate) request_id: CompactString,
    is_head: bool,
}

enum State {
    Waiting(Rendering, PendingCall),
    /// By the partition with this number.
    Answered(Rendering, Reply, u16),
    Refused(Box<Problem>),
}

impl Exchange {
    /// Puts a request on its way; nothing if it is one for the router.
    pub(crate) fn begin(thread: &EdgeThread, request: &Request<'_>) -> Option<Self> {
        let batcher = thread.batcher.as_ref()?;
        let state = match thread.hot.decode(request) {
            Hot::Call(call, rendering) => State::Waiting(rendering, batcher.call(call)),
            Hot::Problem(problem) => State::Refused(problem),
            Hot::Cold => return None,
        };
        let request_id = thread.request_id(request.fields.request_id());
        Some(Self { state, request_id, is_head: request.is_head() })
    }

    /// Waits until its answer may be told.
    pub(crate) async fn decided(&mut self) {
        if let State::Waiting(_, call) = &mut self.state {
            let partition = call.partition;
            let reply = call.await;
            let lost = State::Refused(Box::new(Problem::draining()));
            if let State::Waiting(rendering, _) = mem::replace(&mut self.state, lost) {
                self.state = State::Answered(rendering, reply, partition);
            }
        }
    }

    /// Writes the body of the answer, which was decided, into `body`, which is empty. The length is that of the body which
    /// GET would have.
    pub(crate) fn render(self, thread: &EdgeThread, body: &mut Vec<u8>) -> (hot::Head, usize) {
        thread.counters.hot_count.add(1);
        let head = match (self.state, &thread.batcher) {
            (State::Answered(rendering, reply, partition), Some(batcher)) => {
                rendering.render(reply, batcher.ids(partition), thread.now_ms(), body)
            }
            (State::Refused(problem), _) => hot::render_problem(&problem, body),
            (State::Waiting(..), _) | (_, None) => unreachable!("an exchange is rendered when it is decided"),
        };
        let length = body.len();
        if self.is_head {
            body.clear();
        }
        (head, length)
    }
}

/// Makes an answer ready to leave: what answers HEAD has no body, and nothing is begun that there is no room for.
pub(crate) fn finish(thread: &EdgeThread, response: Response, is_head: bool) -> Response {
    let response = if is_head { response.without_body() } else { response };
    if thread.deadlines.make_room(response.body.memory_bytes()) {
        response
    } else {
        Response::of_problem(&Problem::overloaded())
    }
}
