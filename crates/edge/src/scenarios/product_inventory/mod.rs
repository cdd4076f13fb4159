//! Product inventory: `POST /v1/product-inventory` tells how many units of each product each warehouse can sell, for many products
//! at once; `GET /cache?product_id=` tells one product as a line of text. Both read the collection `product_inventory`.

mod body;
mod grpc;
mod operations;

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use http::StatusCode;
use onrush_core::Row;
use utoipa::openapi::{RefOr, Schema};

use crate::api::answer::{Answer, WithoutBody, WithoutQuery, json, json_body, of_ready};
use crate::api::app::App;
use crate::api::catalog::{answer_hot, each_once};
use crate::api::route::Route;
use crate::catalog::Catalog;
use crate::hot::{Head, Hot, Ready, Sender, bare_query};
use crate::http::query::parameters;
use crate::http::request::Request as HotRequest;
use crate::limits::BODY_BYTES_MAX;
use crate::problem::Problem;
pub use body::product;
use body::{Product, parse_products, write_line, write_products};
pub(crate) use grpc::{CALL_PATH, HOT_CALL, SERVICE_NAME, service};

/// The collection of the products; their keys are their ids.
pub const COLLECTION: &str = "product_inventory";

const INVENTORY_PATH: &str = "/v1/product-inventory";
const LINE_PATH: &str = "/cache";
const TEXT: &str = "text/plain; charset=utf-8";

pub(super) fn routes() -> [Route; 2] {
    [
        Route::new(operations::inventory(), inventory),
        Route::new(operations::line(), line).hot_with_query(decode_line),
    ]
}

/// Whether what is called at this path reads products, although its method does not say so.
pub(crate) fn is_read(path: &str) -> bool {
    let service = path.strip_prefix('/').and_then(|path| path.split_once('/')).map(|(service, _)| service);
    path == INVENTORY_PATH || service == Some(SERVICE_NAME)
}

/// Whether what is called at this path may wait for rows of a source.
pub(crate) fn may_wait(catalog: &Catalog, path: &str) -> bool {
    (is_read(path) || path == LINE_PATH) && catalog.has_source(COLLECTION)
}

pub(super) fn schemas() -> [(&'static str, RefOr<Schema>); 4] {
    operations::schemas()
}

async fn inventory(State(app): State<Arc<App>>, _: WithoutQuery, request: Request) -> Answer {
    let ids = parse_products(&json_body(request, BODY_BYTES_MAX).await?)?;
    let products = find_products(&app.catalog, ids).await?;
    Ok(json(StatusCode::OK, |out| write_products(out, &products)))
}

/// Those of these products that there are, each once.
async fn find_products(
    catalog: &Catalog,
    ids: impl IntoIterator<Item = i64>,
) -> Result<Vec<(i64, Product)>, Problem> {
    let once = each_id_once(ids)?;
    let keys: Vec<_> = once.iter().map(i64::to_string).collect();
    let rows = catalog.rows(COLLECTION, &keys).await?.rows;
    products_of(&once, rows.iter().map(Option::as_ref))
}

fn each_id_once(ids: impl IntoIterator<Item = i64>) -> Result<Vec<i64>, Problem> {
    each_once("product_ids", ids.into_iter().map(Ok))
}

/// The products that there are of these ids, whose rows are in the same order.
fn products_of<'a>(
    ids: &[i64],
    rows: impl IntoIterator<Item = Option<&'a Row>>,
) -> Result<Vec<(i64, Product)>, Problem> {
    let found = ids.iter().zip(rows).filter_map(|(id, row)| Some((*id, row?)));
    found.map(|(id, row)| Ok((id, Product::of(row)?))).collect()
}

async fn line(State(app): State<Arc<App>>, request: WithoutBody) -> Result<Response, Problem> {
    let id = parse_id(request.uri.query())?;
    let products = find_products(&app.catalog, [id]).await?;
    let (_, product) = products.first().ok_or_else(Problem::row_not_found)?;
    Ok(of_ready(answer_line(id, product)))
}

fn decode_line(request: &HotRequest<'_>, _: &[u8], sender: &Sender<'_>) -> Hot {
    let Some(query) = bare_query(request) else { return Hot::Routed };
    let id = match parse_id(query) {
        Ok(id) => id,
        Err(problem) => return Hot::Problem(Box::new(problem)),
    };
    answer_hot(sender, COLLECTION, &id.to_string(), |_, row| Ok(answer_line(id, &Product::of(row)?)))
}

fn parse_id(query: Option<&str>) -> Result<i64, Problem> {
    let [id] = parameters(query, ["product_id"])?;
    let rule = "must be a whole number";
    id.and_then(|id| id.parse().ok()).ok_or_else(|| Problem::invalid("product_id", rule))
}

fn answer_line(id: i64, product: &Product) -> Ready {
    let mut body = Vec::new();
    write_line(&mut body, id, product);
    Ready { head: Head::ok(TEXT), body }
}
