//! The routes of sinks and of the replica over stand-ins for both.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use onrush_gate::{GroupRates, RateLimitSettings};
use onrush_sinks::{CounterRow, Replica, ReplicaAnswer, SinkRefusal, SinkState, SinkStatus, Stop};

use super::{ALL, app, check, check_all, operator_router, send};
use crate::api::sinks::body::sample;
use crate::api::tests::shop::Shop;
use crate::api::{App, public_router};
use crate::components::{Components, SinkOperations};
use crate::metrics::EdgeMetrics;
use crate::settings::GateSettings;

const ROW: CounterRow = CounterRow { id: 9, at: 1_621_152_000_000, value: 7, lag_ms: Some(1_250) };

/// Two sinks: `shop`, which stopped at offset 7 until it is told otherwise, and `full`, which cannot record what is skipped.
#[derive(Default)]
struct Pair {
    skipped_count: AtomicU64,
}

impl Pair {
    fn shop(&self) -> SinkStatus {
        let skipped_count = self.skipped_count.load(Ordering::Relaxed);
        let rejected = Stop::Rejected { offset: 7, reason: "too \"many\"".into() };
        let state = if skipped_count == 0 { SinkState::Stopped(rejected) } else { SinkState::Running };
        SinkStatus { skipped_count, last_error: Some((0, "too \"many\"".into())), ..sample::sink(state) }
    }

    fn full(&self) -> SinkStatus {
        SinkStatus { name: "full".into(), kind: "redis", state: SinkState::Retrying, ..self.shop() }
    }
}

impl SinkOperations for Pair {
    fn statuses(&self) -> Vec<SinkStatus> {
        vec![self.shop(), self.full()]
    }

    fn status(&self, sink: &str) -> Option<SinkStatus> {
        self.statuses().into_iter().find(|status| status.name == sink)
    }

    fn retry(&self, sink: &str) -> Result<SinkStatus, SinkRefusal> {
        self.status(sink).ok_or(SinkRefusal::NotFound)
    }

    fn skip(&self, sink: &str, offset: u64) -> Result<SinkStatus, SinkRefusal> {
        match (sink, offset) {
            ("shop", 7) => {
                self.skipped_count.fetch_add(1, Ordering::Relaxed);
                Ok(self.shop())
            }
            ("full", 7) => Err(SinkRefusal::Unrecorded("no room".into())),
            ("shop" | "full", _) => Err(SinkRefusal::NotStoppedThere),
            _ => Err(SinkRefusal::NotFound),
        }
    }
}

/// A replica that always answers the same.
struct Fixed(Result<Option<CounterRow>, String>);

impl Replica for Fixed {
    fn newest(&self, counter: &str) -> ReplicaAnswer<Option<CounterRow>> {
        assert_eq!(counter, "web-counter");
        let answer = self.0.clone();
        Box::pin(async { answer })
    }
}

fn over(sinks: Option<Pair>, replica: Option<Fixed>) -> Arc<App> {
    over_shop(Shop::default(), sinks, replica)
}

fn over_shop(shop: Shop, sinks: Option<Pair>, replica: Option<Fixed>) -> Arc<App> {
    let components = Components {
        sinks: sinks.map(|sinks| Arc::new(sinks) as Arc<dyn SinkOperations>),
        replica: replica.map(|replica| Arc::new(replica) as Arc<dyn Replica>),
        node: Some(Arc::new(super::cluster::Second)),
        lost_line_count: Some(Arc::new(AtomicU64::new(7))),
        sessions: None,
        passwords: None,
    };
    let app = App::over(Arc::new(shop), ALL, None, Arc::new(EdgeMetrics::default));
    Arc::new(app.with_components(components))
}

/// Routes with every component there.
pub(super) fn with_all() -> Arc<App> {
    over(Some(Pair::default()), Some(Fixed(Ok(None))))
}

/// Routes of a server with something to say for every figure, once `/web-counter/db/` was asked.
pub(super) fn with_every_figure() -> Arc<App> {
    let app = over_shop(Shop::with_snapshot(), Some(Pair::default()), Some(Fixed(Ok(Some(ROW)))));
    let pages = GroupRates { address: "1/s burst 1".parse().ok(), ..GroupRates::default() };
    let rate_limits = RateLimitSettings { keys_max: 1, pages, ..RateLimitSettings::default() };
    let app = Arc::into_inner(app).expect("nobody else has it");
    let app = app.with_gate(GateSettings { rate_limits, ..GateSettings::default() });
    Arc::new(app.with_catalog(super::shop::catalog()))
}

