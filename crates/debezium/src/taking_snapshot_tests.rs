//! When all rows were told, how new they are, and which of them are there no longer.

use std::time::Duration;

use super::*;

#[test]
fn rows_are_not_all_there_before_a_snapshot_ends() {
    let mut scene = Scene::new();
    assert!(scene.reach_after(1), "nobody tells any");
    scene.take("a", &snapshot("first", 10, 1));
    assert!(scene.taker.is_in_snapshot() && !scene.reach_after(1));
    scene.take("b", &snapshot("true", 10, 2));
    assert!(scene.taker.is_in_snapshot() && !scene.reach_after(1_000));
    scene.take("c", &snapshot("last_in_data_collection", 10, 3));
    assert!(!scene.taker.is_in_snapshot());
    let before = scene.now().checked_sub(Duration::from_millis(1)).expect("the clock has begun long ago");
    assert!(!scene.taker.reach(before), "it was asked before the last row came");
    assert!(scene.reach_after(0) && scene.reach_after(1));
    assert_eq!(scene.values(), "a=1 b=2 c=3");
    assert_eq!(scene.taker.known().position, 10);
}

#[test]
fn golden_snapshots_end() {
    for name in ["postgres-orders", "mariadb-orders", "postgres-wiped", "mariadb-wiped"] {
        let mut scene = Scene::new();
        for (index, record) in golden(name).iter().enumerate() {
            let rows = if name.ends_with("orders") { 3 } else { 1 };
            scene.take_golden(record);
            assert_eq!(scene.reach_after(1), index + 1 >= rows, "{name}: {record:?}");
        }
    }
}

#[test]
fn a_change_ends_a_snapshot_whose_last_row_is_of_another_table() {
    let mut scene = Scene::new();
    scene.take("a", &snapshot("first", 10, 1).told(20));
    scene.take("b", &put(11, 2).told(21));
    scene.ms += 1;
    assert!(!scene.taker.is_in_snapshot() && scene.reach_after(1));
}

/// What a connector tells first may come later in another partition. What it says of itself comes after both.
#[test]
fn a_connector_that_says_how_far_it_is_says_when_all_rows_were_told() {
    let mut scene = Scene::with_offsets();
    scene.take("a", &snapshot("first", 10, 1).told(20));
    scene.take("b", &snapshot("last", 10, 2).told(21));
    scene.take("c", &put(11, 3).told(22));
    assert!(scene.taker.is_in_snapshot() && !scene.reach_after(1));
    scene.offset(9, 5);
    assert!(scene.taker.is_in_snapshot(), "it was there before");
    let committed_ms = START_MS + 10_000;
    let in_snapshot = Offset { position: 10, gtids: None, committed_ms, is_in_snapshot: true };
    scene.taker.take_offset(in_snapshot, scene.moment());
    assert!(scene.taker.is_in_snapshot() && scene.taker.known().position == 9);
    scene.offset(11, 10_000);
    assert!(!scene.taker.is_in_snapshot() && scene.reach_after(1));
    assert_eq!(scene.values(), "a=1 b=2 c=3");
    assert_eq!(scene.taker.known().position, 11);
}

#[test]
fn the_last_row_of_another_partition_may_be_read_first() {
    let mut scene = Scene::new();
    scene.take_in(1, "b", &snapshot("last", 10, 2).told(21));
    scene.take_in(0, "a", &snapshot("true", 10, 1).told(20));
    assert!(!scene.taker.is_in_snapshot() && scene.reach_after(1));
    assert_eq!(scene.values(), "a=1 b=2");
}

#[test]
fn a_second_snapshot_removes_what_it_does_not_tell() {
    let mut scene = Scene::new();
    for (key, at) in [("a", 5), ("gone", 6), ("b", 7)] {
        scene.take(key, &put(at, at));
    }
    scene.take("a", &snapshot("first", 10, 10));
    scene.take("newer", &put(12, 12).told(9));
    scene.take("b", &snapshot("true", 10, 10));
    assert!(!scene.reach_after(1));
    assert_eq!(scene.wanted("gone"), Ok(Some(json!(6))), "nobody knows yet");
    scene.take("c", &snapshot("last", 10, 10));
    assert!(scene.reach_after(1));
    assert_eq!(scene.values(), "a=10 b=10 c=10 newer=12");
    scene.take("gone", &put(6, 6));
    assert_eq!(scene.wanted("gone"), Ok(None), "it was told again");
}

