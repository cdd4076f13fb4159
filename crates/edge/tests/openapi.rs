//! The committed documents say what the code does.

use onrush_edge::problem::Code;

fn committed(name: &str) -> String {
    let path = format!("{}/../../docs/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("read {path}: {error}"))
}

#[test]
fn the_committed_openapi_document_is_current() {
    let is_current = committed("openapi.json") == onrush_edge::openapi::document();
    assert!(is_current, "docs/openapi.json has drifted; run `cargo xtask openapi`");
}

#[test]
fn the_table_of_errors_is_complete() {
    let page = committed("http-api.md");
    let documented: Vec<&str> =
        page.lines().filter(|line| line.starts_with("| 4") || line.starts_with("| 5")).collect();
    let known = Code::ALL.map(|code| format!("| {} | `{}` |", code.status(), code.as_str()));
    assert_eq!(documented.len(), known.len(), "docs/http-api.md lists other codes than the server has");
    for row in known {
        assert!(documented.iter().any(|line| line.starts_with(&row)), "docs/http-api.md lacks {row}");
    }
}
