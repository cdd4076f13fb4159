//! What `--demo` creates if it does not exist: a window, a station with a month of slots, a flash sale, and a catalogue of products.

use onrush_core::{GateTerms, Precondition, SaleTerms, StockTerms, TimeMs, WindowShape, write_rfc3339};
use onrush_node::{Call, Name, RowCall};

use super::flash_sale::BUYERS_GATE;
use super::product_inventory;
use super::request_window::WINDOW;

const DAY_MS: TimeMs = 86_400_000;
const HOUR_MS: TimeMs = 3_600_000;
/// 2021-05-16T00:00:00Z
const FIRST_DAY: TimeMs = 1_621_123_200_000;
const DAY_COUNT: u64 = 30;

/// The calls, each of which creates one thing: the window `requests` with this shape, the sale `PWTC` (30 slots of 1,000 from
/// 2021-05-16 to 2021-06-14) and the sale `flash` (one stock of 10,000, for customers with a session), one unit per
/// customer in both.
pub fn calls(request_shape: WindowShape) -> Vec<Call> {
    let sale = |title: &str, gate, stocks| {
        Box::new(SaleTerms {
            title: title.into(),
            opens_at: None,
            closes_at: None,
            per_customer_max: Some(1),
            hold_ttl_ms: 0,
            gate,
            stocks,
        })
    };
    let flash = StockTerms {
        stock: "1".into(),
        title: "Flash item".into(),
        starts_at: None,
        ends_at: None,
        closes_at: None,
        quantity_total: 10_000,
    };
    vec![
        Call::PutWindow { window: WINDOW.into(), shape: request_shape },
        Call::PutSale {
            sale: "PWTC".into(),
            terms: sale("PWTC vaccination centre", GateTerms::default(), (0..DAY_COUNT).map(slot).collect()),
            left_out: Vec::new(),
            only_if: Precondition::None,
        },
        Call::PutSale {
            sale: "flash".into(),
            terms: sale("Flash sale", BUYERS_GATE, vec![flash]),
            left_out: Vec::new(),
            only_if: Precondition::None,
        },
    ]
}

/// So many products are in the catalogue.
pub const PRODUCT_COUNT: u64 = 100_000;

/// Products that one call puts: few enough for the smallest segments of a log.
const PRODUCTS_PER_CALL: u64 = 1_000;

/// The calls that put the products 1 to [`PRODUCT_COUNT`] into the collection [`product_inventory::COLLECTION`].
pub fn products() -> impl Iterator<Item = Call> {
    (0..PRODUCT_COUNT / PRODUCTS_PER_CALL).map(|call| {
        let first = call * PRODUCTS_PER_CALL + 1;
        let rows = (first..first + PRODUCTS_PER_CALL).map(product).collect();
        Call::PutRows { collection: Name::from(product_inventory::COLLECTION), rows }
    })
}

/// One product, which two warehouses have.
fn product(id: u64) -> RowCall {
    const THINGS: [&str; 8] = ["chair", "table", "lamp", "shelf", "desk", "bed", "sofa", "stool"];
    const COLORS: [&str; 6] = ["Red", "Green", "Blue", "White", "Black", "Yellow"];
    let pick = |of: usize, step: u64| usize::try_from(id / step).unwrap_or_default() % of;
    let name = format!("{} {} {id}", COLORS[pick(COLORS.len(), 8)], THINGS[pick(THINGS.len(), 1)]);
    let units = |warehouse: u64| i64::try_from((id * 7 + warehouse * 13) % 50).unwrap_or_default();
    let warehouses = [("HN", units(0)), ("HCM", units(1))];
    let json = product_inventory::product(&format!("SKU-{id}"), &name, &warehouses);
    RowCall { key: id.to_string().into(), json: json.into() }
}

/// The slot of one day, nine to five in Kuala Lumpur (UTC+8).
fn slot(day: u64) -> StockTerms {
    let midnight = FIRST_DAY + day * DAY_MS;
    let mut date = Vec::new();
    write_rfc3339(&mut date, midnight);
    date.truncate(10);
    let date = String::from_utf8_lossy(&date).into_owned();
    StockTerms {
        title: format!("Slot on {date}"),
        stock: date,
        starts_at: Some(midnight + HOUR_MS),
        ends_at: Some(midnight + 9 * HOUR_MS),
        closes_at: None,
        quantity_total: 1_000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_demo_is_within_every_bound_and_complete() {
        let shape = WindowShape { span_ms: 60_000, precision_ms: 100 };
        let calls = calls(shape);
        let [
            Call::PutWindow { window, .. },
            Call::PutSale { sale, terms, .. },
            Call::PutSale { sale: flash, terms: flash_terms, .. },
        ] = &calls[..]
        else {
            panic!("{calls:?}");
        };
        assert_eq!((window.as_str(), sale.as_str(), flash.as_str()), ("requests", "PWTC", "flash"));
        terms.check().unwrap();
        flash_terms.check().unwrap();
        assert_eq!(terms.stocks.len(), 30);
        assert_eq!(
            (terms.stocks[0].stock.as_str(), terms.stocks[29].stock.as_str()),
            ("2021-05-16", "2021-06-14")
        );
        assert!(terms.stocks.iter().all(|slot| slot.quantity_total == 1_000));
        assert_eq!(flash_terms.stocks[0].quantity_total, 10_000);
    }

    #[test]
    fn the_products_of_the_demo_are_one_to_a_hundred_thousand() {
        let mut ids = Vec::new();
        for call in products() {
            let Call::PutRows { collection, rows } = call else { panic!("{call:?}") };
            assert_eq!(collection, product_inventory::COLLECTION);
            assert!(
                rows.iter().map(|row| row.json.len()).sum::<usize>() < 256 << 10,
                "a call fits small segments"
            );
            ids.extend(rows.iter().map(|row| row.key.parse::<u64>().unwrap()));
        }
        assert!(ids.into_iter().eq(1..=PRODUCT_COUNT));
        let json = String::from_utf8(product(35_586).json.into_vec()).unwrap();
        let expected = r#"{"sku":"SKU-35586","name":"Blue lamp 35586","qty_salable":17,"warehouses":[{"warehouse_code":"HN","qty_salable":2},{"warehouse_code":"HCM","qty_salable":15}]}"#;
        assert_eq!(json, expected);
    }
}
