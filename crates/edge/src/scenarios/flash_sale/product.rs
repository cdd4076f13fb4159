//! A product: a stock of the sale whose name is a number.

use axum::response::Response;
use onrush_core::{SaleView, StockView};
use onrush_node::{Call, Name, Outcome};

use super::SALE;
use crate::api::app::{App, mismatched};
use crate::http::query::whole_number;
use crate::pages::see_other;
use crate::problem::Problem;

/// The parameter, and the field of the form, that names a product.
pub(super) const PRODUCT_ID: &str = "productID";

/// The stock that a `productID` names. Numbers are written in one way only, so that no stock has two.
///
/// # Errors
/// It is absent or no number.
pub(super) fn parse_product_id(text: Option<&str>) -> Result<Name, Problem> {
    parse_number(PRODUCT_ID, text)
}

/// The same of a parameter or field of another name.
///
/// # Errors
/// It is absent or no number.
pub(super) fn parse_number(field: &'static str, text: Option<&str>) -> Result<Name, Problem> {
    let text = text.ok_or_else(|| Problem::invalid(field, "is missing"))?;
    let number = whole_number(field, text, u32::MAX)?;
    Ok(Name::from(number.to_string()))
}

/// The sale as it is now.
///
/// # Errors
/// It is not there, or cannot be read now.
pub(super) async fn read_sale(app: &App) -> Result<Box<SaleView>, Problem> {
    match app.ask(Call::ReadSale { sale: Name::const_new(SALE) }).await? {
        Outcome::Sale(sale) => Ok(sale),
        other => mismatched(&other),
    }
}

/// The stock that is this product.
///
/// # Errors
/// The sale has none.
pub(super) fn stock_of<'a>(sale: &'a SaleView, product_id: &str) -> Result<&'a StockView, Problem> {
    let found = sale.stocks.iter().find(|stock| stock.stock == product_id);
    found.ok_or_else(Problem::no_product)
}

/// 303 to the page of a product.
pub(super) fn back_to(product_id: &str) -> Response {
    see_other(&format!("/product/detail?{PRODUCT_ID}={product_id}"))
}
