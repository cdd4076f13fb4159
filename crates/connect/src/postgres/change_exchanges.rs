//! The changes of a batch as parameters of statements, in the order in which they have to run: earlier reservations get their statuses on
//! the stocks as they were, stocks are put before new reservations claim units of them.

use std::future::Future;
use std::pin::Pin;

use onrush_core::TimeMs;
use tokio_postgres::Error;
use tokio_postgres::types::ToSql;

use super::changes::{Changes, title};
use super::jsonb::storable_text;
use super::numbers::bigint;
use super::session::Session;
use super::time::Timestamp;

/// A statement under way, with the number of rows that it touches.
pub(super) type Exchange<'a> = Pin<Box<dyn Future<Output = Result<u64, Error>> + Send + 'a>>;

/// Adds what has anything to do.
pub(super) fn push_changes<'a>(
    exchanges: &mut Vec<Exchange<'a>>,
    session: &'a Session,
    changes: &'a Changes,
) {
    if !changes.new_statuses.is_empty() {
        exchanges.push(Box::pin(set_statuses(session, changes)));
    }
    if !changes.put_sales.is_empty() {
        exchanges.push(Box::pin(put_sales(session, changes)));
        exchanges.push(Box::pin(put_stocks(session, changes)));
        exchanges.push(Box::pin(remove_stocks(session, changes)));
    }
    if !changes.units.is_empty() {
        exchanges.push(Box::pin(add_units(session, changes)));
    }
    if !changes.archived.is_empty() {
        exchanges.push(Box::pin(archive_sales(session, changes)));
    }
    if !changes.counters.is_empty() {
        exchanges.push(Box::pin(set_counters(session, changes)));
    }
    if !changes.windows.is_empty() {
        exchanges.push(Box::pin(put_windows(session, changes)));
    }
    if !changes.skipped.is_empty() {
        exchanges.push(Box::pin(note_skipped(session, changes)));
    }
}

async fn set_statuses(session: &Session, changes: &Changes) -> Result<u64, Error> {
    let s = &changes.new_statuses;
    let parameters: [&(dyn ToSql + Sync); 5] =
        [&s.sale_nos, &s.reservation_seqs, &s.statuses, &s.ats, &s.offsets];
    session.connection.client().execute(&session.statements.set_statuses, &parameters).await
}

async fn put_sales(session: &Session, changes: &Changes) -> Result<u64, Error> {
    let puts = || changes.put_sales.values();
    let sale_nos: Vec<i64> = changes.put_sales.keys().map(|sale_no| i64::from(sale_no.0)).collect();
    let sales: Vec<&str> = puts().map(|put| put.sale.as_str()).collect();
    let titles: Vec<String> = puts().map(|put| title(&put.terms.title)).collect();
    let opens: Vec<Option<Timestamp>> = puts().map(|put| put.terms.opens_at.map(Timestamp::at)).collect();
    let closes: Vec<Option<Timestamp>> = puts().map(|put| put.terms.closes_at.map(Timestamp::at)).collect();
    let maxima: Vec<Option<i64>> = puts().map(|put| put.terms.per_customer_max.map(i64::from)).collect();
    let ttls: Vec<i64> = puts().map(|put| i64::from(put.terms.hold_ttl_ms)).collect();
    let offsets: Vec<i64> = puts().map(|put| bigint(put.offset)).collect();
    let parameters: [&(dyn ToSql + Sync); 8] =
        [&sale_nos, &sales, &titles, &opens, &closes, &maxima, &ttls, &offsets];
    session.connection.client().execute(&session.statements.put_sales, &parameters).await
}

async fn put_stocks(session: &Session, changes: &Changes) -> Result<u64, Error> {
    let puts = || changes.put_stocks.values();
    let times = |time: fn(&onrush_core::StockTerms) -> Option<TimeMs>| -> Vec<Option<Timestamp>> {
        puts().map(|put| time(&put.terms).map(Timestamp::at)).collect()
    };
    let sale_nos: Vec<i64> = changes.put_stocks.keys().map(|(sale_no, _)| i64::from(sale_no.0)).collect();
    let stock_nos: Vec<i32> = changes.put_stocks.keys().map(|(_, stock_no)| i32::from(stock_no.0)).collect();
    let stocks: Vec<&str> = puts().map(|put| put.terms.stock.as_str()).collect();
    let titles: Vec<String> = puts().map(|put| title(&put.terms.title)).collect();
    let (starts, ends) = (times(|terms| terms.starts_at), times(|terms| terms.ends_at));
    let closes = times(|terms| terms.closes_at);
    let totals: Vec<i64> = puts().map(|put| i64::from(put.terms.quantity_total)).collect();
    let removed: Vec<bool> = puts().map(|put| put.removed).collect();
    let parameters: [&(dyn ToSql + Sync); 9] =
        [&sale_nos, &stock_nos, &stocks, &titles, &starts, &ends, &closes, &totals, &removed];
    session.connection.client().execute(&session.statements.put_stocks, &parameters).await
}

