//! Pages for the operator: the products of the sale, a form for one of them, and the orders.

use askama::Template;

use super::assets::{ICON, SCRIPT, STYLE};
use super::texts;
use super::texts::Moment;

/// All products.
#[derive(Template)]
#[template(path = "products.html")]
pub(crate) struct ProductsPage<'a> {
    pub(crate) products: Vec<ProductRow<'a>>,
}

/// One product in the list.
pub(crate) struct ProductRow<'a> {
    /// Nothing for a stock whose name is no number, which is no product.
    pub(crate) is_product: bool,
    pub(crate) stock: &'a str,
    pub(crate) title: &'a str,
    pub(crate) total: u32,
    pub(crate) held: u32,
    pub(crate) confirmed: u32,
    pub(crate) available: u32,
}

/// The form of a new product, or of one that is there. It shows what was typed.
#[derive(Template)]
#[template(path = "product_form.html")]
pub(crate) struct ProductForm<'a> {
    /// Nothing for a new one.
    pub(crate) id: Option<&'a str>,
    pub(crate) name: &'a str,
    pub(crate) number: &'a str,
    /// Why it was not taken.
    pub(crate) refusal: Option<&'a str>,
}

/// Some orders, the newest first.
#[derive(Template)]
#[template(path = "orders.html")]
pub(crate) struct OrdersPage {
    pub(crate) orders: Vec<OrderRow>,
    /// Where the next page begins, if there are older ones.
    pub(crate) before: Option<u32>,
}

/// One order in the list.
pub(crate) struct OrderRow {
    pub(crate) id: String,
    pub(crate) customer: String,
    /// Titles and numbers of what was bought.
    pub(crate) products: String,
    pub(crate) status: &'static str,
    pub(crate) made_at: Moment,
}

/// A page for the operator that says one thing.
#[derive(Template)]
#[template(path = "operator_notice.html")]
pub(crate) struct OperatorNotice<'a> {
    pub(crate) text: &'a str,
}
