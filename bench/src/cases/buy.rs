//! Buying by the path of the flash sale, as a load generator asks for it, next to what the system with that path publishes, and
//! next to nginx answering the same requests with a constant: the published figure is of other machines, nginx of this one.

use anyhow::Result;
use serde_json::json;

use super::hot_path::{contender, doubt_counts};
use super::reserve::ENDLESS;
use crate::http::expect_success;
use crate::members::Members;
use crate::report::{Better, Figure, Findings, Row, Target};
use crate::rounds::{Contender, Outcome, Rounds};
use crate::servers::{Nginx, Onrush};
use crate::setting::Bench;
use crate::wrk::{Traffic, Wrk};

const PATH: &str = "/check?productID=1";
/// Connections, and customers who buy over them.
const CONNECTION_COUNT: u32 = 400;
const NGINX: &str = "nginx";
/// What the other system publishes of this path, in requests per second.
const PUBLISHED: f64 = 3_459.0;
const PUBLISHED_NOTE: &str =
    "the other figure is as published, of 5 machines with one core each: wrk -t80 -c2000, 4,283 time-outs";

/// Purchases that are all made, and those of customers who have bought.
pub(crate) fn buy(bench: &Bench) -> Result<Findings> {
    let members = Members::new(&bench.directory("buy-members")?)?;
    let scripts = bench.directory("buy-scripts")?;
    let wrk =
        Wrk { directory: &scripts, connection_count: CONNECTION_COUNT, seconds: bench.settings.turn_seconds };
    let mut environment = Vec::from(members.environment());
    environment.push(("ONRUSH_SCENARIOS__FLASH_SALE".into(), "true".into()));
    let start = |directory: &str, per_customer_max| {
        let directory = bench.directory(directory)?;
        let onrush = Onrush::start_bare(&bench.settings.onrush, &directory, &environment)?;
        put_flash_sale(&onrush, per_customer_max)?;
        anyhow::Ok(onrush)
    };
    let (many, one) = (start("buy-many", None)?, start("buy-one", Some(1))?);
    let cookies = members.cookies("buyer-", CONNECTION_COUNT.into())?;
    let traffic = Traffic::Buyers { path: PATH, cookies };
    let nginx = Nginx::start(&bench.directory("buy-nginx")?)?;
    let mut contenders = [
        contender(&wrk, NGINX, nginx.pids(), nginx.address, traffic.clone()),
        buyers(&wrk, &many, "bought", &traffic, false),
        buyers(&wrk, &one, "refused", &traffic, true),
    ];
    let rounds = Rounds::interleave(bench, &mut contenders)?;
    drop(contenders);
    let mut findings = Findings::of_rounds(PATH, &rounds);
    let bought = rounds.values("bought", |turn| turn.outcome.success_rate());
    let refused = rounds.values("refused", |turn| turn.outcome.refusal_rate());
    for (what, values) in [("every one bought", bought), ("the customer has one already", refused)] {
        let published = Figure::new("published", "/s", vec![PUBLISHED; values.len()]);
        let title = format!("GET {PATH}, {CONNECTION_COUNT} connections, {what}");
        let row = Row::new(title, Figure::new("onrush", "/s", values), Some(published), Better::Higher);
        findings.rows.push(row.targets(Target::RatioAtLeast(20.0), Target::RatioAtLeast(30.0)));
    }
    let constant = rounds.values(NGINX, |turn| turn.outcome.success_rate());
    let bought = rounds.values("bought", |turn| turn.outcome.success_rate());
    let title = format!("GET {PATH}, {CONNECTION_COUNT} connections, every one bought, to nginx");
    let (onrush, nginx_figure) = (Figure::new("onrush", "/s", bought), Figure::new(NGINX, "/s", constant));
    findings.rows.push(Row::new(title, onrush, Some(nginx_figure), Better::Higher));
    findings.rows[0].notes.push(PUBLISHED_NOTE.into());
    findings.rows[0].notes.extend(rounds.doubts());
    many.stop()?;
    one.stop()?;
    Ok(findings)
}

/// The product, of which there is always more.
fn put_flash_sale(onrush: &Onrush, per_customer_max: Option<u32>) -> Result<()> {
    let body =
        json!({"per_customer_max": per_customer_max, "stocks": [{"stock": "1", "quantity_total": ENDLESS}]});
    let (address, path) = (onrush.operator_address, "/v1/sales/flash");
    expect_success(address, "PUT", path, Some(&body))?;
    Ok(())
}

/// Checks that the sale's own figure moved by what was bought.
fn buyers<'a>(
    wrk: &'a Wrk<'_>,
    onrush: &'a Onrush,
    name: &str,
    traffic: &'a Traffic,
    refused: bool,
) -> Contender<'a> {
    let turn = move |run: &str| {
        let before = onrush.sale_figures("flash")?;
        let mut outcome = Outcome::of_wrk(wrk.run(onrush.address, traffic, run)?, refused);
        let sold = onrush.sale_figures("flash")?.quantity_confirmed - before.quantity_confirmed;
        outcome.doubts.extend(doubt_counts(outcome.success_count, sold, wrk.connection_count));
        Ok(outcome)
    };
    Contender { name: name.into(), pids: onrush.pids(), turn: Box::new(turn) }
}
