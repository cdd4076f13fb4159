//! What all routes share: what answers their calls, the settings they look at, and the parts beside the partition.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use http::HeaderMap;
use onrush_core::TimeMs;
use onrush_node::{
    Call, Calls, Clock as _, Failure, MachineClock, MetricsSnapshot, Outcome, Partitions, Readiness, Reply,
    ReservationIds, ReserveCall,
};
use tokio::sync::oneshot;

use super::together::{DoneTogether, Together};
use crate::catalog::{Catalog, CatalogSettings, RowSource};
use crate::components::Components;
use crate::gate::{Begun, Denylist, Gate, Identity, PublicGate};
use crate::hot::Sender;
use crate::http::request::Fields;
use crate::metrics;
use crate::metrics::{EdgeMetrics, Figures};
use crate::problem::Problem;
use crate::settings::{GateSettings, OperatorKey, Scenarios, Settings};

/// Where a backend leaves the answer to one call.
pub type Done = Box<dyn FnOnce(Reply) + Send>;

/// Reads the edge's own figures.
pub type ReadEdgeMetrics = Arc<dyn Fn() -> EdgeMetrics + Send + Sync>;

/// What answers the calls that routes make: the partitions, or a stand-in for one.
pub trait Backend: Denylist + RowSource + Send + Sync {
    /// Runs a call and hands its answer to `done`, once, on any thread.
    fn call(&self, call: Call, done: Done);
    /// Runs calls that came together, in their order, and hands each answer, with the token of its call, to `done` once, on any
    /// thread.
    fn call_together(&self, calls: Calls, done: DoneTogether) {
        for (token, call) in calls {
            let done = Arc::clone(&done);
            self.call(call, Box::new(move |reply| done(vec![(token, reply)])));
        }
    }
    /// Whether calls make sense now.
    fn readiness(&self) -> Readiness;
    /// Figures as of now.
    fn metrics(&self) -> MetricsSnapshot;
    /// How the ids of a sale's reservations are written and read.
    fn ids(&self, sale: &str) -> &ReservationIds;
    /// The wall clock.
    fn now_ms(&self) -> TimeMs;
}

/// What all routes share.
pub struct App {
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) scenarios: Scenarios,
    pub(crate) operator_key: Option<OperatorKey>,
    edge_metrics: ReadEdgeMetrics,
    pub(crate) components: Components,
    pub(crate) catalog: Arc<Catalog>,
    /// Of the public listener.
    pub(crate) gate: Arc<PublicGate>,
    /// What the replica last told of its lag, milliseconds; [`LAG_UNKNOWN`] until it did.
    pub(crate) replica_lag_ms: AtomicU64,
}

const LAG_UNKNOWN: u64 = u64::MAX;

impl App {
    /// Routes over partitions.
    pub fn new(
        partitions: Arc<Partitions>,
        settings: &Settings,
        components: Components,
        edge_metrics: ReadEdgeMetrics,
    ) -> Self {
        let app = Self::over(partitions, settings.scenarios, settings.operator_key.clone(), edge_metrics);
        app.with_components(components)
            .with_gate(settings.gate.clone())
            .with_catalog(settings.catalog.clone())
    }

    /// Routes over any backend.
    pub fn over(
        backend: Arc<dyn Backend>,
        scenarios: Scenarios,
        operator_key: Option<OperatorKey>,
        edge_metrics: ReadEdgeMetrics,
    ) -> Self {
        let source: Arc<dyn RowSource> = Arc::<dyn Backend>::clone(&backend);
        Self {
            catalog: Arc::new(Catalog::new(CatalogSettings::default(), source)),
            backend,
            scenarios,
            operator_key,
            edge_metrics,
            components: Components::default(),
            gate: Arc::new(PublicGate::open()),
            replica_lag_ms: AtomicU64::new(LAG_UNKNOWN),
        }
    }

    /// The same with parts beside the backend.
    #[must_use]
    pub fn with_components(self, components: Components) -> Self {
        Self { components, ..self }
    }

    /// The same with a gate. Its limits count from now.
    #[must_use]
    #[allow(clippy::disallowed_methods, reason = "limits count from the start of the server")]
    pub(crate) fn with_gate(self, settings: GateSettings) -> Self {
        let gate = PublicGate::new(settings, Instant::now()).with_sessions(self.components.sessions.clone());
        Self { gate: Arc::new(gate), ..self }
    }

    /// The same with collections of the catalogue.
    #[must_use]
    pub(crate) fn with_catalog(self, settings: CatalogSettings) -> Self {
        let source: Arc<dyn RowSource> = Arc::<dyn Backend>::clone(&self.backend);
        Self { catalog: Arc::new(Catalog::new(settings, source)), ..self }
    }

    /// Whether calls make sense now.
    ///
    /// # Errors
    /// Why they do not.
    pub(crate) fn readiness(&self) -> Result<(), Problem> {
        match self.backend.readiness() {
            Readiness::Ready => {}
            Readiness::LogUnavailable => return Err(Problem::log_unavailable()),
            Readiness::Following => return Err(Problem::not_leader()),
            Readiness::Draining => return Err(Problem::draining()),
        }
        self.catalog.awaited().map_or(Ok(()), |collection| Err(Problem::collection_awaited(collection)))
    }

