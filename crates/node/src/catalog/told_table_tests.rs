//! Changes that are told again, out of order, without room or without the row that they left.

use std::collections::BTreeMap;

use onrush_core::RowLine;
use proptest::prelude::*;

use super::*;

const KEYS: [&str; 3] = ["a", "b", "c"];

fn row(key: &str, value: u64) -> Row {
    Row::new(RowLine { key, json: format!("{{\"v\":{value}}}").as_bytes() })
}

fn at(position: u64) -> ChangePlace {
    // Some changes are committed in the same millisecond.
    ChangePlace { position, index: 0, committed_ms: 1_000 + position / 3, number: None }
}

fn table() -> ToldTable {
    ToldTable::new(7, 1 << 20)
}

fn shown(table: &ToldTable) -> BTreeMap<String, String> {
    let text = |row: &Row| String::from_utf8(row.json().to_vec()).expect("JSON is text");
    table.rows().sorted().into_iter().map(|row| (row.key().to_owned(), text(row))).collect()
}

#[derive(Clone, Copy, Debug)]
enum Change {
    Put(usize),
    Remove(usize),
    Empty,
}

fn apply(model: &mut BTreeMap<String, String>, change: Change, position: u64) {
    match change {
        Change::Put(key) => drop(model.insert(KEYS[key].to_owned(), format!("{{\"v\":{position}}}"))),
        Change::Remove(key) => drop(model.remove(KEYS[key])),
        Change::Empty => model.clear(),
    }
}

fn tell(table: &mut ToldTable, change: Change, position: u64) {
    match change {
        Change::Put(key) => drop(table.put(row(KEYS[key], position), at(position))),
        Change::Remove(key) => drop(table.remove(KEYS[key], Some(at(position)))),
        Change::Empty => table.empty(at(position)),
    }
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let change = prop_oneof![
        6 => (0..KEYS.len()).prop_map(Change::Put),
        3 => (0..KEYS.len()).prop_map(Change::Remove),
        1 => Just(Change::Empty),
    ];
    prop::collection::vec(change, 1..30)
}

proptest! {
    /// Whoever tells goes back to an earlier place now and then, as a feed does that was killed.
    #[test]
    fn a_row_never_goes_back(changes in changes(), restarts in prop::collection::vec((0..30_usize, 0..30_usize), 0..6)) {
        let (mut table, mut model) = (table(), BTreeMap::new());
        let mut next = 0;
        let mut newest = 0;
        let mut restarts = restarts.into_iter();
        let mut restart = restarts.next();
        while next < changes.len() {
            tell(&mut table, changes[next], next as u64 + 1);
            if next >= newest {
                apply(&mut model, changes[next], next as u64 + 1);
                newest = next + 1;
            }
            prop_assert_eq!(&shown(&table), &model, "after change {} of {:?}", next, changes);
            next += 1;
            if let Some((after, back)) = restart.filter(|(after, _)| next >= *after) {
                let _ = after;
                next -= back.min(next);
                restart = restarts.next();
            }
        }
    }

    /// Even if no removed row is remembered, the rows are right in the end.
    #[test]
    fn what_was_told_to_the_end_is_right(changes in changes(), again_from in 0..30_usize) {
        let (mut table, mut model) = (table(), BTreeMap::new());
        table.removed_max = 0;
        for (index, change) in changes.iter().enumerate() {
            tell(&mut table, *change, index as u64 + 1);
            apply(&mut model, *change, index as u64 + 1);
        }
        for (index, change) in changes.iter().enumerate().skip(again_from) {
            tell(&mut table, *change, index as u64 + 1);
        }
        prop_assert_eq!(shown(&table), model);
        prop_assert_eq!(table.places.len(), table.rows().row_count());
    }

    /// The bytes that are counted are those of the rows.
    #[test]
    fn rows_are_bounded(changes in prop::collection::vec((0..KEYS.len(), 0..300_usize), 1..60)) {
        let mut table = ToldTable::new(7, 700);
        for (index, (key, length)) in changes.into_iter().enumerate() {
            let json = format!("{{\"v\":\"{}\"}}", "x".repeat(length));
            let line = RowLine { key: KEYS[key], json: json.as_bytes() };
            let _ = table.put(Row::new(line), at(index as u64));
            let counted: u64 = table.rows().sorted().into_iter().map(|row| row_bytes(row) + PLACE_BYTES).sum();
            prop_assert_eq!(table.bytes(), counted);
            prop_assert!(counted <= 700);
            let is_complete = table.places.len() == table.rows().row_count();
            prop_assert!(is_complete || !table.is_whole(), "a row was left out in silence");
        }
    }
}