async fn remove_stocks(session: &Session, changes: &Changes) -> Result<u64, Error> {
    let put: Vec<i64> = changes.put_sales.keys().map(|sale_no| i64::from(sale_no.0)).collect();
    let kept = || {
        changes.put_sales.iter().flat_map(|(sale_no, put)| {
            put.stock_nos.iter().map(|stock_no| (i64::from(sale_no.0), i32::from(stock_no.0)))
        })
    };
    let sale_nos: Vec<i64> = kept().map(|(sale_no, _)| sale_no).collect();
    let stock_nos: Vec<i32> = kept().map(|(_, stock_no)| stock_no).collect();
    let parameters: [&(dyn ToSql + Sync); 3] = [&put, &sale_nos, &stock_nos];
    session.connection.client().execute(&session.statements.remove_stocks, &parameters).await
}

async fn add_units(session: &Session, changes: &Changes) -> Result<u64, Error> {
    let sale_nos: Vec<i64> = changes.units.keys().map(|(sale_no, _)| i64::from(sale_no.0)).collect();
    let stock_nos: Vec<i32> = changes.units.keys().map(|(_, stock_no)| i32::from(stock_no.0)).collect();
    let held: Vec<i64> = changes.units.values().map(|units| units.held).collect();
    let confirmed: Vec<i64> = changes.units.values().map(|units| units.confirmed).collect();
    let parameters: [&(dyn ToSql + Sync); 4] = [&sale_nos, &stock_nos, &held, &confirmed];
    session.connection.client().execute(&session.statements.add_units, &parameters).await
}

async fn archive_sales(session: &Session, changes: &Changes) -> Result<u64, Error> {
    let sale_nos: Vec<i64> = changes.archived.keys().map(|sale_no| i64::from(sale_no.0)).collect();
    let ats: Vec<Timestamp> = changes.archived.values().map(|newest| Timestamp::at(newest.at)).collect();
    let offsets: Vec<i64> = changes.archived.values().map(|newest| bigint(newest.offset)).collect();
    let parameters: [&(dyn ToSql + Sync); 3] = [&sale_nos, &ats, &offsets];
    session.connection.client().execute(&session.statements.archive_sales, &parameters).await
}

async fn set_counters(session: &Session, changes: &Changes) -> Result<u64, Error> {
    let counters: Vec<&str> = changes.counters.keys().map(String::as_str).collect();
    let values: Vec<i64> = changes.counters.values().map(|newest| bigint(newest.value)).collect();
    let ats: Vec<Timestamp> = changes.counters.values().map(|newest| Timestamp::at(newest.at)).collect();
    let offsets: Vec<i64> = changes.counters.values().map(|newest| bigint(newest.offset)).collect();
    let parameters: [&(dyn ToSql + Sync); 4] = [&counters, &values, &ats, &offsets];
    session.connection.client().execute(&session.statements.set_counters, &parameters).await
}

async fn put_windows(session: &Session, changes: &Changes) -> Result<u64, Error> {
    let windows: Vec<&str> = changes.windows.keys().map(String::as_str).collect();
    let shapes = || changes.windows.values();
    let spans: Vec<i64> = shapes().map(|newest| i64::from(newest.value.span_ms)).collect();
    let precisions: Vec<i64> = shapes().map(|newest| i64::from(newest.value.precision_ms)).collect();
    let ats: Vec<Timestamp> = shapes().map(|newest| Timestamp::at(newest.at)).collect();
    let offsets: Vec<i64> = shapes().map(|newest| bigint(newest.offset)).collect();
    let parameters: [&(dyn ToSql + Sync); 5] = [&windows, &spans, &precisions, &ats, &offsets];
    session.connection.client().execute(&session.statements.put_windows, &parameters).await
}

async fn note_skipped(session: &Session, changes: &Changes) -> Result<u64, Error> {
    let froms: Vec<i64> = changes.skipped.iter().map(|skipped| bigint(skipped.from)).collect();
    let tos: Vec<i64> = changes.skipped.iter().map(|skipped| bigint(skipped.to)).collect();
    let ats: Vec<Timestamp> = changes.skipped.iter().map(|skipped| Timestamp::at(skipped.at)).collect();
    let reasons: Vec<_> = changes.skipped.iter().map(|skipped| storable_text(&skipped.reason)).collect();
    let parameters: [&(dyn ToSql + Sync); 5] = [&session.sink, &froms, &tos, &ats, &reasons];
    session.connection.client().execute(&session.statements.note_skipped, &parameters).await
}
