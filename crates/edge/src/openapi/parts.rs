//! Small schemas of which the others are made.

use onrush_core::NAME_BYTES_MAX;
use serde_json::Value;
use utoipa::openapi::schema::{
    AdditionalProperties, ArrayBuilder, ObjectBuilder, SchemaFormat, SchemaType, Type,
};
use utoipa::openapi::{KnownFormat, Ref, RefOr, Schema};

/// What a name matches, as a regular expression of JSON Schema.
/// Not `.` and not `..`; how long it may be is said beside it.
pub(crate) const NAME_PATTERN: &str = "^(\\.{3}|\\.{0,2}[A-Za-z0-9_~:@-])[A-Za-z0-9._~:@-]*$";

const _: () = assert!(NAME_BYTES_MAX == 64, "the pattern says this number");

/// An object without other fields than these; a `?` after a name makes the field optional.
pub(crate) fn object(description: &str, fields: Vec<(&str, RefOr<Schema>)>) -> RefOr<Schema> {
    object_of(Type::Object.into(), description, fields)
}

/// The same, or null.
pub(crate) fn object_or_null(description: &str, fields: Vec<(&str, RefOr<Schema>)>) -> RefOr<Schema> {
    object_of(SchemaType::from_iter([Type::Object, Type::Null]), description, fields)
}

fn object_of(types: SchemaType, description: &str, fields: Vec<(&str, RefOr<Schema>)>) -> RefOr<Schema> {
    let mut object = ObjectBuilder::new()
        .schema_type(types)
        .description(Some(description))
        .additional_properties(Some(AdditionalProperties::FreeForm(false)));
    for (name, schema) in fields {
        object = match name.strip_suffix('?') {
            Some(name) => object.property(name, schema),
            None => object.property(name, schema).required(name),
        };
    }
    object.into()
}

/// A reference to a schema of the components.
pub(crate) fn named(schema: &str) -> RefOr<Schema> {
    Ref::from_schema_name(schema).into()
}

pub(crate) fn name(description: &str) -> RefOr<Schema> {
    name_text(description).into()
}

/// A name, to which more may be said.
pub(crate) fn name_text(description: &str) -> ObjectBuilder {
    text(description).pattern(Some(NAME_PATTERN)).min_length(Some(1)).max_length(Some(NAME_BYTES_MAX))
}

pub(crate) fn text(description: &str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).description(Some(description))
}

pub(crate) fn one_of(description: &str, values: &[&str]) -> RefOr<Schema> {
    text(description).enum_values(Some(values.iter().copied())).into()
}

pub(crate) fn whole(description: &str, minimum: usize, maximum: Option<usize>) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::Integer)
        .description(Some(description))
        .minimum(Some(minimum))
        .maximum(maximum)
}

/// A time in an answer.
pub(crate) fn time(description: &str) -> RefOr<Schema> {
    text(description).format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime))).into()
}

/// A time in an answer that may be absent.
pub(crate) fn time_or_null(description: &str) -> ObjectBuilder {
    text(description)
        .schema_type(SchemaType::from_iter([Type::String, Type::Null]))
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
}

/// A time in a request: with `Z` or an offset, from 1970 on.
/// Times that a request may name begin with the Unix epoch.
pub(crate) const FROM_1970: &str = "^(19[7-9][0-9]|[2-9][0-9]{3})-";

pub(crate) fn request_time(description: &str) -> RefOr<Schema> {
    time_or_null(description).pattern(Some(FROM_1970)).default(Some(Value::Null)).into()
}

pub(crate) fn list(description: &str, items: RefOr<Schema>, bounds: Option<(usize, usize)>) -> RefOr<Schema> {
    ArrayBuilder::new()
        .description(Some(description))
        .items(items)
        .min_items(bounds.map(|(min, _)| min))
        .max_items(bounds.map(|(_, max)| max))
        .into()
}
