//! `docs/metrics.md` and the page of figures name the same families, with the same type and labels.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::{operator_router, public_router, send, sinks};

const DOCUMENT: &str = include_str!("../../../../../docs/metrics.md");

const HOW_TO_ADD: &str = "add a row to the table of its topic, as `| `NAME` | TYPE | `LABEL`, `LABEL` | UNIT | what it is, and what to watch |`";

const HOW_TO_SHOW: &str = "take it off, or let `with_every_figure` in crates/edge/src/api/tests/sinks.rs have what it is a figure of";

/// What is said of a family of figures.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Family {
    kind: String,
    labels: BTreeSet<String>,
}

/// The families of a page in the exposition format. A family without a figure is one, too.
fn shown(page: &str) -> BTreeMap<String, Family> {
    let mut families = BTreeMap::new();
    let mut name = "";
    for line in page.lines() {
        if let Some(declared) = line.strip_prefix("# TYPE ") {
            let kind;
            (name, kind) = declared.split_once(' ').expect("a name and a type");
            let family = Family { kind: kind.to_owned(), labels: BTreeSet::new() };
            assert!(families.insert(name.to_owned(), family).is_none(), "{name} stands twice on the page");
        } else if let Some((_, labels)) = line.split_once('{') {
            let (labels, _) = labels.split_once('}').expect("labels end");
            let labels = labels.split("\",").filter_map(|label| label.split_once("=\""));
            let family = families.get_mut(name).expect("a figure stands behind the type of its family");
            family.labels.extend(labels.map(|(label, _)| label.to_owned()));
        }
    }
    families
}

/// The words between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The families that have a row in the document.
fn documented(document: &str) -> BTreeMap<String, Family> {
    let is_row = |line: &&str| {
        let first = line.strip_prefix("| `").and_then(|rest| rest.split_once("` |"));
        first.is_some_and(|(name, _)| name.starts_with("onrush_"))
    };
    let mut families = BTreeMap::new();
    for line in document.lines().filter(is_row) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let ["", name, kind, labels, _, _, ""] = cells.as_slice() else {
            panic!("docs/metrics.md has a row of other than five cells: {line}")
        };
        let family = Family { kind: (*kind).to_owned(), labels: quoted(labels).map(str::to_owned).collect() };
        let name = name.trim_matches('`').to_owned();
        assert!(families.insert(name, family).is_none(), "docs/metrics.md lists a family twice: {line}");
    }
    families
}

/// Names of families anywhere in the document, without what may be asked of them.
fn named(document: &str) -> BTreeSet<&str> {
    let is_sign = |sign: char| !(sign.is_ascii_alphanumeric() || sign == '_');
    quoted(document)
        .flat_map(|words| words.split(is_sign))
        .filter(|word| word.starts_with("onrush_"))
        .collect()
}

fn differences(shown: &BTreeMap<String, Family>, document: &str) -> String {
    let documented = documented(document);
    let mut report = String::new();
    for (name, family) in shown {
        let told = match documented.get(name) {
            None => writeln!(report, "docs/metrics.md lacks {name} ({family:?}): {HOW_TO_ADD}"),
            Some(row) if row != family => {
                writeln!(report, "docs/metrics.md says {row:?} of {name}, and the server {family:?}")
            }
            Some(_) => Ok(()),
        };
        told.expect("a String takes every write");
    }
    let rows = documented.keys().map(String::as_str);
    for name in rows.chain(named(document)).collect::<BTreeSet<_>>() {
        if !shown.contains_key(name) {
            writeln!(report, "docs/metrics.md names {name}, which the server does not show: {HOW_TO_SHOW}")
                .expect("a String takes every write");
        }
    }
    report
}

#[test]
fn every_family_is_documented_and_every_documented_one_is_there() {
    let app = sinks::with_every_figure();
    // The lag of the replica is known from its answer.
    send(&public_router(app.clone()), "GET /web-counter/db/");
    let (_, _, page) = send(&operator_router(app), "GET /metrics");
    let shown = shown(&page);
    assert!(shown.len() > 30, "the page was read\n{page}");
    let report = differences(&shown, DOCUMENT);
    assert!(report.is_empty(), "\n{report}");
}

#[test]
fn a_document_that_differs_is_noticed() {
    let page =
        "# TYPE onrush_a_total counter\nonrush_a_total{code=\"x\"} 1\n# TYPE onrush_b gauge\nonrush_b 2\n";
    let shown = shown(page);
    let a = "| `onrush_a_total` | counter | `code` | calls | A. |";
    let b = "| `onrush_b` | gauge | | bytes | B. |";
    for (document, expected) in [
        (format!("`rate(onrush_a_total)`\n{a}\n{b}\n"), None),
        (format!("{a}\n"), Some("lacks onrush_b")),
        (format!("{a}\n{b}\n| `onrush_c` | gauge | | bytes | C. |\n"), Some("names onrush_c")),
        (format!("`onrush_c` is\n{a}\n{b}\n"), Some("names onrush_c")),
        (format!("{a}\n| `onrush_b` | counter | | bytes | B. |\n"), Some("of onrush_b")),
        (format!("| `onrush_a_total` | counter | | calls | A. |\n{b}\n"), Some("of onrush_a_total")),
    ] {
        let report = differences(&shown, &document);
        match expected {
            None => assert_eq!(report, ""),
            Some(part) => {
                assert!(report.contains(part) && report.lines().count() == 1, "{document}: {report}");
            }
        }
    }
}
