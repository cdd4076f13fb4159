//! Collections with rows of a source, over both listeners.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{StatusCode, Uri};
use onrush_core::{Row, RowLine};
use onrush_node::Name;
use onrush_node::catalog::{
    CacheBounds, ChangePlace, GtidSet, Snapshot, SourceRows, SourceSettings, ToldRows, ToldSettings,
};

use super::shop::{Shop, catalog};
use super::{ALL, App, check_all, operator_router, public_router, send};
use crate::api::catalog::may_wait;
use crate::catalog::{CatalogSettings, Source};
use crate::metrics::EdgeMetrics;
use crate::scenarios::product_inventory;

/// How far every source is: `16/B374D848`.
const POSITION: u64 = 0x16_b374_d848;

fn row(key: &str) -> Row {
    Row::new(RowLine { key, json: br#"{"name":"chair"}"# })
}

/// A source with the rows 1 and 2, of which 1 is in memory. Its rows are coherent for as long as a test takes.
fn with_rows(is_whole: bool, started: Instant) -> Arc<SourceRows> {
    let rows = without_rows();
    let snapshot = Snapshot::new(10, Vec::new());
    let mut loaded = rows.begin_load(snapshot.clone());
    assert!(loaded.insert(row("1")), "there is room");
    if !is_whole {
        loaded.leave_out();
    }
    assert!(rows.end_load(loaded));
    rows.advance(POSITION);
    rows.probed(POSITION, &snapshot, started + Duration::from_hours(1));
    rows.publish();
    let source = Arc::downgrade(&rows);
    rows.on_wanted(move || {
        let Some(rows) = source.upgrade() else { return };
        while let Some(fetch) = rows.begin_fetch(100) {
            let found = fetch.keys.iter().filter(|key| *key == "2").map(|key| row(key)).collect();
            rows.end_fetch(fetch, &snapshot, found, started);
        }
    });
    rows
}

/// A source that nobody has asked yet.
fn without_rows() -> Arc<SourceRows> {
    let bounds = CacheBounds { bytes_max: 1 << 20, absent_for: Duration::from_hours(1), absent_count_max: 9 };
    let settings = SourceSettings { bounds, lag_max: Duration::from_secs(5), reads_through: false };
    Arc::new(SourceRows::new(settings, 1))
}

/// A source that told the row 1, and of the row 2 that it is there.
fn told_rows(started: Instant) -> Arc<ToldRows> {
    let rows = ToldRows::new(ToldSettings { bytes_max: 1 << 20, lag_max: Duration::from_secs(5) }, 1);
    let place = ChangePlace { position: POSITION, index: 0, committed_ms: 0, number: None };
    rows.begin_load();
    let _ = rows.put(row("1"), place);
    let _ = rows.spoil("2", Some(place), "the row has no value".to_owned());
    rows.end_load();
    let gtids = GtidSet::parse("0-2-90,7-1-3").map(Arc::new);
    rows.reach(started + Duration::from_hours(1), POSITION, gtids);
    Arc::new(rows)
}

/// The collections `sourced`, `whole`, `behind` and `told`.
#[allow(clippy::disallowed_methods, reason = "the only way to have any time of this clock")]
pub(super) fn sources() -> Vec<(Name, Source)> {
    let started = Instant::now();
    let (sourced, whole) = (with_rows(false, started), with_rows(true, started));
    let told = Source::Debezium(told_rows(started));
    [("sourced", sourced), ("whole", whole), ("behind", without_rows())]
        .map(|(name, rows)| (name.into(), Source::Postgres(rows)))
        .into_iter()
        .chain([("told".into(), told)])
        .collect()
}

fn app(settings: CatalogSettings) -> Arc<App> {
    let app = App::over(Arc::new(Shop::default()), ALL, None, Arc::new(EdgeMetrics::default));
    Arc::new(app.with_catalog(CatalogSettings { wait_max: Duration::from_millis(1), ..settings }))
}

#[test]
fn rows_of_a_source_are_read_like_others() {
    let router = public_router(app(catalog()));
    check_all(
        &router,
        &[
            ("GET /v1/catalog/sourced/1", r#"200 {"name":"chair"}"#),
            ("GET /v1/catalog/sourced/1", "200 onrush-version: 97500059720, onrush-lag-ms: 0, age: 0"),
            ("GET /v1/catalog/sourced/2", r#"200 {"name":"chair"}"#),
            ("GET /v1/catalog/sourced/3", "404 row_not_found"),
            ("GET /v1/catalog/whole/2", "404 row_not_found"),
            ("GET /v1/catalog/told/1", r#"200 {"name":"chair"}"#),
            ("GET /v1/catalog/told/1", "200 onrush-version: 97500059720, onrush-lag-ms: 0, age: 0"),
            ("GET /v1/catalog/told/2", "503 source_unavailable"),
            ("GET /v1/catalog/told/3", "404 row_not_found"),
            (
                "GET /v1/catalog/told?keys=1,3",
                r#"200 {"rows":{"1":{"name":"chair"}},"missing":["3"],"version":"97500059720"}"#,
            ),
            ("GET /v1/catalog/told/1?min_version=bin.99999999999:1", "400 invalid_request"),
            ("GET /v1/catalog/told/1?min_version=bin.000022:1", r#"200 {"name":"chair"}"#),
            ("GET /v1/catalog/told/1?min_version=bin.000023:1", "503 incoherent"),
            ("GET /v1/catalog/told/1?min_version=0-1-89", "200 chair"),
            ("GET /v1/catalog/told?keys=1&min_version=7-1-3", "200 chair"),
            ("GET /v1/catalog/told/1?min_version=0-2-91", "503 incoherent"),
            ("GET /v1/catalog/told/1?min_version=0-2-90,7-1-3", "200 chair"),
            ("GET /v1/catalog/told?keys=1&min_version=0-2-90%2C7-1-4", "503 incoherent"),
            ("GET /v1/catalog/told/1?min_version=0-2-90,7-1", "400 invalid_request"),
            ("GET /v1/catalog/told/1?min_version=3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5", "503 incoherent"),
            ("GET /v1/catalog/told/1?min_version=", "400 invalid_request"),
            ("GET /v1/catalog/sourced/1?min_version=0-2-90", "503 incoherent"),
            ("GET /v1/catalog/products/1?min_version=0-2-90", "400 invalid_request"),
            (
                "GET /v1/catalog/sourced?keys=3,2,1",
                r#"200 {"rows":{"2":{"name":"chair"},"1":{"name":"chair"}},"missing":["3"],"version":"97500059720"}"#,
            ),
            ("GET /v1/catalog/behind/1", "503 incoherent"),
            ("GET /v1/catalog/behind?keys=1", "503 incoherent"),
            ("GET /v1/catalog/sourced/1?min_version=97500059720", "200 chair"),
            ("GET /v1/catalog/sourced/1?min_version=16/B374D848", "200 chair"),
            ("GET /v1/catalog/sourced/1?min_version=16%2Fb374d848", "200 chair"),
            ("GET /v1/catalog/sourced?keys=1&min_version=16%2FB374D848", "200 chair"),
            ("GET /v1/catalog/sourced?keys=1&min_version=16/B374D848", "200 chair"),
            ("GET /v1/catalog/sourced/1?min_version=16/B374D849", "503 incoherent"),
            ("GET /v1/catalog/behind/1?min_version=0", "503 incoherent"),
            ("GET /v1/catalog/sourced/1?min_version=16/", "400 invalid_request"),
            ("GET /v1/catalog/products/1?min_version=0/1", "400 invalid_request"),
        ],
    );
}

#[test]
fn rows_of_a_source_are_not_put_here() {
    let json = "\ncontent-type: application/json\n\n{}";
    let lines = "\ncontent-type: application/x-ndjson\n\n{\"key\":\"1\",\"row\":{}}";
    let (put, posted) =
        (format!("PUT /v1/catalog/sourced/1{json}"), format!("POST /v1/catalog/sourced{lines}"));
    let router = operator_router(app(catalog()));
    for request in [&put, &posted, "DELETE /v1/catalog/sourced/1"] {
        let (status, _, body) = send(&router, request);
        assert_eq!(status, StatusCode::BAD_REQUEST, "{request}");
        assert!(body.contains("`collection` has its rows from a source; change them there."), "{body}");
    }
}

#[test]
fn operators_see_how_a_source_is() {
    let router = operator_router(app(catalog()));
    let behind =
        r#"200 {"collection":"behind","source":"postgres","state":"incoherent","lag_ms":null,"version":"0""#;
    let sourced = r#"200 {"collection":"sourced","source":"postgres","state":"coherent","lag_ms":0,"version":"97500059720","rows":1"#;
    check_all(
        &router,
        &[
            ("GET /v1/catalog", behind),
            ("GET /v1/catalog", sourced),
            ("GET /v1/catalog", r#"200 "fetches":0,"fetched_rows":0,"last_error":null"#),
            ("GET /metrics", r#"200 onrush_catalog_coherent{collection="behind"} 0"#),
            ("GET /metrics", r#"200 onrush_catalog_coherent{collection="sourced"} 1"#),
            ("GET /metrics", r#"200 onrush_catalog_lag_seconds{collection="sourced"} 0"#),
        ],
    );
    let (_, _, page) = send(&router, "GET /metrics");
    assert!(!page.contains("onrush_catalog_lag_seconds{collection=\"behind\"}"), "{page}");
}

#[test]
fn a_server_may_wait_with_being_ready() {
    let ready = [("GET /readyz", "200 ready"), ("GET /livez", "200 live")];
    check_all(&public_router(app(catalog())), &ready);
    let waits = CatalogSettings { ready_when_coherent: true, ..catalog() };
    let awaiting = public_router(app(waits.clone()));
    check_all(&awaiting, &[("GET /readyz", "503 incoherent"), ("GET /livez", "200 live")]);
    let (_, _, body) = send(&awaiting, "GET /readyz");
    assert!(body.contains("The collection behind is not coherent with its source yet."), "{body}");
    let mut sources = sources();
    sources.retain(|(name, _)| name != "behind");
    check_all(&public_router(app(CatalogSettings { sources, ..waits })), &ready);
}

#[test]
fn products_may_be_rows_of_a_source() {
    let mut sources = sources();
    sources.retain(|(name, _)| name == "sourced");
    sources[0].0 = product_inventory::COLLECTION.into();
    let app = app(CatalogSettings { sources, ..CatalogSettings::default() });
    let ask = |ids: &str| {
        format!("POST /v1/product-inventory\ncontent-type: application/json\n\n{{\"product_ids\":{ids}}}")
    };
    check_all(
        &public_router(app),
        &[
            ("GET /cache?product_id=1", "200 {1  chair 0}"),
            ("GET /cache?product_id=2", "200 {2  chair 0}"),
            ("GET /cache?product_id=3", "404 row_not_found"),
            (&ask("[1,2,3]"), r#"200 {"meta":{},"data":[{"product_id":"1"},{"product_id":"2"}]}"#),
        ],
    );
}

#[test]
fn a_read_that_may_wait_is_told_by_its_target() {
    let mut sources = sources();
    sources.push((product_inventory::COLLECTION.into(), Source::Postgres(without_rows())));
    let with_products = app(CatalogSettings { sources, ..CatalogSettings::default() });
    for (app, path, waits) in [
        (&with_products, "/v1/catalog/sourced/1", true),
        (&with_products, "/v1/catalog/sourced", true),
        (&with_products, "/v1/catalog/products/1", false),
        (&with_products, "/v1/catalog/products/1?min_version=1", true),
        (&with_products, "/v1/sales?min_version=1", false),
        (&with_products, "/cache", true),
        (&with_products, "/v1/product-inventory", true),
        (&app(catalog()), "/cache", false),
    ] {
        let uri: Uri = path.parse().expect("a URI");
        let rows = &app.catalog;
        let found = may_wait(rows, &uri) || product_inventory::may_wait(rows, uri.path());
        assert_eq!(found, waits, "{path}");
    }
}
