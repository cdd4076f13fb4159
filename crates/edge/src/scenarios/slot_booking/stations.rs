//! The slots of a station: `GET /stations/{name}` lists the days of the sale of that name and what each has left.

use onrush_core::SaleView;

use crate::text::{is_date, write_number};

/// How long a list may be shown before it is asked for again.
pub(super) const CACHE_CONTROL: &str = "public, max-age=1";

/// Appends `[{"location":"PWTC","date":"20210516","availability":1000},…]`, sorted by date: one entry for every stock whose
/// name is a date. Returns whether there was any; a sale without one is no station.
pub(super) fn write(out: &mut Vec<u8>, sale: &SaleView) -> bool {
    let mut days: Vec<_> = sale.stocks.iter().filter(|stock| is_date(&stock.stock)).collect();
    days.sort_unstable_by(|a, b| a.stock.cmp(&b.stock));
    for (at, day) in days.iter().enumerate() {
        out.extend_from_slice(if at == 0 { b"[{\"location\":\"" } else { b",{\"location\":\"" });
        out.extend_from_slice(sale.sale.as_bytes());
        out.extend_from_slice(b"\",\"date\":\"");
        out.extend(day.stock.bytes().filter(|byte| *byte != b'-'));
        out.extend_from_slice(b"\",\"availability\":");
        let available = day.quantity_total - day.quantity_held - day.quantity_confirmed;
        write_number(out, if day.is_closed { 0 } else { available });
        out.push(b'}');
    }
    out.extend_from_slice(if days.is_empty() { b"[]" } else { b"]" });
    !days.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use onrush_core::{Incarnation, SaleNo, SaleStatus, SaleVersion, StockView, TermsVersion};

    fn check(stocks: &[&str], expected: &str) {
        let stock = |stock: &&str| StockView {
            stock: (*stock).into(),
            title: String::new(),
            starts_at: None,
            ends_at: None,
            closes_at: None,
            is_closed: *stock == "2021-05-15",
            quantity_total: 10,
            quantity_held: 1,
            quantity_confirmed: 2,
        };
        let sale = SaleView {
            sale_no: SaleNo(0),
            sale: "PWTC".into(),
            version: SaleVersion { number: 0, incarnation: Incarnation::FIRST, terms: TermsVersion(0) },
            title: String::new(),
            opens_at: None,
            closes_at: None,
            per_customer_max: None,
            hold_ttl_ms: 0,
            gate: onrush_core::GateTerms::default(),
            status: SaleStatus::Open,
            stocks: stocks.iter().map(stock).collect(),
        };
        let mut out = Vec::new();
        assert_eq!(write(&mut out, &sale), expected != "[]");
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn a_day_that_has_closed_has_nothing_left() {
        check(
            &["2021-05-16", "2021-05-15"],
            r#"[{"location":"PWTC","date":"20210515","availability":0},{"location":"PWTC","date":"20210516","availability":7}]"#,
        );
    }

    #[test]
    fn days_are_sorted_and_complete() {
        check(&[], "[]");
        check(&["standing", "2021-02-30"], "[]");
        check(
            &["2021-05-17", "standing", "2021-05-16"],
            r#"[{"location":"PWTC","date":"20210516","availability":7},{"location":"PWTC","date":"20210517","availability":7}]"#,
        );
    }
}
