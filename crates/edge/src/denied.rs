//! Who is refused whatever they ask: addresses and customers on the denylist, on the public listener.

use onrush_node::ReserveCall;

use crate::gate::Denylist;
use crate::http::request::Request;
use crate::net::thread::EdgeThread;
use crate::problem::Problem;

/// What balancers ask, wherever they ask from; and what proxies ask about others, which asks the denylist itself.
const ALWAYS_ANSWERED: [&[u8]; 4] = [b"/livez", b"/readyz", b"/v1/gate/check", b"/v1/gate/forward"];

/// Whether the address that a request comes from may ask.
///
/// # Errors
/// What it is answered instead.
pub(crate) fn check_address(thread: &EdgeThread, request: &Request<'_>) -> Result<(), Problem> {
    let Some(batcher) = thread.batcher.as_ref().filter(|_| !ALWAYS_ANSWERED.contains(&request.path)) else {
        return Ok(());
    };
    let address = thread.routes.gate.client_address(request);
    batcher.partitions().check_address(address, thread.now_ms())
}

/// Whether the denylist lets this claim through; see [`Denylist::check_claim`].
///
/// # Errors
/// What it is answered instead.
pub(crate) fn check_claim(thread: &EdgeThread, claim: &ReserveCall) -> Result<(), Problem> {
    match &thread.batcher {
        Some(batcher) => batcher.partitions().check_claim(claim, thread.now_ms()),
        None => Ok(()),
    }
}
