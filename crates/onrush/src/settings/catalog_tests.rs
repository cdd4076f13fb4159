//! Collections of the catalogue as somebody types them.

use super::super::tests::check;

#[test]
fn a_collection_is_a_section_or_a_variable() {
    check("shows wait_ms_max = 1000");
    check(
        "file [catalog]\nfile wait_ms_max = 5\nfile [catalog.products]\nfile source = \"embedded\"\nshows [catalog.products]",
    );
    check("env ONRUSH_CATALOG__PRODUCTS__SOURCE=embedded\nshows [catalog.products]");
    check("file [catalog.\"a.b:c\"]\nfile source = \"embedded\"\nshows [catalog.\"a.b:c\"]");
    check("env ONRUSH_CATALOG__WAIT_MS_MAX=60001\nrefuses catalog.wait_ms_max = 60001");
}

#[test]
fn a_collection_needs_a_source_that_there_is() {
    check("file [catalog.products]\nrefuses catalog.products.source (from ");
    check("file [catalog.products]\nfile source = \"postgres\"\nrefuses must be \"embedded\"");
    check("file [catalog.products]\nfile source = 7\nrefuses must be \"embedded\"");
    check("env ONRUSH_CATALOG__PRODUCTS__SOURCE=none\nrefuses must be \"embedded\"");
    check(
        "file [catalog.products]\nfile source = \"embedded\"\nfile table = \"x\"\nrefuses unknown key catalog.products.table",
    );
    check("env ONRUSH_CATALOG__PRODUCTS__TABLE=x\nrefuses unknown setting ONRUSH_CATALOG__PRODUCTS__TABLE");
    check(
        "file [catalog.\"a b\"]\nfile source = \"embedded\"\nrefuses the name of a collection must be 1 to 64",
    );
    check("file [catalog.wait_ms_max]\nfile source = \"embedded\"\nrefuses catalog.wait_ms_max is a setting");
    check("file catalog = 1\nrefuses catalog is a section: write [catalog]");
    check("file [catalog]\nfile products = \"embedded\"\nrefuses unknown key catalog.products");
}
