//! Operations on the catalogue.

use onrush_core::{ROW_BYTES_MAX, ROW_KEY_CHARACTERS_MAX, ROWS_BYTES_MAX, ROWS_PER_PUT_MAX};
use serde_json::{Value, json};
use utoipa::openapi::path::{Parameter, ParameterIn};
use utoipa::openapi::schema::{AdditionalProperties, ObjectBuilder, SchemaType, Type};
use utoipa::openapi::{HttpMethod, RefOr, ResponseBuilder, Schema};

use crate::http::media_type::JSON_LINES;
use crate::limits::ROWS_PER_READ_MAX;
use crate::openapi::operation::{
    OPERATOR, Operation, PUBLIC, optional_parameter, path_parameter, text_header,
};
use crate::openapi::parts::{list, name, named, object, one_of, text, whole};
use crate::problem::Code;

const ROW_PATH: &str = "/v1/catalog/{collection}/{key}";
const COLLECTION_PATH: &str = "/v1/catalog/{collection}";

const TAG: &str = "Stands for the row as it is; the same row has the same tag.";

pub(super) fn public() -> [Operation; 2] {
    let row = of_collection(HttpMethod::Get, ROW_PATH, PUBLIC, "readRow", "Read a row of the catalogue")
        .description(
            "The JSON object as it was put, or as the source of the rows has it. A row that was put is as new as the newest change that was \
             answered before the request; how old a row of a source can be is said in the header.",
        )
        .parameter(key())
        .parameter(min_version())
        .json(200, "The row.", "Row", row_example())
        .header(200, "ETag", text_header(TAG))
        .answer(304, ResponseBuilder::new().description("The client has the row as it is."))
        .header(304, "ETag", text_header(TAG))
        .problems(&[
            Code::CollectionNotFound,
            Code::RowNotFound,
            Code::Incoherent,
            Code::SourceUnavailable,
        ]);
    let keys = text("Keys, each percent-encoded, with commas between them.").min_length(Some(1));
    let description =
        format!("1 to {ROWS_PER_READ_MAX} keys with commas between them. A comma in a key is `%2C`.");
    let rows = of_collection(
        HttpMethod::Get,
        COLLECTION_PATH,
        PUBLIC,
        "readRows",
        "Read rows of the catalogue",
    )
    .description(
        "All of them have every change up to one version of the collection. Rows of a source may be newer.",
    )
    .parameter(required(optional_parameter("keys", ParameterIn::Query, &description, keys)))
    .parameter(min_version())
    .json(200, "The rows that there are, and the keys of the others.", "Rows", rows_example())
    .problems(&[Code::CollectionNotFound, Code::Incoherent, Code::SourceUnavailable]);
    [row, rows].map(|read| [200, 304].into_iter().fold(read, with_freshness))
}

pub(super) fn of_operator() -> [Operation; 4] {
    let put = of_collection(HttpMethod::Put, ROW_PATH, OPERATOR, "putRow", "Put a row into the catalogue")
        .description("Every read that begins after the answer finds it.")
        .parameter(key())
        .body("Row", row_example())
        .json(
            200,
            "The row is as asked.",
            "RowPut",
            json!({"collection": "products", "key": "106", "version": "7"}),
        );
    let deleted =
        of_collection(HttpMethod::Delete, ROW_PATH, OPERATOR, "deleteRow", "Take a row out of the catalogue")
            .parameter(key())
            .answer(204, ResponseBuilder::new().description("The row is gone."))
            .header(204, "Onrush-Version", text_header("The version of the collection without it."))
            .problems(&[Code::RowNotFound]);
    let description = format!(
        "A line of JSON for each row, at most {ROWS_PER_PUT_MAX} lines whose keys and rows have at most {ROWS_BYTES_MAX} bytes together, 8 more for each \
         line counted. All rows or none are put, as one change."
    );
    let many = of_collection(
        HttpMethod::Post,
        COLLECTION_PATH,
        OPERATOR,
        "putRows",
        "Put many rows into the catalogue",
    )
    .description(&description)
    .body_as(JSON_LINES, "RowLine", json!({"key": "106", "row": row_example()}))
    .json(200, "All rows are as asked.", "RowsPut", json!({"rows": 1, "version": "7"}));
    let listed =
        Operation::new(HttpMethod::Get, "/v1/catalog", OPERATOR, "listCollections", "List the catalogue")
            .description(
                "Every collection that the settings name. Reads are counted from the start of the server.",
            )
            .json(200, "All collections.", "CollectionList", json!({"collections": [collection_example()]}));
    let [put, deleted, many] = [put, deleted, many].map(|it| it.asks().problems(&[Code::CollectionNotFound]));
    [put, deleted, many, listed]
}

fn of_collection(
    method: HttpMethod,
    path: &'static str,
    tag: &'static str,
    id: &str,
    summary: &str,
) -> Operation {
    Operation::new(method, path, tag, id, summary).name(
        "collection",
        "products",
        "The name of the collection in the settings.",
    )
}

/// What says how old an answer can be.
fn with_freshness(read: Operation, status: u16) -> Operation {
    let version = "The version of the collection up to which every change is in the answer. Absent if the rows were read from their source just \
                   now, because nothing is known of those in memory; then the answer is behind by 0.";
    read.header(status, "Onrush-Version", text_header(version))
        .header(
            status,
            "Onrush-Lag-Ms",
            text_header("Milliseconds that the answer can be behind the source of the rows."),
        )
        .header(status, "Age", text_header("Seconds that the answer can be behind the source of the rows."))
}

