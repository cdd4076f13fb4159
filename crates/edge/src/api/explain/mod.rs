//! Why a customer may reserve, or may not: every check of the gate with its verdict, for the operator. Asking takes nothing and
//! changes nothing.

mod body;
mod operation;
mod words;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::State;
use http::StatusCode;
use onrush_core::{Denial, SaleCheck, Verdict};
use onrush_node::{Call, Name, Outcome};

use super::answer::{Answer, WithoutBody, json};
use super::app::{App, mismatched};
use super::route::Route;
use crate::http::name::name_field;
use crate::http::query::parameters;
use crate::problem::Problem;
use body::write_explanation;
pub(super) use operation::schemas;
use words::Told;

/// Routes of the operator listener.
pub(super) fn operator_routes() -> [Route; 1] {
    [Route::new(operation::explained(), explain)]
}

/// About whom it is asked, and for which sale.
struct Subject {
    sale: Option<Name>,
    customer: Option<Name>,
    address: Option<IpAddr>,
}

async fn explain(State(app): State<Arc<App>>, request: WithoutBody) -> Answer {
    let subject = parse_subject(request.uri.query())?;
    let mut checks = vec![rate_limits(&app, &subject), denylist(&app, &subject)];
    let has_sessions = app.gate.sessions().is_ok();
    checks.extend(words::of_sale(rules(&app, &subject).await?.as_deref(), has_sessions));
    Ok(json(StatusCode::OK, |out| write_explanation(out, &checks)))
}

fn parse_subject(query: Option<&str>) -> Result<Subject, Problem> {
    let [sale, customer, address] = parameters(query, ["sale", "customer", "address"])?;
    if sale.is_none() && customer.is_none() && address.is_none() {
        return Err(Problem::malformed(
            "Name a sale, a customer or an address in the query, or several of them.",
        ));
    }
    let name =
        |text: Option<_>, field: &'static str| text.map(|text| name_field(text, || field.into())).transpose();
    let address = address.map(|text| text.parse());
    Ok(Subject {
        sale: name(sale.as_deref(), "sale")?,
        customer: name(customer.as_deref(), "customer")?,
        address: address.transpose().map_err(|_| Problem::invalid("address", "must be an IP address"))?,
    })
}

fn rate_limits(app: &App, subject: &Subject) -> Told {
    words::of_rate_limits(&app.gate.left(subject.address, subject.customer.as_deref(), now()))
}

#[allow(
    clippy::disallowed_methods,
    reason = "rate limits stand as of now, and no turn has read the clock for this request"
)]
fn now() -> Instant {
    Instant::now()
}

fn denylist(app: &App, subject: &Subject) -> Told {
    let now = app.backend.now_ms();
    let of_address = subject.address.and_then(|address| app.backend.denial_of_address(address, now));
    let of_customer =
        subject.customer.as_deref().and_then(|customer| app.backend.denial_of_customer(customer, now));
    let is_asked = subject.address.is_some() || subject.customer.is_some();
    let denials: Vec<Arc<Denial>> = of_address.into_iter().chain(of_customer).collect();
    words::of_denylist(is_asked, &denials)
}

/// What the sale's own rules say; nothing if no sale is named.
async fn rules(app: &App, subject: &Subject) -> Result<Option<Vec<(SaleCheck, Verdict)>>, Problem> {
    let Some(sale) = subject.sale.clone() else { return Ok(None) };
    match app.ask(Call::Explain { sale, customer: subject.customer.clone() }).await? {
        Outcome::Explanation(rules) => Ok(Some(rules)),
        other => mismatched(&other),
    }
}
