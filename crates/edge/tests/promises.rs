//! Holds `docs/openapi.json` against `docs/openapi-promises.txt`, which lists what clients of earlier versions rely on: calls,
//! statuses and codes, fields of answers that are always there, and what a request may and must have.
//!
//! With `ADD_PROMISES=1` in the environment (`cargo xtask promises`) what is new is added to the list. Nothing is ever taken away.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde_json::Value;

const HEAD: &str = "\
# What clients of the HTTP API rely on. `cargo xtask promises` adds what is new, and CONTRIBUTING.md says what else to know.
# `answers`: statuses, with the codes of problems. `gives`: fields that the body of such an answer always has.
# `takes`: fields and parameters that may be there. `needs`: those of them that must be.

";

/// What a list of words is about, such as `GET /v1/sales takes`, with the words.
type Promises = BTreeMap<String, BTreeSet<String>>;

fn path_of(name: &str) -> String {
    format!("{}/../../docs/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn read(name: &str) -> String {
    let path = path_of(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("read {path}: {error}"))
}

/// The members of an object; none if there is no object.
fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

/// What a part of the document is, be it there or somewhere else in the document.
fn resolve<'a>(document: &'a Value, part: &'a Value) -> &'a Value {
    match part["$ref"].as_str() {
        Some(reference) => document
            .pointer(reference.trim_start_matches('#'))
            .unwrap_or_else(|| panic!("{reference} is nowhere")),
        None => part,
    }
}

/// Adds the fields of a schema, those of inner objects behind a dot, all of them or only the required ones.
fn add_fields(
    document: &Value,
    schema: &Value,
    before: &str,
    only_required: bool,
    fields: &mut BTreeSet<String>,
) {
    let schema = resolve(document, schema);
    if schema.get("items").is_some() {
        return add_fields(document, &schema["items"], &format!("{before}[]"), only_required, fields);
    }
    let required: Vec<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for (name, inner) in members(&schema["properties"]) {
        if !only_required || required.contains(&name.as_str()) {
            let field = if before.is_empty() { name.clone() } else { format!("{before}.{name}") };
            add_fields(document, inner, &field, only_required, fields);
            fields.insert(field);
        }
    }
}

/// Adds what one operation promises; `call` is its method and path.
fn add_operation(document: &Value, call: &str, operation: &Value, promises: &mut Promises) {
    let mut answers = BTreeSet::new();
    for (status, response) in members(&operation["responses"]) {
        answers.insert(status.clone());
        for (content_type, content) in members(&resolve(document, response)["content"]) {
            if content_type == "application/problem+json" {
                answers.extend(members(&content["examples"]).map(|(code, _)| format!("{status}:{code}")));
            } else {
                let mut fields = BTreeSet::new();
                add_fields(document, &content["schema"], "", true, &mut fields);
                promises.insert(format!("{call} gives {status} {content_type}"), fields);
            }
        }
    }
    promises.insert(format!("{call} answers"), answers);
    let (mut takes, mut needs) = (BTreeSet::new(), BTreeSet::new());
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        let parameter = resolve(document, parameter);
        let place = parameter["in"].as_str().unwrap_or_default();
        if place != "path" {
            let name = format!("{place}:{}", parameter["name"].as_str().unwrap_or_default());
            needs.extend((parameter["required"] == true).then(|| name.clone()));
            takes.insert(name);
        }
    }
    for (content_type, content) in members(&operation["requestBody"]["content"]) {
        takes.insert(content_type.clone());
        add_fields(document, &content["schema"], "", false, &mut takes);
        add_fields(document, &content["schema"], "", true, &mut needs);
    }
    promises.insert(format!("{call} takes"), takes);
    promises.insert(format!("{call} needs"), needs);
}

fn promises_of(document: &Value) -> Promises {
    let mut promises = Promises::new();
    for (path, item) in members(&document["paths"]) {
        for (method, operation) in members(item) {
            add_operation(document, &format!("{} {path}", method.to_uppercase()), operation, &mut promises);
        }
    }
    promises
}

fn parse(list: &str) -> Promises {
    let lines = list.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let (about, words) = line.split_once(" = ").unwrap_or((line.trim_end_matches(" ="), ""));
            (about.to_owned(), words.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect())
        })
        .collect()
}