#[test]
fn a_new_log_has_lower_positions_and_later_times() {
    let place = |position, committed_ms| ChangePlace { position, index: 0, committed_ms, number: None };
    let mut table = table();
    assert_eq!(table.put(row("a", 1), place(1_000, 50)), Taken::Stored);
    assert_eq!(table.put(row("a", 2), place(10, 40)), Taken::Repeated);
    assert_eq!(table.put(row("a", 3), place(10, 60)), Taken::InNewLog);
    assert_eq!(table.put(row("a", 4), place(11, 60)), Taken::Stored);
    assert_eq!(table.put(row("a", 3), place(10, 60)), Taken::Repeated);
    assert_eq!(shown(&table)["a"], r#"{"v":4}"#);
}

#[test]
fn changes_at_one_position_have_an_order() {
    let place = |index| ChangePlace { position: 5, index, committed_ms: 9, number: None };
    let mut table = table();
    assert_eq!(table.put(row("a", 2), place(2)), Taken::Stored);
    assert_eq!(table.put(row("a", 1), place(1)), Taken::Repeated);
    assert_eq!(table.put(row("a", 2), place(2)), Taken::Stored);
}

#[test]
fn a_row_without_a_value_is_unknown_until_it_has_one() {
    let mut table = table();
    let _ = table.put(row("a", 1), at(1));
    assert_eq!(table.spoil("a", Some(at(2))), Taken::Stored);
    assert!(table.rows().row("a").is_none() && !table.is_known_absent("a") && !table.is_whole());
    assert!(table.is_known_absent("b"));
    assert_eq!(table.put(row("a", 1), at(1)), Taken::Repeated);
    assert!(!table.is_known_absent("a"));
    assert_eq!(table.put(row("a", 3), at(3)), Taken::Stored);
    assert!(table.is_whole());
    let _ = table.spoil("a", Some(at(4)));
    table.empty(at(5));
    assert!(table.is_whole() && table.is_known_absent("a"));
}

#[test]
fn a_removal_without_a_place_comes_after_what_was_told() {
    let mut table = table();
    let _ = table.put(row("a", 1), at(5));
    assert_eq!(table.remove("a", None), Taken::Stored);
    assert!(table.is_known_absent("a"));
    assert_eq!(table.put(row("a", 1), at(4)), Taken::Repeated);
    assert_eq!(table.remove("never", None), Taken::Stored);
    assert_eq!(table.put(row("a", 6), at(6)), Taken::Stored);
}

#[test]
fn after_all_rows_were_removed_there_is_room_again() {
    let mut table = ToldTable::new(7, 500);
    for position in 1..10 {
        let _ = table.put(row(&format!("key {position}"), position), at(position));
    }
    assert!(!table.is_whole() && !table.is_known_absent("key 9"));
    table.empty(at(20));
    assert!(table.is_whole() && table.bytes() == 0 && table.places.is_empty());
    assert_eq!(table.put(row("key 1", 1), at(1)), Taken::Repeated);
}

#[test]
fn a_snapshot_has_all_rows_there_are() {
    let place = |position, committed_ms| ChangePlace { position, index: 0, committed_ms, number: None };
    let mut table = table();
    for (key, position) in [("gone", 1), ("a", 2), ("newer", 9)] {
        let _ = table.put(row(key, position), place(position, position));
    }
    assert_eq!(table.put(row("a", 5), place(5, 5)), Taken::Stored);
    table.end_snapshot(place(5, 5), false);
    assert_eq!(shown(&table).keys().collect::<Vec<_>>(), ["a", "newer"]);
    assert_eq!(table.put(row("gone", 1), place(1, 1)), Taken::Repeated);

    // Another server, whose log has just begun.
    assert_eq!(table.put(row("a", 6), place(3, 20)), Taken::InNewLog);
    table.end_snapshot(place(3, 20), true);
    assert_eq!(shown(&table).keys().collect::<Vec<_>>(), ["a"]);
    assert_eq!(table.put(row("newer", 4), place(4, 21)), Taken::Stored);
}

#[path = "told_table_number_tests.rs"]
mod numbers;
