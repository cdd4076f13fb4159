//! A log that another process may take over at any time: what is only read is told when it is sure that nobody did.

use std::time::Duration;

use onrush_edge::CatalogSettings;
use onrush_log::memory::MemoryLog;
use onrush_log::{Log, Opening};

use crate::support::{Rig, Settings, call_json, call_with, settings};

const ROW: &str = "/v1/catalog/products/106";

fn catalog() -> Settings {
    let (wait_max, embedded) = (Duration::from_millis(50), vec!["products".into()]);
    Settings { catalog: CatalogSettings { wait_max, embedded, ..CatalogSettings::default() }, ..settings() }
}

/// Another process takes the log over, and leaves it.
fn take_over(log: &MemoryLog) {
    let log: &dyn Log = log;
    log.open(Opening::default(), |_| Ok::<_, std::convert::Infallible>(())).expect("the log can be opened");
}

#[test]
fn what_a_view_has_is_told_by_whoever_leads_alone() {
    let log = MemoryLog::new(0).with_rivals();
    let rig = Rig::start_on(log.clone(), catalog());
    rig.put_sale("s");
    assert_eq!(call_json(rig.operator(), "PUT", ROW, "", r#"{"name":"chair"}"#).status, 200);
    let escaped = "/v1/catalog/products/%3106";
    for path in [ROW, escaped, "/v1/sales/s", "/v1/sales", "/v1/catalog/products?keys=106"] {
        assert_eq!(call_with(rig.public(), "GET", path, "", "").status, 200, "{path}");
        let before = rig.metric("onrush_log_reopened_total");
        take_over(&log);
        let answer = call_with(rig.public(), "GET", path, "", "");
        // Should the server have looked after its log in between, it leads again.
        let leads_again = rig.metric("onrush_log_reopened_total") > before;
        assert!(answer.status == 503 || (leads_again && answer.status == 200), "{path}: {}", answer.status);
        rig.wait_until("it leads again", |rig| {
            call_with(rig.public(), "GET", "/readyz", "", "").status == 200
        });
    }
    take_over(&log);
    // What is of the node is told whoever leads.
    for path in ["/livez", "/openapi.json"] {
        assert_eq!(call_with(rig.public(), "GET", path, "", "").status, 200, "{path}");
    }
}
