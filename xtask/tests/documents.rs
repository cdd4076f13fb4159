//! Reads the documents of the repository and fails on links and paths that lead nowhere, on decisions and end-to-end checks
//! that their tables do not list, and on figures of releases that cannot be read as data.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};

const FIGURE_COLUMNS: &[&str] = &[
    "revision",
    "machine",
    "benchmark",
    "case",
    "connections",
    "unit",
    "onrush",
    "peer",
    "peer_value",
    "ratio",
    "ratio_min",
    "ratio_max",
    "rounds",
];

const FOLDERS: &[&str] =
    &["bench/", "compose/", "contrib/", "crates/", "docs/", "e2e/", "fuzz/", "proxy/", "sim/", "xtask/"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the repository")
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("read {}: {error}", path.display()))
}

/// Every file with this extension that belongs to the repository.
fn files(extension: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut directories = vec![root().to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(&directory).expect("read a directory of the repository") {
            let path = entry.expect("read an entry of a directory").path();
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let is_made_here = name == "target" || name == "onrush-data" || name == "corpus";
            if path.is_dir() && !name.starts_with('.') && !is_made_here {
                directories.push(path);
            } else if path.is_file() && path.extension().is_some_and(|found| found == extension) {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

/// The lines that are no blocks of code, in which brackets mean something else.
fn prose_lines(text: &str) -> impl Iterator<Item = &str> {
    let mut is_code = false;
    text.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_fence && !is_code
    })
}

/// The targets of all links that lead to something in the repository.
fn links(text: &str) -> Vec<String> {
    let mut links = Vec::new();
    for line in prose_lines(text) {
        // Every other piece stands between backticks.
        let prose: String = line.split('`').step_by(2).collect();
        let targets = prose.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        links.extend(targets.filter(|target| !target.contains("://")).map(str::to_owned));
    }
    links
}

/// Files and folders of the repository that stand between backticks, as in `crates/core/src`.
fn paths(text: &str) -> Vec<&str> {
    let pieces = prose_lines(text).flat_map(|line| line.split('`').skip(1).step_by(2));
    let is_path = |piece: &&str| {
        let in_repository = FOLDERS.iter().any(|folder| piece.starts_with(folder));
        in_repository && piece.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte))
    };
    pieces.filter(is_path).collect()
}

/// What a heading is called in a link: lower case, blanks as dashes, without other signs.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    headings
        .map(|line| {
            let title = line.trim_start_matches('#').trim().to_lowercase();
            let kept = title.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
            kept.map(|c| if c == ' ' { '-' } else { c }).collect()
        })
        .collect()
}

/// What is wrong with a link from a document, if anything is.
fn problem(document: &Path, text: &str, link: &str) -> Option<String> {
    let (path, anchor) = link.split_once('#').map_or((link, None), |(path, anchor)| (path, Some(anchor)));
    let target = if path.is_empty() { document.to_owned() } else { document.parent()?.join(path) };
    if !target.exists() {
        return Some(format!("{}: {link} is not there", document.display()));
    }
    let anchor = anchor?;
    let known = if path.is_empty() { anchors(text) } else { anchors(&read(&target)) };
    (!known.contains(anchor)).then(|| format!("{}: {link} has no such heading", document.display()))
}

#[test]
fn every_link_leads_somewhere() {
    let documents = files("md");
    assert!(documents.len() > 10, "the repository was read");
    let mut report = String::new();
    for document in documents {
        let text = read(&document);
        for problem in links(&text).iter().filter_map(|link| problem(&document, &text, link)) {
            writeln!(report, "{problem}").expect("a String takes every write");
        }
    }
    assert!(report.is_empty(), "\n{report}");
}

#[test]
fn no_document_has_marks_of_a_conflict() {
    for document in files("md") {
        let has_mark = read(&document)
            .lines()
            .any(|line| ["<<<<<<< ", ">>>>>>> "].iter().any(|mark| line.starts_with(mark)));
        assert!(!has_mark, "{} has marks of a conflict", document.display());
    }
}

