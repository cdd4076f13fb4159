//! The same over gRPC, in the messages that clients of the service have.

use std::sync::Arc;

use tonic::{Request, Response};

use super::body::Product;
use super::find_products;
use crate::api::App;
pub(crate) use crate::grpc::product_inventory_messages::product_inventory_service_server::SERVICE_NAME;
use crate::grpc::product_inventory_messages::product_inventory_service_server::{
    ProductInventoryService, ProductInventoryServiceServer,
};
use crate::grpc::product_inventory_messages::{
    GetMultiProductInventoryData, GetMultiProductInventoryRequest, GetMultiProductInventoryResponse, Meta,
    WarehouseInventory,
};
use crate::grpc::{Answer, status_of};

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
        let data = products.into_iter().map(|(product_id, product)| message(product_id, product)).collect();
        Ok(Response::new(GetMultiProductInventoryResponse { meta: Some(Meta::default()), data }))
    }
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
