//! True and false histories of rows, as scripts: every lie must be noticed.

use super::*;
use crate::http::Lost;

/// Runs a script about the keys `a`, and the twins `b` and `c`, which have no rows in version 0. One statement per line:
///
/// ```text
/// put KEY=COUNTER|-… SENT ENDED -> VERSION|-|?|no      read KEY=COUNTER|-… SENT ENDED @VERSION|- [#CONNECTION]
/// late MIN_VERSION SENT ENDED                          rest KEY=COUNTER|-… SENT ENDED @VERSION
/// ```
///
/// `expected` is a part of the violation that the last `rest`, or the end of the script, must raise, or empty.
fn check(script: &str, expected: &str) {
    let mut collection = Collection::new(0..3, vec![[1, 2]]);
    let mut period = Period::default();
    let lines = script.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>();
    let mut held = Ok(());
    for line in &lines {
        held.unwrap_or_else(|error: anyhow::Error| panic!("before {line}: {error:#}\n{script}"));
        let words = line.split_whitespace().collect::<Vec<_>>();
        held = match words[0] {
            "put" => {
                period.changes.push(change(&words));
                Ok(())
            }
            "read" => {
                add_read(&mut period, &words);
                Ok(())
            }
            "late" => {
                let times = times(&words[2..]);
                period.incoherent.push(Incoherent { min_version: number(words[1]), times });
                Ok(())
            }
            "rest" => collection.pass(std::mem::take(&mut period), read(&words)),
            other => panic!("no statement {other}"),
        };
    }
    match held.and_then(|()| collection.check(&period)) {
        Ok(()) => assert_eq!(expected, "", "not noticed:\n{script}"),
        Err(error) => {
            let violation = format!("{error:#}");
            assert!(!expected.is_empty() && violation.contains(expected), "{violation}\n{script}");
        }
    }
}

fn number(word: &str) -> u64 {
    word.parse().unwrap_or_else(|_| panic!("{word} is no number"))
}

fn times(words: &[&str]) -> Times {
    Times { sent_ns: number(words[0]), ended_ns: number(words[1]) }
}

/// The rows that a statement names first, and the words behind them.
fn rows<'a, 'w>(words: &'w [&'a str]) -> (Counters, &'w [&'a str]) {
    let count = words[1..].iter().take_while(|word| word.contains('=')).count();
    let rows = words[1..=count].iter().map(|word| {
        let (key, row) = word.split_once('=').expect("KEY=COUNTER");
        let key = ["a", "b", "c"].iter().position(|name| *name == key).expect("a key");
        (key, (row != "-").then(|| number(row)))
    });
    (rows.collect(), &words[count + 1..])
}

fn change(words: &[&str]) -> Change {
    let (rows, words) = rows(words);
    let outcome = match words[3] {
        "?" => Outcome::Unknown(Lost::Closed),
        "no" => Outcome::Refused { status: 503, code: "overloaded".into() },
        "-" => Outcome::Acknowledged(None),
        version => Outcome::Acknowledged(Some(number(version))),
    };
    Change { rows, times: times(words), outcome }
}

fn read(words: &[&str]) -> Read {
    let (rows, words) = rows(words);
    let version = words[2].strip_prefix('@').expect("@VERSION");
    Read { rows, times: times(words), version: (version != "-").then(|| number(version)) }
}

/// Without a connection it is one of its own.
fn add_read(period: &mut Period, words: &[&str]) {
    let connection = words.last().and_then(|word| word.strip_prefix('#'));
    let at = connection.map_or(period.reads.len(), |connection| connection.parse().expect("a connection"));
    if at >= period.reads.len() {
        period.reads.resize(at + 1, Vec::new());
    }
    period.reads[at].push(read(words));
}

#[test]
fn a_read_sees_what_was_answered_before_it_or_is_under_way() {
    for history in [
        "read a=- 1 2 @0",
        "put a=1 1 2 -> 1 \n read a=1 3 4 @1",
        "put a=1 1 9 -> 1 \n read a=- 2 3 @0 \n read a=1 4 5 @1",
        "put a=1 1 9 -> 1 \n read a=1 2 7 @1 \n read a=- 3 6 @0",
        "put a=1 1 2 -> 1 \n put a=2 3 9 -> 2 \n read a=1 4 5 @1 \n read a=2 6 7 @2",
        "put a=1 1 2 -> 1 \n put a=- 3 4 -> - \n read a=- 5 6 @-",
        "put a=1 1 2 -> 1 \n put a=- 3 9 -> - \n read a=1 4 5 @1 \n read a=- 6 7 @2",
        "put a=1 1 2 -> 1 \n put a=- 3 4 -> - \n put a=2 5 9 -> 3 \n read a=- 6 7 @-",
        "put a=1 1 2 -> 1 \n put a=2 3 4 -> no \n read a=1 5 6 @1",
        "put a=1 1 2 -> 1 \n put b=2 c=2 3 4 -> 2 \n read a=1 b=2 c=2 5 6 @2",
    ] {
        check(history, "");
    }
}

