//! Whoever sends a stream of batches. A stream can last: what can change while it does is asked for each message.

use std::cell::OnceCell;
use std::net::IpAddr;
use std::time::Instant;

use http::HeaderMap;
use onrush_core::TimeMs;
use onrush_gate::RouteGroup;
use tonic::Request;

use crate::api::App;
use crate::gate::{Admission, Identity};
use crate::http::request::{Fields, Peer};
use crate::problem::Problem;

/// What the head of the stream says of its sender.
pub(in crate::grpc) struct Sender {
    fields: HeaderMap,
    address: IpAddr,
}

/// What is asked for each item of one message.
pub(super) struct Turn<'a> {
    app: &'a App,
    address: IpAddr,
    /// The wall clock.
    pub(super) now: TimeMs,
    clock: OnceCell<Instant>,
    denied: Option<Problem>,
}

impl Sender {
    pub(super) fn of<T>(app: &App, request: &Request<T>) -> Self {
        let fields: HeaderMap = request.metadata().as_ref().clone();
        let Peer(peer) = request.extensions().get().copied().unwrap_or(Peer::UNKNOWN);
        let address = app.gate.address_of(peer.ip(), &Fields::Mapped(&fields));
        Self { fields, address }
    }

    /// Whom the stream is from by now.
    ///
    /// # Errors
    /// What its items are answered instead.
    pub(super) fn identify(&self, app: &App) -> Result<Identity, Problem> {
        app.identify(&self.fields, true)
    }

    /// For the items of a message that was just read.
    pub(super) fn turn<'a>(&self, app: &'a App) -> Turn<'a> {
        let now = app.backend.now_ms();
        let denied = app.backend.check_address(self.address, now).err();
        Turn { app, address: self.address, now, clock: OnceCell::new(), denied }
    }
}

impl Turn<'_> {
    /// Whether the sender's address may ask for one more item of this group.
    ///
    /// # Errors
    /// What the item is answered instead.
    #[allow(
        clippy::disallowed_methods,
        reason = "rate limits count from now, and no turn of the event loop has read the clock for this message"
    )]
    pub(super) fn admit(&self, group: RouteGroup) -> Result<Admission, Problem> {
        let now = || *self.clock.get_or_init(Instant::now);
        let admission = self.app.gate.check_limits(group, self.address, now)?;
        match &self.denied {
            Some(problem) => Err(problem.clone()),
            None => Ok(admission),
        }
    }
}
