//! Collections of the catalogue as somebody types them.

use std::time::Duration;

use onrush_connect::source::SourceSettings;
use onrush_connect::{Secret, Tls};
use onrush_node::{Name, catalog};

use super::super::tests::check;
use super::super::{Flags, load};
use super::{CollectionSource, SourcedCollection};

const POSTGRES: &str = "file [catalog.products]\nfile source = \"postgres\"\nfile url = \"postgresql://onrush@db/shop\"\nfile key = \"id\"\n";
const TABLE: &str = "file table = \"products\"\n";

/// The one collection that a file with these lines, and variables of these names and values, make.
fn loaded(lines: &str, variables: &[(&str, &str)]) -> SourcedCollection {
    let file = tempfile::NamedTempFile::new().expect("make a file");
    std::fs::write(file.path(), format!("[catalog.products]\n{lines}")).expect("write the file");
    let flags = Flags { config: Some(file.path().to_owned()), ..Flags::default() };
    let environment = variables
        .iter()
        .map(|(name, value)| (format!("ONRUSH_CATALOG__PRODUCTS__{name}"), (*value).to_owned()));
    let mut sourced = load(&flags, environment).expect("the settings are valid").sourced;
    assert_eq!(sourced.len(), 1);
    sourced.remove(0)
}

/// The same of [`POSTGRES`] without its table.
fn loaded_from_postgres(
    lines: &str,
    variables: &[(&str, &str)],
) -> (Name, SourceSettings, catalog::SourceSettings) {
    let lines =
        format!("source = \"postgres\"\nurl = \"postgresql://onrush@db/shop\"\nkey = \"id\"\n{lines}");
    let SourcedCollection { name, source } = loaded(&lines, variables);
    match source {
        CollectionSource::Postgres(source, rows) => (name, source, rows),
        #[cfg(feature = "kafka")]
        CollectionSource::Debezium(..) => panic!("another source"),
    }
}

#[test]
fn a_collection_is_a_section_or_a_variable() {
    check("shows wait_ms_max = 1000\nshows ready_when_coherent = false");
    check(
        "file [catalog]\nfile wait_ms_max = 5\nfile ready_when_coherent = true\nfile [catalog.products]\nfile source = \"embedded\"\nshows [catalog.products]\nshows ready_when_coherent = true",
    );
    check("env ONRUSH_CATALOG__PRODUCTS__SOURCE=embedded\nshows [catalog.products]");
    check("file [catalog.\"a.b:c\"]\nfile source = \"embedded\"\nshows [catalog.\"a.b:c\"]");
    check("env ONRUSH_CATALOG__WAIT_MS_MAX=60001\nrefuses catalog.wait_ms_max = 60001");
    check(
        "env ONRUSH_CATALOG__P__SOURCE=postgres\nenv ONRUSH_CATALOG__P__URL=postgresql://db/shop\nenv ONRUSH_CATALOG__P__TABLE=p\nenv ONRUSH_CATALOG__P__KEY=id\nenv ONRUSH_CATALOG__P__LOAD=false\nshows load = false  # ONRUSH_CATALOG__P__LOAD",
    );
}

#[test]
fn a_collection_needs_a_source_that_there_is() {
    check(
        "file [catalog.products]\nrefuses catalog.products.source: every collection needs one of \"embedded\", \"postgres\", \"debezium\"",
    );
    check(
        "file [catalog.products]\nfile source = \"mysql\"\nrefuses must be one of \"embedded\", \"postgres\", \"debezium\"",
    );
    check("file [catalog.products]\nfile source = 7\nrefuses must be text in quotes, not a number");
    check(
        "env ONRUSH_CATALOG__PRODUCTS__SOURCE=none\nrefuses must be one of \"embedded\", \"postgres\", \"debezium\"",
    );
    check(
        "env ONRUSH_CATALOG__PRODUCTS__TABLE=x\nrefuses every collection needs one of \"embedded\", \"postgres\", \"debezium\" (it is named by ONRUSH_CATALOG__PRODUCTS__TABLE)",
    );
    check(
        "file [catalog.\"a b\"]\nfile source = \"embedded\"\nrefuses the name of a collection must be 1 to 64",
    );
    for own in ["wait_ms_max", "ready_when_coherent"] {
        check(&format!(
            "file [catalog.{own}]\nfile source = \"embedded\"\nrefuses catalog.{own} is a setting"
        ));
    }
    check("file catalog = 1\nrefuses catalog is a section: write [catalog]");
    check("file [catalog]\nfile products = \"embedded\"\nrefuses unknown key catalog.products");
}

