//! Counters.

use std::sync::Arc;

use onrush_node::{Call, Outcome};
use tonic::{Request, Response, Status, Streaming};

use super::batches::{Additions, Batches};
use super::generated::onrush::v1::counters_server::Counters;
use super::generated::onrush::v1::{
    AddManyRequest, AddRequest, AddResponse, CountersGetRequest, CountersGetResponse,
};
use super::{Answer, name, status_of};
use crate::api::App;
use crate::api::app::mismatched;

pub(super) struct Service(pub(super) Arc<App>);

impl Service {
    async fn value(&self, call: Call) -> Result<u64, Status> {
        match self.0.ask(call).await.map_err(|problem| status_of(&problem))? {
            Outcome::Counter { value } => Ok(value),
            other => mismatched(&other),
        }
    }
}

#[tonic::async_trait]
impl Counters for Service {
    async fn add(&self, request: Request<AddRequest>) -> Answer<AddResponse> {
        let AddRequest { counter, by } = request.into_inner();
        let counter = name("counter", &counter).map_err(|problem| status_of(&problem))?;
        let value = self.value(Call::AddToCounter { counter, by: by.max(1) }).await?;
        Ok(Response::new(AddResponse { value }))
    }

    type AddManyStream = Batches<Additions>;

    async fn add_many(&self, request: Request<Streaming<AddManyRequest>>) -> Answer<Self::AddManyStream> {
        Ok(Response::new(Batches::new(&self.0, request)))
    }

    async fn get(&self, request: Request<CountersGetRequest>) -> Answer<CountersGetResponse> {
        let counter =
            name("counter", &request.into_inner().counter).map_err(|problem| status_of(&problem))?;
        let value = self.value(Call::ReadCounter { counter }).await?;
        Ok(Response::new(CountersGetResponse { value }))
    }
}
