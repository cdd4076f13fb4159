//! The figures of the catalogue.

use onrush_node::catalog::SourceState;

use super::{Page, decimal};
use crate::catalog::CollectionFigures;

pub(super) fn render(page: &mut Page, collections: &[CollectionFigures<'_>]) {
    page.family("onrush_catalog_rows", "gauge", "Rows of a collection.");
    for figures in collections {
        page.labelled("onrush_catalog_rows", "collection", figures.name, figures.row_count as u64);
    }
    page.family("onrush_catalog_row_bytes", "gauge", "Bytes of those rows.");
    for figures in collections {
        page.labelled("onrush_catalog_row_bytes", "collection", figures.name, figures.json_bytes);
    }
    let name = "onrush_catalog_reads_total";
    page.family(name, "counter", "Rows that were asked for, by whether the collection has them.");
    for figures in collections {
        for (result, count) in [("found", figures.found_count), ("missing", figures.missing_count)] {
            let labels = format!("collection=\"{}\",result=\"{result}\"", figures.name);
            page.sample(name, &labels, &count.to_string());
        }
    }
    render_freshness(page, collections);
    render_sources(page, collections);
}

/// Of a collection that nobody knows the lag of there is none.
fn render_freshness(page: &mut Page, collections: &[CollectionFigures<'_>]) {
    let name = "onrush_catalog_coherent";
    page.family(
        name,
        "gauge",
        "1 if it is known how far the rows are behind their source, and not too far, else 0.",
    );
    for figures in collections {
        page.labelled(name, "collection", figures.name, figures.rows_at.state().lag().is_some().into());
    }
    let name = "onrush_catalog_lag_seconds";
    page.family(name, "gauge", "How far the rows can be behind their source, while that is known.");
    for figures in collections {
        if let Some(lag) = figures.rows_at.state().lag() {
            let lag_ms = u64::try_from(lag.as_millis()).unwrap_or(u64::MAX);
            page.sample(name, &format!("collection=\"{}\"", figures.name), &decimal(lag_ms, 3));
        }
    }
}

fn render_sources(page: &mut Page, collections: &[CollectionFigures<'_>]) {
    type Figure = (&'static str, &'static str, &'static str, fn(&SourceState) -> u64);
    let families: [Figure; 3] = [
        (
            "onrush_catalog_memory_bytes",
            "gauge",
            "What the rows of a source take in memory, to be held against memory_bytes_max.",
            |state| state.bytes,
        ),
        (
            "onrush_catalog_fetches_total",
            "counter",
            "Statements that read rows from a source, the loading of all aside.",
            |state| state.fetch_count,
        ),
        ("onrush_catalog_fetched_rows_total", "counter", "Rows that those statements asked for.", |state| {
            state.fetched_count
        }),
    ];
    for (name, kind, help, figure) in families {
        page.family(name, kind, help);
        for figures in collections {
            if let Some(state) = figures.rows_at.source() {
                page.labelled(name, "collection", figures.name, figure(state));
            }
        }
    }
}
