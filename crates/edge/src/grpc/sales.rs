//! Sales.

use std::sync::Arc;

use onrush_core::{GateTerms, SaleStatus, SaleView, SalesPage, StockView};
use tonic::{Request, Response};

use super::generated::onrush::v1::sales_server::Sales;
use super::generated::onrush::v1::{
    Gate, Sale, SaleStatus as Status, SalesGetRequest, SalesGetResponse, SalesListRequest, SalesListResponse,
    Stock,
};
use super::{Answer, name, status_of};
use crate::api::App;
use crate::api::sales::page::{check_list, write_cursor};
use crate::api::sales::{read, read_page};
use crate::problem::Problem;

pub(super) struct Service(pub(super) Arc<App>);

impl Service {
    async fn page(&self, limit: u32, cursor: &str) -> Result<SalesListResponse, Problem> {
        let SalesPage { sales, has_more } = read_page(&self.0, check_list(limit, cursor)?).await?;
        let mut next_cursor = Vec::new();
        if let Some(last) = sales.last().filter(|_| has_more) {
            write_cursor(&mut next_cursor, &last.sale);
        }
        let next_cursor = String::from_utf8_lossy(&next_cursor).into_owned();
        Ok(SalesListResponse { sales: sales.into_iter().map(message).collect(), next_cursor })
    }
}

#[tonic::async_trait]
impl Sales for Service {
    async fn get(&self, request: Request<SalesGetRequest>) -> Answer<SalesGetResponse> {
        let sale = name("sale", &request.into_inner().sale).map_err(|problem| status_of(&problem))?;
        let sale = read(&self.0, sale).await.map_err(|problem| status_of(&problem))?;
        Ok(Response::new(SalesGetResponse { sale: Some(message(*sale)) }))
    }

    async fn list(&self, request: Request<SalesListRequest>) -> Answer<SalesListResponse> {
        let SalesListRequest { limit, cursor } = request.into_inner();
        let page = self.page(limit, &cursor).await;
        page.map(Response::new).map_err(|problem| status_of(&problem))
    }
}

fn message(sale: SaleView) -> Sale {
    let status = match sale.status {
        SaleStatus::Scheduled => Status::Scheduled,
        SaleStatus::Open => Status::Open,
        SaleStatus::SoldOut => Status::SoldOut,
        SaleStatus::Closed => Status::Closed,
    };
    Sale {
        sale: sale.sale,
        title: sale.title,
        opens_at_ms: sale.opens_at,
        closes_at_ms: sale.closes_at,
        per_customer_max: sale.per_customer_max,
        hold_ttl_ms: sale.hold_ttl_ms,
        gate: Some(gate(sale.gate)),
        status: status.into(),
        stocks: sale.stocks.into_iter().map(stock).collect(),
    }
}

fn gate(gate: GateTerms) -> Gate {
    Gate {
        session: gate.session.as_str().to_owned(),
        challenge: gate.challenge.as_str().to_owned(),
        cooldown_ms: gate.cooldown_ms,
        holds_unpaid_max: gate.holds_unpaid_max,
        confirm_by: gate.confirm_by.as_str().to_owned(),
        mode: gate.mode.as_str().to_owned(),
    }
}

fn stock(stock: StockView) -> Stock {
    let reserved = stock.quantity_held + stock.quantity_confirmed;
    Stock {
        stock: stock.stock,
        title: stock.title,
        starts_at_ms: stock.starts_at,
        ends_at_ms: stock.ends_at,
        closes_at_ms: stock.closes_at,
        quantity_total: stock.quantity_total,
        quantity_held: stock.quantity_held,
        quantity_confirmed: stock.quantity_confirmed,
        quantity_available: stock.quantity_total - reserved,
    }
}
