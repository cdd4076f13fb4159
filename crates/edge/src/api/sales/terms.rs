//! What an operator says of a sale: all of its terms, or changes of single fields as a JSON merge patch (RFC 7396).

#![allow(clippy::option_option, reason = "left out, null and a value are three things")]

use std::borrow::Cow;

use onrush_core::{GateChange, SaleTerms, StockTerms, TermsChange, TermsField, TimeMs, parse_rfc3339};

use super::gate::GateBody;
use crate::http::json::{Object, given, parse_json};
use crate::problem::Problem;

const TIME_RULE: &str =
    "must be an RFC 3339 time from 1970-01-01T00:00:00Z to 9999-12-31T23:59:59.999Z, or null";

/// The body of `PUT /v1/sales/{sale}`, with the fields that it leaves out; those are at their defaults. Titles are empty by
/// default.
pub fn parse_sale(body: &[u8]) -> Result<(Box<SaleTerms>, Vec<TermsField>), Problem> {
    let read: SaleBody<'_> = parse_json(body)?;
    let (stocks, left_out_of_stocks) = checked_stocks(read.stocks)?;
    let mut left_out = Vec::new();
    left_out.extend(read.title.is_none().then_some(TermsField::Title));
    left_out.extend(read.opens_at.is_none().then_some(TermsField::OpensAt));
    left_out.extend(read.closes_at.is_none().then_some(TermsField::ClosesAt));
    left_out.extend(read.per_customer_max.is_none().then_some(TermsField::PerCustomerMax));
    left_out.extend(read.hold_ttl_ms.is_none().then_some(TermsField::HoldTtlMs));
    let (gate, left_out_of_gate) = read.gate.map(|Object(gate)| gate).unwrap_or_default().into_terms();
    left_out.extend(left_out_of_gate);
    left_out.extend(left_out_of_stocks);
    let terms = SaleTerms {
        title: read.title.unwrap_or_default().into_owned(),
        opens_at: time(read.opens_at.flatten(), || "opens_at".into())?,
        closes_at: time(read.closes_at.flatten(), || "closes_at".into())?,
        per_customer_max: read.per_customer_max.flatten(),
        hold_ttl_ms: read.hold_ttl_ms.unwrap_or_default(),
        gate,
        stocks,
    };
    terms.check().map_err(|invalid| Problem::invalid(invalid.field, invalid.rule))?;
    Ok((Box::new(terms), left_out))
}

/// The body of `PATCH /v1/sales/{sale}`. `null` takes a field back to its default; `stocks` replaces the whole list.
pub fn parse_sale_change(body: &[u8]) -> Result<Box<TermsChange>, Problem> {
    let read: SaleChangeBody<'_> = parse_json(body)?;
    let (stocks, left_out) = match read.stocks {
        Some(stocks) => {
            let (stocks, left_out) = checked_stocks(stocks)?;
            (Some(stocks), left_out)
        }
        None => (None, Vec::new()),
    };
    let changed_time = |text: Option<Option<Cow<'_, str>>>, field: &str| {
        text.map(|text| time(text, || field.to_owned())).transpose()
    };
    Ok(Box::new(TermsChange {
        title: read.title.map(|title| title.unwrap_or_default().into_owned()),
        opens_at: changed_time(read.opens_at, "opens_at")?,
        closes_at: changed_time(read.closes_at, "closes_at")?,
        per_customer_max: read.per_customer_max,
        hold_ttl_ms: read.hold_ttl_ms.map(Option::unwrap_or_default),
        gate: match read.gate {
            Some(Some(Object(gate))) => gate.into_change(),
            Some(None) => GateChange::to_default(),
            None => GateChange::default(),
        },
        stocks,
        left_out,
    }))
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct SaleBody<'a> {
    #[serde(borrow, default, deserialize_with = "given")]
    title: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "given")]
    opens_at: Option<Option<Cow<'a, str>>>,
    #[serde(borrow, default, deserialize_with = "given")]
    closes_at: Option<Option<Cow<'a, str>>>,
    #[serde(default, deserialize_with = "given")]
    per_customer_max: Option<Option<u32>>,
    #[serde(default, deserialize_with = "given")]
    hold_ttl_ms: Option<u32>,
    #[serde(default, deserialize_with = "given")]
    gate: Option<Object<GateBody>>,
    #[serde(borrow)]
    stocks: Vec<Object<StockBody<'a>>>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct SaleChangeBody<'a> {
    #[serde(borrow, default, deserialize_with = "given")]
    title: Option<Option<Cow<'a, str>>>,
    #[serde(borrow, default, deserialize_with = "given")]
    opens_at: Option<Option<Cow<'a, str>>>,
    #[serde(borrow, default, deserialize_with = "given")]
    closes_at: Option<Option<Cow<'a, str>>>,
    #[serde(default, deserialize_with = "given")]
    per_customer_max: Option<Option<u32>>,
    #[serde(default, deserialize_with = "given")]
    hold_ttl_ms: Option<Option<u32>>,
    #[serde(default, deserialize_with = "given")]
    gate: Option<Option<Object<GateBody>>>,
    #[serde(borrow, default, deserialize_with = "given")]
    stocks: Option<Vec<Object<StockBody<'a>>>>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct StockBody<'a> {
    #[serde(borrow)]
    stock: Cow<'a, str>,
    #[serde(borrow, default, deserialize_with = "given")]
    title: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "given")]
    starts_at: Option<Option<Cow<'a, str>>>,
    #[serde(borrow, default, deserialize_with = "given")]
    ends_at: Option<Option<Cow<'a, str>>>,
    #[serde(borrow, default, deserialize_with = "given")]
    closes_at: Option<Option<Cow<'a, str>>>,
    quantity_total: u32,
}

/// Stocks, and the fields that they leave out.
fn checked_stocks(read: Vec<Object<StockBody<'_>>>) -> Result<(Vec<StockTerms>, Vec<TermsField>), Problem> {
    let (mut stocks, mut left_out) = (Vec::with_capacity(read.len()), Vec::new());
    for (at, Object(stock)) in read.into_iter().enumerate() {
        left_out.extend(stock.title.is_none().then_some(TermsField::StockTitle(at)));
        left_out.extend(stock.starts_at.is_none().then_some(TermsField::StockStartsAt(at)));
        left_out.extend(stock.ends_at.is_none().then_some(TermsField::StockEndsAt(at)));
        left_out.extend(stock.closes_at.is_none().then_some(TermsField::StockClosesAt(at)));
        stocks.push(StockTerms {
            stock: stock.stock.into_owned(),
            title: stock.title.unwrap_or_default().into_owned(),
            starts_at: time(stock.starts_at.flatten(), || format!("stocks[{at}].starts_at"))?,
            ends_at: time(stock.ends_at.flatten(), || format!("stocks[{at}].ends_at"))?,
            closes_at: time(stock.closes_at.flatten(), || format!("stocks[{at}].closes_at"))?,
            quantity_total: stock.quantity_total,
        });
    }
    Ok((stocks, left_out))
}

fn time(text: Option<Cow<'_, str>>, field: impl FnOnce() -> String) -> Result<Option<TimeMs>, Problem> {
    let Some(text) = text else { return Ok(None) };
    parse_rfc3339(&text).map(Some).ok_or_else(|| Problem::invalid(field(), TIME_RULE))
}

#[cfg(test)]
#[path = "terms_tests.rs"]
mod tests;
