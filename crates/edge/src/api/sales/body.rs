//! Sales as readers get them.

use onrush_core::{SaleStatus, SaleView, StockView, TimeMs, write_rfc3339};

use super::gate::write_gate;
use super::page::write_cursor;
use crate::text::{write_json_string, write_number};

/// Appends a sale with its stocks and figures.
pub(super) fn write_sale(out: &mut Vec<u8>, sale: &SaleView) {
    out.extend_from_slice(b"{\"sale\":\"");
    out.extend_from_slice(sale.sale.as_bytes());
    out.extend_from_slice(b"\",\"title\":");
    write_json_string(out, &sale.title);
    write_time(out, b",\"opens_at\":", sale.opens_at);
    write_time(out, b",\"closes_at\":", sale.closes_at);
    out.extend_from_slice(b",\"per_customer_max\":");
    match sale.per_customer_max {
        Some(max) => write_number(out, max),
        None => out.extend_from_slice(b"null"),
    }
    out.extend_from_slice(b",\"hold_ttl_ms\":");
    write_number(out, sale.hold_ttl_ms);
    out.extend_from_slice(b",\"gate\":");
    write_gate(out, sale.gate);
    out.extend_from_slice(b",\"status\":\"");
    out.extend_from_slice(sale_status_text(sale.status).as_bytes());
    out.extend_from_slice(b"\",\"stocks\":[");
    for (at, stock) in sale.stocks.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write_stock(out, stock);
    }
    out.extend_from_slice(b"]}");
}

/// Appends `{"sales":[…],"next_cursor":…}` with the cursor of the page after `next_after`, if there is one.
pub(super) fn write_sales(out: &mut Vec<u8>, sales: &[SaleView], next_after: Option<&str>) {
    out.extend_from_slice(b"{\"sales\":[");
    for (at, sale) in sales.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write_sale(out, sale);
    }
    out.extend_from_slice(b"],\"next_cursor\":");
    match next_after {
        Some(name) => {
            out.push(b'"');
            write_cursor(out, name);
            out.extend_from_slice(b"\"}");
        }
        None => out.extend_from_slice(b"null}"),
    }
}

/// A status as clients read it.
pub(super) const fn sale_status_text(status: SaleStatus) -> &'static str {
    match status {
        SaleStatus::Scheduled => "scheduled",
        SaleStatus::Open => "open",
        SaleStatus::SoldOut => "sold_out",
        SaleStatus::Closed => "closed",
    }
}

fn write_stock(out: &mut Vec<u8>, stock: &StockView) {
    out.extend_from_slice(b"{\"stock\":\"");
    out.extend_from_slice(stock.stock.as_bytes());
    out.extend_from_slice(b"\",\"title\":");
    write_json_string(out, &stock.title);
    write_time(out, b",\"starts_at\":", stock.starts_at);
    write_time(out, b",\"ends_at\":", stock.ends_at);
    write_time(out, b",\"closes_at\":", stock.closes_at);
    let reserved = stock.quantity_held + stock.quantity_confirmed;
    for (name, quantity) in [
        (&b",\"quantity_total\":"[..], stock.quantity_total),
        (b",\"quantity_held\":", stock.quantity_held),
        (b",\"quantity_confirmed\":", stock.quantity_confirmed),
        (b",\"quantity_available\":", stock.quantity_total - reserved),
    ] {
        out.extend_from_slice(name);
        write_number(out, quantity);
    }
    out.push(b'}');
}

fn write_time(out: &mut Vec<u8>, name: &[u8], time: Option<TimeMs>) {
    out.extend_from_slice(name);
    match time {
        Some(time) => {
            out.push(b'"');
            write_rfc3339(out, time);
            out.push(b'"');
        }
        None => out.extend_from_slice(b"null"),
    }
}

#[cfg(test)]
#[path = "body_tests.rs"]
mod tests;
