//! What a node answers while another one leads.

use std::time::Duration;

use onrush_node::{Call, Failure};
use tokio::sync::oneshot;

use crate::http::request::Request;
use crate::net::thread::EdgeThread;
use crate::problem::Problem;

/// Between two looks whether it is known who leads.
const LOOK: Duration = Duration::from_millis(2);

/// What is about this node and not about the state, on either listener.
const OF_THE_NODE: [&[u8]; 7] =
    [b"/livez", b"/readyz", b"/openapi.json", b"/metrics", b"/v1/sinks", b"/v1/cluster", b"/docs"];

/// Whether this node leads, if whoever answers the request has to.
///
/// # Errors
/// It does not: nothing is told from a state that may be over.
pub(crate) fn check_leads(thread: &EdgeThread, request: &Request<'_>) -> Result<(), Problem> {
    let leads = thread.routes.partitions.as_ref().is_none_or(|partitions| partitions.lead());
    if leads || is_of_the_node(request.path) { Ok(()) } else { Err(Problem::not_leader()) }
}

/// Whether a request that this node does not answer now is to wait, because the leader has left a moment ago.
pub(crate) fn is_held(thread: &EdgeThread, request: &Request<'_>) -> bool {
    !is_of_the_node(request.path) && are_vacant(thread)
}

/// Waits until it is known who leads. Of all that wait on a thread one looks, and the others wait for that one.
pub(crate) async fn wait_for_leader(thread: &EdgeThread) {
    let _looks = thread.between_leaders.lock().await;
    while are_vacant(thread) {
        tokio::time::sleep(LOOK).await;
    }
}

fn are_vacant(thread: &EdgeThread) -> bool {
    thread.routes.partitions.as_ref().is_some_and(|partitions| partitions.are_vacant())
}

/// Whether another node may have led when an answer to a request of this path was made here.
pub(crate) fn is_unsure(thread: &EdgeThread, path: &str) -> bool {
    let partitions = thread.routes.partitions.as_ref();
    partitions.is_some_and(|partitions| partitions.have_rivals()) && !is_of_the_node(path.as_bytes())
}

/// Makes sure that none did.
///
/// # Errors
/// One may have.
pub(crate) async fn confirm(thread: &EdgeThread) -> Result<(), Problem> {
    let every = thread.routes.partitions.iter().flat_map(|partitions| partitions.every());
    for partition in every {
        let (sender, receiver) = oneshot::channel();
        // Without a receiver nobody wants to know any more.
        partition.call(Call::CheckLead, |reply| drop(sender.send(reply)));
        let reply = receiver.await.unwrap_or(Err(Failure::LogUnavailable));
        // Whatever it is that is not sure: what the request was for may have been done.
        reply.map_err(|_| Problem::log_unavailable())?;
    }
    Ok(())
}

fn is_of_the_node(path: &[u8]) -> bool {
    OF_THE_NODE
        .iter()
        .any(|known| path.strip_prefix(*known).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_of_the_node_is_told_by_its_path() {
        for (path, expected) in [
            ("/readyz", true),
            ("/docs/index.css", true),
            ("/v1/sinks/orders/retry", true),
            ("/v1/sinkss", false),
            ("/readyzz", false),
            ("/v1/sales", false),
            ("/", false),
            ("", false),
        ] {
            assert_eq!(is_of_the_node(path.as_bytes()), expected, "{path}");
        }
    }
}
