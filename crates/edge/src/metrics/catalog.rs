//! The figures of the catalogue.

use super::Page;
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
}
