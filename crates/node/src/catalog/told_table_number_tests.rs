//! Changes of transactions that a server numbered: told again, told by another server from its own log, and with times that say nothing of
//! their order.

use std::num::NonZeroU32;

use super::*;

/// A change of a transaction of this number that this server made.
fn numbered(server: u32, number: u64, position: u64, committed_ms: u64) -> ChangePlace {
    let server = NonZeroU32::new(server).expect("a server has a number");
    let number = TransactionNumber { domain: 0, server, number };
    ChangePlace { position, index: 0, committed_ms, number: Some(number) }
}

fn in_domain(domain: u32, mut place: ChangePlace) -> ChangePlace {
    place.number.as_mut().expect("it has one").domain = domain;
    place
}

fn without_number(place: ChangePlace) -> ChangePlace {
    ChangePlace { number: None, ..place }
}

/// What becomes of the second of two changes of a row.
fn second(first: ChangePlace, second: ChangePlace) -> Taken {
    let mut table = table();
    assert_eq!(table.put(row("a", 1), first), Taken::Stored);
    table.put(row("a", 2), second)
}

const LATER: u64 = 10 * 60 * 1_000;

#[test]
fn a_change_is_ordered_by_the_number_of_its_transaction() {
    use Taken::{InNewLog, Repeated, Stored};
    let known = numbered(1, 50, 5_000, 20_000);
    for (what, place, expected) in [
        ("told again", numbered(1, 50, 5_000, 20_000), Stored),
        ("told again, an earlier one", numbered(1, 49, 4_000, 20_000), Repeated),
        // The statement of the known change began first, and waited for this one.
        ("told again, with a later time", numbered(1, 49, 4_000, 25_000), Repeated),
        ("a later one with an earlier time", numbered(1, 51, 6_000, 10_000), Stored),
        // Another server has the transactions of this one in its own log.
        ("told again from lower places", numbered(1, 49, 40, 19_000), Repeated),
        ("told again from higher places", numbered(1, 49, 9_000, 19_000), Repeated),
        ("of another server, in the same moment", numbered(2, 51, 60, 20_000), InNewLog),
        ("of another server, whose clock is behind", numbered(2, 51, 60, 15_000), InNewLog),
        ("of another server, at a higher place", numbered(2, 51, 9_000, 15_000), Stored),
        // The other server never had the known change, and gave its number again.
        ("instead of a lost one", numbered(2, 49, 60, 21_000), InNewLog),
        ("instead of a lost one, at a higher place", numbered(2, 49, 9_000, 20_000), Stored),
        ("of the other server, told again", numbered(2, 49, 60, 20_000), Repeated),
        // A machine that lost the end of its log goes on in the next file.
        ("instead of a lost one of its own", numbered(1, 49, 9_000, 20_001), Stored),
        ("of a server that counts anew", numbered(1, 1, 60, 20_001 + LATER), InNewLog),
        // Of two domains only places and times say something.
        ("of another domain, before", in_domain(7, numbered(1, 90, 4_000, 20_000)), Repeated),
        ("of another domain, after", in_domain(7, numbered(1, 1, 6_000, 10_000)), Stored),
        ("of another domain, in another log", in_domain(7, numbered(1, 1, 60, 20_001)), InNewLog),
        ("without a number, before", without_number(numbered(1, 0, 4_000, 20_000)), Repeated),
        ("without a number, after", without_number(numbered(1, 0, 6_000, 20_000)), Stored),
    ] {
        assert_eq!(second(known, place), expected, "{what}");
    }
    assert_eq!(second(without_number(known), numbered(1, 49, 4_000, 20_000)), Repeated);
    assert_eq!(second(without_number(known), numbered(1, 51, 60, 20_001)), InNewLog);
}

#[test]
fn changes_of_one_transaction_have_the_order_of_their_log() {
    let place = |position, index| ChangePlace { index, ..numbered(1, 50, position, 20_000) };
    for (place, expected) in [
        (place(5_000, 2), Taken::Repeated),
        (place(4_000, 9), Taken::Repeated),
        (place(5_000, 4), Taken::Stored),
        (place(6_000, 0), Taken::Stored),
    ] {
        assert_eq!(second(ChangePlace { index: 3, ..numbered(1, 50, 5_000, 20_000) }, place), expected);
    }
}

#[test]
fn all_rows_are_removed_that_were_changed_before() {
    let mut table = table();
    // The statement of the first began after that of the removal, which waited for it.
    for (key, place) in [("a", numbered(1, 7, 100, 25_000)), ("b", numbered(1, 9, 300, 10_000))] {
        assert_eq!(table.put(row(key, 1), place), Taken::Stored);
    }
    table.empty(numbered(1, 8, 200, 20_000));
    assert_eq!(shown(&table).keys().collect::<Vec<_>>(), ["b"]);
    assert_eq!(table.put(row("a", 1), numbered(1, 7, 100, 25_000)), Taken::Repeated);
    assert_eq!(table.put(row("a", 2), numbered(2, 10, 5, 20_000)), Taken::Stored);
}

