//! Random stories in random batches with random ends of runners, against a naive fold.

use onrush_sinks::Target;

use crate::model::{folded, stored};
use crate::place::Place;
use crate::story::{Chance, random};
use onrush_connect::postgres::Rows;

fn check(seed: u64, rows: Rows) {
    let Some(mut place) = Place::new() else { return };
    place.settings.rows = rows;
    let story = random(seed, 400);
    let mut chance = Chance::new(seed + 1_000);
    let mut target = place.target();
    let mut from = place.open(&mut target).unwrap_or(0);
    while from < story.end() {
        let most = [1, 5, 60, 400][usize::try_from(chance.below(4)).unwrap()];
        let size = usize::try_from(1 + chance.below(most)).unwrap();
        let start = from;
        for event in story.events.iter().filter(|event| event.offset >= start).take(size) {
            event.with_event(|event| target.push(event)).unwrap();
            from = event.offset + 1;
        }
        match chance.below(6) {
            0 => {
                // A runner ends in the middle of a batch; the next is another, or the same opened again.
                if chance.below(2) == 0 {
                    target = place.target();
                }
                from = place.open(&mut target).unwrap_or(0);
            }
            1 => {
                target.send(from).unwrap();
                from = place.open(&mut target).unwrap_or(0);
            }
            2 => {
                target.send(from).unwrap();
                assert_eq!(target.wait_until_durable().unwrap(), from);
                let visits = rows == Rows::Visit;
                assert_eq!(stored(&place), folded(&place, &story, from, visits), "seed {seed} at {from}");
            }
            _ => assert!(target.send(from).unwrap() <= from),
        }
    }
    target.send(story.end()).unwrap();
    target.wait_until_durable().unwrap();
    assert_eq!(stored(&place), folded(&place, &story, story.end(), rows == Rows::Visit), "seed {seed}");
    let findings = place.audit(&story).unwrap();
    assert!(
        findings.agree() && findings.compared_count == story.events.len() as u64,
        "seed {seed}: {findings:?}"
    );
}

#[test]
fn any_batches_and_crashes_give_what_a_fold_gives() {
    for seed in 0..24 {
        check(seed, Rows::Batch);
    }
}

#[test]
fn any_batches_and_crashes_give_a_row_for_each_visit() {
    for seed in 100..108 {
        check(seed, Rows::Visit);
    }
}
