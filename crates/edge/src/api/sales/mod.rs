//! Sales: what opens and closes, with its stocks. Everybody reads them; the operator puts, changes and archives them.

mod body;
mod etag;
mod gate;
mod operations;
pub(crate) mod page;
mod schemas;
pub mod terms;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use http::{StatusCode, header};
use onrush_core::{Precondition, SaleView, SalesPage};
use onrush_node::{Call, Name, Outcome};

use super::answer::{
    Answer, WithoutBody, WithoutQuery, json, json_body, merge_patch_body, name_at, put_status, tagged,
    with_header,
};
use super::app::{App, mismatched};
use super::route::Route;
use crate::http::query::flag;
use crate::limits::OPERATOR_BODY_BYTES_MAX;
use crate::problem::Problem;
use body::{write_sale, write_sales};
use etag::{parse_precondition, sale_etag, sales_etag};
use page::{ListQuery, parse_list};
pub(super) use schemas::schemas;
use terms::{parse_sale, parse_sale_change};

/// Routes of the public listener.
pub(super) fn routes() -> [Route; 2] {
    let [list, read] = operations::public();
    [Route::new(list, list_sales), Route::new(read, read_sale)]
}

/// Routes of the operator listener.
pub(super) fn operator_routes() -> [Route; 3] {
    let [put, changed, archived] = operations::operator();
    [Route::new(put, put_sale), Route::new(changed, change_sale), Route::new(archived, archive_sale)]
}

async fn list_sales(State(app): State<Arc<App>>, request: WithoutBody) -> Answer {
    let SalesPage { sales, has_more } = read_page(&app, parse_list(request.uri.query())?).await?;
    let next_after = sales.last().filter(|_| has_more).map(|sale| sale.sale.as_str());
    let etag = sales_etag(&sales, next_after, |sale| app.backend.ids(sale));
    Ok(tagged(&request.fields, &etag, |out| write_sales(out, &sales, next_after)))
}

async fn read_sale(State(app): State<Arc<App>>, _: WithoutQuery, request: WithoutBody) -> Answer {
    let sale = name_at(&request.uri, 2, "sale")?;
    let sale = read(&app, sale).await?;
    let etag = sale_etag(&sale, app.backend.ids(&sale.sale));
    Ok(tagged(&request.fields, &etag, |out| write_sale(out, &sale)))
}

/// A page of the list of sales.
pub(crate) async fn read_page(app: &App, query: ListQuery) -> Result<SalesPage, Problem> {
    match app.ask(Call::ListSales { after: query.after, count_max: query.limit }).await? {
        Outcome::Sales(page) => Ok(page),
        other => mismatched(&other),
    }
}

/// A sale as it is.
pub(crate) async fn read(app: &App, sale: Name) -> Result<Box<SaleView>, Problem> {
    match app.ask(Call::ReadSale { sale }).await? {
        Outcome::Sale(sale) => Ok(sale),
        other => mismatched(&other),
    }
}

async fn put_sale(State(app): State<Arc<App>>, _: WithoutQuery, request: Request) -> Answer {
    let sale = name_at(request.uri(), 2, "sale")?;
    let only_if = parse_precondition(request.headers())?;
    let body = json_body(request, OPERATOR_BODY_BYTES_MAX).await?;
    let (terms, left_out) = parse_sale(&body)?;
    sale_answer(&app, Call::PutSale { sale, terms, left_out, only_if }).await
}

async fn change_sale(State(app): State<Arc<App>>, _: WithoutQuery, request: Request) -> Answer {
    let sale = name_at(request.uri(), 2, "sale")?;
    let only_if = parse_precondition(request.headers())?;
    let body = merge_patch_body(request, OPERATOR_BODY_BYTES_MAX).await?;
    let change = parse_sale_change(&body)?;
    sale_answer(&app, Call::ChangeSale { sale, change, only_if }).await
}

async fn sale_answer(app: &App, call: Call) -> Answer {
    match app.ask(call).await? {
        Outcome::SalePut { created, sale } => {
            let response = json(put_status(created), |out| write_sale(out, &sale));
            Ok(with_header(response, header::ETAG, &sale_etag(&sale, app.backend.ids(&sale.sale))))
        }
        other => mismatched(&other),
    }
}

async fn archive_sale(State(app): State<Arc<App>>, request: WithoutBody) -> Answer {
    let sale = name_at(&request.uri, 2, "sale")?;
    let only_if = parse_precondition(&request.fields)?;
    if flag(request.uri.query(), "force")? {
        end_holds(&app, &sale, &only_if).await?;
    }
    match app.ask(Call::ArchiveSale { sale, only_if }).await? {
        Outcome::SaleArchived => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::NO_CONTENT;
            Ok(response)
        }
        other => mismatched(&other),
    }
}

/// Ends all holds of a closed sale, some with each call, so that nobody waits long behind them.
async fn end_holds(app: &App, sale: &Name, only_if: &Precondition) -> Result<(), Problem> {
    let mut next = Some(0);
    while let Some(from) = next {
        let call = Call::EndHolds { sale: sale.clone(), only_if: only_if.clone(), from };
        next = match app.ask(call).await? {
            Outcome::HoldsEnded { next } => next,
            other => mismatched(&other),
        };
    }
    Ok(())
}
