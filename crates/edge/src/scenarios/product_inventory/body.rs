//! Products as rows, as JSON and as a line of text.

use std::borrow::Cow;

use onrush_core::Row;
use serde::de::{Deserializer, Error as _};
use serde::{Deserialize, Serialize};

use crate::http::json::parse_json;
use crate::problem::Problem;

/// A product as its row has it. What a row leaves out or has as null is empty; members of other names are for others.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Product {
    #[serde(deserialize_with = "or_empty")]
    sku: String,
    #[serde(deserialize_with = "or_empty")]
    name: String,
    /// Units that all warehouses together can sell.
    #[serde(deserialize_with = "or_empty")]
    qty_salable: i64,
    #[serde(deserialize_with = "or_empty")]
    pub(super) warehouses: Vec<Warehouse>,
}

/// What one warehouse has of a product.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Warehouse {
    #[serde(deserialize_with = "or_empty")]
    pub(super) warehouse_code: String,
    #[serde(deserialize_with = "or_empty")]
    pub(super) qty_salable: i64,
}

impl Product {
    /// # Errors
    /// The row is no product. To tell it as one without units would be an answer that is wrong.
    pub(super) fn of(row: &Row) -> Result<Self, Problem> {
        serde_json::from_slice(row.json()).map_err(|_| Problem::row_not_product())
    }
}

/// A value, or the empty one for null: what a database has of an outer join without a match.
fn or_empty<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Default + Deserialize<'de>,
    D: Deserializer<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// The row of a product that these warehouses have, each by its code and its units.
pub fn product(sku: &str, name: &str, warehouses: &[(&str, i64)]) -> Vec<u8> {
    let product = Product {
        sku: sku.to_owned(),
        name: name.to_owned(),
        qty_salable: warehouses.iter().map(|(_, units)| units).sum(),
        warehouses: warehouses
            .iter()
            .map(|(code, units)| Warehouse { warehouse_code: (*code).to_owned(), qty_salable: *units })
            .collect(),
    };
    serde_json::to_vec(&product).expect("texts and numbers are JSON")
}

/// The ids in the body of `POST /v1/product-inventory`.
///
/// # Errors
/// It is not as clients of the service send it.
pub(super) fn parse_products(body: &[u8]) -> Result<Vec<i64>, Problem> {
    let ProductsBody { product_ids, .. } = parse_json(body)?;
    Ok(product_ids.unwrap_or_default().into_iter().map(|ProductId(id)| id).collect())
}

/// Null is as if left out, as the JSON of protobuf has it, by which clients of the service write.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProductsBody<'a> {
    /// Sent by clients and used by nobody.
    #[serde(borrow, rename = "api")]
    _api: Option<Cow<'a, str>>,
    #[serde(alias = "productIds")]
    product_ids: Option<Vec<ProductId>>,
}

/// A number, or a text of one.
struct ProductId(i64);

impl<'de> Deserialize<'de> for ProductId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written<'a> {
            Number(i64),
            Text(#[serde(borrow)] Cow<'a, str>),
        }
        match Written::deserialize(deserializer)? {
            Written::Number(id) => Ok(Self(id)),
            Written::Text(text) => text.parse().map(Self).map_err(|_| D::Error::custom("not a number")),
        }
    }
}

/// The answer, as the JSON of protobuf has it: 64-bit numbers as text, and nothing that is zero or empty.
#[derive(Serialize)]
struct ProductsAnswer<'a> {
    meta: Meta,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    data: Vec<ProductData<'a>>,
}

#[derive(Serialize)]
struct Meta {}

#[derive(Serialize)]
struct ProductData<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    product_id: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    data: Vec<WarehouseData<'a>>,
}

#[derive(Serialize)]
struct WarehouseData<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    warehouse_code: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    qty_salable: Option<i64>,
}

