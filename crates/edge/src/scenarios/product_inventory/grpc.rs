//! The same over gRPC, in the messages that clients of the service have.

use std::sync::Arc;

use onrush_core::Row;
use prost::Message as _;
use tonic::{Request, Response};

use super::body::Product;
use super::{COLLECTION, each_id_once, find_products, products_of};
use crate::api::App;
use crate::catalog::Look;
pub(crate) use crate::grpc::product_inventory_messages::product_inventory_service_server::SERVICE_NAME;
use crate::grpc::product_inventory_messages::product_inventory_service_server::{
    ProductInventoryService, ProductInventoryServiceServer,
};
use crate::grpc::product_inventory_messages::{
    GetMultiProductInventoryData, GetMultiProductInventoryRequest, GetMultiProductInventoryResponse, Meta,
    WarehouseInventory,
};
use crate::grpc::{Answer, answer, plain_message, status_of};
use crate::hot::{Hot, HotForm, Sender};
use crate::http::request::Request as HotRequest;
use crate::problem::Problem;

/// Where the one call of the service is.
pub(crate) const CALL_PATH: &str = "/proto.ProductInventoryService/GetMultiProductInventory";

/// How a rush's calls of it are taken apart.
pub(crate) const HOT_CALL: HotForm = HotForm::of(decode);

struct Service(Arc<App>);

/// The service over this application.
pub(crate) fn service(app: &Arc<App>) -> ProductInventoryServiceServer<impl ProductInventoryService> {
    ProductInventoryServiceServer::new(Service(Arc::clone(app)))
}

#[tonic::async_trait]
impl ProductInventoryService for Service {
    async fn get_multi_product_inventory(
        &self,
        request: Request<GetMultiProductInventoryRequest>,
    ) -> Answer<GetMultiProductInventoryResponse> {
        let found = find_products(&self.0.catalog, request.into_inner().product_ids).await;
        let products = found.map_err(|problem| status_of(&problem))?;
        Ok(Response::new(response(products)))
    }
}

/// A call whose products are in memory. What is wrong goes to the service.
fn decode(request: &HotRequest<'_>, _: &[u8], sender: &Sender<'_>) -> Hot {
    let Some(ids) = plain_message(request).and_then(read_ids) else { return Hot::Routed };
    let keys: Vec<_> = ids.iter().map(i64::to_string).collect();
    let keys: Vec<_> = keys.iter().map(String::as_str).collect();
    let read = |_, rows: &[Option<&Row>]| products_of(&ids, rows.iter().copied()).map(response);
    match sender.catalog.look_all(COLLECTION, &keys, sender.clock, read) {
        Look::Told(Ok(response)) => {
            let write = |out: &mut Vec<u8>| response.encode(out).expect("a vector grows");
            Hot::Ready(Box::new(answer(response.encoded_len(), write)))
        }
        Look::Told(Err(problem)) => Hot::Problem(Box::new(problem)),
        Look::Unknown => Hot::Routed,
        Look::NoCollection => Hot::Problem(Box::new(Problem::collection_not_found())),
    }
}

/// The products that a message asks for, each once.
fn read_ids(message: &[u8]) -> Option<Vec<i64>> {
    let asked = GetMultiProductInventoryRequest::decode(message).ok()?;
    each_id_once(asked.product_ids).ok()
}

fn response(products: Vec<(i64, Product)>) -> GetMultiProductInventoryResponse {
    let data = products.into_iter().map(|(product_id, product)| message(product_id, product)).collect();
    GetMultiProductInventoryResponse { meta: Some(Meta::default()), data }
}

fn message(product_id: i64, product: Product) -> GetMultiProductInventoryData {
    let data = product.warehouses.into_iter().map(|warehouse| WarehouseInventory {
        warehouse_code: warehouse.warehouse_code,
        // A field of 32 bits: more than it holds is as much as it holds.
        qty_salable: i32::try_from(warehouse.qty_salable).unwrap_or(if warehouse.qty_salable < 0 {
            i32::MIN
        } else {
            i32::MAX
        }),
    });
    GetMultiProductInventoryData { product_id, data: data.collect() }
}
