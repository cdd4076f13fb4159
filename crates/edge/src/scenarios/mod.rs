//! Ready-made applications over the same operations: thin codecs for paths and answers that other systems document, so that
//! their clients and load commands run unchanged. Each has a folder, and is on only if its setting is.

pub mod demo;
mod flash_sale;
pub mod product_inventory;
pub mod request_window;
pub mod slot_booking;
pub mod visitor_counter;

use utoipa::openapi::{RefOr, Schema};

use crate::api::route::Route;
use crate::settings::Scenarios;

/// The routes of those that are on.
pub(crate) fn routes(on: Scenarios) -> Vec<Route> {
    let mut routes = Vec::new();
    if on.visitor_counter {
        routes.extend(visitor_counter::routes());
    }
    if on.request_window {
        routes.extend(request_window::routes());
    }
    if on.slot_booking {
        routes.extend(slot_booking::routes());
    }
    if on.flash_sale {
        routes.extend(flash_sale::routes());
    }
    if on.product_inventory {
        routes.extend(product_inventory::routes());
    }
    routes
}

/// Those of the operator listener.
pub(crate) fn operator_routes(on: Scenarios) -> Vec<Route> {
    if on.flash_sale { flash_sale::operator_routes() } else { Vec::new() }
}

/// The schemas of all their bodies.
pub(crate) fn schemas() -> impl Iterator<Item = (&'static str, RefOr<Schema>)> {
    visitor_counter::schemas()
        .into_iter()
        .chain(request_window::schemas())
        .chain(slot_booking::schemas())
        .chain(flash_sale::schemas())
        .chain(product_inventory::schemas())
}
