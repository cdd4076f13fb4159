//! What the server says no to, for ever or for now.

use onrush_sinks::{Target, TargetError};

use crate::model::{folded, stored};
use crate::place::Place;
use crate::story::{Story, random};

#[test]
fn a_constraint_rejects_and_the_batch_is_not_there() {
    let Some(place) = Place::new() else { return };
    let mut story = Story::default();
    story.count(40);
    let mut target = place.target();
    place.open(&mut target);
    place.db.run("ALTER TABLE counter_history ADD CONSTRAINT small CHECK (by < 30)");
    match story.write(&mut target, 0, 10) {
        Err(TargetError::Rejected { offset: None, reason }) => {
            assert!(reason.contains("23514") && reason.contains("constraint small"), "{reason}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(place.open(&mut target), Some(story.events[19].offset + 1));
    assert_eq!(place.count("events"), 20);
    place.db.run("ALTER TABLE counter_history DROP CONSTRAINT small");
    story.write(&mut target, story.events[20].offset, 10).unwrap();
    assert_eq!(stored(&place), folded(&place, &story, story.end(), false));
}

#[test]
fn a_deferred_constraint_rejects_at_commit() {
    let Some(place) = Place::new() else { return };
    let mut story = Story::default();
    story.count(3);
    let mut target = place.target();
    place.open(&mut target);
    place.db.run(
        "CREATE TABLE allowed (value bigint PRIMARY KEY);
         ALTER TABLE counter_history ADD FOREIGN KEY (value) REFERENCES allowed DEFERRABLE INITIALLY DEFERRED",
    );
    let written = story.write(&mut target, 0, 10);
    assert!(matches!(written, Err(TargetError::Rejected { .. })), "{written:?}");
    assert_eq!(place.count("events"), 0);
}

#[test]
fn what_can_be_mended_is_unavailable_and_goes_on() {
    let Some(place) = Place::new() else { return };
    let story = random(21, 100);
    let mut target = place.target();
    place.open(&mut target);
    story.write(&mut target, 0, 50).unwrap();
    let end = story.end();
    for (code, spoil, mend) in [
        ("events is missing", "ALTER TABLE events RENAME TO away", "ALTER TABLE away RENAME TO events"),
        (
            "events has no column body",
            "ALTER TABLE events RENAME body TO away",
            "ALTER TABLE events RENAME away TO body",
        ),
        (
            "25006",
            "ALTER TABLE sinks RENAME TO kept;
             CREATE VIEW sinks AS SELECT * FROM kept;
             CREATE FUNCTION away() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN RAISE EXCEPTION 'read-only' USING ERRCODE = '25006'; END $$;
             CREATE TRIGGER away INSTEAD OF UPDATE ON sinks FOR EACH ROW EXECUTE FUNCTION away()",
            "DROP VIEW sinks; DROP FUNCTION away; ALTER TABLE kept RENAME TO sinks",
        ),
        (
            "53100",
            "CREATE FUNCTION away() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN RAISE EXCEPTION 'full' USING ERRCODE = '53100'; END $$;
             CREATE TRIGGER away BEFORE UPDATE ON sinks FOR EACH ROW EXECUTE FUNCTION away()",
            "DROP TRIGGER away ON sinks; DROP FUNCTION away",
        ),
    ] {
        place.db.run(spoil);
        let opened = target.open(&place.source).and_then(|_| {
            story.events[0].with_event(|event| target.push(event))?;
            target.send(end + 1).and_then(|_| target.wait_until_durable())
        });
        match opened {
            Err(TargetError::Unavailable(reason)) => assert!(reason.contains(code), "{code}: {reason}"),
            other => panic!("{code}: {other:?}"),
        }
        place.db.run(mend);
        assert_eq!(place.open(&mut target), Some(end), "{code}");
    }
}

#[test]
fn a_server_that_turns_read_only_is_waited_for() {
    let Some(place) = Place::new() else { return };
    let user = format!("{}_user", place.settings.schema);
    place.open(&mut place.target());
    limited_user(&place, &user);
    let mut settings = place.settings.clone();
    settings.url = place.settings.url.replacen("onrush@", &format!("{user}@"), 1);
    settings.password = Some(onrush_connect::Secret::new("limited"));
    let mut target = onrush_connect::postgres::Postgres::new(settings);
    // A user that may only read and write needs no more than that.
    let story = random(22, 200);
    assert_eq!(place.open(&mut target), None);
    story.write(&mut target, 0, 50).unwrap();
    assert_eq!(stored(&place), folded(&place, &story, story.end(), false));

    place.db.run(&format!("ALTER ROLE {user} SET default_transaction_read_only = on"));
    let opened = target.open(&place.source);
    assert!(matches!(opened, Err(TargetError::Unavailable(_))), "{opened:?}");
    place.db.run(&format!("ALTER ROLE {user} RESET default_transaction_read_only"));
    assert_eq!(place.open(&mut target), Some(story.end()));

    place.db.run(&format!("REVOKE INSERT ON events FROM {user}"));
    story.events[0].with_event(|event| target.push(event)).unwrap();
    match target.send(story.end() + 1).and_then(|_| target.wait_until_durable()) {
        Err(TargetError::Unavailable(reason)) => assert!(reason.contains("42501"), "{reason}"),
        other => panic!("{other:?}"),
    }
    drop(target);
    place.db.run(&format!("DROP OWNED BY {user}; DROP ROLE {user}"));
}

fn limited_user(place: &Place, user: &str) {
    let schema = &place.settings.schema;
    place.db.run(&format!(
        "CREATE ROLE {user} LOGIN PASSWORD 'limited';
         GRANT USAGE ON SCHEMA {schema} TO {user};
         GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA {schema} TO {user}"
    ));
}

#[test]
fn a_wrong_password_is_unavailable_and_untold() {
    let Some(place) = Place::new() else { return };
    let mut settings = place.settings.clone();
    settings.password = Some(onrush_connect::Secret::new("wr0ng-s3cret"));
    match onrush_connect::postgres::Postgres::new(settings).open(&place.source) {
        Err(TargetError::Unavailable(reason)) => {
            assert!(reason.contains("28P01") && !reason.contains("wr0ng-s3cret"), "{reason}");
        }
        other => panic!("{other:?}"),
    }
}
