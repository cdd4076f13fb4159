//! Topics that are not as they should be, or do not stay as they are, and connections that break.

use std::time::Duration;

use onrush_connect::debezium::DebeziumSettings;
use onrush_connect::kafka::ClusterSettings;
use onrush_proxy::{Mode, Proxy};

use crate::services::variable;
use crate::table::{Collection, LAG_MAX, Table, pause};

/// What was said last.
fn said(collection: &Collection) -> String {
    collection.state().last_error.unwrap_or_default()
}

#[test]
fn a_topic_that_is_not_there_is_waited_for() {
    let Some(table) = Table::without_topics() else { return };
    let collection = Collection::follow(table.settings());
    let says = |what: &'static str| move |collection: &Collection| said(collection).contains(what);
    collection.wait_while("nothing is said", || {}, says("there is no topic shop.products"));
    table.create(&table.place.topic, &[("cleanup.policy", "compact")]);
    collection.wait_while("nothing is said", || {}, says("offsets_topic has to be offset.storage.topic"));
    table.create(&table.offsets, &[]);
    table.put(1, 1, 1);
    collection.wait_until_coherent(&table);
    assert_eq!(collection.value(1), Some(1));
}

#[test]
fn a_topic_that_forgets_rows_is_refused() {
    let Some(table) = Table::without_topics() else { return };
    table.create(&table.place.topic, &[("cleanup.policy", "delete"), ("retention.ms", "600000")]);
    table.create(&table.offsets, &[]);
    table.put(1, 1, 1);
    let collection = Collection::follow(table.settings());
    let is_refused = |collection: &Collection| {
        said(collection).contains("forgets rows that have not changed for long (retention.ms=600000)")
    };
    collection.wait(&table, "nothing is said", is_refused);
    assert!(!collection.is_coherent());
}

#[test]
fn a_topic_that_is_made_anew_is_loaded_anew() {
    let Some(table) = Table::make() else { return };
    for id in 0..50 {
        table.put(id, 1, id);
    }
    table.flush();
    let collection = Collection::follow(table.settings());
    collection.wait_until_coherent(&table);
    table.delete_topic();
    pause(Duration::from_secs(1));
    table.create(&table.place.topic, &[("cleanup.policy", "compact")]);
    table.put(3, 2, 100);
    collection.wait(&table, "the rows of before are still there", |collection| {
        collection.is_coherent() && collection.value(4).is_none() && collection.value(3) == Some(2)
    });
    assert_eq!(collection.rows.shown().rows.row_count(), 1);
}

#[test]
fn partitions_that_are_added_are_read() {
    let Some(mut table) = Table::make() else { return };
    for id in 0..50 {
        table.put(id, 1, id);
    }
    table.flush();
    let collection = Collection::follow(table.settings());
    collection.wait_until_coherent(&table);
    table.add_partitions(12);
    pause(Duration::from_secs(1));
    table.connect_again();
    for id in 0..100 {
        table.put(id, 2, 100 + id);
    }
    table.flush();
    collection.wait(&table, "rows are missing", |collection| {
        collection.is_coherent() && (0..100).all(|id| collection.value(id) == Some(2))
    });
}

#[test]
fn a_record_of_nobody_knows_which_row_stops_the_collection_and_says_where_it_is() {
    let Some(table) = Table::make() else { return };
    table.put(1, 1, 1);
    table.flush();
    let collection = Collection::follow(DebeziumSettings { key: Some("sku".to_owned()), ..table.settings() });
    collection.wait(&table, "nothing is said", |collection| {
        let said = said(collection);
        said.contains("offset 0: the key of the record is id: set key to that")
    });
    assert!(!collection.is_coherent());
}

#[test]
fn connections_that_break_lose_nothing() {
    let Some(table) = Table::make() else { return };
    let address = |name: &str| variable(name).expect("the services are up").parse().expect("an address");
    let (proxied, target) =
        (address("ONRUSH_SERVICES_KAFKA_PROXIED_BROKERS"), address("ONRUSH_SERVICES_KAFKA_PROXY_TARGET"));
    let proxy = Proxy::start_on(proxied, target).expect("start a proxy");
    table.put(1, 0, 1);
    table.flush();
    let cluster = ClusterSettings { brokers: proxied.to_string(), ..table.place.cluster() };
    let collection = Collection::follow(table.settings_by(cluster));
    collection.wait_until_coherent(&table);
    for round in 1..=5 {
        proxy.set(Mode::CutFrom(100 * round));
        table.put(1, round, 10 * round);
        table.flush();
        pause(Duration::from_millis(200));
        proxy.set(Mode::Pass);
        collection.wait(&table, "the change does not come", |collection| {
            collection.value(1) == Some(round) && collection.is_coherent()
        });
        assert!(!said(&collection).contains("loaded anew"), "{}", said(&collection));
    }
    proxy.set(Mode::Silent);
    collection.wait(&table, "nobody can know how old the row is", |collection| !collection.is_coherent());
    table.put(1, 9, 90);
    table.flush();
    pause(LAG_MAX);
    assert_eq!(collection.value(1), Some(5));
    proxy.cut();
    proxy.set(Mode::Pass);
    collection.wait(&table, "it does not come back", |collection| {
        collection.value(1) == Some(9) && collection.is_coherent()
    });
}