#[test]
fn older_rows_are_noticed() {
    for (history, violation) in [
        (
            "put a=1 1 2 -> 1 \n read a=- 3 4 @-",
            "key 0 was read with no row, but at that time it had counter 1",
        ),
        ("put a=1 1 2 -> 1 \n put a=2 3 4 -> 2 \n read a=1 5 6 @2", "at that time it had counter 2"),
        ("put a=1 1 2 -> 1 \n put a=- 3 4 -> - \n read a=1 5 6 @2", "at that time it had no row"),
        ("put a=1 1 2 -> 1 \n put a=- 3 4 -> - \n put a=2 5 6 -> 3 \n read a=- 7 8 @-", "it had counter 2"),
        // Another reader was told of it, and of what comes behind it, before.
        ("put a=1 1 9 -> 1 \n read a=1 2 3 @1 \n read a=- 4 5 @-", "it had counter 1"),
        ("put a=1 1 2 -> 1 \n put a=2 3 9 -> ? \n read a=2 4 5 @2 \n read a=1 6 7 @2", "it had counter 2"),
        ("put a=1 1 2 -> ? \n put a=2 3 4 -> 2 \n read a=1 5 6 @2", "it had counter 2"),
    ] {
        check(history, violation);
    }
}

#[test]
fn invented_rows_are_noticed() {
    for (history, violation) in [
        ("read a=7 1 2 @1", "key 0 was read with counter 7"),
        ("read a=1 1 2 @1 \n put a=1 3 4 -> 1", "key 0 was read with counter 1"),
        ("put a=1 1 2 -> no \n read a=1 3 4 @1", "key 0 was read with counter 1"),
        ("put a=1 1 2 -> 1 \n put a=- 5 6 -> - \n read a=- 3 4 @-", "at that time it had counter 1"),
        ("put a=1 1 2 -> 1 \n read b=1 3 4 @1", "key 1 was read with counter 1"),
    ] {
        check(history, violation);
    }
}

#[test]
fn a_read_of_several_keys_is_of_one_version() {
    check("put b=1 c=1 1 9 -> 1 \n read b=- c=- 2 3 @0 \n read b=1 c=1 4 5 @1", "");
    check("put b=1 c=1 1 9 -> 1 \n read b=1 c=- 2 3 @1", "half is read");
    // Both could have been read at that time, but never together.
    let two = "put a=1 1 9 -> 1 \n put b=2 c=2 2 9 -> 2 \n";
    check(&format!("{two} read a=1 b=- 3 4 @1 \n read a=1 b=2 5 6 @2"), "");
    check(
        &format!("{two} read a=- b=2 3 4 @2"),
        "in version 2 key 0 has no row, which is older than counter 1",
    );
    check(&format!("{two} read a=1 b=2 3 4 @1"), "in version 1 key 1 has counter 2 of version 2");
    check(&format!("{two} read a=1 b=- 3 8 @1 \n read a=- b=- 3 8 @1"), "in version 1 key 0 has");
}

#[test]
fn versions_that_run_backwards_are_noticed() {
    for (history, violation) in [
        ("put a=1 1 2 -> 5 \n read b=- 3 4 @4", "version 4 was read after version 5 had been answered"),
        ("put a=1 1 9 -> 5 \n read b=- 2 3 @5 \n read b=- 4 5 @4", "version 4 was read after version 5"),
        ("put a=1 1 2 -> 5 \n put b=2 c=2 3 4 -> 5", "a change made version 5 when 5 had been answered"),
        ("put a=1 1 4 -> 5 \n put b=2 c=2 2 3 -> 5", "two changes were answered version 5"),
        (
            "put a=1 1 9 -> 1 \n read a=1 2 3 @1 #0 \n read b=- 2 4 @0 #0",
            "on one connection version 0 came behind 1",
        ),
        ("put a=1 1 2 -> 5 \n late 5 3 4", "version 5 was refused when 5 had been answered"),
    ] {
        check(history, violation);
    }
    check("put a=1 1 2 -> 5 \n late 6 3 4", "");
    check("put a=1 1 4 -> 5 \n late 5 3 4", "");
    check("put a=1 1 9 -> 1 \n read a=1 2 3 @1 #0 \n read b=- 2 4 @0 #1", "");
}

#[test]
fn after_a_crash_everything_that_was_answered_is_there() {
    let all = "b=- c=- 8 9";
    for (history, violation) in [
        (format!("put a=1 1 2 -> 1 \n rest a=1 {all} @1"), ""),
        (format!("put a=1 1 2 -> 1 \n put a=2 3 4 -> ? \n rest a=1 {all} @1"), ""),
        (format!("put a=1 1 2 -> 1 \n put a=2 3 4 -> ? \n rest a=2 {all} @2"), ""),
        (format!("put a=1 1 2 -> 1 \n rest a=- {all} @1"), "key 0 was read with no row"),
        (format!("put a=1 1 2 -> 1 \n rest a=1 {all} @0"), "version 0 was read after version 1"),
        (format!("put a=1 1 2 -> 1 \n put a=- 3 4 -> - \n rest a=1 {all} @2"), "it had no row"),
        (format!("put a=1 1 2 -> ? \n read a=1 3 4 @1 \n rest a=- {all} @1"), "it had counter 1"),
        ("put b=1 c=1 1 2 -> ? \n rest a=- b=1 c=- 8 9 @1".to_owned(), "half is read"),
        // What was read at rest is known, however it was before.
        (format!("put a=1 1 2 -> ? \n rest a=1 {all} @1 \n read a=- 10 11 @1"), "it had counter 1"),
        (format!("put a=1 1 2 -> ? \n rest a=- {all} @0 \n read a=1 10 11 @1"), "it had no row"),
        ("rest a=- 8 9 @0".to_owned(), "not one of all keys"),
        (format!("rest a=- {all} @-"), "tells no version"),
    ] {
        check(&history, violation);
    }
}
