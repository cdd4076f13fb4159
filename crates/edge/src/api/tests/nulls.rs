//! Null in a body: a field takes it where the document says so, and nowhere else.

use std::sync::Arc;

use onrush_gate::jwt::{JwtKeys, JwtRules};
use onrush_gate::session::{Cipher, KeyId, SessionKey, SessionKeys};
use serde_json::{Value, json};

use super::conformance::{JsonBody, json_bodies, resolve, takes_null, target_of};
use super::{App, operator_router, public_router, send, shop, sinks};
use crate::components::Components;
use crate::gate::{PasswordPool, SessionSettings, Sessions};
use crate::settings::GateSettings;

const JWT_KEY: &str = r#"{"kty":"oct","k":"BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc"}"#;

/// Every route is on, so that each looks at its body.
fn app() -> Arc<App> {
    let app = Arc::into_inner(sinks::with_all()).expect("nobody else has it");
    let jwt_rules = JwtRules { issuer: None, audience: None, customer_claim: "sub".into(), clock_skew_ms: 0 };
    let settings = SessionSettings { ttl_ms: 1_000, secure_cookies: false, jwt_rules };
    let key = SessionKey::new(KeyId(1), Cipher::default(), &[1; 32], 0).expect("a key");
    let sessions = Sessions::new(settings, SessionKeys::one(key), JwtKeys::parse(JWT_KEY).expect("a key"));
    let components = Components {
        sessions: Some(Arc::new(sessions)),
        passwords: Some(Arc::new(PasswordPool::start().expect("threads"))),
        sinks: app.components.sinks.clone(),
        replica: None,
        node: None,
        lost_line_count: None,
    };
    let app = app.with_components(components).with_gate(GateSettings::default());
    Arc::new(app.with_catalog(shop::catalog()))
}

/// A value of a field that the example leaves out.
fn sample(schema: &Value) -> Value {
    let schema = resolve(schema);
    let kind = schema["type"].as_str().or_else(|| schema["type"][0].as_str()).expect("a type");
    match kind {
        "object" => {
            let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
            required.map(|name| (name.to_owned(), sample(&schema["properties"][name]))).collect()
        }
        "array" => json!([sample(&schema["items"])]),
        "integer" => json!(1),
        _ => json!("a"),
    }
}

/// One part of a body that is null.
struct Null {
    /// As a problem names it.
    path: String,
    is_taken: bool,
    body: Value,
}

/// `body` once for each of its parts, which is null in it.
fn nulls(schema: &Value, body: &Value) -> Vec<Null> {
    let schema = resolve(schema);
    let fields = schema["properties"].as_object().into_iter().flatten();
    let of_fields = fields.flat_map(|(name, field)| {
        let own = if body[name].is_null() { sample(field) } else { body[name].clone() };
        let with = |value: Value| {
            let mut body = body.clone();
            body[name] = value;
            body
        };
        within(field, &own)
            .map(move |null| {
                let dot = if null.path.is_empty() || null.path.starts_with('[') { "" } else { "." };
                Null { path: format!("{name}{dot}{}", null.path), body: with(null.body), ..null }
            })
            .collect::<Vec<_>>()
    });
    let of_items = body.as_array().into_iter().flat_map(|items| {
        within(&schema["items"], &items[0]).map(|null| {
            let dot = if null.path.is_empty() { "" } else { "." };
            Null { path: format!("[0]{dot}{}", null.path), body: vec![null.body].into(), ..null }
        })
    });
    of_fields.chain(of_items).collect()
}

/// The same, and the whole of it is null first.
fn within(schema: &Value, body: &Value) -> impl Iterator<Item = Null> {
    let whole = Null { path: String::new(), is_taken: takes_null(schema), body: Value::Null };
    std::iter::once(whole).chain(nulls(schema, body))
}

#[test]
fn a_field_takes_null_where_the_document_says_so_and_nowhere_else() {
    let app = app();
    let (public, operator) = (public_router(Arc::clone(&app)), operator_router(app));
    let (mut taken_count, mut refused_count) = (0, 0);
    for JsonBody { operation: (method, path, tag), content_type, schema, example } in json_bodies() {
        let router = if tag == "operator" { &operator } else { &public };
        for Null { path: field, is_taken, body } in within(schema, &example) {
            let request = format!("{method} {}\ncontent-type: {content_type}\n\n{body}", target_of(&path));
            let (status, _, answer) = send(router, &request);
            if is_taken {
                assert_ne!(status, 400, "{request}\n{answer}");
                taken_count += 1;
            } else {
                let names_it = field.is_empty() || answer.contains(&format!("`{field}` must be "));
                assert!(status == 400 && names_it, "{field}: {request}\n{status} {answer}");
                refused_count += 1;
            }
        }
    }
    assert!(taken_count > 20 && refused_count > 40, "{taken_count} and {refused_count} were asked");
}
