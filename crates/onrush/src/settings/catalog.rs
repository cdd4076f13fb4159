//! The catalogue of the settings.

use std::time::Duration;

use figment::value::Value;
use onrush_edge::CatalogSettings;
use onrush_edge::scenarios::product_inventory;

use super::bounds;
use super::checks::Checks;
use super::raw::RawSettings;
use super::typed_collections::{SECTION, SOURCE, TypedSource};

const EMBEDDED: &str = "embedded";

/// Collections of one server. One more is refused at start.
const COLLECTIONS_MAX: usize = 256;

/// Checks every collection. A scenario that reads one has it without being told.
pub(super) fn resolve(checks: &mut Checks<'_>, raw: &RawSettings) -> Option<CatalogSettings> {
    let wait_ms = checks.number("catalog.wait_ms_max", raw.catalog.wait_ms_max, &bounds::WAIT_MS);
    let typed = &checks.layers.collections.0;
    let mut problems = Vec::new();
    if typed.len() > COLLECTIONS_MAX {
        problems
            .push(format!("there are {} collections; at most {COLLECTIONS_MAX} are possible", typed.len()));
    }
    for (name, TypedSource { source, origin }) in typed {
        let problem = match source {
            None => format!("is missing: write {SOURCE} = \"{EMBEDDED}\""),
            Some(Value::String(_, source)) if source == EMBEDDED => continue,
            Some(_) => format!("must be \"{EMBEDDED}\""),
        };
        problems.push(format!("{SECTION}.{name}.{SOURCE} (from {origin}) {problem}"));
    }
    let mut embedded: Vec<_> = typed.keys().map(onrush_node::Name::from).collect();
    if raw.scenarios.product_inventory && !typed.contains_key(product_inventory::COLLECTION) {
        embedded.push(product_inventory::COLLECTION.into());
    }
    checks.problems.append(&mut problems);
    let wait_max = Duration::from_millis(wait_ms?);
    Some(CatalogSettings { wait_max, embedded, ..CatalogSettings::default() })
}

#[cfg(test)]
#[path = "catalog_tests.rs"]
mod tests;