#[test]
fn every_path_leads_somewhere() {
    let mut report = String::new();
    for document in files("md") {
        let text = read(&document);
        for path in paths(&text).into_iter().filter(|path| !root().join(path).exists()) {
            writeln!(report, "{}: {path} is not there", document.display())
                .expect("a String takes every write");
        }
    }
    assert!(report.is_empty(), "\n{report}");
    assert_eq!(
        paths("`crates/core` and `a` or crates/b\n```\n`crates/c`\n```\n`docs/*.md`"),
        ["crates/core"]
    );
}

#[test]
fn every_end_to_end_check_is_listed() {
    let scenarios = read(&root().join("e2e/src/scenarios/mod.rs"));
    let listed = read(&root().join("e2e/README.md"));
    let names =
        scenarios.lines().filter_map(|line| line.trim().strip_prefix("name: \"")?.strip_suffix("\","));
    let missing: Vec<_> = names.filter(|name| !listed.contains(&format!("| `{name}` |"))).collect();
    assert!(missing.is_empty(), "e2e/README.md does not list {missing:?}");
}

#[test]
fn broken_links_are_found() {
    let document = root().join("README.md");
    let text = "# One\n\n## Two, and `three`\n";
    for (link, expected) in [
        ("ARCHITECTURE.md", None),
        ("ARCHITECTURE.md#invariants", None),
        ("#two-and-three", None),
        ("#three", Some("no such heading")),
        ("ARCHITECTURE.md#nothing", Some("no such heading")),
        ("nothing.md", Some("is not there")),
    ] {
        let found = problem(&document, text, link);
        match (&found, expected) {
            (None, None) => {}
            (Some(text), Some(part)) if text.contains(part) => {}
            _ => panic!("{link}: found {found:?}, expected {expected:?}"),
        }
    }
    let text = "[a](b.md) `[c](d.md)`\n```\n[e](f.md)\n```\n[g](https://example.org) [h](#i)\n";
    assert_eq!(links(text), ["b.md", "#i"]);
}

#[test]
fn every_decision_is_listed() {
    let directory = root().join("docs/decisions");
    let listed: BTreeSet<_> = links(&read(&directory.join("README.md"))).into_iter().collect();
    let mut numbers = BTreeSet::new();
    for page in files("md").iter().filter(|path| path.starts_with(&directory)) {
        let name = page.file_name().expect("a page has a name").to_string_lossy();
        if name == "README.md" {
            continue;
        }
        assert!(listed.contains(&*name), "docs/decisions/README.md does not list {name}");
        let number = name.split('-').next().expect("a split has a first piece").to_owned();
        assert!(
            number.len() == 4 && number.bytes().all(|byte| byte.is_ascii_digit()),
            "{name} has no number"
        );
        assert!(numbers.insert(number), "{name} has the number of another page");
        let text = read(page);
        for word in ["context", "decision", "measured", "consequences"] {
            let has_heading = anchors(&text).iter().any(|heading| heading.contains(word));
            assert!(has_heading, "{name} has no heading with the word {word}");
        }
    }
    assert!(numbers.len() > 10, "the pages were read");
}

#[test]
fn figures_of_releases_can_be_read() {
    let directory = root().join("bench/history");
    let known = read(&directory.join("README.md"));
    let figures: Vec<_> = files("csv").into_iter().filter(|path| path.starts_with(&directory)).collect();
    assert!(!figures.is_empty(), "the figures were read");
    for file in figures {
        let text = read(&file);
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some(FIGURE_COLUMNS.join(",").as_str()), "{}", file.display());
        for (index, line) in lines.enumerate() {
            let place = format!("{}:{}", file.display(), index + 2);
            let fields: Vec<_> = line.split(',').collect();
            assert_eq!(fields.len(), FIGURE_COLUMNS.len(), "{place}");
            assert!(
                known.contains(&format!("| `{}` |", fields[1])),
                "{place}: unknown machine {}",
                fields[1]
            );
            assert!(fields[6].parse::<f64>().is_ok(), "{place}: no figure of onrush");
            let ratios: Vec<f64> = [10, 9, 11].iter().filter_map(|at| fields[*at].parse().ok()).collect();
            assert!(ratios.is_sorted(), "{place}: the ratio is not between the least and the greatest");
        }
    }
}
