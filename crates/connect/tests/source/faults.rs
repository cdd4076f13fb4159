//! What goes wrong between a collection and its source.

use onrush_connect::source::prepare;
use onrush_node::catalog::{FetchFailure, Freshness};

use crate::shop::{Followed, Shop, await_that, now, watch};

/// What the collection says went wrong last.
fn await_error(followed: &Followed, words: &str) {
    await_that(&format!("it says {words:?}"), || {
        let state = followed.rows.state(now());
        state.last_error.as_ref().is_some_and(|error| error.contains(words))
    });
}

#[test]
fn what_is_missing_in_the_database_is_said_and_once_it_is_there_rows_come() {
    let tables = "CREATE TABLE products (id bigint, price int); INSERT INTO products VALUES (1, 1)";
    let Some(shop) = Shop::new(tables, "SELECT * FROM products", &[watch("products", "id", None)]) else {
        return;
    };
    let followed = shop.begin_to_follow(1 << 20, false);
    let session = shop.session();
    await_error(&followed, "there is no publication onrush");
    assert_eq!(followed.want("1"), Err(FetchFailure::Incoherent));
    session.run("CREATE PUBLICATION onrush");
    await_error(&followed, "ALTER PUBLICATION onrush ADD TABLE products");
    session.run("ALTER PUBLICATION onrush ADD TABLE products");
    await_error(&followed, "REPLICA IDENTITY FULL");
    session.run("ALTER TABLE products REPLICA IDENTITY FULL");
    followed.await_shown("1", Some(r#"{"id":1,"price":1}"#));
    session.run("UPDATE products SET id = 2");
    followed.await_shown("2", Some(r#"{"id":2,"price":1}"#));
    followed.await_shown("1", None);
}

#[test]
fn a_connection_that_was_cut_goes_on_without_loading() {
    let Some(shop) = Shop::with_products() else { return };
    let followed = shop.follow();
    let session = shop.session();
    let cut = format!(
        "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = '{}'",
        shop.settings.replication_slot
    );
    for price in 1..=3 {
        session.run(&cut);
        session.run(&format!("UPDATE products SET price = {price} WHERE id = 1"));
        followed.await_shown("1", Some(&format!(r#"{{"id":1,"price":{price},"text":null}}"#)));
        followed.await_coherent();
    }
    let state = followed.rows.state(now());
    assert_eq!(state.loading_count, None);
    assert!(state.last_error.is_some_and(|error| !error.contains("loaded")));
}

#[test]
fn a_lost_replication_slot_is_made_again_and_all_rows_are_loaded() {
    let Some(shop) = Shop::with_products() else { return };
    let followed = shop.follow();
    let session = shop.session();
    let slot = &shop.settings.replication_slot;
    session.run(&format!(
        "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = '{slot}'"
    ));
    await_that("the slot can be dropped", || {
        session.number(&format!(
            "WITH free AS (SELECT slot_name FROM pg_replication_slots WHERE slot_name = '{slot}' AND NOT active) \
             SELECT count(pg_drop_replication_slot(slot_name)) FROM free"
        )) == 1
    });
    session.run("UPDATE products SET price = 4 WHERE id = 1; DELETE FROM products WHERE id = 2");
    followed.await_shown("1", Some(r#"{"id":1,"price":4,"text":null}"#));
    followed.await_shown("2", None);
    followed.await_all(&session);
}

#[test]
fn a_stopped_feed_leaves_no_slot_and_its_rows_are_soon_incoherent() {
    let Some(shop) = Shop::with_products() else { return };
    let mut followed = shop.follow();
    let session = shop.session();
    drop(followed.feed.take());
    let slots = format!(
        "SELECT count(*) FROM pg_replication_slots WHERE slot_name = '{}'",
        shop.settings.replication_slot
    );
    assert_eq!(session.number(&slots), 0);
    await_that("nobody may rely on the rows", || {
        followed.rows.shown().freshness(now()) == Freshness::Incoherent
    });
    assert_eq!(followed.want("1"), Err(FetchFailure::Incoherent));
}

#[test]
fn another_life_goes_on_with_the_slot_of_a_life_that_was_killed() {
    let Some(shop) = Shop::with_products() else { return };
    let session = shop.session();
    // As after a kill: the slot is there, and the log behind it has changes that nobody took.
    session.run(&format!(
        "SELECT pg_create_logical_replication_slot('{}', 'pgoutput')",
        shop.settings.replication_slot
    ));
    session.run("UPDATE products SET price = 1; DELETE FROM products WHERE id = 3");
    let followed = shop.follow();
    assert_eq!(followed.shown("1").as_deref(), Some(r#"{"id":1,"price":1,"text":null}"#));
    assert_eq!(followed.shown("3"), None);
    session.run("UPDATE products SET price = 2 WHERE id = 1");
    followed.await_shown("1", Some(r#"{"id":1,"price":2,"text":null}"#));
    followed.await_all(&session);
}

#[test]
fn a_slot_of_somebody_else_is_left_alone() {
    let Some(shop) = Shop::with_products() else { return };
    let session = shop.session();
    let slot = &shop.settings.replication_slot;
    session.run(&format!("SELECT pg_create_physical_replication_slot('{slot}')"));
    let followed = shop.begin_to_follow(1 << 20, false);
    await_error(&followed, "belongs to something else");
    session.run(&format!("SELECT pg_drop_replication_slot('{slot}')"));
    followed.await_coherent();
}

#[test]
fn reads_may_go_to_the_source_while_the_feed_is_away() {
    let Some(shop) = Shop::with_products() else { return };
    let session = shop.session();
    session.run("DROP PUBLICATION onrush");
    let followed = shop.begin_to_follow(1 << 20, true);
    await_error(&followed, "there is no publication");
    for price in 1..=3 {
        session.run(&format!("UPDATE products SET price = {price} WHERE id = 1"));
        assert_eq!(followed.want("1"), Ok(Some(format!(r#"{{"id":1,"price":{price},"text":null}}"#))));
    }
    assert_eq!(followed.want("1000"), Ok(None));
    prepare(&shop.settings).expect("prepare");
    followed.await_coherent();
    assert_eq!(followed.shown("1").as_deref(), Some(r#"{"id":1,"price":3,"text":null}"#));
}

#[test]
fn a_row_that_cannot_be_read_keeps_no_other_from_being_shown() {
    let tables = "CREATE TABLE products (id int PRIMARY KEY, parts int NOT NULL); \
         INSERT INTO products SELECT id, 1 FROM generate_series(1, 100) AS id";
    let query = "SELECT id, 100 / parts AS share FROM products";
    let Some(shop) = Shop::new(tables, query, &[watch("products", "id", None)]) else { return };
    prepare(&shop.settings).expect("prepare");
    let followed = shop.follow();
    let session = shop.session();
    session.run("UPDATE products SET parts = CASE id WHEN 1 THEN 0 ELSE 2 END");
    for key in 2..=100 {
        followed.await_shown(&key.to_string(), Some(&format!(r#"{{"id":{key},"share":50}}"#)));
    }
    followed.await_shown("1", None);
    followed.await_all(&session);
    assert!(!followed.rows.shown().is_whole);
    let fetches = followed.rows.state(now()).fetch_count;
    assert_eq!(followed.want("1"), Err(FetchFailure::Unavailable));
    assert_eq!(followed.want("2"), Ok(Some(r#"{"id":2,"share":50}"#.to_owned())));
    assert_eq!(followed.rows.state(now()).fetch_count, fetches, "nobody asks again for what cannot be read");
    await_error(&followed, "division by zero");
    session.run("UPDATE products SET parts = 4 WHERE id = 1");
    followed.await_all(&session);
    assert_eq!(followed.want("1"), Ok(Some(r#"{"id":1,"share":25}"#.to_owned())));
}

#[test]
fn the_feed_is_on_the_host_that_statements_go_to() {
    let Some(mut shop) = Shop::with_products() else { return };
    // Nobody listens on the first.
    shop.settings.url = shop.settings.url.replacen("127.0.0.1:", "127.0.0.1:9,127.0.0.1:", 1);
    let followed = shop.follow();
    shop.session().run("UPDATE products SET price = 1 WHERE id = 1");
    followed.await_shown("1", Some(r#"{"id":1,"price":1,"text":null}"#));
}

#[test]
fn columns_that_do_not_lead_to_keys_are_refused() {
    let tables = "CREATE TABLE products (id int PRIMARY KEY, code text UNIQUE NOT NULL)";
    let by_code = "SELECT code AS id FROM products";
    for (query, keys, said) in [
        (by_code, None, "give watch.products a query of keys"),
        (
            "SELECT * FROM products",
            Some("SELECT id FROM products WHERE id = ANY($1::int[])"),
            "must be an array of text",
        ),
        ("SELECT * FROM products", Some("SELECT code FROM nothing WHERE id = ANY($1)"), "does not exist"),
    ] {
        let Some(shop) = Shop::new(tables, query, &[watch("products", "id", keys)]) else { return };
        let refused = prepare(&shop.settings).expect_err("it leads nowhere").to_string();
        assert!(refused.contains(said), "{refused}");
    }
}

#[test]
fn a_database_that_cannot_be_prepared_is_left_as_it_was() {
    let tables = "CREATE TABLE products (id int, price int); INSERT INTO products VALUES (1, 1)";
    let Some(shop) = Shop::new(tables, "SELECT * FROM products", &[watch("products", "id", None)]) else {
        return;
    };
    let refused = prepare(&shop.settings).expect_err("it has no primary key").to_string();
    assert!(refused.contains("REPLICA IDENTITY FULL"), "{refused}");
    let session = shop.session();
    assert_eq!(session.number("SELECT count(*) FROM pg_publication"), 0);
    session.run("UPDATE products SET price = 2");
}
