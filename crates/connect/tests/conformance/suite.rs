//! What every target must do, whatever it writes to. Each test has a place of its own in a real server.

use std::time::Duration;

use onrush_proxy::{Mode, Proxy, vacant};
use onrush_sinks::{Skipped, Source, TargetError};

use crate::events::{Chance, Story, new_source};
use crate::harness::{Harness, WRONG_PASSWORD};
use crate::runner::{Runner, audit, check, check_seen};

/// Everything written is there, as it was, each key in order.
pub fn everything_arrives(harness: &dyn Harness) {
    let story = Story::new(1, 600);
    let mut runner = Runner::new(harness.target(None), &story);
    runner.finish(story.end(), 64);
    assert_eq!(runner.failure_count, 0, "nothing was in the way");
    check(harness, &story);
}

/// Batches may have any size, and there are sends without events.
pub fn batches_have_any_size(harness: &dyn Harness) {
    let story = Story::new(2, 900);
    let mut runner = Runner::new(harness.target(None), &story);
    let mut from = runner.open_at_last();
    let mut chance = Chance(2);
    while from < story.end() {
        let to = from + chance.below([2, 4, 400][usize::try_from(from % 3).expect("less than three")]);
        runner.write(from, to, 1_000).expect("nothing is in the way");
        runner.target.send(to).expect("nothing is in the way");
        from = to;
    }
    let end = story.end() + 10;
    runner.target.send(end).expect("nothing is in the way");
    assert_eq!(runner.target.wait_until_durable().expect("nothing is in the way"), end);
    check(harness, &story);
}

/// A target that keeps the offset tells it to whoever opens it next, also if nothing was for it.
pub fn the_offset_is_kept(harness: &dyn Harness) {
    let story = Story::new(3, 50);
    let mut runner = Runner::new(harness.target(None), &story);
    assert_eq!(runner.target.open(&story.source).expect("the server is there"), None);
    runner.write(0, story.end(), 20).expect("nothing is in the way");
    runner.target.send(story.end() + 100).expect("nothing is in the way");
    assert_eq!(runner.target.wait_until_durable().expect("nothing is in the way"), story.end() + 100);
    drop(runner);
    let mut next = Runner::new(harness.target(None), &story);
    next.durable_offset = 7;
    let offset = next.open_at_last();
    assert_eq!(offset, if harness.keeps_offset() { story.end() + 100 } else { 7 });
    check(harness, &story);
}

/// Runners that end at any point are followed by others.
pub fn another_runner_goes_on(harness: &dyn Harness) {
    let story = Story::new(4, 800);
    let mut chance = Chance(4);
    let mut durable_offset = 0;
    for round in 0..12 {
        let mut runner = Runner::new(harness.target(None), &story);
        runner.durable_offset = durable_offset;
        let from = runner.open_at_last();
        let to = from + chance.below(200);
        runner.write(from, to, 30).expect("nothing is in the way");
        if round % 3 == 0 {
            runner.wait_until_durable().expect("nothing is in the way");
        }
        if round % 4 == 0 {
            push_without_sending(&mut runner, to);
        }
        durable_offset = runner.durable_offset;
    }
    let mut last = Runner::new(harness.target(None), &story);
    last.durable_offset = durable_offset;
    last.finish(story.end(), 64);
    check(harness, &story);
}

/// The same target may be opened again and again, in the middle of everything.
pub fn a_target_opens_again(harness: &dyn Harness) {
    let story = Story::new(5, 500);
    let mut runner = Runner::new(harness.target(None), &story);
    let mut chance = Chance(5);
    for _ in 0..8 {
        let from = runner.open_at_last();
        let to = from + chance.below(150);
        runner.write(from, to, 25).expect("nothing is in the way");
        push_without_sending(&mut runner, to);
    }
    runner.finish(story.end(), 64);
    check(harness, &story);
}

/// The line is cut after any number of bytes to the server.
pub fn requests_are_cut(harness: &dyn Harness) {
    lines_are_cut(harness, Mode::CutTo, 6);
}

/// The line is cut after any number of bytes from the server: what was done is not known.
pub fn answers_are_cut(harness: &dyn Harness) {
    lines_are_cut(harness, Mode::CutFrom, 7);
}

fn lines_are_cut(harness: &dyn Harness, cut: fn(u64) -> Mode, seed: u64) {
    const CUTS: u64 = 32;
    let story = Story::new(seed, 32 * 12);
    let proxy = Proxy::start(harness.address()).expect("loopback has free ports");
    let mut runner = Runner::new(harness.target(Some(proxy.address())), &story);
    let mut chance = Chance(seed);
    for round in 1..=CUTS {
        // Dense where connections are made, sparse where batches are written.
        let after = (1 << (round * 14 / CUTS)) + chance.below(1 << (round * 14 / CUTS));
        proxy.set(cut(after));
        let to = story.events[usize::try_from(round * 12 - 1).expect("a few hundred")].offset + 1;
        runner.finish(to, 5);
    }
    proxy.set(Mode::Pass);
    runner.finish(story.end(), 64);
    assert!(proxy.cut_count() >= CUTS / 3, "only {} cuts: the sweep missed", proxy.cut_count());
    assert!(runner.failure_count > 0 || harness.heals_itself(), "no cut was ever noticed");
    check(harness, &story);
}

