//! nginx, Caddy and Traefik ask the server about each request before an application gets it, by the lines that the documentation shows.

mod application;
mod caddy;
pub(crate) mod nginx;
mod proxy;
mod traefik;

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;
use serde_json::json;
use std::net::SocketAddr;

use self::proxy::Proxy;
use crate::Bench;
use crate::http::{Response, once, request_json};
use crate::tool::{CADDY, NGINX};

/// Runs the scenario.
pub(crate) fn run(bench: &mut Bench) -> Result<String> {
    let launch = bench.launch()?.with(&[
        ("ONRUSH_GATE__ACCOUNTS", "true"),
        ("ONRUSH_GATE__TRUSTED_PROXIES", "127.0.0.1"),
        ("ONRUSH_GATE__LIMIT_PAGES_ADDRESS", "1/s burst 20"),
    ]);
    let server = launch.start()?;
    let (application, mut proxies) = (application::start()?, Vec::new());
    if NGINX.present() {
        proxies.push(nginx::start(&bench.directory, server.public(), application)?);
    }
    if CADDY.present() {
        proxies.push(caddy::start(&bench.directory, server.public(), application)?);
    }
    proxies.extend(traefik::start(&bench.directory, server.public(), application)?);
    let account = json!({"customer": "ada", "password": "correct horse"}).to_string();
    ensure!(once(server.public(), &request_json("POST", "/v1/customers", &[], &account))?.status == 201);
    let begun = once(server.public(), &request_json("POST", "/v1/session", &[], &account))?;
    let cookie = begun.header("set-cookie").context("no cookie")?;
    let cookie = format!("Cookie: {}", cookie.split(';').next().unwrap_or_default());

    let mut said = Vec::new();
    for proxy in &proxies {
        let limited_count =
            check_proxy(proxy, &cookie, server.operator()).with_context(|| proxy.name.to_owned())?;
        said.push(format!("{}: {limited_count} of 40 requests were too many", proxy.name));
    }
    server.stop(Signal::TERM)?;
    for proxy in &proxies {
        let lost = proxy.ask("GET", 2, &[&cookie])?;
        ensure!(
            lost.status == proxy.status_without_server,
            "without the server {} answers {}",
            proxy.name,
            lost.status
        );
    }
    Ok(if said.is_empty() { "nothing was checked".to_owned() } else { said.join("; ") })
}

/// Counts the requests that were too many.
fn check_proxy(proxy: &Proxy, cookie: &str, operator: SocketAddr) -> Result<u64> {
    // The proxy tells the address that the client comes from.
    check(&proxy.ask("GET", 2, &[])?, 401, "session_required", None)?;
    check(&proxy.ask("GET", 2, &[cookie])?, 200, "", Some("ada"))?;
    let pretends = "Onrush-Customer: eve";
    check(&proxy.ask("GET", 2, &[cookie, pretends])?, 200, "", Some("ada"))?;
    check(&proxy.ask("GET", 2, &[pretends])?, 401, "session_required", None)?;
    let other_site = "Sec-Fetch-Site: cross-site";
    check(&proxy.ask("POST", 2, &[cookie, other_site])?, 403, "cross_site", None)?;
    check(&proxy.ask("GET", 2, &[cookie, other_site])?, 200, "", Some("ada"))?;

    let denied = format!("/v1/denylist/address/{}", proxy.client(3));
    ensure!(once(operator, &request_json("PUT", &denied, &[], "{}"))?.status == 201);
    check(&proxy.ask("GET", 3, &[cookie])?, 403, "denied", None)?;
    // What the client says of itself does not count.
    check(&proxy.ask("GET", 3, &[cookie, "X-Forwarded-For: 192.0.2.7"])?, 403, "denied", None)?;
    let pretends = format!("X-Forwarded-For: {}", proxy.client(3));
    check(&proxy.ask("GET", 2, &[cookie, &pretends])?, 200, "", Some("ada"))?;

    let mut limited_count = 0;
    for _ in 0..40 {
        let answer = proxy.ask("GET", 4, &[cookie])?;
        if answer.status == proxy.status_too_many {
            check(&answer, proxy.status_too_many, "rate_limited", None)?;
            limited_count += 1;
        }
    }
    ensure!(limited_count >= 10, "only {limited_count} of 40 requests were too many");
    check(&proxy.ask("GET", 5, &[cookie])?, 200, "", Some("ada"))?;
    Ok(limited_count)
}

/// The application answers with the customer that it was told.
fn check(answer: &Response, status: u16, refusal: &str, customer: Option<&str>) -> Result<()> {
    let told = answer.header("onrush-refusal").unwrap_or_default();
    ensure!(
        answer.status == status && told == refusal,
        "{} {told:?} in place of {status} {refusal:?}: {}",
        answer.status,
        answer.text()
    );
    if let Some(customer) = customer {
        ensure!(answer.text() == customer, "the application was told {:?}", answer.text());
    }
    Ok(())
}