#[test]
fn a_key_belongs_to_its_source() {
    for key in ["table = \"x\"", "password_file = \"x\"", "watch = {}", "tabel = \"x\""] {
        check(&format!(
            "file [catalog.products]\nfile source = \"embedded\"\nfile {key}\nrefuses a collection of source embedded has no such key\nrefuses it has source"
        ));
    }
    check(&format!(
        "{POSTGRES}{TABLE}file tabel = \"x\"\nrefuses catalog.products.tabel (from /\nrefuses has no such key, nor has any other; it has source, url, password_file"
    ));
    check(
        "file [catalog.products]\nfile source = \"postgres\"\nrefuses catalog.products.url: a collection of source postgres needs it\nrefuses catalog.products.key: a collection of source postgres needs it\nrefuses catalog.products.table: a collection of source postgres needs a table, or a query",
    );
}

#[test]
fn every_default_is_printed() {
    check(&format!(
        "{POSTGRES}{TABLE}
         shows source = \"postgres\"  # /
         shows url = \"postgresql://onrush@db/shop\"  # /
         shows # password_file is not set
         shows tls = \"auto\"
         shows # tls_ca_file is not set
         shows table = \"products\"  # /
         shows # query is not set
         shows key = \"id\"  # /
         shows # watch is not set
         shows load = true
         shows memory_bytes_max = 268435456
         shows lag_ms_max = 5000
         shows read_through = false
         shows absent_ms = 10000
         shows absent_keys_max = 2000000
         shows connections = 4
         shows publication = \"onrush_products\"
         shows replication_slot = \"onrush_products\""
    ));
    check(&format!(
        "{}{TABLE}shows [catalog.\"Price-list.v2\"]\nshows publication = \"onrush_price_list_v2\"",
        POSTGRES.replace("catalog.products", "catalog.\"Price-list.v2\"")
    ));
    check(&format!(
        "{POSTGRES}file query = \"SELECT 1\"\nfile [catalog.products.watch]\nfile products = {{ column = \"id\" }}\nfile \"s.other\" = {{ column = \"b\", keys = \"SELECT $1\" }}
         shows watch = {{ products = {{ column = \"id\" }}, \"s.other\" = {{ column = \"b\", keys = \"SELECT $1\" }} }}  # /"
    ));
}

#[test]
fn values_are_of_the_right_type_and_within_their_bounds() {
    for (line, problem) in [
        ("key = 5", "must be text in quotes, not a number"),
        ("load = \"yes\"", "must be true or false, not text"),
        ("read_through = 1", "must be true or false, not a number"),
        ("tls = \"on\"", "must be one of \"auto\", \"off\", \"verify\", \"unsafe-no-verify\", not \"on\""),
        ("memory_bytes_max = 1000", "must be a whole number from 4096 to 1099511627776"),
        ("lag_ms_max = 99", "must be a whole number from 100 to 86400000"),
        ("lag_ms_max = 86400001", "must be a whole number from 100 to 86400000"),
        ("absent_ms = -1", "must be a whole number from 0 to 3600000"),
        ("absent_keys_max = 1e3", "must be a whole number from 0 to 100000000"),
        ("connections = 0", "must be a whole number from 1 to 32"),
        ("connections = 33", "must be a whole number from 1 to 32"),
        ("query = \"SELECT 1\"", "table says what is read already; keep one of them"),
        ("watch = { products = { column = \"id\" } }", "the table is what is watched: leave this out"),
    ] {
        let typed = POSTGRES
            .replace("file key = \"id\"\n", if line.starts_with("key") { "" } else { "file key = \"id\"\n" });
        let key = line.split(' ').next().unwrap_or_default();
        check(&format!(
            "{typed}{TABLE}file {line}\nrefuses catalog.products.{key} (from /\nrefuses {problem}"
        ));
    }
    check(&format!("{POSTGRES}{TABLE}env ONRUSH_CATALOG__PRODUCTS__LOAD=yes\nrefuses must be true or false"));
    check(&format!(
        "{POSTGRES}{TABLE}file publication = \"A\"\nrefuses catalog.products: publication must be"
    ));
}

#[test]
fn what_is_watched_has_a_form() {
    for watch in [
        "watch = 1",
        "watch = { products = 1 }",
        "watch = { products = {} }",
        "watch = { products = { column = 1 } }",
        "watch = { products = { column = \"id\", keys = 1 } }",
        "watch = { products = { column = \"id\", key = \"x\" } }",
        "watch = { a = { b = { column = \"id\" } } }",
    ] {
        check(&format!(
            "{POSTGRES}file query = \"SELECT 1\"\nfile {watch}\nrefuses catalog.products.watch (from /\nrefuses a watched table is written {{ column = \"id\" }}"
        ));
    }
    check(&format!(
        "{POSTGRES}file query = \"SELECT 1\"\nrefuses catalog.products.watch: a query needs the tables whose changes"
    ));
    check(&format!(
        "{POSTGRES}file query = \"SELECT 1\"\nenv ONRUSH_CATALOG__PRODUCTS__WATCH=products\nrefuses is a section, in the file alone"
    ));
    check(&format!(
        "{POSTGRES}file query = \"SELECT 1; SELECT 2\"\nfile watch = {{ products = {{ column = \"id\" }} }}\nrefuses catalog.products: query must be one statement"
    ));
}

#[test]
fn passwords_are_kept_as_those_of_sinks() {
    check(&format!(
        "{POSTGRES}{TABLE}env ONRUSH_CATALOG__PRODUCTS__PASSWORD=hunter2\nshows # password: from ONRUSH_CATALOG__PRODUCTS__PASSWORD\nhides hunter2"
    ));
    check(&format!(
        "{POSTGRES}{TABLE}password hunter2\nfile password_file = \"{{password}}\"\nshows password_file = \"/\nhides hunter2"
    ));
    check(&format!(
        "{POSTGRES}{TABLE}file password = \"hunter2\"\nrefuses catalog.products.password (from /\nrefuses or set ONRUSH_CATALOG__PRODUCTS__PASSWORD in the environment\nhides hunter2"
    ));
    check(&format!(
        "{}{TABLE}refuses catalog.products.url (from /\nrefuses a password must not be in a URL\nhides hunter2",
        POSTGRES.replace("onrush@db", "onrush:hunter2@db")
    ));
}

#[test]
fn collections_do_not_share_a_place() {
    let other = POSTGRES.replace("catalog.products", "catalog.stock");
    check(&format!(
        "{POSTGRES}{TABLE}{other}{TABLE}file publication = \"onrush_products\"\nfile replication_slot = \"onrush_products\"
         refuses catalog.stock.publication: the collection products has the same, onrush_products
         refuses catalog.stock.replication_slot: the collection products has the same"
    ));
    check(&format!("{POSTGRES}{TABLE}{other}{TABLE}shows [catalog.stock]"));
}

#[test]
fn what_was_typed_reaches_the_source() {
    let (name, source, rows) = loaded_from_postgres(
        "table = \"shop.pro\\\"ducts\"\nconnections = 7\nload = false\nlag_ms_max = 250\nread_through = true\nabsent_ms = 3\nabsent_keys_max = 9\nmemory_bytes_max = 2000000",
        &[("PASSWORD", " hunter2"), ("TLS", "off"), ("REPLICATION_SLOT", "s"), ("PUBLICATION", "p")],
    );
    assert_eq!((name.as_str(), source.url.as_str()), ("products", "postgresql://onrush@db/shop"));
    assert_eq!(source.password.as_ref().map(Secret::reveal), Some(Ok(" hunter2".into())));
    assert_eq!(source.tls.mode, Tls::Off);
    assert_eq!(source.query, r#"SELECT * FROM "shop"."pro""ducts""#);
    let watched: Vec<_> =
        source.watches.iter().map(|watch| (&*watch.table, &*watch.column, watch.keys.as_deref())).collect();
    assert_eq!((source.key.as_str(), watched), ("id", vec![("shop.pro\"ducts", "id", None)]));
    assert_eq!((source.publication.as_str(), source.replication_slot.as_str()), ("p", "s"));
    assert_eq!((source.connections, source.loads), (7, false));
    assert_eq!((rows.lag_max, rows.reads_through), (Duration::from_millis(250), true));
    let bounds = rows.bounds;
    assert_eq!(
        (bounds.bytes_max, bounds.absent_for, bounds.absent_count_max),
        (2_000_000, Duration::from_millis(3), 9)
    );

    let (_, source, _) = loaded_from_postgres(
        "query = \"SELECT id, name FROM products\"\n[catalog.products.watch]\nproducts = { column = \"id\" }\n\"s.other\" = { column = \"b\", keys = \"SELECT $1\" }",
        &[],
    );
    assert_eq!(source.query, "SELECT id, name FROM products");
    let watched: Vec<_> =
        source.watches.iter().map(|watch| (&*watch.table, &*watch.column, watch.keys.as_deref())).collect();
    assert_eq!(watched, [("products", "id", None), ("s.other", "b", Some("SELECT $1"))]);
}

#[cfg(feature = "kafka")]
#[test]
fn what_was_typed_reaches_the_topic() {
    const DEBEZIUM: &str = "file [catalog.products]\nfile source = \"debezium\"\nfile brokers = \"kafka:9092\"\nfile topic = \"shop.public.products\"\nfile connector = \"shop\"\n";
    let lines = "source = \"debezium\"\nbrokers = \"kafka:9092\"\ntopic = \"shop.public.products\"\nlag_ms_max = 250\nmemory_bytes_max = 2000000\n";
    let CollectionSource::Debezium(source, rows) = loaded(
        &format!("{lines}offsets_topic = \"none\"\nusername = \"ann\"\ntls = \"off\""),
        &[("PASSWORD", "hunter2")],
    )
    .source
    else {
        panic!("another source")
    };
    assert_eq!(
        (source.cluster.brokers.as_str(), source.topic.as_str()),
        ("kafka:9092", "shop.public.products")
    );
    assert_eq!(source.cluster.username.as_deref(), Some("ann"));
    assert_eq!(source.cluster.password.as_ref().map(Secret::reveal), Some(Ok("hunter2".into())));
    assert_eq!(source.cluster.tls.mode, Tls::Off);
    assert!(source.key.is_none() && source.offsets.is_none());
    assert_eq!((rows.bytes_max, rows.lag_max), (2_000_000, Duration::from_millis(250)));
    let typed = loaded(&format!("{lines}key = \"id\"\nconnector = \"shop\""), &[]);
    let CollectionSource::Debezium(source, _) = typed.source else { panic!("another source") };
    let offsets = source.offsets.expect("it is the default");
    assert_eq!(
        (source.key.as_deref(), &*offsets.topic, &*offsets.connector),
        (Some("id"), "connect-offsets", "shop")
    );
    check(
        "file [catalog.products]\nfile source = \"debezium\"\nrefuses catalog.products.brokers: a collection of source debezium needs it\nrefuses catalog.products.topic: a collection of source debezium needs it\nrefuses catalog.products.connector: a collection of source debezium needs it",
    );
    for (line, refusal) in [
        (
            "table = \"products\"",
            "a collection of source debezium has no such key; it has source, brokers, username",
        ),
        ("username = \"ann\"", "username and password must be set together"),
    ] {
        check(&format!("{DEBEZIUM}file {line}\nrefuses {refusal}"));
    }
    let properties = tempfile::NamedTempFile::new().expect("make a file");
    std::fs::write(properties.path(), "group.id=mine\n").expect("write the file");
    let path = properties.path().display();
    check(&format!(
        "{DEBEZIUM}file properties_file = \"{path}\"\nrefuses catalog.products: properties_file {path}: line 1 sets group.id, which onrush sets itself"
    ));
}

#[cfg(not(feature = "kafka"))]
#[test]
fn a_topic_needs_kafka_built_in() {
    check(
        "file [catalog.products]\nfile source = \"debezium\"\nfile brokers = \"kafka:9092\"\nfile topic = \"x\"\nrefuses catalog.products.source (from /\nrefuses this onrush was built without Kafka: cargo build --release --features kafka",
    );
}
