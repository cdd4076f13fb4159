//! Who leads, as a node tells it.

use std::sync::Arc;

use http::StatusCode;

use super::{ALL, Shop, sinks};
use crate::api::{App, operator_router, public_router};
use crate::components::{NodeOperations, NodeReport};
use crate::metrics::EdgeMetrics;

/// A node that follows the first one.
pub(super) struct Second;

impl NodeOperations for Second {
    fn report(&self) -> NodeReport {
        NodeReport {
            node: 2,
            url: "http://10.0.0.8:8080".to_owned(),
            role: "following",
            since: 1_700_000_000_000,
            leader: Some((1, "http://10.0.0.7:8080".to_owned())),
            epoch: Some(4_711),
            record_no: 5_120,
            offset: 90_210,
            lag_ms: Some(212),
            term_count: 3,
            dropped: vec![("junk", 0), ("gap", 7)],
            snapshot_offset: Some(85_000),
            problem: Some("the \"topic\" is gone".to_owned()),
        }
    }
}

#[test]
fn both_listeners_say_who_leads() {
    let app = sinks::with_all();
    for router in [public_router(Arc::clone(&app)), operator_router(app)] {
        let (status, _, body) = super::send(&router, "GET /v1/cluster");
        assert_eq!(status, StatusCode::OK);
        let expected = r#"{"node":2,"url":"http://10.0.0.8:8080","partitions":[{"partition":0,"role":"following","since":"2023-11-14T22:13:20.000Z","leader":{"node":1,"url":"http://10.0.0.7:8080"},"epoch":4711,"record_no":5120,"offset":90210,"lag_ms":212,"snapshot_offset":85000,"problem":"the \"topic\" is gone"}]}"#;
        assert_eq!(body, expected);
    }
}

#[test]
fn a_server_that_is_the_only_one_of_its_log_has_no_nodes() {
    let app = App::over(Arc::new(Shop::default()), ALL, None, Arc::new(EdgeMetrics::default));
    super::check(&public_router(Arc::new(app)), "GET /v1/cluster", "404 not_found");
}

#[test]
fn figures_of_a_node_are_there_if_there_is_one() {
    let page = sinks::with_all().metrics();
    for line in [
        "onrush_node_leads 0",
        "onrush_node_stopped 0",
        "onrush_node_terms_total 3",
        "onrush_node_epoch 4711",
        "onrush_node_offset 90210",
        "onrush_node_lag_seconds 0.212",
        "onrush_node_snapshot_offset 85000",
        r#"onrush_node_records_dropped_total{reason="gap"} 7"#,
    ] {
        assert!(page.lines().any(|found| found == line), "{line} in {page}");
    }
    let alone = App::over(Arc::new(Shop::default()), ALL, None, Arc::new(EdgeMetrics::default));
    assert!(!alone.metrics().contains("onrush_node_"));
}
