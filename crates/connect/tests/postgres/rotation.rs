//! A password that is changed while a sink runs.

use std::fs;

use onrush_connect::Secret;
use onrush_connect::postgres::{Postgres, Settings};
use onrush_proxy::{Mode, Proxy};
use onrush_sinks::{Target, TargetError};

use crate::place::Place;
use crate::story::random;

#[test]
fn a_sink_goes_on_with_the_password_that_is_in_the_file_when_its_connection_was_cut() {
    let Some(place) = Place::new() else { return };
    let role = format!("{}_role", place.settings.schema);
    let database = place.database();
    place.db.run(&format!(
        "CREATE ROLE {role} LOGIN PASSWORD 'old'; GRANT CREATE ON DATABASE {database} TO {role}"
    ));
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("password");
    fs::write(&file, "old\n").unwrap();
    let proxy = Proxy::start(place.address()).unwrap();
    let mut target = Postgres::new(Settings {
        url: format!("postgresql://{role}@{}/{database}", proxy.address()),
        password: Some(Secret::in_file(&file)),
        ..place.settings.clone()
    });

    let story = random(31, 60);
    assert_eq!(place.open(&mut target), None);
    let (before, after) = story.events.split_at(30);
    let middle = after[0].offset;
    for event in before {
        event.with_event(|event| target.push(event)).unwrap();
    }
    target.send(middle).and_then(|_| target.wait_until_durable()).unwrap();
    place.db.run(&format!("ALTER ROLE {role} PASSWORD 'new'"));
    proxy.set(Mode::CutTo(0));
    assert!(
        matches!(target.send(middle + 1), Err(TargetError::Unavailable(_)))
            || target.wait_until_durable().is_err()
    );
    proxy.set(Mode::Pass);
    match target.open(&place.source) {
        Err(TargetError::Unavailable(reason)) => assert!(reason.contains("password"), "{reason}"),
        other => panic!("the old password is no longer one: {other:?}"),
    }
    fs::write(&file, "new\n").unwrap();
    assert_eq!(place.open(&mut target), Some(middle));
    story.write(&mut target, middle, 30).unwrap();
    assert_eq!(place.count("events"), 60);

    drop(target);
    let schema = &place.settings.schema;
    place.db.run(&format!("DROP SCHEMA {schema} CASCADE; DROP OWNED BY {role}; DROP ROLE {role}"));
}
