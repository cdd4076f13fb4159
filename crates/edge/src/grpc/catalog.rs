//! Rows of the catalogue.

use std::sync::Arc;

use onrush_core::{ROW_KEY_RULE, Row, is_row_key};
use tonic::{Request, Response, Status};

use super::generated::onrush::v1::catalog_server::Catalog;
use super::generated::onrush::v1::{
    GetRowRequest, GetRowResponse, GetRowsRequest, GetRowsResponse, Row as RowMessage,
};
use super::{Answer, status_of};
use crate::api::App;
use crate::api::catalog::{each_once, etag};
use crate::catalog::{MinVersion, Rows};
use crate::limits::ROWS_PER_READ_MAX;
use crate::problem::Problem;

pub(super) struct Service(pub(super) Arc<App>);

impl Service {
    /// Rows of these keys, each once, of the version that is asked for or a later one.
    async fn read(
        &self,
        collection: &str,
        keys: Vec<String>,
        min_version: u64,
    ) -> Result<GetRowsResponse, Problem> {
        let check = |key: String| {
            if is_row_key(&key) { Ok(key) } else { Err(Problem::invalid("key", ROW_KEY_RULE)) }
        };
        let once = each_once("keys", keys.into_iter().map(check))?;
        let catalog = &self.0.catalog;
        // Zero is how the messages say that nothing is waited for.
        if min_version > 0 && !catalog.await_version(collection, MinVersion::Number(min_version)).await {
            return Err(Problem::incoherent());
        }
        let Rows { age, rows } = catalog.rows(collection, &once).await?;
        let is_missing = once.into_iter().zip(&rows).filter(|(_, row)| row.is_none());
        let missing = is_missing.map(|(key, _)| key).collect();
        let rows = rows.iter().flatten().map(message).collect();
        Ok(GetRowsResponse { rows, missing, version: age.version.unwrap_or_default(), lag_ms: age.lag_ms() })
    }
}

#[tonic::async_trait]
impl Catalog for Service {
    async fn get_row(&self, request: Request<GetRowRequest>) -> Answer<GetRowResponse> {
        let GetRowRequest { collection, key, min_version } = request.into_inner();
        let read = self.read(&collection, vec![key], min_version).await;
        let GetRowsResponse { rows, version, lag_ms, .. } = read.map_err(|problem| status_of(&problem))?;
        match rows.into_iter().next() {
            Some(row) => Ok(Response::new(GetRowResponse { row: Some(row), version, lag_ms })),
            None => Err(status_of(&Problem::row_not_found())),
        }
    }

    async fn get_rows(&self, request: Request<GetRowsRequest>) -> Answer<GetRowsResponse> {
        let GetRowsRequest { collection, keys, min_version } = request.into_inner();
        if keys.is_empty() {
            let rule = format!("must be 1 to {ROWS_PER_READ_MAX}");
            return Err::<_, Status>(status_of(&Problem::invalid("keys", &rule)));
        }
        let read = self.read(&collection, keys, min_version).await;
        read.map(Response::new).map_err(|problem| status_of(&problem))
    }
}

fn message(row: &Row) -> RowMessage {
    RowMessage { key: row.key().to_owned(), json: row.json().to_vec(), etag: etag(row).into() }
}
