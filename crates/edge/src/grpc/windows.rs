//! Windows.

use std::sync::Arc;

use onrush_core::WindowShape;
use onrush_node::{Call, Outcome};
use tonic::{Request, Response, Status};

use super::generated::onrush::v1::windows_server::Windows;
use super::generated::onrush::v1::{HitRequest, HitResponse, WindowsGetRequest, WindowsGetResponse};
use super::{Answer, name, status_of};
use crate::api::App;
use crate::api::app::mismatched;

pub(super) struct Service(pub(super) Arc<App>);

impl Service {
    async fn count(&self, call: Call) -> Result<(u64, WindowShape), Status> {
        match self.0.ask(call).await.map_err(|problem| status_of(&problem))? {
            Outcome::Window { count, shape } => Ok((count, shape)),
            other => mismatched(&other),
        }
    }
}

#[tonic::async_trait]
impl Windows for Service {
    async fn hit(&self, request: Request<HitRequest>) -> Answer<HitResponse> {
        let window = name("window", &request.into_inner().window).map_err(|problem| status_of(&problem))?;
        let (count, WindowShape { span_ms, precision_ms }) = self.count(Call::HitWindow { window }).await?;
        Ok(Response::new(HitResponse { count, span_ms, precision_ms }))
    }

    async fn get(&self, request: Request<WindowsGetRequest>) -> Answer<WindowsGetResponse> {
        let window = name("window", &request.into_inner().window).map_err(|problem| status_of(&problem))?;
        let (count, WindowShape { span_ms, precision_ms }) = self.count(Call::ReadWindow { window }).await?;
        Ok(Response::new(WindowsGetResponse { count, span_ms, precision_ms }))
    }
}
