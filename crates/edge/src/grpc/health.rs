//! Whether calls make sense now, as `/readyz` says it, in the protocol of gRPC's health checks.

use std::sync::Arc;

use tonic::codegen::BoxStream;
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use super::{Answer, REFLECTION, service_names};
use crate::api::App;

struct Service(Arc<App>);

pub(super) fn service(app: Arc<App>) -> HealthServer<impl Health> {
    HealthServer::new(Service(app))
}

#[tonic::async_trait]
impl Health for Service {
    /// All services are as the server is, which has no name.
    async fn check(&self, request: Request<HealthCheckRequest>) -> Answer<HealthCheckResponse> {
        let service = &request.get_ref().service;
        let mut names = service_names(self.0.scenarios).chain(REFLECTION);
        if !service.is_empty() && !names.any(|name| name == service) {
            return Err(Status::not_found("There is no such service."));
        }
        let status = match self.0.readiness() {
            Ok(()) => ServingStatus::Serving,
            Err(_) => ServingStatus::NotServing,
        };
        Ok(Response::new(HealthCheckResponse { status: status.into() }))
    }

    type WatchStream = BoxStream<HealthCheckResponse>;

    /// Clients that hear this ask nothing of health any more, as the protocol says, and none keeps a stream open for ever.
    async fn watch(&self, _: Request<HealthCheckRequest>) -> Answer<Self::WatchStream> {
        Err(Status::unimplemented("Ask with Check."))
    }
}