/// A transaction.
#[derive(Clone, Copy, Debug)]
struct Made {
    change: Change,
    /// The server that made it, which has the transactions of the other ones as well.
    server: u32,
    /// When its statement began.
    ms: u64,
}

/// Transactions of one server. Many began before those that were committed before them, as they waited for each other.
fn made() -> impl Strategy<Value = Vec<Made>> {
    let one = |(at, (change, began_s)): (u64, (Change, u64))| Made {
        change,
        server: 1,
        ms: 1_000 * (at / 5 + began_s),
    };
    let began_s = prop::collection::vec(0..4_u64, 30);
    (changes(), began_s)
        .prop_map(move |(changes, began_s)| (0..).zip(changes.into_iter().zip(began_s)).map(one).collect())
}

/// After how many transactions whoever tells goes back, and by how many.
fn restarts() -> impl Strategy<Value = Vec<(usize, usize)>> {
    prop::collection::vec((1..20_usize, 0..20_usize), 0..6)
}

/// Tells all transactions, some of them again. `place` says where in the log that is read the transaction of a number is, when so many were told.
fn tell_all(
    made: &[Made],
    restarts: Vec<(usize, usize)>,
    mut place: impl FnMut(u64, usize) -> u64,
    check: impl Fn(&ToldTable, &BTreeMap<String, String>, bool) -> Result<(), TestCaseError>,
) -> Result<(), TestCaseError> {
    let (mut table, mut model) = (table(), BTreeMap::new());
    let (mut next, mut newest, mut since) = (0, 0, 0);
    let mut restarts = restarts.into_iter().peekable();
    while next < made.len() {
        let (Made { change, server, ms }, number) = (made[next], next as u64 + 1);
        next += 1;
        if next > newest {
            apply(&mut model, change, number);
            newest = next;
        }
        let place = numbered(server, number, place(number, newest), ms);
        match change {
            Change::Put(key) => drop(table.put(row(KEYS[key], number), place)),
            Change::Remove(key) => drop(table.remove(KEYS[key], Some(place))),
            Change::Empty => table.empty(place),
        }
        check(&table, &model, next == newest)?;
        since += 1;
        if let Some((_, back)) = restarts.next_if(|(after, _)| since >= *after) {
            (next, since) = (next.saturating_sub(back), 0);
        }
    }
    Ok(())
}

fn is_right(table: &ToldTable, model: &BTreeMap<String, String>, _: bool) -> Result<(), TestCaseError> {
    prop_assert_eq!(&shown(table), model);
    Ok(())
}

proptest! {
    #[test]
    fn a_row_never_goes_back_whatever_the_times(made in made(), restarts in restarts()) {
        tell_all(&made, restarts, |number, _| number, is_right)?;
    }

    /// It has all that the first one made, at other places.
    #[test]
    fn a_row_never_goes_back_when_another_server_takes_over(
        mut made in made(),
        restarts in restarts(),
        taken_over_at in 0..30_usize,
        more in 0..60_u64,
    ) {
        made.sort_by_key(|made| made.ms);
        made.iter_mut().skip(taken_over_at).for_each(|made| made.server = 2);
        let place = |number, told_count| if told_count > taken_over_at { number + more } else { number + 30 };
        tell_all(&made, restarts, place, is_right)?;
    }

    /// Even if servers take turns, and each is read now and then: the rows are right whenever all was told.
    #[test]
    fn what_was_told_by_several_servers_is_right(
        mut made in made(),
        restarts in restarts(),
        servers in prop::collection::vec(1..4_u32, 30),
        logs in prop::collection::vec(0..60_u64, 1..8),
    ) {
        made.iter_mut().zip(servers).for_each(|(made, server)| made.server = server);
        let (mut last, mut log) = (0, 0);
        let place = |number, _| {
            log += usize::from(number <= last);
            last = number;
            number + logs[log % logs.len()]
        };
        tell_all(&made, restarts, place, |table, model, is_end| if is_end { is_right(table, model, is_end) } else { Ok(()) })?;
    }
}

/// As if it were each of the rows that were removed.
#[test]
fn a_removal_of_all_rows_may_be_in_a_new_log() {
    let mut table = table();
    let _ = table.put(row("a", 1), numbered(1, 8, 5_000, 20_000));
    let _ = table.put(row("b", 1), without_number(numbered(1, 0, 5_001, 20_000)));
    table.empty(numbered(2, 9, 60, 21_000));
    assert!(shown(&table).is_empty());
    let _ = table.put(row("a", 2), numbered(2, 10, 70, 21_000));
    table.empty(numbered(2, 9, 60, 21_000));
    assert_eq!(shown(&table).keys().collect::<Vec<_>>(), ["a"], "it was told again");
}