fn write(promises: &Promises) -> String {
    let mut list = HEAD.to_owned();
    for (about, words) in promises {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let line = format!("{about} = {}", words.join(" "));
        writeln!(list, "{}", line.trim_end()).expect("a String takes every write");
    }
    list
}

/// What clients relied on and no longer can.
fn broken(promised: &Promises, now: &Promises) -> Vec<String> {
    let mut broken = Vec::new();
    for (about, words) in promised {
        let Some(kept) = now.get(about) else {
            broken.push(format!("{about}: no longer there"));
            continue;
        };
        if about.ends_with(" needs") {
            broken.extend(kept.difference(words).map(|word| format!("{about}: now {word} as well")));
        } else {
            broken.extend(words.difference(kept).map(|word| format!("{about}: no longer {word}")));
        }
    }
    broken
}

/// The promises, and those that are new.
fn extended(promised: &Promises, now: &Promises) -> Promises {
    let mut extended = promised.clone();
    for (about, words) in now {
        let promise = extended.entry(about.clone()).or_insert_with(|| words.clone());
        if about.ends_with(" needs") {
            promise.retain(|word| words.contains(word));
        } else {
            promise.extend(words.iter().cloned());
        }
    }
    extended
}

#[test]
fn the_api_keeps_its_promises() {
    let document = serde_json::from_str(&read("openapi.json")).expect("the document is JSON");
    let now = promises_of(&document);
    let promised = parse(&read("openapi-promises.txt"));
    let broken = broken(&promised, &now);
    assert!(
        broken.is_empty(),
        "clients of earlier versions rely on what is no longer so:\n{}\n\
         Keep it. If the break is wanted, take the words out of docs/openapi-promises.txt by hand, say in CHANGELOG.md what \
         clients have to do, and see docs/releasing.md for the version.",
        broken.join("\n")
    );
    if std::env::var_os("ADD_PROMISES").is_some() {
        let path = path_of("openapi-promises.txt");
        std::fs::write(&path, write(&extended(&promised, &now)))
            .unwrap_or_else(|error| panic!("write {path}: {error}"));
    } else {
        assert!(promised.len() > 50, "the list was read");
    }
}

#[test]
fn a_broken_promise_is_noticed() {
    let promised = parse(
        "# Head\n\nGET /a answers = 200 404:not_found\nGET /a gives 200 text/json = a a.b\nGET /a needs =\nGET /a takes = c\n",
    );
    assert_eq!(parse(&write(&promised)), promised);
    let check = |from: &str, to: &str, expected: &[&str]| {
        let now = parse(&write(&promised).replace(from, to));
        assert_eq!(broken(&promised, &now), expected, "{from} becomes {to}");
        let both = extended(&promised, &now);
        assert_eq!(broken(&promised, &both), [""; 0], "what is added breaks nothing");
    };
    check("404:not_found", "404:not_found 409:sale_closed", &[]);
    check("404:not_found", "410", &["GET /a answers: no longer 404:not_found"]);
    check("a.b", "", &["GET /a gives 200 text/json: no longer a.b"]);
    check("takes = c", "takes = c d", &[]);
    check("takes = c", "takes = d", &["GET /a takes: no longer c"]);
    check("needs =", "needs = c", &["GET /a needs: now c as well"]);
    check("GET /a needs", "GET /b needs", &["GET /a needs: no longer there"]);
}

#[test]
fn promises_are_read_from_a_document() {
    let document = serde_json::json!({
        "paths": {"/a": {"post": {
            "parameters": [{"name": "id", "in": "path", "required": true}, {"name": "key", "in": "header"}],
            "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/A"}}}},
            "responses": {
                "200": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/A"}}}},
                "404": {"$ref": "#/components/responses/lost"},
            },
        }}},
        "components": {
            "schemas": {"A": {
                "required": ["lines"],
                "properties": {
                    "lines": {"items": {"required": ["stock"], "properties": {"stock": {}, "note": {}}}},
                    "details": {},
                },
            }},
            "responses": {"lost": {"content": {"application/problem+json": {"examples": {"not_found": {}}}}}},
        },
    });
    let expected = "POST /a answers = 200 404 404:not_found\n\
                    POST /a gives 200 application/json = lines lines[].stock\n\
                    POST /a needs = lines lines[].stock\n\
                    POST /a takes = application/json details header:key lines lines[].note lines[].stock\n";
    assert_eq!(promises_of(&document), parse(expected));
}
