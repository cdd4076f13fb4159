//! The schemas of the bodies, and an example.

use serde_json::{Value, json};
use utoipa::openapi::schema::{AdditionalProperties, ObjectBuilder, SchemaType, Type};
use utoipa::openapi::{RefOr, Schema};

use crate::openapi::parts::{list, named, object, one_of, text, time, whole};

const NAME_PATTERN: &str = "^[a-z][a-z0-9_-]{0,31}$";

pub(in crate::api) fn schemas() -> [(&'static str, RefOr<Schema>); 3] {
    [
        ("Sink", sink()),
        ("SinkList", object("All sinks.", vec![("sinks", list("By name.", named("Sink"), None))])),
        (
            "SinkSkip",
            object(
                "Names the event to leave out.",
                vec![("offset", whole("The sink's `skippable_offset`.", 0, None).into())],
            ),
        ),
    ]
}

fn sink() -> RefOr<Schema> {
    let figure = |description: &str| whole(description, 0, None).into();
    object(
        "What a sink does. Counts are since the server started.",
        vec![
            ("sink", name()),
            ("kind", one_of("What it writes to.", &["postgres", "kafka", "rabbitmq", "redis"])),
            (
                "state",
                one_of(
                    "What it is doing.",
                    &["starting", "following", "running", "waiting", "retrying", "stopped"],
                ),
            ),
            ("reason", or_null(text("Why it stopped, for people."), Type::String)),
            (
                "skippable_offset",
                or_null(whole("What `skip` has to name, if skipping can help.", 0, None), Type::Integer),
            ),
            ("sink_offset", figure("Everything below is durable in the target, or not for it.")),
            ("lag_events", figure("Events of the log that it has not passed.")),
            ("lag_ms", figure("For how long it has been behind.")),
            ("backlog_bytes", figure("Bytes of log files kept for it.")),
            ("written_count", figure("Events handed to the target, repeats included.")),
            ("failure_count", figure("Failed attempts.")),
            ("skipped_count", figure("Events left out by operators, ever.")),
            ("last_error", last_error()),
        ],
    )
}

fn last_error() -> RefOr<Schema> {
    ObjectBuilder::new()
        .description(Some("The newest failure."))
        .schema_type(SchemaType::from_iter([Type::Object, Type::Null]))
        .property("at", time("When it was."))
        .required("at")
        .property("error", text("For people; without credentials."))
        .required("error")
        .additional_properties(Some(AdditionalProperties::FreeForm(false)))
        .into()
}

fn or_null(schema: ObjectBuilder, one: Type) -> RefOr<Schema> {
    schema.schema_type(SchemaType::from_iter([one, Type::Null])).into()
}

pub(super) fn name() -> RefOr<Schema> {
    text("Its name in the settings.").pattern(Some(NAME_PATTERN)).into()
}

pub(super) fn example() -> Value {
    json!({
        "sink": "shop",
        "kind": "postgres",
        "state": "stopped",
        "reason": "the target rejects the event at offset 4711: violates check constraint \"few\"",
        "skippable_offset": 4711,
        "sink_offset": 4711,
        "lag_events": 12,
        "lag_ms": 2500,
        "backlog_bytes": 67_108_864,
        "written_count": 4711,
        "failure_count": 1,
        "skipped_count": 0,
        "last_error": {"at": "2021-05-16T08:00:00.000Z", "error": "violates check constraint \"few\""},
    })
}