fn key() -> Parameter {
    let description = "The key of the row, percent-encoded.";
    let schema = text(description).min_length(Some(1)).max_length(Some(ROW_KEY_CHARACTERS_MAX));
    path_parameter("key", "106", description, schema.into())
}

fn min_version() -> Parameter {
    let description = "Waits up to `catalog.wait_ms_max` until the collection has this version or a later one: read your own change with the version \
                       that it was answered with. For rows from PostgreSQL, a place in its log, as `pg_current_wal_lsn()` tells it, is a version as well; for rows from MariaDB \
                       or MySQL, transactions, such as `0-1-4711`, or file and position of the binary log, such as `binlog.000001:4711`.";
    let gtids = "([0-9]{1,10}-[0-9]{1,10}-[0-9]{1,20}\
                 |[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}(:[0-9]{1,19}(-[0-9]{1,19})?)+)";
    let pattern = format!(
        "^([0-9]+|[0-9A-Fa-f]{{1,8}}/[0-9A-Fa-f]{{1,8}}|[0-9A-Za-z_-]+\\.[0-9]{{1,10}}:[0-9]{{1,10}}|{gtids}(,\\s*{gtids})*)$"
    );
    let schema = text("A version as it was given out.").pattern(Some(pattern));
    optional_parameter("min_version", ParameterIn::Query, description, schema)
}

fn required(mut parameter: Parameter) -> Parameter {
    parameter.required = utoipa::openapi::Required::True;
    parameter
}

pub(in crate::api) fn schemas() -> [(&'static str, RefOr<Schema>); 7] {
    let version = || {
        text("Counts the changes of the collection, or is a place in the log of its source.")
            .pattern(Some("^[0-9]+$"))
    };
    let key = || text("Its key.").min_length(Some(1)).max_length(Some(ROW_KEY_CHARACTERS_MAX));
    let row = ObjectBuilder::new()
        .description(Some(format!("A row: any JSON object of at most {ROW_BYTES_MAX} bytes.")))
        .additional_properties(Some(AdditionalProperties::FreeForm(true)));
    let by_key = ObjectBuilder::new()
        .description(Some("Rows by their keys."))
        .additional_properties(Some(AdditionalProperties::RefOr(named("Row"))));
    let rows = vec![
        ("rows", by_key.into()),
        ("missing", list("Keys that no row has.", key().into(), None)),
        ("version", version().schema_type(SchemaType::from_iter([Type::String, Type::Null])).into()),
    ];
    let put =
        vec![("collection", name("Its collection.")), ("key", key().into()), ("version", version().into())];
    let puts = vec![
        ("rows", whole("How many there were.", 1, Some(ROWS_PER_PUT_MAX)).into()),
        ("version", version().into()),
    ];
    [
        ("Row", row.into()),
        ("Rows", object("Rows with every change up to one version of a collection.", rows)),
        ("RowLine", object("A row among many.", vec![("key", key().into()), ("row", named("Row"))])),
        ("RowPut", object("A row that was put.", put)),
        ("RowsPut", object("Rows that were put.", puts)),
        ("Collection", collection(version().into())),
        (
            "CollectionList",
            object("The catalogue.", vec![("collections", list("By name.", named("Collection"), None))]),
        ),
    ]
}

fn collection(version: RefOr<Schema>) -> RefOr<Schema> {
    let number = |description: &str| whole(description, 0, None).into();
    let hit_rate = ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::Number, Type::Null]))
        .description(Some("The share of rows asked for that were found in memory; null before the first."))
        .minimum(Some(0))
        .maximum(Some(1));
    let lag_ms = whole("Milliseconds that it can be behind its source; null if it is not coherent.", 0, None)
        .schema_type(SchemaType::from_iter([Type::Integer, Type::Null]));
    let last_error =
        ObjectBuilder::new().schema_type(SchemaType::from_iter([Type::String, Type::Null])).description(
            Some("Why rows could not be had from the source, the last time; null if they always could."),
        );
    object(
        "One collection of the catalogue.",
        vec![
            ("collection", name("Its name.")),
            ("source", one_of("Where its rows are from.", &["embedded", "postgres", "debezium"])),
            ("state", one_of("Whether it is as its source is.", &["coherent", "loading", "incoherent"])),
            ("lag_ms", lag_ms.into()),
            ("version", version),
            ("rows", number("How many rows there are.")),
            ("bytes", number("Bytes of those rows.")),
            ("loading_rows?", number("While all rows are being read: how many have been.")),
            (
                "memory_bytes?",
                number("What rows of a source take in memory, to be held against `memory_bytes_max`."),
            ),
            ("fetches?", number("Statements that read rows of a source, the loading of all aside.")),
            ("fetched_rows?", number("Rows that those statements asked for.")),
            ("reads_found", number("Rows that were asked for and found.")),
            ("reads_missing", number("Rows that were asked for and not there.")),
            ("hit_rate", hit_rate.into()),
            ("last_error", last_error.into()),
        ],
    )
}

fn row_example() -> Value {
    json!({"name": "Red chair", "price_cents": 4900})
}

fn rows_example() -> Value {
    json!({"rows": {"106": row_example()}, "missing": ["107"], "version": "7"})
}

fn collection_example() -> Value {
    json!({
        "collection": "products",
        "source": "embedded",
        "state": "coherent",
        "lag_ms": 0,
        "version": "7",
        "rows": 1,
        "bytes": 42,
        "reads_found": 3,
        "reads_missing": 1,
        "hit_rate": 0.75,
        "last_error": null,
    })
}
