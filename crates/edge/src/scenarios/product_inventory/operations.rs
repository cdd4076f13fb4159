//! The two operations.

use serde_json::json;
use utoipa::openapi::path::ParameterIn;
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, SchemaType, Type};
use utoipa::openapi::{HttpMethod, RefOr, Required, Schema};

use super::{INVENTORY_PATH, LINE_PATH};
use crate::limits::ROWS_PER_READ_MAX;
use crate::openapi::operation::{Operation, SCENARIOS, optional_parameter};
use crate::openapi::parts::{list, named, object, text};
use crate::problem::Code;

pub(super) fn inventory() -> Operation {
    let request = json!({"api": "v1", "product_ids": [106]});
    let answer = json!({
        "meta": {},
        "data": [{"product_id": "106", "data": [{"warehouse_code": "HN", "qty_salable": 5}]}],
    });
    let id = "readProductInventory";
    Operation::new(HttpMethod::Post, INVENTORY_PATH, SCENARIOS, id, "Read what warehouses have of products")
        .description(
            "Products that are not there are left out, and so is what is zero or empty. Names may be in camel case, and ids numbers or texts. \
             A row that is no product is 503 source_unavailable.",
        )
        .body("ProductsQuestion", request)
        .json(200, "The products, in the order in which they were asked for.", "ProductsAnswer", answer)
        .problems(&[Code::CollectionNotFound, Code::Incoherent, Code::SourceUnavailable])
}

pub(super) fn line() -> Operation {
    let mut id =
        optional_parameter("product_id", ParameterIn::Query, "The product.", integer("The product."));
    id.required = Required::True;
    let line = text("Id, SKU, name and units, in braces.");
    Operation::new(
        HttpMethod::Get,
        LINE_PATH,
        SCENARIOS,
        "readProductLine",
        "Read a product as a line of text",
    )
    .parameter(id)
    .content(200, "The product.", "text/plain", line.into(), json!("{106 SKU-106 Red chair 5}"))
    .problems(&[Code::CollectionNotFound, Code::RowNotFound, Code::Incoherent, Code::SourceUnavailable])
}

pub(super) fn schemas() -> [(&'static str, RefOr<Schema>); 4] {
    let id = integer("A product.")
        .schema_type(SchemaType::from_iter([Type::Integer, Type::String]))
        .pattern(Some("^-?[0-9]{1,19}$"));
    let ids = ArrayBuilder::new()
        .schema_type(SchemaType::from_iter([Type::Array, Type::Null]))
        .description(Some(format!(
            "Which products, at most {ROWS_PER_READ_MAX} different ones; none if null."
        )))
        .items(id);
    let api = text("Not looked at.").schema_type(SchemaType::from_iter([Type::String, Type::Null]));
    let question = vec![("api?", api.into()), ("product_ids?", ids.into())];
    let answer = vec![
        ("meta", object("Always empty.", Vec::new())),
        ("data?", list("The products.", named("ProductInventory"), None)),
    ];
    let product = vec![
        ("product_id?", text("The product.").pattern(Some("^-?[0-9]+$")).into()),
        ("data?", list("Its warehouses.", named("WarehouseInventory"), None)),
    ];
    let warehouse = vec![
        ("warehouse_code?", text("The warehouse.").into()),
        ("qty_salable?", integer("Units that it can sell.").into()),
    ];
    [
        ("ProductsQuestion", object("Which products to tell.", question)),
        ("ProductsAnswer", object("Products and their warehouses.", answer)),
        ("ProductInventory", object("A product.", product)),
        ("WarehouseInventory", object("What a warehouse has of a product.", warehouse)),
    ]
}

/// A number of 64 bits.
fn integer(description: &str) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::Integer)
        .description(Some(description))
        .minimum(Some(isize::MIN))
        .maximum(Some(isize::MAX))
}