#[test]
fn operators_look_after_sinks() {
    let skip = |sink: &str, body: &str| {
        format!("POST /v1/sinks/{sink}/skip\ncontent-type: application/json\n\n{body}")
    };
    let router = operator_router(over(Some(Pair::default()), None));
    for (request, expected) in [
        ("GET /v1/sinks".into(), r#"200 {"sinks":[{"sink":"shop","kind":"postgres","state":"stopped","#),
        ("GET /v1/sinks/shop".into(), r#"200 {"sink":"shop","#),
        ("GET /v1/sinks/full".into(), r#"200 "state":"retrying","reason":null,"skippable_offset":null,"#),
        ("GET /v1/sinks/none".into(), "404 sink_not_found"),
        ("GET /v1/sinks/a%20b".into(), "400 invalid_request"),
        ("POST /v1/sinks".into(), "405 method_not_allowed"),
        ("POST /v1/sinks/full/retry".into(), r#"200 {"sink":"full","#),
        ("POST /v1/sinks/none/retry".into(), "404 sink_not_found"),
        (skip("shop", "{}"), "400 invalid_request"),
        (skip("shop", r#"{"offset":"7"}"#), "400 invalid_request"),
        ("POST /v1/sinks/shop/skip".into(), "400 invalid_request"),
        ("POST /v1/sinks/shop/skip\n\n{\"offset\":7}".into(), "415 unsupported_media_type"),
        (skip("none", r#"{"offset":7}"#), "404 sink_not_found"),
        (skip("shop", r#"{"offset":8}"#), "409 sink_not_stopped"),
        (skip("full", r#"{"offset":7}"#), "503 log_unavailable"),
        ("GET /metrics".into(), r#"200 onrush_sink_state{sink="shop",kind="postgres",state="stopped"} 1"#),
        (skip("shop", r#"{"offset":7}"#), r#"200 "state":"running","reason":null,"skippable_offset":null,"#),
        ("GET /metrics".into(), r#"200 onrush_sink_skipped_total{sink="shop",kind="postgres"} 1"#),
        ("GET /metrics".into(), "200 onrush_log_lines_lost_total 7"),
        ("GET /readyz".into(), "200 ready"),
    ] {
        check(&router, &request, expected);
    }
}

#[test]
fn without_sinks_there_is_nothing_to_look_after() {
    check_all(
        &operator_router(app(ALL, None)),
        &[
            ("GET /v1/sinks", r#"200 {"sinks":[]}"#),
            ("GET /v1/sinks/shop", "404 sink_not_found"),
            ("POST /v1/sinks/shop/retry", "404 sink_not_found"),
        ],
    );
    check_all(&public_router(app(ALL, None)), &[("GET /v1/sinks", "404 not_found")]);
    check_all(&operator_router(app(ALL, Some("secret"))), &[("GET /v1/sinks", "401 unauthorized")]);
    let (_, _, page) = send(&operator_router(app(ALL, None)), "GET /metrics");
    assert!(!page.contains("onrush_sink") && !page.contains("onrush_replica"), "{page}");
}

#[test]
fn the_visitor_counter_is_read_from_the_replica() {
    let app = over(None, Some(Fixed(Ok(Some(ROW)))));
    let router = public_router(Arc::clone(&app));
    let (_, _, page) = send(&operator_router(Arc::clone(&app)), "GET /metrics");
    assert!(!page.contains("onrush_replica_lag_seconds"), "{page}");
    check_all(
        &router,
        &[
            ("GET /web-counter/db/", "200 onrush-replica-lag-ms: 1250"),
            ("GET /web-counter/db/", "200 application/json; charset=UTF-8"),
            (
                "GET /web-counter/db/",
                "200 {\"ID\":9,\"CreatedAt\":\"2021-05-16T08:00:00.000Z\",\
                 \"UpdatedAt\":\"2021-05-16T08:00:00.000Z\",\"DeletedAt\":null,\"counter\":7}",
            ),
            ("HEAD /web-counter/db/", "200 onrush-replica-lag-ms: 1250"),
            ("GET /web-counter/db", "404 not_found"),
            ("POST /web-counter/db/", "405 method_not_allowed"),
        ],
    );
    check(&operator_router(app), "GET /metrics", "200 onrush_replica_lag_seconds 1.25");

    let empty = public_router(over(None, Some(Fixed(Ok(None)))));
    check(&empty, "GET /web-counter/db/", "200 {\"ID\":0,\"CreatedAt\":\"0001-01-01T00:00:00Z\",");
    let (_, fields, _) = send(&empty, "GET /web-counter/db/");
    assert!(!fields.contains("onrush-replica-lag-ms"), "{fields}");

    let away = public_router(over(None, Some(Fixed(Err("connect: role \"onrush\" of 10.0.0.7".into())))));
    check(
        &away,
        "GET /web-counter/db/",
        "503 {\"status\":\"Unsuccessful\",\"reason\":\"the replica cannot be read\",\"code\":503}",
    );
    check(&away, "GET /web-counter/db/", "503 retry-after: 5");

    check(&public_router(over(None, None)), "GET /web-counter/db/", "404 not_found");
}
