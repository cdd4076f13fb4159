//! The catalogue of the settings: a section `[catalog.NAME]` for each collection, whose keys follow from its source.

mod bounded;
mod debezium;
mod keys;
mod source;
#[cfg(test)]
mod tests;
mod typed;

use std::collections::BTreeMap;
use std::time::Duration;

use onrush_edge::CatalogSettings;
use onrush_edge::scenarios::product_inventory;
use onrush_node::Name;

use super::bounds;
use super::checks::Checks;
use super::raw::{RawCatalog, RawScenarios};
use super::sections::PrintedSection;
pub(super) use keys::SECTION;
use keys::{SORT, Source};
use source::Resolved;
pub(super) use typed::TypedCollections;

/// Collections of one server. One more is refused at start.
const COLLECTIONS_MAX: usize = 256;

/// A collection whose rows are in a database, checked. Not for printing: a password may be in it.
#[derive(Clone)]
pub(crate) struct SourcedCollection {
    pub(crate) name: Name,
    pub(crate) source: CollectionSource,
}

/// Where the rows of a collection are read, and how many of them are kept.
#[derive(Clone)]
pub(crate) enum CollectionSource {
    Postgres(onrush_connect::source::SourceSettings, onrush_node::catalog::SourceSettings),
    #[cfg(feature = "kafka")]
    Debezium(onrush_connect::debezium::DebeziumSettings, onrush_node::catalog::ToldSettings),
}

impl CollectionSource {
    /// Whether it can be used; otherwise what cannot, as a sentence without credentials.
    fn check(&self) -> Result<(), String> {
        match self {
            Self::Postgres(source, _) => source.check(),
            #[cfg(feature = "kafka")]
            Self::Debezium(source, _) => source.check(),
        }
    }

    /// A PostgreSQL database, if it is one.
    #[cfg_attr(
        not(feature = "kafka"),
        allow(clippy::unnecessary_wraps, reason = "there is no other source then")
    )]
    pub(crate) fn postgres(&self) -> Option<&onrush_connect::source::SourceSettings> {
        match self {
            Self::Postgres(source, _) => Some(source),
            #[cfg(feature = "kafka")]
            Self::Debezium(..) => None,
        }
    }
}

/// All collections.
#[derive(Default)]
pub(super) struct Collections {
    embedded: Vec<Name>,
    pub(super) sourced: Vec<SourcedCollection>,
}

/// Checks every collection. A scenario that reads one has it without being told.
pub(super) fn collections(
    typed: &TypedCollections,
    scenarios: &RawScenarios,
    problems: &mut Vec<String>,
) -> Collections {
    let typed = &typed.0;
    if typed.len() > COLLECTIONS_MAX {
        problems
            .push(format!("there are {} collections; at most {COLLECTIONS_MAX} are possible", typed.len()));
    }
    let mut collections = Collections::default();
    for (name, section) in typed {
        match source::collection(name, section, problems) {
            Some(Resolved::Embedded) => collections.embedded.push(name.into()),
            Some(Resolved::Sourced(sourced)) => collections.sourced.push(*sourced),
            None => {}
        }
    }
    if scenarios.product_inventory && !typed.contains_key(product_inventory::COLLECTION) {
        collections.embedded.push(product_inventory::COLLECTION.into());
    }
    check_places(&collections.sourced, problems);
    collections
}

/// What the edge has to know, but for the rows of sources, which there are not yet.
pub(super) fn resolve(
    checks: &mut Checks<'_>,
    raw: &RawCatalog,
    collections: &Collections,
) -> Option<CatalogSettings> {
    let wait_ms = checks.number("catalog.wait_ms_max", raw.wait_ms_max, &bounds::WAIT_MS)?;
    Some(CatalogSettings {
        wait_max: Duration::from_millis(wait_ms),
        ready_when_coherent: raw.ready_when_coherent,
        embedded: collections.embedded.clone(),
        sources: Vec::new(),
    })
}

/// Complains about collections that would follow their tables through the same place in a database.
fn check_places(sourced: &[SourcedCollection], problems: &mut Vec<String>) {
    let mut taken: BTreeMap<(&str, &str, &str), &Name> = BTreeMap::new();
    let databases = sourced.iter().filter_map(|found| Some((&found.name, found.source.postgres()?)));
    for (name, source) in databases {
        for (key, place) in
            [("publication", &source.publication), ("replication_slot", &source.replication_slot)]
        {
            if let Some(other) = taken.insert((&source.url, key, place), name) {
                problems.push(format!(
                    "{SECTION}.{name}.{key}: the collection {other} has the same, {place}; each needs a {key} of its own"
                ));
            }
        }
    }
}

/// The collections for printing; their settings were resolved before.
pub(super) fn printed(typed: &TypedCollections) -> impl Iterator<Item = PrintedSection<'_>> {
    typed.0.iter().map(|(name, section)| {
        let source = section.values.get("source").and_then(|typed| Source::named(typed.value.as_str()?));
        let source = source.expect("a collection that was resolved has a source");
        PrintedSection::new(&SORT, source, name, section)
    })
}
