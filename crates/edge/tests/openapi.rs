//! The committed OpenAPI document is the one that the code makes.

#[test]
fn the_committed_document_is_current() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        committed == onrush_edge::openapi::document(),
        "docs/openapi.json has drifted; run `cargo xtask openapi`"
    );
}
