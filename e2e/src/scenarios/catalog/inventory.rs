//! The product inventory of the demonstration.

use anyhow::{Result, ensure};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::http::{self, request, request_json};
use crate::server::Launch;

/// Starts the demonstration and asks for its products, again after a restart.
pub(super) fn check(launch: &Launch) -> Result<()> {
    for _ in 0..2 {
        let server = launch.start()?;
        let line = http::once(server.public(), &request("GET", "/cache?product_id=35586"))?;
        let expected = "{35586 SKU-35586 Blue lamp 35586 17}";
        ensure!(line.status == 200 && line.text() == expected, "the line is {} {}", line.status, line.text());
        let absent = http::once(server.public(), &request("GET", "/cache?product_id=0"))?;
        ensure!(absent.status == 404, "no product is {} {}", absent.status, absent.text());
        let body = json!({"api": "v1", "product_ids": [35586, "1", 0]}).to_string();
        let asked = request_json("POST", "/v1/product-inventory", &[], &body);
        let told: Value = http::once(server.public(), &asked)?.expect(200)?;
        let product = |id: &str, hn: u64, hcm: u64| {
            let of = |warehouse: &str, units: u64| json!({"warehouse_code": warehouse, "qty_salable": units});
            json!({"product_id": id, "data": [of("HN", hn), of("HCM", hcm)]})
        };
        let expected = json!({"meta": {}, "data": [product("35586", 2, 15), product("1", 7, 20)]});
        ensure!(told == expected, "the inventory is {told}, not {expected}");
        server.stop(Signal::TERM)?;
    }
    Ok(())
}
