//! The terms of a sale, as its record and its fact have them.

use onrush_core::{SaleTerms, StockTerms};
use onrush_log::Format;

use super::DecodeError;
use super::fields::{Field, put_group};
use super::primitives::{Input, put_bytes, put_optional, put_u64};

/// From when on reservations of a stock are refused. Who does not know it would sell what has closed.
const CLOSES_AT: Field = Field::required(1);

/// Appends terms.
pub(super) fn put_terms(out: &mut Vec<u8>, terms: &SaleTerms) {
    put_bytes(out, terms.title.as_bytes());
    put_optional(out, terms.opens_at);
    put_optional(out, terms.closes_at);
    put_optional(out, terms.per_customer_max.map(u64::from));
    put_u64(out, terms.hold_ttl_ms.into());
    put_u64(out, terms.stocks.len() as u64);
    for stock in &terms.stocks {
        put_group(out, |out| put_stock(out, stock));
    }
}

fn put_stock(out: &mut Vec<u8>, stock: &StockTerms) {
    put_bytes(out, stock.stock.as_bytes());
    put_bytes(out, stock.title.as_bytes());
    put_optional(out, stock.starts_at);
    put_optional(out, stock.ends_at);
    put_u64(out, stock.quantity_total.into());
    if let Some(closes_at) = stock.closes_at {
        CLOSES_AT.put_u64(out, closes_at);
    }
}

/// Takes terms.
pub(super) fn take_terms(input: &mut Input<'_>, format: Format) -> Result<SaleTerms, DecodeError> {
    let title = input.text()?.to_owned();
    let opens_at = input.optional()?;
    let closes_at = input.optional()?;
    let per_customer_max = input.optional()?.map(u32::try_from).transpose();
    let per_customer_max = per_customer_max.map_err(|_| input.wrong("an integer has more than 32 bits"))?;
    let hold_ttl_ms = input.u32()?;
    let stock_count = input.u64()?;
    let mut stocks = Vec::new();
    for _ in 0..stock_count {
        stocks.push(match format {
            Format::V1 => take_stock(input)?,
            Format::V2 => {
                let mut group = input.group()?;
                let mut stock = take_stock(&mut group)?;
                group.fields("stock", |field, content| {
                    if field == CLOSES_AT {
                        stock.closes_at = Some(content.u64()?);
                    }
                    Ok(field == CLOSES_AT)
                })?;
                stock
            }
        });
    }
    Ok(SaleTerms { title, opens_at, closes_at, per_customer_max, hold_ttl_ms, stocks })
}

/// The fields that every stock has.
fn take_stock(input: &mut Input<'_>) -> Result<StockTerms, DecodeError> {
    Ok(StockTerms {
        stock: input.text()?.to_owned(),
        title: input.text()?.to_owned(),
        starts_at: input.optional()?,
        ends_at: input.optional()?,
        closes_at: None,
        quantity_total: input.u32()?,
    })
}
