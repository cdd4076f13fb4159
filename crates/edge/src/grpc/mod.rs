//! gRPC on the public listener, over HTTP/2: the operations of HTTP in the messages of `proto/`, health and reflection.

mod batches;
mod caller;
mod catalog;
mod claim;
mod counters;
mod deadline;
mod generated;
mod health;
mod hot_rows;
mod reservations;
mod sales;
mod status;
mod windows;
mod wire;

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use http::Version;
use onrush_gate::RouteGroup;
use onrush_node::Name;
use tonic::codegen::Service;
use tonic::server::NamedService;
use tonic_reflection::server::Builder;

use crate::api::App;
use crate::hot::{HotForm, RouteBytes};
use crate::http::name::name_field;
use crate::http::response::Response as Answered;
use crate::limits::BODY_BYTES_MAX;
use crate::problem::Problem;
use crate::scenarios::product_inventory;
use crate::settings::Scenarios;
use generated::onrush::v1::{
    catalog_server::CatalogServer, counters_server::CountersServer, reservations_server::ReservationsServer,
    sales_server::SalesServer, windows_server::WindowsServer,
};
pub(crate) use generated::product_inventory as product_inventory_messages;
pub use hot_rows::{RowAsked, RowsAsked};
use status::write_problem;
pub(crate) use status::{Answer, status_of};
pub use wire::whole_message;
pub(crate) use wire::{answer, plain_message};

/// Every path begins with the name of its service.
const PATHS: [&str; 9] = [
    "/onrush.v1.Catalog/{method}",
    "/onrush.v1.Counters/{method}",
    "/onrush.v1.Reservations/{method}",
    "/onrush.v1.Sales/{method}",
    "/onrush.v1.Windows/{method}",
    "/proto.ProductInventoryService/{method}",
    "/grpc.health.v1.Health/{method}",
    "/grpc.reflection.v1.ServerReflection/{method}",
    "/grpc.reflection.v1alpha.ServerReflection/{method}",
];

/// Whether this is the path of a call.
pub(crate) fn is_call(path: &str) -> bool {
    PATHS.iter().any(|known| path.starts_with(known.trim_end_matches("{method}")))
}

/// The answer to a call that cannot be served.
pub(crate) fn refused(problem: &Problem) -> Answered {
    let mut body = Vec::new();
    let head = write_problem(problem, &mut body);
    Answered::of_hot(head, body)
}

/// The calls that take batches and give batches.
const BATCH_PATHS: [&str; 2] = ["/onrush.v1.Counters/AddMany", "/onrush.v1.Reservations/ReserveMany"];

/// Whether a call at this path is answered before its request has come to its end.
pub(crate) fn takes_stream(path: &str) -> bool {
    path.starts_with("/grpc.reflection.") || BATCH_PATHS.contains(&path)
}

/// Whether the answer to a call at this path is one message.
pub(crate) fn is_whole_call(path: &str) -> bool {
    is_call(path) && !takes_stream(path)
}

/// Whether a call at this path reads, and may wait for what it reads.
pub(crate) fn may_wait(path: &str) -> bool {
    path.starts_with("/onrush.v1.Catalog/")
}

/// Whether a call at this path reads what can be long, although its method does not say so.
pub(crate) fn is_long_read(path: &str) -> bool {
    path.starts_with("/onrush.v1.Sales/") || path == "/onrush.v1.Reservations/List"
}

/// Bytes of a message: a body without the 5 bytes that stand before each message.
const MESSAGE_BYTES_MAX: usize = BODY_BYTES_MAX - 5;

/// The services, each at its path.
pub(crate) fn router(app: &Arc<App>) -> Router {
    let services = Router::new();
    let services = with(services, CatalogServer::new(catalog::Service(Arc::clone(app))));
    let counters = CountersServer::new(counters::Service(Arc::clone(app)));
    let services = with(services, counters.max_decoding_message_size(MESSAGE_BYTES_MAX));
    let reservations = ReservationsServer::new(reservations::Service(Arc::clone(app)));
    let services = with(services, reservations.max_decoding_message_size(MESSAGE_BYTES_MAX));
    let services = with(services, SalesServer::new(sales::Service(Arc::clone(app))));
    let services = with(services, WindowsServer::new(windows::Service(Arc::clone(app))));
    let services = with(services, health::service(Arc::clone(app)));
    let reflection = described(app).build_v1().expect(SOUND);
    let services = with(services, reflection.max_decoding_message_size(MESSAGE_BYTES_MAX));
    let reflection = described(app).build_v1alpha().expect(SOUND);
    let services = with(services, reflection.max_decoding_message_size(MESSAGE_BYTES_MAX));
    let services = if app.scenarios.product_inventory {
        with(services, product_inventory::service(app))
    } else {
        services
    };
    services.layer(from_fn(deadline::within)).layer(from_fn(over_http2))
}

