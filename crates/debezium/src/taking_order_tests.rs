//! In which order changes were made that several servers tell, with numbers of their transactions and without.

use super::*;

/// Two servers of which one follows the other: the connector is killed, reads on at the other one, is killed and reads on at the first again.
#[test]
fn the_order_of_changes_is_that_of_their_transactions() {
    let mut scene = Scene::new();
    let mut seen = Vec::new();
    for record in golden("mariadb-failover") {
        scene.take_golden(&record);
        let values = scene.shown().into_iter().map(|(key, row)| format!("{key}={}", row["price_cents"]));
        let values = values.collect::<Vec<_>>().join(" ");
        if seen.last() != Some(&values) {
            seen.push(values);
        }
    }
    assert_eq!(
        seen,
        [
            "1=100",
            "1=100 2=200",
            "1=100 2=200 3=300",
            "1=100 2=200 3=300 4=401",
            // The second change of row 2 had begun before the first, and both are told again.
            "1=100 2=201 3=300 4=401",
            "1=202 2=201 3=300 4=401",
            "1=202 2=202 3=300 4=401",
            "1=202 2=202 3=301 4=401",
            "1=202 2=202 3=302 4=401",
            // In the same second another server has begun to make changes, in a log that is shorter.
            "1=202 2=202 3=303 4=401",
            "1=202 2=202 3=310 4=401",
            "1=202 2=202 3=311 4=401",
            "1=202 2=202 3=312 4=401",
            "1=202 2=202 3=312 4=410",
            "1=202 2=202 3=312",
            "1=202 2=202 3=312 4=411",
            // The first server tells them again, at higher places of its own log, and nothing tells one of a transaction from the next one of it.
            "1=202 2=202 3=312",
            "1=202 2=202 3=312 4=411",
            "1=202 2=202 3=320 4=411",
            // In a domain of its own, and in the one of before.
            "1=202 2=202 3=321 4=411",
            "1=202 2=202 3=322 4=411",
        ]
    );
    assert_eq!(scene.last_error(), "");
}

/// MySQL names transactions without an order, and with names it tells when they were committed.
#[test]
fn without_numbers_places_and_times_tell_the_order() {
    let uuid = |number: u64| json!(format!("3e11fa47-71ca-11e1-9e33-c80aa9429562:{number}"));
    let put = |file: u64, pos: u64, at: u64, v: u64, gtid: Value| {
        let record = put(at, v).with("connector", "mysql").with("file", format!("binlog.{file:06}"));
        record.with("pos", pos).with("gtid", gtid)
    };
    for gtid in [&uuid as &dyn Fn(u64) -> Value, &|_| Value::Null] {
        let mut scene = Scene::new();
        for (record, expected) in [
            (put(5, 100, 10, 1, gtid(9)), "a=1"),
            // A member of a group numbers from a block of its own.
            (put(5, 200, 11, 2, gtid(3)), "a=2"),
            (put(5, 100, 10, 1, gtid(9)), "a=2"),
            (put(5, 200, 11, 2, gtid(3)), "a=2"),
            // Another server, a millisecond later.
            (put(1, 100, 12, 3, gtid(10)), "a=3"),
            (put(1, 90, 11, 2, gtid(3)), "a=3"),
        ] {
            scene.take("a", &record);
            assert_eq!(scene.values(), expected, "{record:?}");
        }
    }
}
