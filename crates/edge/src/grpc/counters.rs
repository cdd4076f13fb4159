//! Counters.

use std::sync::Arc;

use onrush_core::NEW_NAME_RULE;
use onrush_node::{Call, Name, Outcome};
use tonic::{Request, Response, Status};

use super::generated::onrush::v1::counters_server::Counters;
use super::generated::onrush::v1::{AddRequest, AddResponse, GetCounterRequest, GetCounterResponse};
use super::{Answer, status_of};
use crate::api::App;
use crate::api::app::mismatched;
use crate::problem::Problem;

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
        let value =
            self.value(Call::AddToCounter { counter: name("counter", &counter)?, by: by.max(1) }).await?;
        Ok(Response::new(AddResponse { value }))
    }

    async fn get(&self, request: Request<GetCounterRequest>) -> Answer<GetCounterResponse> {
        let counter = name("counter", &request.into_inner().counter)?;
        let value = self.value(Call::ReadCounter { counter }).await?;
        Ok(Response::new(GetCounterResponse { value }))
    }
}

/// The name that a field has.
pub(super) fn name(field: &'static str, text: &str) -> Result<Name, Status> {
    if onrush_core::is_name(text) {
        Ok(Name::from(text))
    } else {
        Err(status_of(&Problem::invalid(field, NEW_NAME_RULE)))
    }
}