/// The server does its work and its answers are lost.
pub fn answers_are_lost(harness: &dyn Harness) {
    let story = Story::new(8, 300);
    let proxy = Proxy::start(harness.address()).expect("loopback has free ports");
    let mut runner = Runner::new(harness.target(Some(proxy.address())), &story);
    for part in 1..=5 {
        let from = runner.open_at_last();
        let to = story.events[part * 60 - 1].offset + 1;
        proxy.set(Mode::LoseAnswersAndCut);
        let lost = runner.write(from, to, 30).and_then(|()| runner.wait_until_durable());
        let healed = lost.is_ok() && harness.heals_itself();
        assert!(healed || matches!(lost, Err(TargetError::Unavailable(_))), "{lost:?}");
    }
    runner.finish(story.end(), 64);
    assert_eq!(proxy.cut_count(), 5);
    check(harness, &story);
}

/// A line that is slow for every kind of target.
const SLOW: Mode = Mode::Slow { bytes: 700, pause: Duration::from_millis(1) };

/// A slow line is no error.
pub fn a_slow_line_is_enough(harness: &dyn Harness) {
    let story = Story::new(9, 150);
    let proxy = Proxy::start(harness.address()).expect("loopback has free ports");
    proxy.set(SLOW);
    let mut runner = Runner::new(harness.target(Some(proxy.address())), &story);
    runner.finish(story.end(), 50);
    assert_eq!(runner.failure_count, 0, "it was slow, and not more than that");
    check(harness, &story);
}

/// A server that is absent, or turns everybody away, is waited for.
pub fn an_absent_server_is_waited_for(harness: &dyn Harness) {
    let story = Story::new(10, 60);
    let address = vacant().expect("loopback has free ports");
    let mut runner = Runner::new(harness.target(Some(address)), &story);
    let absent = runner.open();
    assert!(matches!(absent, Err(TargetError::Unavailable(_))), "{absent:?}");
    let proxy = Proxy::start_on(address, harness.address()).expect("the port is free");
    proxy.set(Mode::Refuse);
    let refused = runner.open();
    assert!(matches!(refused, Err(TargetError::Unavailable(_))), "{refused:?}");
    proxy.set(Mode::Pass);
    runner.finish(story.events[30].offset, 20);
    proxy.set(Mode::Refuse);
    let gone =
        runner.write(story.events[30].offset, story.end(), 20).and_then(|()| runner.wait_until_durable());
    assert!(matches!(gone, Err(TargetError::Unavailable(_))), "{gone:?}");
    proxy.set(Mode::Pass);
    runner.finish(story.end(), 20);
    check(harness, &story);
}

/// A server that says nothing is given up, both before and after it was opened.
pub fn a_silent_server_is_given_up(harness: &dyn Harness) {
    let story = Story::new(11, 60);
    let proxy = Proxy::start(harness.address()).expect("loopback has free ports");
    let mut runner = Runner::new(harness.target(Some(proxy.address())), &story);
    proxy.set(Mode::Silent);
    let silent = runner.open();
    assert!(matches!(silent, Err(TargetError::Unavailable(_))), "{silent:?}");
    proxy.set(Mode::Pass);
    let from = runner.open_at_last();
    proxy.set(Mode::Silent);
    let silent = runner.write(from, story.end(), 20).and_then(|()| runner.wait_until_durable());
    assert!(matches!(silent, Err(TargetError::Unavailable(_))), "{silent:?}");
    // A line that is dead for good: what it swallowed never arrives.
    proxy.set(Mode::Refuse);
    proxy.set(Mode::Pass);
    runner.finish(story.end(), 20);
    check(harness, &story);
}

/// A wrong password is an error that does not repeat it.
pub fn passwords_are_not_shown(harness: &dyn Harness) {
    let story = Story::new(12, 1);
    let mut runner = Runner::new(harness.intruder(), &story);
    let refused = runner.open().expect_err("the password is wrong");
    assert!(matches!(refused, TargetError::Unavailable(_)), "it is mended in the server: {refused:?}");
    for text in [format!("{refused}"), format!("{refused:?}")] {
        assert!(!text.contains(WRONG_PASSWORD), "{text}");
    }
}

