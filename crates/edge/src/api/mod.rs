//! The routes of both listeners, a folder for each capability. A route states once what it is ([`route`]); the routers and
//! the table of hot routes are made here from all of them. Routers serve everything that is not hot, and hot requests that
//! come in an odd form; both ways use the same codecs and answer alike.

pub(crate) mod answer;
pub mod app;
mod asker;
pub mod catalog;
pub(crate) mod challenges;
mod cluster;
mod counters;
mod customers;
mod denylist;
mod docs;
mod elsewhere;
mod explain;
mod front;
mod health;
mod metrics;
pub mod reservations;
pub(crate) mod route;
pub mod sales;
mod session;
pub(crate) mod sinks;
#[cfg(test)]
mod tests;
pub(crate) mod together;
pub mod windows;

use std::sync::Arc;

use axum::{Extension, Router};
use http::{Method, Uri};
use onrush_node::Asker;
use utoipa::openapi::{RefOr, Schema};

use crate::gate::{Gate, OperatorGate, OperatorPaths};
use crate::grpc;
use crate::hot::HotTable;
use crate::openapi::scope::Scope;
use crate::pages::assets;
use crate::preflights::Preflights;
use crate::scenarios;
use crate::settings::Scenarios;
pub use app::App;
use elsewhere::{Elsewhere, Listener};
use route::Route;

/// Every route of the public listener, with the scenarios that are on.
pub(crate) fn public_routes(on: Scenarios) -> Vec<Route> {
    let mut routes = Vec::from(counters::routes());
    routes.extend(windows::routes());
    routes.extend(catalog::routes());
    routes.extend(sales::routes());
    routes.extend(reservations::routes());
    routes.extend(challenges::routes());
    routes.extend(customers::routes());
    routes.extend(front::routes());
    routes.extend(session::routes());
    routes.extend(cluster::routes());
    routes.extend(health::routes());
    routes.extend(scenarios::routes(on));
    routes
}

/// Every route of the operator listener, with the scenarios that are on.
pub(crate) fn operator_routes(on: Scenarios) -> Vec<Route> {
    let mut routes = Vec::from(windows::operator_routes());
    routes.extend(sales::operator_routes());
    routes.extend(reservations::routes());
    routes.extend(denylist::operator_routes());
    routes.extend(catalog::operator_routes());
    routes.extend(explain::operator_routes());
    routes.extend(metrics::routes());
    routes.extend(sinks::routes());
    routes.extend(cluster::routes());
    routes.extend(health::routes());
    routes.extend(scenarios::operator_routes(on));
    routes
}

/// The schemas of all bodies.
pub(crate) fn schemas() -> impl Iterator<Item = (&'static str, RefOr<Schema>)> {
    let tallies = counters::schemas().into_iter().chain(windows::schemas());
    let of_sales = sales::schemas()
        .into_iter()
        .chain(reservations::schemas())
        .chain(challenges::schemas())
        .chain(customers::schemas())
        .chain(session::schemas());
    tallies
        .chain(of_sales)
        .chain(denylist::schemas())
        .chain(catalog::schemas())
        .chain(explain::schemas())
        .chain(sinks::schemas())
        .chain(cluster::schemas())
        .chain(health::schemas())
        .chain(scenarios::schemas())
}

/// Every path of the public listener.
pub fn public_router(app: Arc<App>) -> Router {
    let elsewhere = Elsewhere::new(Listener::Operator, &operator_routes(app.scenarios));
    let pages = docs::routes(Scope::Public(app.scenarios));
    let services = grpc::router(&app);
    with_assets(routed(public_routes(app.scenarios), elsewhere).merge(pages), app).merge(services)
}

/// What a rush asks the public listener for.
pub(crate) fn hot_table(on: Scenarios) -> HotTable {
    HotTable::new(public_routes(on).iter().filter_map(Route::bytes).chain(grpc::route_bytes(on)))
}

/// What browsers may ask the public listener about its paths.
pub(crate) fn preflights(on: Scenarios) -> Preflights {
    let routes = public_routes(on);
    let (of_proxies, of_browsers): (Vec<_>, Vec<_>) = routes.iter().partition(|route| route.is_for_proxies());
    Preflights::new(
        of_browsers.into_iter().map(|route| (route.path, route.method())),
        of_proxies.into_iter().map(|route| route.path).collect(),
    )
}

/// Every path of the operator listener, for whoever passed [`operator_gate`].
pub fn operator_router(app: Arc<App>) -> Router {
    let elsewhere = Elsewhere::new(Listener::Public, &public_routes(app.scenarios));
    let pages =
        docs::routes(Scope::Operator { has_key: app.operator_key.is_some(), scenarios: app.scenarios });
    let router = routed(operator_routes(app.scenarios), elsewhere).layer(Extension(Asker::Operator));
    with_assets(router.merge(pages), app)
}

/// With the files that pages load, if there are pages.
fn with_assets(router: Router<Arc<App>>, app: Arc<App>) -> Router {
    let router = if app.scenarios.flash_sale { router.merge(assets::routes()) } else { router };
    router.with_state(app)
}

/// The gate before it. All calls ask for the key if one is set; the pages that describe them do not, so that a browser can
/// open them, and neither do the files that pages load. The pages of scenarios ask for it as a password. Without a key nothing is
/// answered for another site.
pub(crate) fn operator_gate(app: &App) -> Gate {
    let assets = app.scenarios.flash_sale.then(assets::paths).into_iter().flatten();
    let open = docs::PATHS.into_iter().chain(assets).collect();
    let pages = scenarios::operator_routes(app.scenarios);
    let with_password = pages.iter().map(|route| route.path).collect();
    Gate::Operator(OperatorGate::new(app.operator_key.clone(), OperatorPaths { open, with_password }))
}

/// Problems instead of axum's own empty 404 and 405. The router itself adds `Allow`.
fn routed(routes: Vec<Route>, elsewhere: Elsewhere) -> Router<Arc<App>> {
    let paths = routes.into_iter().fold(Router::new(), |paths, route| route.add_to(paths));
    let elsewhere = Arc::new(elsewhere);
    let of_methods = Arc::clone(&elsewhere);
    paths
        .fallback(move |uri: Uri| async move { elsewhere.not_found(uri.path()) })
        .method_not_allowed_fallback(move |method: Method, uri: Uri| async move {
            of_methods.method_not_allowed(&method, uri.path())
        })
}
