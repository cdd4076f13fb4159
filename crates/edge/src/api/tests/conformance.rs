//! Holds an answer against the `OpenAPI` document: its status is documented for its operation, and so are its content type, the
//! header fields that say how to go on, and every field of its body. Knows the part of JSON Schema that the document uses.

use std::sync::LazyLock;

use serde_json::{Map, Value};

static DOCUMENT: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(&crate::openapi::document()).expect("the document is JSON"));

/// Method, path and tag of every operation.
pub(super) fn operations() -> Vec<(String, String, String)> {
    let paths = DOCUMENT["paths"].as_object().expect("paths");
    let of_path = |(path, item): (&String, &Value)| {
        let operations = item.as_object().cloned().unwrap_or_default();
        let path = path.clone();
        operations.into_iter().map(move |(method, operation)| {
            let tag = operation["tags"][0].as_str().unwrap_or_default().to_owned();
            (method.to_uppercase(), path.clone(), tag)
        })
    };
    paths.iter().flat_map(of_path).collect()
}

/// A body of JSON that an operation takes.
pub(super) struct JsonBody {
    pub(super) operation: (String, String, String),
    pub(super) content_type: &'static str,
    pub(super) schema: &'static Value,
    pub(super) example: Value,
}

/// Every body of JSON that an operation takes, with its example.
pub(super) fn json_bodies() -> Vec<JsonBody> {
    let of_operation = |operation: (String, String, String)| {
        let (method, path, _) = &operation;
        let content = DOCUMENT["paths"][path][method.to_lowercase()]["requestBody"]["content"].as_object();
        let (content_type, content) = content?.iter().next().expect("a content type");
        content_type.ends_with("json").then(|| JsonBody {
            content_type,
            schema: resolve(&content["schema"]),
            example: content["examples"]["example"]["value"].clone(),
            operation,
        })
    };
    operations().into_iter().filter_map(of_operation).collect()
}

/// Whether null is a value of this schema.
pub(super) fn takes_null(schema: &Value) -> bool {
    conforms(schema, &Value::Null).is_ok()
}

/// A target of this path, which the stand-in for a partition knows.
pub(super) fn target_of(path: &str) -> String {
    [
        ("{sale}", "PWTC"),
        ("{name}", "PWTC"),
        ("{reservation}", "{id}"),
        ("{counter}", "home"),
        ("{window}", "home"),
        ("{sink}", "shop"),
        ("{customer}", "ann"),
        ("{kind}", "customer"),
        ("{value}", "ada"),
        ("{collection}", "products"),
        ("{key}", "1"),
    ]
    .into_iter()
    .fold(path.to_owned(), |target, (open, value)| target.replace(open, value))
}

/// Fails if a problem is not as the document says of problems. Its examples are problems as they are really written.
pub(super) fn check_problems() {
    let schema = &DOCUMENT["components"]["schemas"]["Problem"];
    let examples = DOCUMENT["components"]["examples"].as_object().expect("examples");
    for (code, example) in examples {
        let outcome = conforms(schema, &example["value"]);
        assert!(outcome.is_ok(), "{code}: {outcome:?}");
    }
}

/// Fails if a reference in the document leads nowhere.
pub(super) fn check_references() {
    fn visit(part: &'static Value) {
        resolve(part);
        match part {
            Value::Array(items) => items.iter().for_each(visit),
            Value::Object(fields) => fields.values().for_each(visit),
            _ => {}
        }
    }
    visit(&DOCUMENT);
}

/// Fails if the document does not allow this answer. Methods and paths that it does not have are not looked at.
pub(super) fn check(method: &str, target: &str, parts: &http::response::Parts, body: &str) {
    let path = target.split('?').next().unwrap_or_default();
    let Some(operation) = find(method, path) else { return };
    let status = parts.status.as_str();
    let response = resolve(&operation["responses"][status]);
    assert!(response.is_object(), "{method} {target}: {status} is not documented");
    for field in ["allow", "location", "etag", "retry-after", "idempotent-replayed", "www-authenticate"] {
        let documented = response["headers"]
            .as_object()
            .is_some_and(|headers| headers.keys().any(|name| name.eq_ignore_ascii_case(field)));
        assert!(
            documented || !parts.headers.contains_key(field),
            "{method} {target}: {status} has an undocumented {field}"
        );
    }
    let content_type = parts.headers.get("content-type").and_then(|value| value.to_str().ok());
    let Some(content_type) = content_type.and_then(|value| value.split(';').next()) else {
        assert!(response.get("content").is_none(), "{method} {target}: {status} should have content");
        return;
    };
    let schema = &response["content"][content_type]["schema"];
    assert!(schema.is_object(), "{method} {target}: {status} as {content_type} is not documented");
    let value = if content_type.ends_with("json") {
        serde_json::from_str(body).expect("a body that says it is JSON")
    } else {
        Value::from(body)
    };
    if let Err(reason) = conforms(schema, &value) {
        panic!("{method} {target}: {status} {body}: {reason}");
    }
}

fn find(method: &str, path: &str) -> Option<&'static Value> {
    let segments: Vec<&str> = path.split('/').collect();
    let matches = |template: &str| {
        let template: Vec<&str> = template.split('/').collect();
        template.len() == segments.len()
            && template.iter().zip(&segments).all(|(t, s)| t == s || t.starts_with('{') && !s.is_empty())
    };
    let paths = DOCUMENT["paths"].as_object()?;
    paths.iter().find(|(template, _)| matches(template)).and_then(|(_, item)| item.get(method.to_lowercase()))
}

/// What a reference stands for; anything else stands for itself.
pub(super) fn resolve(part: &Value) -> &Value {
    let Some(reference) = part["$ref"].as_str() else { return part };
    let pointer = reference.strip_prefix('#').expect("a reference into the document");
    DOCUMENT.pointer(pointer).expect("a part that exists")
}

fn conforms(schema: &Value, value: &Value) -> Result<(), String> {
    let schema = resolve(schema);
    let types = match &schema["type"] {
        Value::Array(types) => types.iter().filter_map(Value::as_str).collect(),
        one => one.as_str().into_iter().collect::<Vec<_>>(),
    };
    let found = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_u64() || number.is_i64() => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    ensure(types.contains(&found), || format!("{value} is not of {types:?}"))?;
    if let Some(allowed) = schema["enum"].as_array() {
        ensure(allowed.contains(value), || format!("{value} is not one of {allowed:?}"))?;
    }
    if let (Some(number), Some(minimum)) = (value.as_u64(), schema["minimum"].as_f64()) {
        #[allow(clippy::cast_precision_loss, reason = "small numbers in tests")]
        ensure(number as f64 >= minimum, || format!("{number} is below {minimum}"))?;
    }
    match value {
        Value::Array(items) => items.iter().try_for_each(|item| conforms(&schema["items"], item)),
        Value::Object(fields) => object_conforms(schema, fields),
        _ => Ok(()),
    }
}

fn object_conforms(schema: &Value, fields: &Map<String, Value>) -> Result<(), String> {
    for required in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        ensure(fields.contains_key(required), || format!("{required} is missing"))?;
    }
    for (name, field) in fields {
        let others = &schema["additionalProperties"];
        let property = schema["properties"].get(name).or_else(|| Some(others).filter(|it| it.is_object()));
        match property {
            Some(property) => conforms(property, field).map_err(|reason| format!("{name}: {reason}"))?,
            None => ensure(*others == Value::Bool(true), || format!("{name} is unknown"))?,
        }
    }
    Ok(())
}

fn ensure(holds: bool, reason: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(reason()) }
}