    /// The page of figures.
    pub(crate) fn metrics(&self) -> String {
        let sinks = self.components.sinks.as_ref().map(|sinks| sinks.statuses()).unwrap_or_default();
        let report = self.components.node.as_ref().map(|node| node.report());
        let lag_ms =
            Some(self.replica_lag_ms.load(Ordering::Relaxed)).filter(|lag_ms| *lag_ms != LAG_UNKNOWN);
        let lost_line_count =
            self.components.lost_line_count.as_ref().map(|count| count.load(Ordering::Relaxed));
        metrics::render(&Figures {
            node: &self.backend.metrics(),
            edge: &(self.edge_metrics)(),
            gate: &self.gate.figures(),
            catalog: &self.catalog.figures().collect::<Vec<_>>(),
            cluster: report.as_ref(),
            sinks: &sinks,
            replica_lag_ms: lag_ms,
            lost_line_count,
        })
    }

    /// Lets `ask` ask about whoever sent a request that came to the router of the public listener.
    #[allow(
        clippy::disallowed_methods,
        reason = "rate limits count from now, and no turn has read the clock for this request"
    )]
    pub(crate) fn with_sender<T>(&self, ask: impl FnOnce(&Sender<'_>) -> T) -> T {
        let gate = Gate::Public(Arc::clone(&self.gate));
        let (denylist, now) = (&*self.backend, self.backend.now_ms());
        ask(&Sender { gate: &gate, denylist, catalog: &self.catalog, now, clock: &Instant::now })
    }

    /// Whom a request that came to the router of the public listener is from, which may change something or not.
    ///
    /// # Errors
    /// What it is answered instead.
    pub(crate) fn identify(&self, fields: &HeaderMap, may_write: bool) -> Result<Identity, Problem> {
        let now = self.backend.now_ms();
        let identified = self.gate.identify(&Fields::Mapped(fields), may_write, now);
        let identified = identified.and_then(|identity| identity.checked(&*self.backend, now));
        identified.inspect_err(|problem| self.gate.count_refusal(problem))
    }

    /// Begins a session for a customer who proved to be this one. It begins later than those that the operator has ended, though
    /// that was in the same millisecond, or the clock was set back since.
    ///
    /// # Errors
    /// Sessions are off, the denylist has the customer, or the system has no random numbers.
    pub(crate) fn begin_session(&self, customer: &str) -> Result<Begun, Problem> {
        let now = self.backend.now_ms();
        self.backend.check_customer(customer, now)?;
        let ended_at = self.backend.sessions_ended_at(customer);
        let begins_at = ended_at.map_or(now, |ended_at| now.max(ended_at.saturating_add(1)));
        self.gate.sessions()?.begin_for(customer, begins_at)
    }

    /// Runs a call. A backend that is gone without an answer leaves it unknown whether the call was done.
    pub(crate) async fn call(&self, call: Call) -> Reply {
        let (sender, receiver) = oneshot::channel();
        // The receiver is dropped only if the client has gone, and then nobody wants the answer.
        self.backend.call(call, Box::new(move |reply| drop(sender.send(reply))));
        receiver.await.unwrap_or(Err(Failure::LogUnavailable))
    }

    /// Runs calls that came together, up to [`crate::limits::BATCH_ITEMS_MAX`].
    pub(crate) fn call_together(&self, calls: Vec<Call>) -> Together {
        let (together, done) = Together::new(calls.len());
        if !calls.is_empty() {
            self.backend.call_together((0..).zip(calls).collect(), done);
        }
        together
    }

    /// Whether the denylist lets this claim through; see [`Denylist::check_claim`].
    ///
    /// # Errors
    /// It does not.
    pub(crate) fn check_denied(&self, claim: &ReserveCall) -> Result<(), Problem> {
        self.backend.check_claim(claim, self.backend.now_ms())
    }

    /// Runs a call and turns a failure into the problem to answer with.
    pub(crate) async fn ask(&self, call: Call) -> Result<Outcome, Problem> {
        self.call(call).await.map_err(|failure| Problem::from_failure(&failure, self.backend.now_ms()))
    }
}

/// A backend that answers a call with the outcome of another is broken beyond this request.
pub(crate) fn mismatched(outcome: &Outcome) -> ! {
    unreachable!("the backend answered with {outcome:?}")
}

impl Backend for Partitions {
    fn call(&self, call: Call, done: Done) {
        self.at(self.number_for(&call)).call(call, done);
    }

    fn call_together(&self, calls: Calls, done: DoneTogether) {
        let mut of_each: Vec<Calls> = self.every().iter().map(|_| Calls::new()).collect();
        for (token, call) in calls {
            of_each[usize::from(self.number_for(&call))].push((token, call));
        }
        for (partition, calls) in self.every().iter().zip(of_each).filter(|(_, calls)| !calls.is_empty()) {
            let done = Arc::clone(&done);
            partition.call_together(calls, move |replies| done(replies));
        }
    }

    fn readiness(&self) -> Readiness {
        let mut all = self.every().iter().map(|partition| partition.readiness());
        all.find(|one| *one != Readiness::Ready).unwrap_or(Readiness::Ready)
    }

    fn metrics(&self) -> MetricsSnapshot {
        self.at(0).metrics()
    }

    fn ids(&self, sale: &str) -> &ReservationIds {
        self.of_sale(sale).reservation_ids()
    }

    fn now_ms(&self) -> TimeMs {
        MachineClock.wall_ms()
    }
}
