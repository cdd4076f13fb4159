//! The operator's pages: which products there are, adding and changing them, and the orders. Nothing is changed by GET.

use std::sync::Arc;

use askama::Template;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::response::Response;
use http::StatusCode;
use onrush_core::{
    Precondition, QUANTITY_TOTAL_MAX, ReservationView, SaleTerms, SaleView, StockTerms, StockView,
    TITLE_BYTES_MAX, TermsChange,
};
use onrush_node::{Call, Name, Outcome};

use super::product::{parse_number, read_sale, stock_of};
use super::{BUYERS_GATE, SALE};
use crate::api::answer::{WithoutBody, WithoutQuery, form_body};
use crate::api::app::{App, mismatched};
use crate::api::reservations::body::reservation_status_text;
use crate::http::form::parse_form;
use crate::http::query::parameters;
use crate::limits::BODY_BYTES_MAX;
use crate::pages::operator::{OperatorNotice, OrderRow, OrdersPage, ProductForm, ProductRow, ProductsPage};
use crate::pages::texts::{self, Moment};
use crate::pages::{Keep, html, refused, see_other};
use crate::problem::{Code, Problem};

/// Orders on a page.
const ORDERS_ON_PAGE: u16 = 100;

/// Where all products are shown.
const PRODUCTS: &str = "/product/all";

const NAME: &str = "ProductName";
const NUMBER: &str = "ProductNum";

pub(super) async fn list_products(State(app): State<Arc<App>>, _: WithoutQuery, _: WithoutBody) -> Response {
    match sale_if_any(&app).await {
        Ok(sale) => {
            let stocks = sale.as_ref().map(|sale| sale.stocks.as_slice()).unwrap_or_default();
            shown(&ProductsPage { products: stocks.iter().map(row_of).collect() })
        }
        Err(problem) => operator_notice(&problem),
    }
}

pub(super) async fn new_product(_: WithoutQuery, _: WithoutBody) -> Response {
    shown(&ProductForm { id: None, name: "", number: "", refusal: None })
}

pub(super) async fn show_product(State(app): State<Arc<App>>, request: WithoutBody) -> Response {
    let found = async {
        let [id] = parameters(request.uri.query(), ["id"])?;
        let id = parse_number("id", id.as_deref())?;
        let sale = read_sale(&app).await?;
        stock_of(&sale, &id).cloned()
    };
    match found.await {
        Ok(stock) => {
            let (id, number) = (Some(stock.stock.as_str()), stock.quantity_total.to_string());
            shown(&ProductForm { id, name: &stock.title, number: &number, refusal: None })
        }
        Err(problem) => operator_notice(&problem),
    }
}

pub(super) async fn add_product(State(app): State<Arc<App>>, _: WithoutQuery, request: Request) -> Response {
    let body = match form_of(request).await {
        Ok(body) => body,
        Err(problem) => return operator_notice(&problem),
    };
    let typed = match parse_form(&body, [NAME, NUMBER]) {
        Ok(typed) => typed.map(Option::unwrap_or_default),
        Err(problem) => return operator_notice(&problem),
    };
    let [name, number] = &typed;
    let added = async {
        let (title, quantity_total) = checked(name, number)?;
        add(&app, title, quantity_total).await
    };
    match added.await {
        Ok(()) => see_other(PRODUCTS),
        Err(problem) => form_again(&problem, None, name, number),
    }
}

pub(super) async fn change_product(
    State(app): State<Arc<App>>,
    _: WithoutQuery,
    request: Request,
) -> Response {
    let body = match form_of(request).await {
        Ok(body) => body,
        Err(problem) => return operator_notice(&problem),
    };
    let typed = parse_form(&body, ["ID", NAME, NUMBER]).and_then(|[id, name, number]| {
        let id = parse_number("ID", id.as_deref())?;
        Ok((id, name.unwrap_or_default(), number.unwrap_or_default()))
    });
    let (id, name, number) = match typed {
        Ok(typed) => typed,
        Err(problem) => return operator_notice(&problem),
    };
    let changed = async {
        let (title, quantity_total) = checked(&name, &number)?;
        let sale = read_sale(&app).await?;
        stock_of(&sale, &id)?;
        let stocks = sale.stocks.iter().map(|stock| {
            let terms = terms_of(stock);
            if stock.stock == id {
                StockTerms { title: title.clone(), quantity_total, ..terms }
            } else {
                terms
            }
        });
        put_stocks(&app, &sale, stocks.collect()).await
    };
    match changed.await {
        Ok(()) => see_other(PRODUCTS),
        Err(problem) => form_again(&problem, Some(&id), &name, &number),
    }
}

pub(super) async fn list_orders(State(app): State<Arc<App>>, request: WithoutBody) -> Response {
    let found = async {
        let [before] = parameters(request.uri.query(), ["before"])?;
        let before = before.map(|before| {
            let number = before.parse().ok().filter(|number: &u32| number.to_string() == before);
            number.ok_or_else(|| Problem::invalid("before", "must be a whole number"))
        });
        let before = before.transpose()?;
        let Some(sale) = sale_if_any(&app).await? else {
            return Ok(OrdersPage { orders: Vec::new(), before: None });
        };
        let call = Call::ListReservations { sale: Name::const_new(SALE), before, count_max: ORDERS_ON_PAGE };
        match app.ask(call).await? {
            Outcome::Reservations(reservations) => Ok(page_of(&app, &sale, &reservations)),
            other => mismatched(&other),
        }
    };
    match found.await {
        Ok(page) => shown(&page),
        Err(problem) => operator_notice(&problem),
    }
}

