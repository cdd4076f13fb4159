//! Logs that went on from an older copy of a data directory, beside files of sinks that are from another copy.

use std::fs;
use std::path::Path;

use onrush_sinks::{Stop, noted_offset};

use super::shop::{Shop, one};
use super::target::SharedStore;
use super::{assert_repeats_only, replayed};

fn copy_files(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for file in fs::read_dir(from).unwrap().map(Result::unwrap) {
        if file.file_type().unwrap().is_file() {
            fs::copy(file.path(), to.join(file.file_name())).unwrap();
        }
    }
}

/// A data directory that a sink has written from, and a copy of its log. The copy goes on without sinks, the directory with
/// one, and the copy has more events in the end.
fn part_ways(store: &SharedStore) -> (tempfile::TempDir, tempfile::TempDir) {
    let (directory, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let shop = Shop::open(directory.path(), vec![(one(), store.target())]);
    shop.open_sales();
    (0..10).for_each(|round| shop.trade(round));
    shop.wait_caught_up();
    shop.close();
    copy_files(directory.path(), copy.path());
    let shop = Shop::open(directory.path(), vec![(one(), store.target())]);
    shop.put_sale("here", &["b"], 3_600_000);
    (10..20).for_each(|round| shop.trade(round));
    shop.wait_caught_up();
    shop.close();
    let shop = Shop::open(copy.path(), Vec::new());
    shop.put_sale("there", &["b"], 3_600_000);
    (10..60).for_each(|round| shop.trade(round));
    shop.close();
    assert!(replayed(copy.path()).0.to > replayed(directory.path()).0.to);
    (directory, copy)
}

#[test]
fn an_offset_of_another_history_stops_a_sink_whose_target_keeps_none() {
    for suffixes in [&["offset", "place"][..], &["offset"], &["place"]] {
        let store = SharedStore::default();
        store.lock().forgets_offset = true;
        let (directory, copy) = part_ways(&store);
        let written = std::mem::take(&mut store.lock().events);
        assert_eq!(written, replayed(directory.path()).1);
        let (from, to) = (directory.path().join("sinks"), copy.path().join("sinks"));
        fs::create_dir(&to).unwrap();
        for suffix in suffixes {
            let file = format!("one.{suffix}");
            fs::copy(from.join(&file), to.join(&file)).unwrap();
        }
        let noted = noted_offset(directory.path(), "one").unwrap();
        // Neither a restart nor an order to try again makes it the right one.
        for _ in 0..2 {
            let shop = Shop::open(copy.path(), vec![(one(), store.target())]);
            let found = shop.wait_stopped();
            let Stop::Refused { reason } = &found else { panic!("{found:?}") };
            for words in [&format!("offset {noted}"), "another history of this log", "sinks/one.offset"] {
                assert!(reason.contains(words), "{reason} lacks {words}");
            }
            shop.sinks.retry("one").unwrap();
            shop.wait("stopped again", |status| status.failure_count > 1);
            shop.wait_stopped();
            shop.close();
        }
        assert!(store.lock().events.is_empty(), "nothing was written");
        fs::remove_file(to.join("one.offset")).unwrap();
        let _ = fs::remove_file(to.join("one.place"));
        let shop = Shop::open(copy.path(), vec![(one(), store.target())]);
        shop.wait_caught_up();
        shop.close();
        assert_eq!(store.lock().events, replayed(copy.path()).1);
    }
}

#[test]
fn a_place_of_another_history_names_nothing() {
    let (directory, copy) = part_ways(&SharedStore::default());
    let store = SharedStore::default();
    let shop = Shop::open(copy.path(), vec![(one(), store.target())]);
    shop.wait_caught_up();
    let held = shop.reserve("there", "b", "ada");
    shop.wait_caught_up();
    shop.close();
    fs::copy(directory.path().join("sinks/one.place"), copy.path().join("sinks/one.place")).unwrap();
    for _ in 0..2 {
        let shop = Shop::open(copy.path(), vec![(one(), store.target())]);
        shop.reserve("there", "b", "bob");
        shop.wait_caught_up();
        shop.close();
    }
    let shop = Shop::open(copy.path(), vec![(one(), store.target())]);
    shop.confirm("there", &held);
    shop.wait_caught_up();
    shop.close();
    assert_eq!(store.lock().events, replayed(copy.path()).1);
}

#[test]
fn an_offset_that_an_earlier_version_noted_is_gone_on_from() {
    let directory = tempfile::tempdir().unwrap();
    let store = SharedStore::default();
    store.lock().forgets_offset = true;
    let shop = Shop::open(directory.path(), vec![(one(), store.target())]);
    (0..5).for_each(|_| shop.add("home"));
    let noted = shop.wait_caught_up().sink_offset;
    shop.close();
    let file = directory.path().join("sinks/one.offset");
    let mut earlier = noted.to_le_bytes().to_vec();
    earlier.extend_from_slice(&crc32c::crc32c(&noted.to_le_bytes()).to_le_bytes());
    fs::write(&file, earlier).unwrap();
    fs::remove_file(directory.path().join("sinks/one.place")).unwrap();
    assert_eq!(noted_offset(directory.path(), "one").unwrap(), noted);
    for _ in 0..3 {
        let shop = Shop::open(directory.path(), vec![(one(), store.target())]);
        shop.add("home");
        shop.wait_caught_up();
        shop.close();
    }
    assert_eq!(store.lock().events, replayed(directory.path()).1, "nothing came twice");
}

#[test]
fn a_damaged_offset_costs_repeats_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let store = SharedStore::default();
    store.lock().forgets_offset = true;
    let shop = Shop::open(directory.path(), vec![(one(), store.target())]);
    (0..3).for_each(|_| shop.add("home"));
    shop.wait_caught_up();
    shop.close();
    let (file, place) = (directory.path().join("sinks/one.offset"), directory.path().join("sinks/one.place"));
    let whole = fs::read(&file).unwrap();
    for at in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        for bytes in [&damaged[..], &whole[..at]] {
            fs::write(&file, bytes).unwrap();
            let _ = fs::remove_file(&place);
            let shop = Shop::open(directory.path(), vec![(one(), store.target())]);
            shop.wait_caught_up();
            shop.close();
        }
    }
    assert_repeats_only(&store.lock().events, &replayed(directory.path()).1);
}
