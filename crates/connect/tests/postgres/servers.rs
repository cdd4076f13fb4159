//! A target with several servers: the one that answers is not written to if it lacks what another had confirmed.

use std::net::{SocketAddr, TcpListener};

use onrush_connect::Audit as _;
use onrush_connect::postgres::{Postgres, PostgresAuditor, Settings};
use onrush_proxy::Proxy;
use onrush_sinks::{Confirmed, Expected, Target, TargetError};

use crate::place::Place;
use crate::story::random;

/// The server that answered before, which no test has.
const OTHER: &str = "192.0.2.1:5432";

fn other(offset: u64, fence: u64) -> Confirmed {
    Confirmed { server: OTHER.to_owned(), offset, fence }
}

fn left_behind(place: &Place, target: &mut Postgres, confirmed: Confirmed) {
    target.set_expected(expected(confirmed));
    refused_for(place, target, OTHER);
}

fn refused_for(place: &Place, target: &mut Postgres, words: &str) {
    match target.open(&place.source) {
        Err(TargetError::LeftBehind(reason)) => assert!(reason.contains(words), "{reason}"),
        opened => panic!("{opened:?}"),
    }
}

fn expected(confirmed: Confirmed) -> Expected {
    Expected { confirmed: Some(confirmed), accepts_less: false }
}

/// Opens the target by an operator's word; the offset that it has, and its fence, which the schema has as well.
fn accepted(place: &Place, target: &mut Postgres, left: Confirmed) -> (Option<u64>, u64) {
    target.set_expected(Expected { confirmed: Some(left), accepts_less: true });
    let offset = place.open(target);
    let fence = target.opened().confirmed.unwrap().fence;
    assert_eq!(place.rows("fence", "sinks")[0][0], fence);
    (offset, fence)
}

/// Settings that name another server first.
fn first_then(first: SocketAddr, place: &Place) -> Settings {
    let url = format!("postgresql://onrush@{first},{}/{}", place.address(), place.database());
    Settings { url, ..place.settings.clone() }
}

#[test]
fn nothing_is_made_on_a_server_that_never_had_the_schema() {
    let Some(place) = Place::new() else { return };
    let mut target = place.target();
    left_behind(&place, &mut target, other(1, 1));
    let schema = format!("pg_namespace WHERE nspname = '{}'", place.settings.schema);
    assert_eq!(place.count(&schema), 0);
    assert_eq!(accepted(&place, &mut target, other(1, 7)), (None, 8));
}

#[test]
fn a_server_that_was_left_behind_is_not_taken_over() {
    let Some(place) = Place::new() else { return };
    let story = random(15, 60);
    let mut target = place.target();
    place.open(&mut target);
    story.write(&mut target, 0, 60).unwrap();
    let confirmed = target.opened().confirmed.unwrap();
    let (end, fence) = (story.end(), confirmed.fence);
    let row = || place.rows("s", "sinks s");
    let before = row();
    left_behind(&place, &mut target, other(end + 1, fence));
    left_behind(&place, &mut target, other(end, fence + 1));
    assert_eq!(row(), before);
    // The same server may have lost what it had.
    target.set_expected(expected(Confirmed { offset: end + 1, fence: fence + 1, ..confirmed }));
    assert_eq!(place.open(&mut target), Some(end));
    target.set_expected(expected(other(end, fence + 2)));
    assert_eq!(place.open(&mut target), Some(end));
    assert_eq!(target.opened().confirmed.map(|now| (now.offset, now.fence)), Some((end, fence + 3)));
    // The fence is above both the one that is there and that of the server that was left.
    assert_eq!(accepted(&place, &mut target, other(end + 1, fence + 1)), (Some(end), fence + 4));
    assert_eq!(accepted(&place, &mut target, other(end, fence + 9)), (Some(end), fence + 10));
}

#[test]
fn a_server_that_did_not_see_the_last_take_over_is_told_from_another_runner() {
    let Some(place) = Place::new() else { return };
    let story = random(16, 60);
    let mut old = place.target();
    place.open(&mut old);
    story.write(&mut old, 0, 60).unwrap();
    let row = place.rows("fence, runner", "sinks").remove(0);
    let proxy = Proxy::start(place.address()).unwrap();
    let mut new = place.target_through(proxy.address());
    place.open(&mut new);
    // Its connection breaks, and the server that answers is as it was before.
    proxy.cut();
    let sent = new.send(story.end() + 5).and_then(|_| new.wait_until_durable());
    assert!(matches!(sent, Err(TargetError::Unavailable(_))), "{sent:?}");
    place.db.run(&format!("UPDATE sinks SET (fence, runner) = ({}, '{}')", row[0], row[1].as_str().unwrap()));
    left_behind(&place, &mut new, other(story.end(), 2));
    assert_eq!(accepted(&place, &mut new, other(story.end(), 2)), (Some(story.end()), 3));
}

#[test]
fn an_address_that_leads_to_a_server_without_the_last_connection_is_noticed() {
    let Some(place) = Place::new() else { return };
    let story = random(17, 60);
    // The take-over before the last is of another runner, or of the same.
    for has_other_runner in [true, false] {
        let proxy = Proxy::start(place.address()).unwrap();
        let mut target = place.target_through(proxy.address());
        let offset = place.open(&mut target);
        story.write(&mut target, offset.unwrap_or(0), 60).unwrap();
        if has_other_runner {
            target = place.target_through(proxy.address());
        }
        let row = place.rows("fence, runner", "sinks").remove(0);
        assert_eq!(place.open(&mut target), Some(story.end()));
        let confirmed = target.opened().confirmed.unwrap();
        proxy.cut();
        let sent = target.send(story.end() + 5).and_then(|_| target.wait_until_durable());
        assert!(matches!(sent, Err(TargetError::Unavailable(_))), "{sent:?}");
        place.db.run(&format!(
            "UPDATE sinks SET (fence, runner) = ({}, '{}')",
            row[0],
            row[1].as_str().unwrap()
        ));
        let before = place.rows("s", "sinks s");
        target.set_expected(expected(confirmed.clone()));
        refused_for(&place, &mut target, "does not know of the sink's last connection");
        assert_eq!(place.rows("s", "sinks s"), before);
        let fence = confirmed.fence + 1;
        assert_eq!(accepted(&place, &mut target, confirmed), (Some(story.end()), fence));
    }
}

#[test]
fn an_audit_says_which_of_several_servers_it_read() {
    let Some(place) = Place::new() else { return };
    place.open(&mut place.target());
    // Nothing listens where the operating system gave a port away and took it back.
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut auditor = Box::new(PostgresAuditor::new(first_then(nobody, &place)));
    auditor.open(&place.source, 0, 0).unwrap();
    let notes = auditor.finish().unwrap().notes;
    assert!(notes[0].contains(&place.address().to_string()), "{notes:?}");
    let mut auditor = Box::new(PostgresAuditor::new(place.settings.clone()));
    auditor.open(&place.source, 0, 0).unwrap();
    assert_eq!(auditor.finish().unwrap().notes, Vec::<String>::new());
}