fn page_of(app: &App, sale: &SaleView, reservations: &[ReservationView]) -> OrdersPage {
    let title_of = |stock: &str| {
        let found = sale.stocks.iter().find(|known| known.stock == stock);
        let title = found.map(|found| found.title.clone()).filter(|title| !title.is_empty());
        title.unwrap_or_else(|| texts::untitled(stock))
    };
    let row_of = |one: &ReservationView| OrderRow {
        id: String::from_utf8_lossy(&app.backend.ids(SALE).write(one.reservation)).into_owned(),
        customer: one.customer.clone(),
        products: one
            .lines
            .iter()
            .map(|(stock, quantity)| texts::units_of(*quantity, &title_of(stock)))
            .collect::<Vec<_>>()
            .join(", "),
        status: reservation_status_text(one.status),
        made_at: Moment(one.created_at),
    };
    let oldest = reservations.last().map(|one| one.reservation.no.seq).filter(|seq| *seq > 0);
    OrdersPage { orders: reservations.iter().map(row_of).collect(), before: oldest }
}

/// The sale, if it was made yet.
async fn sale_if_any(app: &App) -> Result<Option<Box<SaleView>>, Problem> {
    match read_sale(app).await {
        Ok(sale) => Ok(Some(sale)),
        Err(problem) if problem.known_code() == Code::SaleNotFound => Ok(None),
        Err(problem) => Err(problem),
    }
}

fn row_of(stock: &StockView) -> ProductRow<'_> {
    ProductRow {
        is_product: parse_number("id", Some(&stock.stock)).is_ok_and(|id| id == stock.stock),
        stock: &stock.stock,
        title: &stock.title,
        total: stock.quantity_total,
        held: stock.quantity_held,
        confirmed: stock.quantity_confirmed,
        available: stock.quantity_total - stock.quantity_held - stock.quantity_confirmed,
    }
}

/// Adds a stock under the next free number. The first one makes the sale, which lets everybody have one.
async fn add(app: &App, title: String, quantity_total: u32) -> Result<(), Problem> {
    let sale = sale_if_any(app).await?;
    let stocks = sale.as_ref().map(|sale| sale.stocks.as_slice()).unwrap_or_default();
    let last = stocks.iter().filter_map(|stock| stock.stock.parse::<u32>().ok()).max();
    let number = last.unwrap_or(0).checked_add(1).ok_or_else(Problem::overloaded)?;
    let stock = StockTerms {
        stock: number.to_string(),
        title,
        starts_at: None,
        ends_at: None,
        closes_at: None,
        quantity_total,
    };
    if let Some(sale) = sale {
        let stocks = sale.stocks.iter().map(terms_of).chain([stock]).collect();
        put_stocks(app, &sale, stocks).await
    } else {
        make_sale(app, stock).await
    }
}

async fn make_sale(app: &App, stock: StockTerms) -> Result<(), Problem> {
    let terms = Box::new(SaleTerms {
        title: texts::SHOP.to_owned(),
        opens_at: None,
        closes_at: None,
        per_customer_max: Some(1),
        hold_ttl_ms: 0,
        gate: BUYERS_GATE,
        stocks: vec![stock],
    });
    let (sale, only_if) = (Name::const_new(SALE), Precondition::IsNew);
    app.ask(Call::PutSale { sale, terms, left_out: Vec::new(), only_if }).await.map(drop)
}

/// Only if nobody has changed the sale since it was read.
async fn put_stocks(app: &App, sale: &SaleView, stocks: Vec<StockTerms>) -> Result<(), Problem> {
    let change = TermsChange { stocks: Some(stocks), ..TermsChange::default() };
    let only_if = Precondition::TermsAre(vec![sale.version.terms]);
    app.ask(Call::ChangeSale { sale: Name::const_new(SALE), change: Box::new(change), only_if })
        .await
        .map(drop)
}

fn terms_of(stock: &StockView) -> StockTerms {
    StockTerms {
        stock: stock.stock.clone(),
        title: stock.title.clone(),
        starts_at: stock.starts_at,
        ends_at: stock.ends_at,
        closes_at: stock.closes_at,
        quantity_total: stock.quantity_total,
    }
}

fn checked(name: &str, number: &str) -> Result<(String, u32), Problem> {
    if !(1..=TITLE_BYTES_MAX).contains(&name.len()) {
        return Err(Problem::invalid(NAME, &format!("must be 1 to {TITLE_BYTES_MAX} bytes")));
    }
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let total = number.parse().ok().filter(|total| is_number && *total <= QUANTITY_TOTAL_MAX);
    let rule = format!("must be a whole number from 0 to {QUANTITY_TOTAL_MAX}");
    Ok((name.to_owned(), total.ok_or_else(|| Problem::invalid(NUMBER, &rule))?))
}

async fn form_of(request: Request) -> Result<Bytes, Problem> {
    let (parts, body) = request.into_parts();
    form_body(&parts.headers, body, BODY_BYTES_MAX).await
}

fn shown(page: &impl Template) -> Response {
    html(StatusCode::OK, page, Keep::Nobody)
}

fn form_again(problem: &Problem, id: Option<&str>, name: &str, number: &str) -> Response {
    let text = texts::operator_refusal(problem);
    refused(problem, &ProductForm { id, name, number, refusal: Some(&text) })
}

fn operator_notice(problem: &Problem) -> Response {
    refused(problem, &OperatorNotice { text: &texts::operator_refusal(problem) })
}
