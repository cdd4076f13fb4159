//! A target with several servers.

use std::net::{SocketAddr, TcpListener};

use onrush_connect::postgres::{Postgres, Settings};
use onrush_sinks::Target;

use crate::model::{folded, stored};
use crate::place::Place;
use crate::story::random;

/// Settings that name another server first.
fn first_then(first: SocketAddr, place: &Place) -> Settings {
    let url = format!("postgresql://onrush@{first},{}/{}", place.address(), place.database());
    Settings { url, ..place.settings.clone() }
}

#[test]
fn a_server_that_takes_connections_and_says_nothing_does_not_hide_the_other() {
    let Some(place) = Place::new() else { return };
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut target = Postgres::new(first_then(silent.local_addr().unwrap(), &place));
    let story = random(17, 20);
    assert_eq!(place.open(&mut target), None);
    story.write(&mut target, 0, 20).unwrap();
    assert_eq!(stored(&place), folded(&place, &story, story.end(), false));
}
