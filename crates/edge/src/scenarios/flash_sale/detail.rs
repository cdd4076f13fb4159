//! The page of a product, for whoever asks; with what the customer has of it if somebody is logged in.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use onrush_core::{GateMode, ReservationStatus, ReservationView, SaleStatus, SaleView, StockView};
use onrush_node::{Call, Name, Outcome};

use super::SALE;
use super::product::{PRODUCT_ID, parse_product_id, read_sale, stock_of};
use super::sender::sender_of_page;
use crate::api::answer::WithoutBody;
use crate::api::app::{App, mismatched};
use crate::gate::{Given, Identity};
use crate::http::query::parameters;
use crate::pages::product::{Asked, Buyer, Order, ProductPage, Refusal, Stage};
use crate::pages::texts::Moment;
use crate::pages::{Frame, Keep, html, notice, refused, texts};
use crate::problem::{Code, Problem};

/// How long a button rests after it was pressed in vain, in seconds.
const BUTTON_WAIT_S: u64 = 10;

pub(super) async fn show(State(app): State<Arc<App>>, request: WithoutBody) -> Response {
    let sender = sender_of_page(&app, &request.fields);
    let asked = parameters(request.uri.query(), [PRODUCT_ID])
        .and_then(|[product_id]| parse_product_id(product_id.as_deref()));
    let shown = match asked {
        Ok(product_id) => page(&app, &sender, &product_id, None).await,
        Err(problem) => Err(problem),
    };
    shown.unwrap_or_else(|problem| notice(&problem, frame(&app, &sender)))
}

/// The page with the refusal of what was just asked for; a page with nothing else where the product cannot be shown.
pub(super) async fn show_refusal(
    app: &App,
    sender: &Identity,
    product_id: &Name,
    problem: &Problem,
) -> Response {
    match page(app, sender, product_id, Some(problem)).await {
        Ok(response) => response,
        Err(_) => notice(problem, frame(app, sender)),
    }
}

/// What every page of this shop has around it.
pub(super) fn frame<'a>(app: &App, sender: &'a Identity) -> Frame<'a> {
    Frame {
        customer: sender.proof().ok().map(|proof| proof.customer.as_str()),
        has_log_in: app.passwords().is_ok(),
    }
}

async fn page(
    app: &App,
    sender: &Identity,
    product_id: &Name,
    problem: Option<&Problem>,
) -> Result<Response, Problem> {
    let sale = read_sale(app).await?;
    let stock = stock_of(&sale, product_id)?;
    let frame = frame(app, sender);
    let reservations = match frame.customer {
        Some(customer) => reservations_of(app, sender, customer).await?,
        None => Vec::new(),
    };
    let live: Vec<_> = reservations.iter().filter(|one| is_live(one)).collect();
    let taken: u32 = live.iter().flat_map(|one| &one.lines).map(|(_, quantity)| quantity).sum();
    let buyer = match frame.customer {
        None => Buyer::Anyone,
        Some(_) if sale.per_customer_max.is_some_and(|max| taken >= max) => Buyer::HasAll,
        Some(customer) => {
            Buyer::Customer { key: new_key()?, challenge: challenge_for(app, &sale, stock, customer)? }
        }
    };
    let is_personal = frame.customer.is_some();
    let untitled = texts::untitled(product_id);
    let page = ProductPage {
        frame,
        sale: SALE,
        product_id,
        title: if stock.title.is_empty() { &untitled } else { &stock.title },
        now: app.backend.now_ms(),
        stage: stage_of(&sale, stock),
        left: stock.quantity_total - stock.quantity_held - stock.quantity_confirmed,
        held: stock.quantity_held,
        per_customer_max: sale.per_customer_max,
        orders: live.iter().filter_map(|one| order_of(app, one, product_id)).collect(),
        buyer,
        refusal: problem.map(refusal_of),
    };
    Ok(match problem {
        Some(problem) => refused(problem, &page),
        None => html(StatusCode::OK, &page, if is_personal { Keep::Nobody } else { Keep::ForASecond }),
    })
}

async fn reservations_of(
    app: &App,
    sender: &Identity,
    customer: &str,
) -> Result<Vec<ReservationView>, Problem> {
    let (sale, customer) = (Name::const_new(SALE), Name::from(customer));
    match app.ask(Call::ReadCustomer { sale, customer, asker: sender.asker() }).await? {
        Outcome::Reservations(reservations) => Ok(reservations),
        other => mismatched(&other),
    }
}

fn is_live(reservation: &ReservationView) -> bool {
    matches!(reservation.status, ReservationStatus::Held | ReservationStatus::Confirmed)
}

fn order_of(app: &App, reservation: &ReservationView, product_id: &str) -> Option<Order> {
    let (_, quantity) = reservation.lines.iter().find(|(stock, _)| stock == product_id)?;
    let id = app.backend.ids(SALE).write(reservation.reservation);
    let id = String::from_utf8_lossy(&id).into_owned();
    Some(Order { id, quantity: *quantity, held_until: reservation.expires_at.map(Moment) })
}

fn stage_of(sale: &SaleView, stock: &StockView) -> Stage {
    match (sale.status, sale.opens_at) {
        (SaleStatus::Closed, _) => Stage::Closed,
        _ if stock.is_closed => Stage::Closed,
        (SaleStatus::Scheduled, Some(opens_at)) => Stage::Scheduled { opens_at: Moment(opens_at) },
        (SaleStatus::Scheduled | SaleStatus::Open | SaleStatus::SoldOut, _) => Stage::Open,
    }
}

/// The button rests for as long as the server says, or for its usual time.
fn refusal_of(problem: &Problem) -> Refusal {
    let wait_s = match problem.known_code() {
        Code::SaleNotOpen | Code::ChallengeRequired | Code::ChallengeFailed => 0,
        _ => problem.retry_after_s().unwrap_or(BUTTON_WAIT_S),
    };
    Refusal { text: texts::refusal(problem), wait_s }
}

/// What the sale asks a customer to solve, if it asks for anything: digits, which need no script, unless it takes work alone.
fn challenge_for(
    app: &App,
    sale: &SaleView,
    stock: &StockView,
    customer: &str,
) -> Result<Option<Asked>, Problem> {
    let Some(kind) = sale.gate.challenge.kinds().first() else { return Ok(None) };
    // In shadow mode nobody is kept from buying, so the page does not ask.
    if sale.gate.mode == GateMode::Shadow {
        return Ok(None);
    }
    let is_left = stock.quantity_held + stock.quantity_confirmed < stock.quantity_total;
    if stage_of(sale, stock) != Stage::Open || !is_left {
        return Ok(Some(Asked::Later));
    }
    let given = app.gate.challenges().give(*kind, SALE, customer, app.backend.now_ms())?;
    Ok(Some(match given {
        Given::Picture { id, .. } => Asked::Digits { id: id.to_string() },
        Given::Work { challenge, attempts_max } => {
            Asked::Work { salt: challenge.salt, challenge: challenge.challenge, attempts_max }
        }
    }))
}

/// A name for one order that nobody guesses: 128 random bits.
fn new_key() -> Result<String, Problem> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|_| Problem::overloaded())?;
    let mut key = String::with_capacity(32);
    for byte in bytes {
        // Writing to a `String` cannot fail.
        let _ = write!(key, "{byte:02x}");
    }
    Ok(key)
}
