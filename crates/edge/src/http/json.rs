//! Reads JSON bodies strictly: an object where an object is due, no unknown, repeated or missing field, and null only where it means
//! something. What is wrong is told by the path of the field and the rule that it breaks.

use std::fmt;
use std::marker::PhantomData;

use onrush_core::{
    COOLDOWN_MS_MAX, HOLD_TTL_MS_MAX, HOLDS_UNPAID_MAX_MAX, LINES_MAX, NEW_NAME_RULE, PANES_MAX,
    PER_CUSTOMER_MAX_MAX, QUANTITY_MAX, QUANTITY_TOTAL_MAX, REASON_BYTES_MAX, SPAN_MS_MAX,
    STOCKS_PER_SALE_MAX, TITLE_BYTES_MAX,
};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor, value::MapAccessDeserializer};

use crate::problem::Problem;

/// A `T` that is written as a JSON object. Derived readers of structs would take an array of the fields as well.
#[derive(Debug)]
pub(crate) struct Object<T>(
    /// What was read.
    pub T,
);

/// Reads a body as an object of `T`. The first pass is the fast one; only a body that it rejects is read again to find the
/// path of the field at fault.
pub(crate) fn parse_json<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Problem> {
    if body.is_empty() {
        return Err(Problem::malformed("The body is missing; send a JSON object."));
    }
    // Whether it is text is asked once of the whole, which is cheaper than of every string in it.
    let read = match std::str::from_utf8(body) {
        Ok(text) => serde_json::from_str::<Object<T>>(text),
        Err(_) => serde_json::from_slice(body),
    };
    match read {
        Ok(Object(read)) => Ok(read),
        Err(error) => Err(explain::<T>(body, &error)),
    }
}

/// Reads a field that is there, whatever its value; by `#[serde(default)]` one that is absent is `None`. Serde by itself takes null for
/// absent. Here null is a value like any other, which few fields take.
pub(crate) fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

fn explain<'a, T: Deserialize<'a>>(body: &'a [u8], error: &serde_json::Error) -> Problem {
    if !error.is_data() {
        return Problem::malformed(format!("The body is not valid JSON: {error}."));
    }
    let mut reader = serde_json::Deserializer::from_slice(body);
    let Err(located) = serde_path_to_error::deserialize::<_, Object<T>>(&mut reader) else {
        return Problem::malformed(format!("The body is not as expected: {error}."));
    };
    let message = located.inner().to_string();
    let path = located.path().to_string();
    for (prefix, rule) in
        [("unknown", "is not a known field"), ("missing", "is missing"), ("duplicate", "is given twice")]
    {
        let named = message.strip_prefix(prefix).and_then(|rest| rest.strip_prefix(" field `"));
        if let Some((name, _)) = named.and_then(|rest| rest.split_once('`')) {
            return Problem::invalid(field_path(&path, name), rule);
        }
    }
    let field = path.rsplit('.').next().unwrap_or_default();
    if path.is_empty() || path == "." {
        Problem::malformed("The body must be a JSON object.")
    } else {
        // The field `challenge` of a gate says which kind, that of a claim brings one.
        let field = if path == "gate.challenge" { &path } else { field };
        Problem::invalid(path.clone(), &rule_of(field))
    }
}

/// The path of field `name` in the object at `path`, where the path may already end in the field itself.
fn field_path(path: &str, name: &str) -> String {
    let parent = path.strip_suffix(name).map_or(path, |parent| parent.strip_suffix('.').unwrap_or(parent));
    let parent = parent.strip_suffix(".?").unwrap_or(parent);
    if matches!(parent, "" | "." | "?") { name.to_owned() } else { format!("{parent}.{name}") }
}

/// What the value of a field must be.
fn rule_of(field: &str) -> String {
    match field {
        "product_ids" | "productIds" => "must be a list of whole numbers".to_owned(),
        _ if field.starts_with("product_ids[") || field.starts_with("productIds[") => {
            "must be a whole number".to_owned()
        }
        "customer" | "stock" => NEW_NAME_RULE.to_owned(),
        "lines" => format!("must be a list of 1 to {LINES_MAX} objects"),
        "stocks" => format!("must be a list of 1 to {STOCKS_PER_SALE_MAX} objects"),
        "quantity" => format!("must be a whole number from 1 to {QUANTITY_MAX}"),
        "details" | "gate" => "must be a JSON object".to_owned(),
        "title" => format!("must be a string of at most {TITLE_BYTES_MAX} bytes"),
        "reason" => format!("must be a string of at most {REASON_BYTES_MAX} bytes"),
        "expires_at" | "opens_at" | "closes_at" | "starts_at" | "ends_at" => {
            "must be an RFC 3339 time or null".to_owned()
        }
        "per_customer_max" => format!("must be a whole number from 1 to {PER_CUSTOMER_MAX_MAX}, or null"),
        "hold_ttl_ms" => format!("must be a whole number from 0 to {HOLD_TTL_MS_MAX}"),
        "session" => "must be off, optional or required".to_owned(),
        "gate.challenge" => "must be off, image, proof_of_work or either".to_owned(),
        "cooldown_ms" => format!("must be a whole number from 0 to {COOLDOWN_MS_MAX}"),
        "holds_unpaid_max" => format!("must be a whole number from 1 to {HOLDS_UNPAID_MAX_MAX}, or null"),
        "confirm_by" => "must be anyone or operator".to_owned(),
        "mode" => "must be enforce or shadow".to_owned(),
        "quantity_total" => format!("must be a whole number from 0 to {QUANTITY_TOTAL_MAX}"),
        "span_ms" => format!("must be a whole number of at most {SPAN_MS_MAX}"),
        "offset" => "must be a whole number".to_owned(),
        "precision_ms" => {
            format!("must be a whole number from 1 to span_ms, at most {PANES_MAX} of them in it")
        }
        _ if field.ends_with(']') => "must be a JSON object".to_owned(),
        _ => "must be a string".to_owned(),
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor(PhantomData))
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = Object<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Object)
    }
}
