//! Whatever changes in the database is shown.

use crate::shop::{Shop, await_that, watch};

#[test]
fn rows_are_loaded_and_follow_every_kind_of_change() {
    let Some(shop) = Shop::with_products() else { return };
    let followed = shop.follow();
    let session = shop.session();
    assert_eq!(followed.shown("1").as_deref(), Some(r#"{"id":1,"price":0,"text":null}"#));
    assert!(followed.rows.shown().is_whole && followed.shown("101").is_none());
    session.run("UPDATE products SET price = 5 WHERE id = 1");
    followed.await_shown("1", Some(r#"{"id":1,"price":5,"text":null}"#));
    session.run("INSERT INTO products VALUES (101, 1, 'é')");
    followed.await_shown("101", Some(r#"{"id":101,"price":1,"text":"é"}"#));
    session.run("DELETE FROM products WHERE id = 2");
    followed.await_shown("2", None);
    session.run("UPDATE products SET id = 200 WHERE id = 3");
    followed.await_shown("3", None);
    followed.await_shown("200", Some(r#"{"id":200,"price":0,"text":null}"#));
    session.run("BEGIN; UPDATE products SET price = 9; ROLLBACK; UPDATE products SET price = 7 WHERE id = 4");
    followed.await_shown("4", Some(r#"{"id":4,"price":7,"text":null}"#));
    followed.await_all(&session);
    assert_eq!(followed.shown("5").as_deref(), Some(r#"{"id":5,"price":0,"text":null}"#));
}

#[test]
fn a_large_value_that_did_not_change_stays() {
    let Some(shop) = Shop::with_products() else { return };
    let followed = shop.follow();
    let session = shop.session();
    session.run("ALTER TABLE products ALTER text SET STORAGE EXTERNAL");
    session.run("UPDATE products SET text = repeat('x', 10000) WHERE id = 1");
    session.run("UPDATE products SET price = 3 WHERE id = 1");
    followed.await_shown("1", Some(&format!(r#"{{"id":1,"price":3,"text":"{}"}}"#, "x".repeat(10_000))));
}

#[test]
fn truncated_and_altered_tables_are_loaded_anew() {
    let Some(shop) = Shop::with_products() else { return };
    let followed = shop.follow();
    let session = shop.session();
    session.run("ALTER TABLE products ADD COLUMN name text NOT NULL DEFAULT 'none'");
    followed.await_shown("7", Some(r#"{"id":7,"price":0,"text":null,"name":"none"}"#));
    session.run("ALTER TABLE products DROP COLUMN text; UPDATE products SET price = 1 WHERE id = 7");
    followed.await_shown("7", Some(r#"{"id":7,"price":1,"name":"none"}"#));
    session.run("TRUNCATE products; INSERT INTO products VALUES (1, 8)");
    followed.await_shown("1", Some(r#"{"id":1,"price":8,"name":"none"}"#));
    followed.await_all(&session);
    assert_eq!(followed.rows.shown().rows.row_count(), 1);
}

#[test]
fn a_row_of_two_tables_follows_both() {
    let tables = "CREATE TABLE warehouses (id int PRIMARY KEY, name text NOT NULL); \
         CREATE TABLE stock (id uuid PRIMARY KEY, warehouse_id int NOT NULL, units int NOT NULL); \
         INSERT INTO warehouses VALUES (1, 'north'), (2, 'south'); \
         INSERT INTO stock VALUES ('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 1, 5), \
                                  ('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a12', 2, 6)";
    let query = "SELECT s.id, s.units, w.name FROM stock s JOIN warehouses w ON w.id = s.warehouse_id";
    let keys = "SELECT id FROM stock WHERE warehouse_id = ANY($1::text[]::int[])";
    let watches = [watch("stock", "id", None), watch("public.warehouses", "id", Some(keys))];
    let Some(shop) = Shop::new(tables, query, &watches) else { return };
    onrush_connect::source::prepare(&shop.settings).expect("prepare");
    let followed = shop.follow();
    let session = shop.session();
    let (one, two) = ("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a12");
    let row = |id, units, name| format!(r#"{{"id":"{id}","units":{units},"name":"{name}"}}"#);
    assert_eq!(followed.shown(one), Some(row(one, 5, "north")));
    session.run("UPDATE warehouses SET name = 'far north' WHERE id = 1");
    followed.await_shown(one, Some(&row(one, 5, "far north")));
    session.run("UPDATE stock SET warehouse_id = 1 WHERE warehouse_id = 2");
    followed.await_shown(two, Some(&row(two, 6, "far north")));
    session.run("BEGIN; UPDATE warehouses SET name = 'x'; UPDATE stock SET units = 0; COMMIT");
    followed.await_shown(one, Some(&row(one, 0, "x")));
    followed.await_shown(two, Some(&row(two, 0, "x")));
    session.run("DELETE FROM warehouses WHERE id = 1");
    followed.await_shown(one, None);
}

#[test]
fn a_partitioned_table_is_one_table() {
    let tables = "CREATE TABLE parts (id int PRIMARY KEY, n int) PARTITION BY RANGE (id); \
         CREATE TABLE parts_low PARTITION OF parts FOR VALUES FROM (0) TO (10); \
         CREATE TABLE parts_high PARTITION OF parts FOR VALUES FROM (10) TO (20); INSERT INTO parts VALUES (1, 1), (11, 1)";
    let Some(shop) = Shop::new(tables, "SELECT * FROM parts", &[watch("parts", "id", None)]) else { return };
    onrush_connect::source::prepare(&shop.settings).expect("prepare");
    let followed = shop.follow();
    let session = shop.session();
    session.run("UPDATE parts SET n = 2; UPDATE parts SET id = 12 WHERE id = 1");
    followed.await_shown("11", Some(r#"{"id":11,"n":2}"#));
    followed.await_shown("12", Some(r#"{"id":12,"n":2}"#));
    followed.await_shown("1", None);
}

#[test]
fn rows_beyond_the_room_are_read_when_they_are_asked_for() {
    let Some(shop) = Shop::with_products() else { return };
    let followed = shop.begin_to_follow(3_000, false);
    followed.await_coherent();
    let session = shop.session();
    assert!(!followed.rows.shown().is_whole);
    for key in 1..=100 {
        let row = format!(r#"{{"id":{key},"price":0,"text":null}}"#);
        assert_eq!(followed.want(&key.to_string()), Ok(Some(row)));
        assert!(followed.rows.state(crate::shop::now()).bytes <= 3_000);
    }
    for absent in ["101", "007", "x", "99999999999999999999", "'; DROP TABLE products"] {
        assert_eq!(followed.want(absent), Ok(None), "{absent}");
    }
    let fetches = followed.rows.state(crate::shop::now()).fetch_count;
    assert_eq!((followed.want("101"), followed.want("x")), (Ok(None), Ok(None)));
    assert_eq!(
        followed.rows.state(crate::shop::now()).fetch_count,
        fetches,
        "it is remembered that there are none"
    );
    session.run("INSERT INTO products VALUES (101, 1, NULL); UPDATE products SET price = 2 WHERE id <= 100");
    followed.await_all(&session);
    assert_eq!(followed.want("101"), Ok(Some(r#"{"id":101,"price":1,"text":null}"#.to_owned())));
    for key in 1..=100 {
        assert_eq!(
            followed.want(&key.to_string()),
            Ok(Some(format!(r#"{{"id":{key},"price":2,"text":null}}"#)))
        );
    }
}

#[test]
fn a_thousand_readers_of_one_row_are_one_query() {
    let Some(mut shop) = Shop::with_products() else { return };
    shop.settings.loads = false;
    let followed = shop.begin_to_follow(1 << 20, false);
    followed.await_coherent();
    let session = shop.session();
    let before = followed.rows.state(crate::shop::now()).fetch_count;
    session.run("BEGIN; LOCK TABLE products");
    let (sender, receiver) = std::sync::mpsc::sync_channel(1_000);
    for _ in 0..1_000 {
        let sender = sender.clone();
        let waiter: onrush_node::catalog::Waiter = Box::new(move |answer| {
            let _ = sender.send(answer.is_ok_and(|row| row.is_some()));
        });
        followed.rows.want([("9".into(), waiter)], crate::shop::now());
    }
    session.run("COMMIT");
    assert_eq!((0..1_000).filter(|_| receiver.recv().expect("an answer")).count(), 1_000);
    await_that("one query was counted", || followed.rows.state(crate::shop::now()).fetch_count == before + 1);
}

#[test]
fn a_partition_that_is_dropped_takes_its_rows_along() {
    let tables = "CREATE TABLE parts (id int PRIMARY KEY) PARTITION BY RANGE (id); \
         CREATE TABLE parts_low PARTITION OF parts FOR VALUES FROM (0) TO (10); \
         CREATE TABLE parts_high PARTITION OF parts FOR VALUES FROM (10) TO (20); INSERT INTO parts VALUES (1), (11)";
    let Some(shop) = Shop::new(tables, "SELECT * FROM parts", &[watch("parts", "id", None)]) else { return };
    onrush_connect::source::prepare(&shop.settings).expect("prepare");
    let followed = shop.follow();
    let session = shop.session();
    session.run("TRUNCATE parts_high");
    followed.await_shown("11", None);
    session.run("DROP TABLE parts_low");
    followed.await_shown("1", None);
}

#[test]
fn a_key_may_get_a_wider_type() {
    let Some(shop) = Shop::with_products() else { return };
    let followed = shop.follow();
    let session = shop.session();
    session.run("UPDATE products SET price = 1 WHERE id = 1");
    followed.await_shown("1", Some(r#"{"id":1,"price":1,"text":null}"#));
    session
        .run("ALTER TABLE products ALTER id TYPE bigint; INSERT INTO products VALUES (3000000000, 7, NULL)");
    followed.await_shown("3000000000", Some(r#"{"id":3000000000,"price":7,"text":null}"#));
    session.run("UPDATE products SET price = 8 WHERE id = 3000000000");
    followed.await_shown("3000000000", Some(r#"{"id":3000000000,"price":8,"text":null}"#));
}
