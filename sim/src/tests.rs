//! A short run of each kind, and that every mistake that is planted is found.

use clap::ValueEnum;

use crate::bug::Bug;
use crate::figures::Figures;
use crate::run::{run_all, run_seed, trace_of_seed};

/// The first seed of the runs, from which the others count up.
const SEED: u64 = 1_000_000;
/// Runs in which a planted mistake is found at the latest.
const RUNS_MAX: u64 = 20_000;

#[test]
fn nothing_is_found_by_chance() {
    let mut sum = Figures::default();
    for seed in SEED..SEED + 3_000 {
        match run_seed(seed, None) {
            Ok(figures) => sum += figures,
            Err(finding) => panic!("cargo xtask sim --seed {seed}\n{finding:#?}"),
        }
    }
    // They do something.
    assert!(sum.answer_count > 10_000 && sum.unknown_count > 3_000 && sum.epoch_count > 6_000, "{sum}");
}

#[test]
fn nothing_is_found_near_the_smooth_way() {
    let mut run_count = 0;
    let found = run_all(1, 30, None, |_| run_count += 1);
    assert!(found.is_ok(), "cargo xtask sim --departures 1 --steps 30\n{found:#?}");
    assert!(run_count > 300, "{run_count}");
}

#[test]
fn every_planted_mistake_is_found() {
    for bug in Bug::value_variants() {
        let found = (SEED..SEED + RUNS_MAX).any(|seed| run_seed(seed, Some(*bug)).is_err());
        assert!(found, "{bug:?} is not found in {RUNS_MAX} runs");
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for seed in SEED..SEED + 20 {
        let traces = [trace_of_seed(seed, None), trace_of_seed(seed, None)];
        assert!(traces[0].len() > 50);
        assert_eq!(traces[0], traces[1]);
    }
    let found = |seed| run_seed(seed, Some(Bug::NoBaseCheck)).err();
    let seed = (SEED..SEED + RUNS_MAX).find(|seed| found(*seed).is_some()).expect("it is found");
    let [first, second] = [found(seed), found(seed)].map(|finding| finding.expect("it is found again"));
    assert_eq!((first.step_count, &first.trace), (second.step_count, &second.trace));
    assert!(!first.trace.is_empty());
}