/// Both versions of reflection, which do not tell of themselves.
const REFLECTION: [&str; 2] = [
    tonic_reflection::pb::v1::server_reflection_server::SERVICE_NAME,
    tonic_reflection::pb::v1alpha::server_reflection_server::SERVICE_NAME,
];

/// All other services that are on.
fn service_names(scenarios: Scenarios) -> impl Iterator<Item = &'static str> {
    let named = [
        generated::onrush::v1::catalog_server::SERVICE_NAME,
        generated::onrush::v1::counters_server::SERVICE_NAME,
        generated::onrush::v1::reservations_server::SERVICE_NAME,
        generated::onrush::v1::sales_server::SERVICE_NAME,
        generated::onrush::v1::windows_server::SERVICE_NAME,
        tonic_health::pb::health_server::SERVICE_NAME,
    ];
    let of_scenario = scenarios.product_inventory.then_some(product_inventory::SERVICE_NAME);
    named.into_iter().chain(of_scenario)
}

/// What reflection tells.
fn described(app: &App) -> Builder<'static> {
    let described = Builder::configure()
        .register_encoded_file_descriptor_set(generated::DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET);
    service_names(app.scenarios).fold(described, Builder::with_service_name)
}

const SOUND: &str = "descriptions that were made with the program are sound";

/// The call that has the rate limits of reservations.
const RESERVE_PATH: &str = "/onrush.v1.Reservations/Reserve";

/// The calls that a rush makes, and how each is taken apart.
fn hot_calls(on: Scenarios) -> impl Iterator<Item = (&'static str, HotForm)> {
    let of_scenario =
        on.product_inventory.then_some((product_inventory::CALL_PATH, product_inventory::HOT_CALL));
    [
        ("/onrush.v1.Catalog/GetRow", HotForm::of(hot_rows::decode_one)),
        ("/onrush.v1.Catalog/GetRows", HotForm::of(hot_rows::decode_many)),
    ]
    .into_iter()
    .chain(of_scenario)
}

/// What refuses a request before it reaches its service says so as gRPC does.
pub(crate) fn route_bytes(on: Scenarios) -> impl Iterator<Item = RouteBytes> {
    let hot = hot_calls(on).map(|(path, hot)| (path, Some(hot), RouteGroup::Pages));
    let pages = PATHS.into_iter().map(|path| (path, None, RouteGroup::Pages));
    hot.chain([(RESERVE_PATH, None, RouteGroup::Reserve)]).chain(pages).map(|(path, hot, group)| {
        RouteBytes::new(Some("POST"), path, hot, Some(group)).refusing(write_problem)
    })
}

/// The name that a field has.
fn name(field: &'static str, text: &str) -> Result<Name, Problem> {
    name_field(text, || field.into())
}

fn with<S>(services: Router, service: S) -> Router
where
    S: Service<Request, Error = std::convert::Infallible> + NamedService + Clone + Send + Sync + 'static,
    S::Response: IntoResponse,
    S::Future: Send + 'static,
{
    services.route_service(&format!("/{}/{{method}}", S::NAME), service)
}

/// The status of a call comes behind its answer, where HTTP/1.1 clients do not look.
async fn over_http2(request: Request, next: Next) -> Response {
    if request.version() == Version::HTTP_2 {
        next.run(request).await
    } else {
        Problem::malformed("gRPC needs HTTP/2.").into_response()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_service_has_its_path() {
        let named = |path: &'static str| path.trim_matches('/').trim_end_matches("/{method}");
        let of_paths: BTreeSet<_> = PATHS.into_iter().map(named).collect();
        let services: BTreeSet<_> = service_names(Scenarios::ALL).chain(REFLECTION).collect();
        assert_eq!(of_paths, services);
        assert!(services.iter().any(|name| may_wait(&format!("/{name}/GetRow"))));
    }
}
