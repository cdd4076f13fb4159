//! Every event once, in every table, whatever happens to the connection.

use onrush_connect::postgres::Rows;
use onrush_core::{TIME_MS_MAX, WindowShape};
use onrush_proxy::{Mode, Proxy};
use onrush_sinks::{Skipped, Target, TargetError};

use crate::model::{folded, stored};
use crate::place::Place;
use crate::story::{Claimed, Story, What, random, terms};

/// Writes the whole story as a runner does: opens, goes on from where the schema is, and opens again after an error.
/// Returns how often it failed.
pub(crate) fn run(place: &Place, target: &mut dyn Target, story: &Story, batch: usize) -> usize {
    for failures in 0..1_000 {
        let written =
            target.open(&place.source).and_then(|offset| story.write(target, offset.unwrap_or(0), batch));
        match written {
            Ok(offset) => {
                assert_eq!(offset, story.end());
                return failures;
            }
            Err(TargetError::Unavailable(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
    panic!("it never got through");
}

#[test]
fn every_cut_of_a_batch_leaves_all_of_it_or_nothing() {
    let Some(place) = Place::new() else { return };
    let story = random(1, 120);
    let proxy = Proxy::start(place.address()).unwrap();
    let wanted = folded(&place, &story, story.end(), false);
    let first_end = story.events[59].offset + 1;
    let mut failure_count = 0;
    // From the first bytes of a connection up to far behind the end of the batch.
    for cut in (0..60_000).step_by(997) {
        place.db.run(&format!("DROP SCHEMA IF EXISTS {} CASCADE", place.settings.schema));
        let first = Story { events: story.events[..60].to_vec() };
        run(&place, &mut place.target(), &first, 100);
        let mut target = place.target_through(proxy.address());
        proxy.set(Mode::CutTo(cut));
        failure_count += run(&place, &mut target, &story, 100);
        proxy.set(Mode::Pass);
        assert_eq!(stored(&place), wanted, "cut after {cut} bytes, second batch from {first_end}");
    }
    assert!(failure_count >= 10, "only {failure_count} cuts were noticed");
}

#[test]
fn a_lost_answer_to_commit_repeats_nothing() {
    let Some(place) = Place::new() else { return };
    let story = random(2, 300);
    let proxy = Proxy::start(place.address()).unwrap();
    let mut target = place.target_through(proxy.address());
    let mut from = 0;
    for part in 1..=3 {
        let events = story.events[..part * 100].to_vec();
        target.open(&place.source).unwrap();
        proxy.set(Mode::LoseAnswersAndCut);
        let lost = Story { events: events.clone() }.write(&mut target, from, 30);
        assert!(matches!(lost, Err(TargetError::Unavailable(_))), "{lost:?}");
        proxy.set(Mode::Pass);
        let story = Story { events };
        run(&place, &mut target, &story, 30);
        from = story.end();
        assert_eq!(stored(&place), folded(&place, &story, from, false));
    }
}

#[test]
fn a_commit_whose_answer_is_cut_is_found_done() {
    let Some(place) = Place::new() else { return };
    let story = random(3, 80);
    let proxy = Proxy::start(place.address()).unwrap();
    let (mut failure_count, mut done_count) = (0, 0);
    // The answers of opening are some 6,000 bytes; the sweep ends behind the answer to the COMMIT of one batch.
    for cut in (5_000..12_000).step_by(23) {
        place.db.run(&format!("DROP SCHEMA IF EXISTS {} CASCADE", place.settings.schema));
        assert_eq!(place.open(&mut place.target()), None);
        let mut target = place.target_through(proxy.address());
        proxy.set(Mode::CutFrom(cut));
        let written = target.open(&place.source).and_then(|_| story.write(&mut target, 0, 100));
        proxy.set(Mode::Pass);
        let next = target.open(&place.source).unwrap();
        if written.is_err() {
            failure_count += 1;
            done_count += u32::from(next == Some(story.end()));
        }
        assert!(next.is_none() || next == Some(story.end()), "{next:?}");
        story.write(&mut target, next.unwrap_or(0), 100).unwrap();
        assert_eq!(stored(&place), folded(&place, &story, story.end(), false), "cut after {cut} bytes");
        if written.is_ok() {
            break;
        }
    }
    assert!(failure_count > 10 && done_count > 0, "{failure_count} cuts, {done_count} after COMMIT was done");
}

#[test]
fn batches_larger_than_a_buffer_go_out_on_their_own() {
    let Some(place) = Place::new() else { return };
    let mut story = Story::default();
    story.put_sale(0, 1);
    for seq in 0..3_000 {
        let mut claim = Claimed::new(0, seq);
        claim.details = format!(r#"{{"text":"{}"}}"#, "x".repeat(4_000));
        story.add(What::Reserved { claim, expires_at: None });
    }
    let mut target = place.target();
    place.open(&mut target);
    assert_eq!(story.write(&mut target, 0, 10_000).unwrap(), story.end());
    assert_eq!(stored(&place), folded(&place, &story, story.end(), false));
}

#[test]
fn the_first_and_the_last_time_are_stored() {
    for (rows, visits) in [(Rows::Batch, false), (Rows::Visit, true)] {
        let Some(mut place) = Place::new() else { return };
        place.settings.rows = rows;
        let mut story = Story::default();
        for (no, time) in [(0, 0), (1, TIME_MS_MAX)] {
            let mut terms = terms(["stock-0".to_owned()].into_iter());
            (terms.opens_at, terms.closes_at) = (Some(time), Some(time));
            (terms.stocks[0].starts_at, terms.stocks[0].ends_at) = (Some(time), Some(time));
            terms.stocks[0].closes_at = (no == 1).then_some(time);
            let sale = format!("sale-{no}");
            let [held, bought] = [0, 1].map(|seq| Claimed::new(no, seq));
            let shape = WindowShape { span_ms: 1_000, precision_ms: 10 };
            for what in [
                What::SalePut { no, sale: sale.clone(), terms, stock_nos: vec![0] },
                What::Reserved { claim: held.clone(), expires_at: Some(time) },
                What::Reserved { claim: bought, expires_at: None },
                What::Expired { claim: held },
                What::Added { counter: sale.clone(), by: 3, value: 3 },
                What::WindowPut { window: sale.clone(), shape },
                What::Archived { no, sale },
            ] {
                story.add(what);
                story.events.last_mut().unwrap().at = time;
            }
        }
        // In one batch with what they are about, and each in its own.
        for batch in [100, 1] {
            place.db.run(&format!("DROP SCHEMA IF EXISTS {} CASCADE", place.settings.schema));
            let mut target = place.target();
            place.open(&mut target);
            let skipped = Skipped { from: 0, to: 1, at: TIME_MS_MAX, reason: "test".to_owned() };
            target.push_skipped(&skipped).unwrap();
            story.write(&mut target, 0, batch).unwrap();
            assert_eq!(stored(&place), folded(&place, &story, story.end(), visits));
            let skipped_at = place.rows("(extract(epoch FROM at) * 1000)::bigint", "skipped");
            assert_eq!(skipped_at, [serde_json::json!([TIME_MS_MAX])]);
            let findings = place.audit(&story).unwrap();
            assert!(findings.agree(), "{findings:?}");
        }
    }
}
