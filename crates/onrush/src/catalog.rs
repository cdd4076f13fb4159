//! `onrush catalog`: how the collections of a running server stand, and what a database needs before one can follow it.

use std::fmt::Write;

use onrush_connect::Secret;
use onrush_connect::source::{self, SourceSettings};
use serde::Deserialize;

use crate::cli::{CatalogAction, CatalogArguments};
use crate::failure::Failure;
use crate::operator_client::OperatorClient;
use crate::output::print;
use crate::terminal::{printable, printable_json};
use crate::{environment, settings, table};

#[derive(Deserialize)]
struct CollectionList {
    collections: Vec<Collection>,
}

/// A collection as the operator listener tells it.
#[derive(Deserialize)]
#[allow(clippy::struct_field_names, reason = "the fields are called what the answer calls them")]
struct Collection {
    collection: String,
    source: String,
    state: String,
    lag_ms: Option<u64>,
    version: String,
    rows: u64,
    bytes: u64,
    hit_rate: Option<f64>,
    loading_rows: Option<u64>,
    last_error: Option<String>,
}

/// Asks and prints the answer, or prepares a database.
pub(crate) fn run(typed: &CatalogArguments) -> Result<(), Failure> {
    match &typed.action {
        None => list(typed),
        Some(CatalogAction::Prepare { collection, print: prints, url, password_file }) => {
            let mut source = source_of(typed, collection)?;
            if *prints {
                return print(&statements(&source));
            }
            let role = source.role();
            if let Some(url) = url {
                source.url.clone_from(url);
            }
            if let Some(file) = password_file {
                source.password = Some(Secret::in_file(file));
            }
            source.check().map_err(|problem| anyhow::anyhow!(problem))?;
            let warning = source::prepare(&source).map_err(|error| anyhow::anyhow!("{error}"))?;
            let warning = warning.map(|warning| format!("{warning}\n")).unwrap_or_default();
            print(&format!(
                "{warning}the database is prepared: collection {collection} can follow it\n{}",
                url.as_ref().and(role).map(|role| needed(&role, &source)).unwrap_or_default()
            ))
        }
    }
}

/// Where the rows of a collection are, as the settings say.
fn source_of(typed: &CatalogArguments, collection: &str) -> Result<SourceSettings, Failure> {
    let settings = settings::load(&typed.operator.flags(), environment())?;
    let found = settings.sourced.iter().find(|sourced| *sourced.name == *collection);
    found.and_then(|sourced| sourced.source.postgres()).cloned().ok_or_else(|| {
        anyhow::anyhow!("these settings have no collection {collection:?} with source = \"postgres\", and only such a database is prepared").into()
    })
}

/// What the role that the server connects as has to have, which whoever owns the tables cannot see.
fn needed(role: &str, source: &SourceSettings) -> String {
    format!("if role {role} does not have it yet: {};\n", source::grants(role, source).join("; "))
}

/// For a superuser to run.
fn statements(source: &SourceSettings) -> String {
    let mut text = "-- once for the server, if it is not so:\n".to_owned();
    for statement in source::server_statements() {
        text.push_str(statement);
        text.push('\n');
    }
    let role = source.role().unwrap_or_else(|| "onrush".to_owned());
    for (who, statements) in [
        ("for the role of url, as a superuser", source::grants(&role, source)),
        ("in the database, as the owner of the tables", source::statements(source)),
    ] {
        writeln!(text, "-- {who}:\n{};", statements.join(";\n")).expect("a String takes every write");
    }
    text
}

fn list(typed: &CatalogArguments) -> Result<(), Failure> {
    let operator = settings::load_operator(&typed.operator.flags(), environment())?;
    let client = OperatorClient::new(operator)?;
    let answer = client.get("/v1/catalog")?;
    if typed.operator.json {
        return print(&format!("{}\n", printable_json(&answer.text()?)));
    }
    let collections = answer.value::<CollectionList>()?.collections;
    print(&format!("{}\nasked {}\n", describe(&collections), client.address()))
}

/// A line for each collection, and below them what went wrong with those that are not coherent.
fn describe(collections: &[Collection]) -> String {
    if collections.is_empty() {
        return "the server has no collections: its settings have no section [catalog.NAME]\n".to_owned();
    }
    let heads = ["COLLECTION", "SOURCE", "STATE", "LAG", "ROWS", "BYTES", "IN MEMORY", "VERSION"];
    let mut rows = vec![heads.map(str::to_owned).to_vec()];
    rows.extend(collections.iter().map(|collection| {
        let count = collection.loading_rows.unwrap_or(collection.rows);
        vec![
            collection.collection.clone(),
            collection.source.clone(),
            collection.state.clone(),
            collection.lag_ms.map_or_else(|| "-".to_owned(), |lag| format!("{lag} ms")),
            count.to_string(),
            collection.bytes.to_string(),
            collection.hit_rate.map_or_else(|| "-".to_owned(), |rate| format!("{:.1} %", rate * 100.0)),
            collection.version.clone(),
        ]
    }));
    let mut text = table::aligned(&rows, 3);
    for collection in collections.iter().filter(|collection| collection.state != "coherent") {
        if let Some(error) = &collection.last_error {
            let (name, error) = (printable(&collection.collection), printable(error));
            writeln!(text, "\n{name} is {}: {error}", collection.state).expect("a String takes every write");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collection(name: &str, state: &str) -> Collection {
        Collection {
            collection: name.to_owned(),
            source: "postgres".to_owned(),
            state: state.to_owned(),
            lag_ms: (state == "coherent").then_some(12),
            version: "4711".to_owned(),
            rows: 100,
            bytes: 5_000,
            hit_rate: (state == "coherent").then_some(0.9876),
            loading_rows: (state == "loading").then_some(50),
            last_error: Some("the server\u{1b} is a standby".to_owned()),
        }
    }

    #[test]
    fn collections_are_listed_with_what_is_wrong_with_them() {
        let text = describe(&[
            collection("products", "coherent"),
            collection("stock", "incoherent"),
            collection("pages", "loading"),
        ]);
        assert!(
            text.contains("products    postgres  coherent    12 ms   100   5000     98.8 %     4711"),
            "{text}"
        );
        assert!(text.contains("pages       postgres  loading         -    50"), "{text}");
        assert!(text.contains("stock is incoherent: the server\\u{1b} is a standby"), "{text}");
        assert!(!text.contains("products is"));
        assert!(describe(&[]).contains("no collections"));
    }
}