/// Appends `{"meta":{},"data":[{"product_id":"106","data":[{"warehouse_code":"HN","qty_salable":5}]}]}`.
pub(super) fn write_products(out: &mut Vec<u8>, products: &[(i64, Product)]) {
    let of_warehouse =
        |warehouse: &'_ Warehouse| -> Option<i64> { Some(warehouse.qty_salable).filter(|units| *units != 0) };
    let data = products.iter().map(|(id, product)| ProductData {
        product_id: Some(*id).filter(|id| *id != 0).map(|id| id.to_string()),
        data: product
            .warehouses
            .iter()
            .map(|warehouse| WarehouseData {
                warehouse_code: &warehouse.warehouse_code,
                qty_salable: of_warehouse(warehouse),
            })
            .collect(),
    });
    let answer = ProductsAnswer { meta: Meta {}, data: data.collect() };
    serde_json::to_writer(out, &answer).expect("a Vec takes every write");
}

/// Appends `{106 SKU-106 Red chair 5}`.
pub(super) fn write_line(out: &mut Vec<u8>, id: i64, product: &Product) {
    let Product { sku, name, qty_salable, .. } = product;
    out.extend_from_slice(format!("{{{id} {sku} {name} {qty_salable}}}").as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use onrush_core::RowLine;

    fn read(json: &[u8]) -> Result<Product, Problem> {
        Product::of(&Row::new(RowLine { key: "106", json }))
    }

    #[test]
    fn a_product_is_told_as_clients_of_the_service_read_it() {
        let json = product("SKU-106", "Red chair", &[("HN", 5), ("HCM", 0)]);
        let mut out = Vec::new();
        write_products(&mut out, &[(106, read(&json).unwrap()), (0, read(b"{}").unwrap())]);
        let expected = r#"{"meta":{},"data":[{"product_id":"106","data":[{"warehouse_code":"HN","qty_salable":5},{"warehouse_code":"HCM"}]},{}]}"#;
        assert_eq!(String::from_utf8(out).unwrap(), expected);
        let mut out = Vec::new();
        write_products(&mut out, &[]);
        assert_eq!(out, br#"{"meta":{}}"#);
        let mut out = Vec::new();
        write_line(&mut out, 106, &read(&json).unwrap());
        assert_eq!(out, b"{106 SKU-106 Red chair 5}");
    }

    #[test]
    fn null_is_as_if_left_out_and_a_row_of_another_form_is_no_product() {
        for (json, line) in [
            (r#"{"sku":"A","name":null,"qty_salable":null,"warehouses":null}"#, Some("{106 A  0}")),
            (
                r#"{"qty_salable":3,"warehouses":[{"warehouse_code":null,"qty_salable":null}]}"#,
                Some("{106   3}"),
            ),
            (r#"{"warehouses":7}"#, None),
            (r#"{"warehouses":[{"warehouse_code":"{HN","qty_salable":"5}"}]}"#, None),
            (r#"{"qty_salable":"many"}"#, None),
            (r#"{"qty_salable":0.5}"#, None),
        ] {
            let told = read(json.as_bytes()).ok().map(|product| {
                let mut out = Vec::new();
                write_line(&mut out, 106, &product);
                String::from_utf8(out).unwrap()
            });
            assert_eq!(told.as_deref(), line, "{json}");
        }
    }

    #[test]
    fn ids_come_as_numbers_or_as_text() {
        for (body, ids) in [
            (r#"{"api":"v1","product_ids":[1,"2",1]}"#, Some(vec![1, 2, 1])),
            (r#"{"productIds":["-9223372036854775808"]}"#, Some(vec![i64::MIN])),
            ("{}", Some(vec![])),
            (r#"{"product_ids":null}"#, Some(vec![])),
            (r#"{"product_ids":[1.5]}"#, None),
            (r#"{"product_ids":["x"]}"#, None),
            (r#"{"product_ids":[9223372036854775808]}"#, None),
            (r#"{"products":[1]}"#, None),
            ("", None),
        ] {
            assert_eq!(parse_products(body.as_bytes()).ok(), ids, "{body}");
        }
    }
}