#[test]
fn a_snapshot_that_was_broken_off_is_told_anew() {
    let mut scene = Scene::new();
    scene.take("a", &snapshot("first", 10, 1));
    scene.take("gone", &snapshot("true", 10, 1));
    scene.ms += 9_000;
    scene.take("a", &snapshot("first", 20, 2));
    assert!(!scene.reach_after(1));
    scene.take("b", &snapshot("last", 20, 2));
    assert!(scene.reach_after(1));
    assert_eq!(scene.values(), "a=2 b=2");
}

#[test]
fn a_row_that_a_snapshot_tells_without_a_value_stays_unknown() {
    let mut scene = Scene::new();
    scene.take("a", &put(5, 1));
    scene.take("b", &snapshot("first", 10, 1));
    scene.take_bytes(Some(br#"{"id":"a"}"#), Some(b"?")).expect("the key is known");
    scene.take("c", &snapshot("last", 10, 1));
    assert!(scene.reach_after(1));
    assert_eq!(scene.wanted("a"), Err(FetchFailure::Unavailable));
    scene.take("a", &put(11, 2));
    assert_eq!(scene.wanted("a"), Ok(Some(json!(2))));

    // What no change told before is no longer in doubt once all rows were told.
    scene.take("d", &put(12, UNKNOWN));
    assert_eq!(scene.wanted("d"), Err(FetchFailure::Unavailable));
    scene.take("a", &snapshot("last", 20, 3));
    assert!(scene.reach_after(1));
    assert_eq!((scene.values(), scene.wanted("d")), ("a=3".to_owned(), Ok(None)));
}

#[test]
fn another_server_has_lower_positions() {
    // With a row that was there before, and with none of them.
    for (key, expected) in [("a", "a=2 z=2"), ("y", "y=2 z=2")] {
        let mut scene = Scene::new();
        scene.take("a", &put(1_000, 1));
        scene.take("gone", &put(1_001, 1));
        scene.take(key, &snapshot("first", 7, 2).with("ts_ms", START_MS + 2_000).told(2_001));
        scene.take("z", &snapshot("last", 7, 2).with("ts_ms", START_MS + 2_000).told(2_002));
        assert!(scene.reach_after(3_000));
        assert_eq!(scene.values(), expected);
        assert_eq!(scene.taker.known().position, 7);
        scene.take("z", &put(8, 3).with("ts_ms", START_MS + 2_010).told(2_011));
        assert_eq!(scene.taker.known().position, 8);
    }
}

#[test]
fn a_snapshot_of_the_same_server_is_no_new_log() {
    let mut scene = Scene::new();
    // Another partition is ahead: it has changes that were told after these rows.
    scene.take_in(1, "a", &put(12, 12).told(30));
    scene.take_in(0, "b", &snapshot("first", 10, 1).told(20));
    scene.take_in(0, "c", &snapshot("last", 10, 1).told(21));
    assert!(scene.reach_after(1));
    assert_eq!(scene.values(), "a=12 b=1 c=1");
    assert_eq!(scene.taker.known().position, 12);
}

#[test]
fn transactions_that_were_open_when_all_rows_were_read_are_told_after_them() {
    let mut scene = Scene::new();
    for (key, part) in [("a", "first"), ("b", "last")] {
        scene.take(key, &snapshot(part, 100, 1).with("ts_ms", START_MS + 150).told(200));
    }
    assert!(scene.reach_after(1));
    // Both wrote before place 100 and were committed after it, but before the clock was read for the snapshot.
    let first = |at, v| put(at, v).with("sequence", format!("[null,\"{at}\"]")).with("ts_ms", START_MS + 140);
    let second =
        |at, v| put(at, v).with("sequence", format!("[\"120\",\"{at}\"]")).with("ts_ms", START_MS + 141);
    for (key, record, expected) in [
        ("a", first(90, 2), "a=2 b=1"),
        ("a", first(95, 3), "a=3 b=1"),
        ("b", second(80, 2), "a=3 b=2"),
        ("a", second(97, 4), "a=4 b=2"),
        ("a", second(120, 5), "a=5 b=2"),
        ("a", first(90, 2), "a=5 b=2"),
        ("a", first(95, 3), "a=5 b=2"),
        ("b", second(80, 2), "a=5 b=2"),
        ("a", second(97, 4), "a=5 b=2"),
        ("a", second(120, 5), "a=5 b=2"),
    ] {
        let record = record.told(300);
        scene.take(key, &record);
        assert_eq!(scene.values(), expected, "{record:?}");
        assert!(scene.taker.known().position >= 100);
    }
    assert!(scene.reach_after(1));
    assert_eq!(scene.values(), "a=5 b=2");
}

#[test]
fn rows_that_are_told_again_among_the_changes_are_no_snapshot() {
    let mut scene = Scene::new();
    scene.take("a", &put(20, 1));
    let again = |at: u64, v: u64| {
        let sequence = format!("[\"{at}\",\"{at}\"]");
        snapshot("incremental", at, v).with("lsn", Value::Null).with("sequence", sequence)
    };
    scene.take("a", &again(30, 1));
    scene.take("healed", &again(30, 2));
    assert!(!scene.taker.is_in_snapshot() && scene.reach_after(1));
    assert_eq!(scene.values(), "a=1 healed=2");
    assert_eq!(scene.taker.known().position, 20, "it says nothing of other changes");
    scene.take("healed", &put(31, 3));
    scene.take("healed", &again(30, 2));
    assert_eq!(scene.values(), "a=1 healed=3");
}

#[test]
fn a_connector_says_how_new_the_rows_are() {
    let mut scene = Scene::with_offsets();
    scene.ms = 10_000;
    assert_eq!(scene.taker.known(), Known::default());
    for (position, at, expected) in
        [(5, 4_000, (5, 4_000)), (4, 3_000, (5, 4_000)), (9, 9_999, (9, 9_999)), (12, 12_000, (12, 10_000))]
    {
        scene.offset(position, at);
        assert_eq!((scene.taker.known().position, scene.as_of_ms()), (expected.0, Some(expected.1)));
    }
    scene.take("a", &put(20_000, 1));
    assert_eq!(scene.taker.known().position, 12, "what was told before it may still be on its way");

    // Another server has begun a log of its own, in the same second.
    let mut scene = Scene::with_offsets();
    scene.ms = 10_000;
    for (position, gtids, name, expected) in [
        (1_000, Some("0-1-90"), "0-1-90", true),
        (7, Some("0-2-91"), "0-1-91", true),
        (8, Some("0-2-91"), "0-2-92", false),
        (9, None, "0-1-90", false),
    ] {
        let gtids = gtids.and_then(GtidSet::parse).map(Arc::new);
        let offset = Offset { position, gtids, committed_ms: START_MS + 4_000, is_in_snapshot: false };
        scene.taker.take_offset(offset, scene.moment());
        let (known, name) = (scene.taker.known(), GtidSet::parse(name).expect("a name"));
        assert_eq!(known.gtids.is_some_and(|gtids| gtids.has_all(&name)), expected, "{position}");
    }

    // A second later its places are known to be those of a new log.
    let mut scene = Scene::with_offsets();
    scene.ms = 10_000;
    scene.offset(1_000, 4_000);
    scene.offset(7, 5_000);
    assert_eq!((scene.taker.known().position, scene.as_of_ms()), (7, Some(5_000)));
}

#[test]
fn changes_say_how_new_the_rows_are() {
    let mut scene = Scene::new();
    scene.ms = 10_000;
    scene.take("a", &snapshot("last", 50, 1));
    assert_eq!((scene.taker.known().position, scene.as_of_ms()), (50, None));
    scene.take("a", &put(60, 1).told(9_000));
    assert_eq!((scene.taker.known().position, scene.as_of_ms()), (60, Some(60)));
    scene.take("b", &put(55, 1));
    assert_eq!((scene.taker.known().position, scene.as_of_ms()), (60, Some(60)), "it was told again");
    scene.take("a", &put(20_000, 1));
    assert_eq!(scene.as_of_ms(), Some(10_000));
}
