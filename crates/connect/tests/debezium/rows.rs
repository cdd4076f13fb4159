//! What a topic has reaches readers, and how new it is.

use onrush_connect::debezium::DebeziumSettings;
use onrush_node::catalog::Freshness;

use crate::table::{Collection, LAG_MAX, Table, change, pause, send};

#[test]
fn rows_of_a_topic_are_loaded_and_then_follow_it() {
    let Some(table) = Table::make() else { return };
    for id in 0..1_000 {
        table.put(id, id, 10 + id);
    }
    table.delete(7, 2_000);
    table.flush();
    let collection = Collection::follow(table.settings());
    collection.wait_until_coherent(&table);
    let shown = collection.rows.shown();
    assert!(shown.is_whole && shown.rows.row_count() == 999, "{} rows", shown.rows.row_count());
    collection.wait(&table, "the version does not follow", |collection| {
        collection.rows.shown().rows.version() == 2_000
    });
    assert_eq!((collection.value(7), collection.value(8)), (None, Some(8)));
    let Freshness::Coherent(lag) = collection.state().freshness else { panic!("it was coherent") };
    assert!(lag <= LAG_MAX);

    table.put(8, 88, 3_000);
    table.put(1_000, 1, 3_001);
    table.delete(9, 3_002);
    let is_changed =
        |collection: &Collection| [8, 1_000, 9].map(|id| collection.value(id)) == [Some(88), Some(1), None];
    collection.wait(&table, "the changes do not come", is_changed);
    // As a connector does that was killed, and begins again where it last said that it was.
    table.put(8, 80, 2_500);
    table.put(9, 9, 19);
    table.put(10, 100, 3_003);
    collection.wait(&table, "the change does not come", |collection| collection.value(10) == Some(100));
    assert_eq!((collection.value(8), collection.value(9)), (Some(88), None));
}

#[test]
fn without_offsets_the_lag_is_that_of_the_topic() {
    let Some(table) = Table::make() else { return };
    table.put(1, 1, 1);
    table.flush();
    let collection = Collection::follow(DebeziumSettings { offsets: None, ..table.settings() });
    collection.wait_while("it is not coherent", || {}, Collection::is_coherent);
    pause(LAG_MAX);
    assert!(collection.is_coherent(), "{:?}", collection.state());
}

#[test]
fn when_the_connector_stops_nobody_knows_how_old_rows_are() {
    let Some(table) = Table::make() else { return };
    table.put(1, 1, 1);
    table.flush();
    let collection = Collection::follow(table.settings());
    collection.wait_until_coherent(&table);
    collection.wait_while("it is still coherent", || {}, |collection| !collection.is_coherent());
    collection.wait_until_coherent(&table);
}

/// The end of the topic is behind records that are none of its rows.
#[test]
fn the_end_of_a_transaction_is_no_record() {
    let Some(table) = Table::make() else { return };
    let put = |producer: &_, id: u64, value: u64| {
        let row = format!("{{\"id\":{id},\"value\":{value}}}");
        let (key, value) = (format!("{{\"id\":{id}}}"), change("c", &row, 10 * value));
        send(producer, &table.place.topic, &key, Some(&value));
    };
    table.in_transaction(true, |producer| (0..10).for_each(|id| put(producer, id, 1)));
    table.in_transaction(false, |producer| (0..10).for_each(|id| put(producer, id, 2)));
    let collection = Collection::follow(table.settings());
    collection.wait_until_coherent(&table);
    assert_eq!((collection.value(0), collection.value(9)), (Some(1), Some(1)));
    table.in_transaction(true, |producer| put(producer, 3, 3));
    collection.wait(&table, "the change does not come", |collection| collection.value(3) == Some(3));
    table.in_transaction(false, |producer| put(producer, 3, 4));
    pause(LAG_MAX);
    collection.wait_until_coherent(&table);
    assert_eq!(collection.value(3), Some(3));
}

#[test]
fn rows_are_not_all_while_the_connector_tells_them() {
    let Some(table) = Table::make() else { return };
    let read = |id: u64, part: &str| {
        let row = format!("{{\"id\":{id},\"value\":1}}");
        table.send(id, Some(&change("r", &row, 5).replace("\"false\"", &format!("\"{part}\""))));
        table.flush();
    };
    read(1, "first");
    read(2, "true");
    let collection = Collection::follow(DebeziumSettings { offsets: None, ..table.settings() });
    collection.wait_while(
        "nothing is said",
        || {},
        |collection| collection.state().last_error.is_some_and(|error| error.contains("is in its snapshot")),
    );
    assert!(!collection.is_coherent() && collection.state().loading_count == Some(2));
    read(3, "last_in_data_collection");
    collection.wait_while("it is not coherent", || {}, Collection::is_coherent);
    assert_eq!(collection.value(3), Some(1));
    // All are told again, without the row 2.
    read(1, "first");
    for id in [1, 3] {
        let row = format!("{{\"id\":{id},\"value\":2}}");
        let part = if id == 1 { "true" } else { "last_in_data_collection" };
        table.send(id, Some(&change("r", &row, 9).replace("\"false\"", &format!("\"{part}\""))));
    }
    table.flush();
    collection.wait_while("the row is still there", || {}, |collection| collection.value(2).is_none());
    assert_eq!((collection.value(1), collection.value(3)), (Some(2), Some(2)));
}
