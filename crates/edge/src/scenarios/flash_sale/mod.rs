//! Flash sale: the pages and paths of a shop that sells the stocks of the sale `flash`. Stock `1` is product 1. What is bought is a
//! reservation like any other: the same decisions, limits and cool-down, whichever way it was asked for.

mod buy;
mod detail;
mod operations;
mod product;

use utoipa::openapi::{RefOr, Schema};

use crate::api::route::Route;

/// The sale that this shop sells.
pub(super) const SALE: &str = "flash";

pub(super) fn routes() -> Vec<Route> {
    let [detail, buy, check, check_again, right] = operations::public();
    vec![
        Route::new(detail, detail::show),
        Route::new(buy, buy::buy).reserving(),
        Route::any(operations::CHECK_PATH, vec![check, check_again], buy::check).reserving(),
        Route::new(right, buy::check_right),
    ]
}

pub(super) fn schemas() -> [(&'static str, RefOr<Schema>); 1] {
    [("BuyForm", operations::buy_form())]
}
