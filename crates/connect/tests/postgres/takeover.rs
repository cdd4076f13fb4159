//! Runners that meet: the newer wins, the older stops, and no other log gets in.

use onrush_core::Incarnation;
use onrush_proxy::{Mode, Proxy};
use onrush_sinks::{Source, Target, TargetError};

use crate::model::{folded, stored};
use crate::place::Place;
use crate::story::random;

fn refused<T: std::fmt::Debug>(result: Result<T, TargetError>, wanted: &str) {
    match result {
        Err(TargetError::Refused(reason)) => assert!(reason.contains(wanted), "{reason}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_older_runner_is_refused_and_writes_nothing() {
    let Some(place) = Place::new() else { return };
    let story = random(11, 100);
    let (mut old, mut new) = (place.target(), place.target());
    place.open(&mut old);
    story.events[0].with_event(|event| old.push(event)).unwrap();
    assert_eq!(place.open(&mut new), None);
    refused(old.send(1_000).and_then(|_| old.wait_until_durable()), "another runner took over");
    assert_eq!(place.count("events"), 0);
    story.write(&mut new, 0, 10).unwrap();
    assert_eq!(stored(&place), folded(&place, &story, story.end(), false));
}

#[test]
fn which_history_the_offset_follows_on_is_kept_with_it() {
    let Some(place) = Place::new() else { return };
    let story = random(13, 100);
    let mut target = place.target();
    place.open(&mut target);
    assert_eq!(target.opened().incarnation, None);
    assert!(target.opened().confirmed.is_some_and(|confirmed| !confirmed.server.is_empty()));
    target.enter_incarnation(Incarnation(0xffff_fff0));
    story.write(&mut target, 0, 10).unwrap();
    let mut next = place.target();
    assert!(place.open(&mut next).is_some());
    assert_eq!(next.opened().incarnation, Some(Incarnation(0xffff_fff0)));
    // A server of an earlier version does not know it.
    place.db.run(&format!("UPDATE {}.sinks SET incarnation = NULL", place.settings.schema));
    assert!(place.open(&mut next).is_some());
    assert_eq!(next.opened().incarnation, None);
    place.db.run(&format!("UPDATE {}.sinks SET incarnation = -1", place.settings.schema));
    refused(next.open(&place.source), "incarnation -1");
}

#[test]
fn two_runners_at_once_write_everything_once() {
    let Some(place) = Place::new() else { return };
    let story = random(12, 600);
    for _ in 0..5 {
        place.db.run(&format!("DROP SCHEMA IF EXISTS {} CASCADE", place.settings.schema));
        let ends: Vec<bool> = std::thread::scope(|scope| {
            let race = || {
                let mut target = place.target();
                loop {
                    let offset = match target.open(&place.source) {
                        Ok(offset) => offset,
                        Err(TargetError::Unavailable(_)) => continue,
                        Err(error) => panic!("{error}"),
                    };
                    match story.write(&mut target, offset.unwrap_or(0), 7) {
                        Ok(end) => return end == story.end(),
                        Err(TargetError::Refused(_)) => return false,
                        Err(TargetError::Unavailable(_)) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            };
            let runners = [scope.spawn(race), scope.spawn(race), scope.spawn(race)];
            runners.map(|runner| runner.join().unwrap()).to_vec()
        });
        assert!(ends.contains(&true), "the newest gets through");
        assert_eq!(stored(&place), folded(&place, &story, story.end(), false));
    }
}

#[test]
fn a_runner_whose_connection_broke_does_not_fence_its_successor() {
    let Some(place) = Place::new() else { return };
    let story = random(13, 50);
    let proxy = Proxy::start(place.address()).unwrap();
    let (mut old, mut new) = (place.target_through(proxy.address()), place.target());
    place.open(&mut old);
    proxy.set(Mode::CutTo(0));
    assert!(matches!(story.write(&mut old, 0, 10), Err(TargetError::Unavailable(_))));
    proxy.set(Mode::Pass);
    assert_eq!(place.open(&mut new), None);
    refused(old.open(&place.source), "another runner took over");
    story.write(&mut new, 0, 10).unwrap();
    // Retried by an operator's word it does take over.
    assert_eq!(place.open(&mut old), Some(story.end()));
    refused(new.send(story.end() + 5).and_then(|_| new.wait_until_durable()), "another runner took over");
}

#[test]
fn a_frozen_transaction_of_a_killed_runner_is_waited_for() {
    let Some(place) = Place::new() else { return };
    let story = random(14, 50);
    let mut target = place.target();
    place.open(&mut target);
    story.write(&mut target, 0, 50).unwrap();
    place.db.run("BEGIN; UPDATE sinks SET fence = fence");
    let mut next = place.target();
    match next.open(&place.source) {
        Err(TargetError::Unavailable(reason)) => assert!(reason.contains("55P03"), "{reason}"),
        other => panic!("{other:?}"),
    }
    place.db.run("ROLLBACK");
    assert_eq!(place.open(&mut next), Some(story.end()));
}

#[test]
fn another_log_or_sink_is_refused_by_name() {
    let Some(place) = Place::new() else { return };
    place.open(&mut place.target());
    let foreign = Source { log_id: "M".repeat(26), ..place.source.clone() };
    refused(place.target().open(&foreign), &format!("belongs to log {}", place.source.log_id));
    refused(place.target().open(&foreign), &format!("this is log {}", foreign.log_id));
    let partition = Source { partition: 1, ..place.source.clone() };
    refused(place.target().open(&partition), "partition 1");
    let sink = Source { sink: "other".to_owned(), ..place.source.clone() };
    refused(place.target().open(&sink), "belongs to the sink shop");
    assert_eq!(place.count("sinks"), 1);
}