/// Whoever opens last is the only one that writes.
pub fn the_last_runner_takes_over(harness: &dyn Harness) {
    if !harness.exactly_once() {
        return;
    }
    let story = Story::new(13, 300);
    let mut durable_offset = 0;
    for (round, to) in [60, 120, 180, 240].map(|at: usize| story.events[at].offset).into_iter().enumerate() {
        let mut fenced = Runner::new(harness.target(None), &story);
        let from = fenced.open_at_last();
        fenced.write(from, to, 20).expect("nothing is in the way");
        if round % 2 == 0 {
            push_without_sending(&mut fenced, to);
        }
        let mut runner = Runner::new(harness.target(None), &story);
        let from = runner.open_at_last();
        let late = fenced.write(to, story.end(), 20).and_then(|()| fenced.wait_until_durable());
        assert!(matches!(late, Err(TargetError::Refused(_))), "the fenced runner still writes: {late:?}");
        runner.write(from, to, 20).and_then(|()| runner.wait_until_durable()).expect("nothing is in the way");
        assert!(
            runner.durable_offset >= durable_offset.max(to - 3),
            "the rest is written by the last runner"
        );
        durable_offset = runner.durable_offset;
        assert!(fenced.wait_until_durable().is_err(), "a fenced runner has to open again");
    }
    Runner::new(harness.target(None), &story).finish(story.end(), 64);
    check(harness, &story);
}

/// A place that another log wrote to is left alone.
pub fn another_log_is_refused(harness: &dyn Harness) {
    if !harness.keeps_offset() {
        return;
    }
    let story = Story::new(14, 80);
    Runner::new(harness.target(None), &story).finish(story.end(), 64);
    let other = new_source();
    for source in [other.clone(), Source { sink: story.source.sink.clone(), partition: 0, ..other }] {
        let refused = harness.target(None).open(&source);
        assert!(matches!(refused, Err(TargetError::Refused(_))), "{refused:?}");
        let refused = harness.auditor().open(&source, 0, 100);
        assert!(matches!(refused, Err(TargetError::Refused(_))), "{refused:?}");
    }
    check(harness, &story);
}

/// A comparison finds what was lost, what differs, and what should not be there.
pub fn differences_are_found(harness: &dyn Harness) {
    let story = Story::new(15, 200);
    Runner::new(harness.target(None), &story).finish(story.end(), 64);
    check(harness, &story);
    let findings = audit(harness, &story, &[story.events[120].changed()]);
    assert_eq!((findings.different.count, findings.missing.count), (1, 0), "{findings:?}");
    assert!(findings.different.examples[0].contains(&story.events[120].offset.to_string()), "{findings:?}");

    let mut shorter = Story { source: story.source.clone(), events: story.events.clone() };
    let unexpected = shorter.events.remove(130);
    let findings = audit(harness, &shorter, &[]);
    assert_eq!((findings.unexpected.count, findings.missing.count), (1, 0), "{findings:?}");
    assert!(findings.unexpected.examples[0].contains(&unexpected.offset.to_string()), "{findings:?}");

    if harness.lose(story.events[100].offset) {
        let findings = audit(harness, &story, &[]);
        assert_eq!((findings.missing.count, findings.different.count), (1, 0), "{findings:?}");
        assert!(findings.missing.examples[0].contains(&story.events[100].offset.to_string()), "{findings:?}");
    }
}

/// What an operator had left out is missing for good, and that is no difference.
pub fn skipped_events_are_excused(harness: &dyn Harness) {
    let story = Story::new(16, 100);
    let skipped = Skipped {
        from: story.events[40].offset,
        to: story.events[44].offset,
        at: story.events[44].at,
        reason: "an operator's word".into(),
    };
    let mut runner = Runner::new(harness.target(None), &story);
    let from = runner.open_at_last();
    runner.write(from, skipped.from, 30).expect("nothing is in the way");
    runner.target.push_skipped(&skipped).expect("nothing is in the way");
    runner.write(skipped.to, story.end(), 30).expect("nothing is in the way");
    runner.wait_until_durable().expect("nothing is in the way");
    let is_left_out = |offset: u64| (skipped.from..skipped.to).contains(&offset);
    let left: Vec<_> = story.seen().into_iter().filter(|event| !is_left_out(event.offset)).collect();
    check_seen(harness, &left);

    let mut auditor = harness.auditor();
    let to = auditor.open(&story.source, 0, story.end()).expect("the place can be read");
    let mut is_excused = false;
    for event in story.events.iter().filter(|event| event.offset < to) {
        if !is_left_out(event.offset) {
            event.lend(|event| auditor.expect(event)).expect("the place can be read");
        } else if !is_excused {
            auditor.excuse(&skipped).expect("the place can be read");
            is_excused = true;
        }
    }
    let findings = auditor.finish().expect("the place can be read");
    assert!(findings.agree(), "{findings:?}");
}

/// A runner may end with events that were pushed and never sent.
fn push_without_sending(runner: &mut Runner<'_>, from: u64) {
    for event in runner.story.events.iter().filter(|event| event.offset >= from).take(3) {
        event.lend(|event| runner.target.push(event)).expect("nothing is in the way");
    }
}
