//! A short run of each kind, and that every mistake that is planted is found.

use clap::ValueEnum;
use onrush_log::shared::memory::AckForm;

use crate::action::{ALL, Action};
use crate::bug::Bug;
use crate::choices::{Choices, Path};
use crate::figures::Figures;
use crate::history::{Answered, Asked, Fate, History};
use crate::question::{Question, Told};
use crate::run::{caught, run_all, run_seed, trace_of_seed};
use crate::trace::Trace;
use crate::world::{Shape, World};

/// The first seed of the runs, from which the others count up.
const SEED: u64 = 1_000_000;
/// Runs in which a planted mistake is found at the latest.
const RUNS_MAX: u64 = 100_000;

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

/// What the checkers say, one of them for each promise. A mistake can also stop at an assertion of what it is planted in; that does
/// not show that a checker finds it.
const PROMISES: [&str; 7] = [
    "which is true at no offset",
    "was told before it was asked",
    "time falls",
    "offset of node",
    "note of node",
    "digest of node",
    "no question is answered after the trouble has ended",
];

#[test]
fn every_planted_mistake_is_found() {
    for bug in Bug::value_variants() {
        let breaks_promise = |seed| {
            let found = run_seed(seed, Some(*bug)).err();
            found.is_some_and(|finding| PROMISES.iter().any(|promise| finding.problem.contains(promise)))
        };
        assert!((SEED..SEED + RUNS_MAX).any(breaks_promise), "{bug:?} is not found in {RUNS_MAX} runs");
    }
}

/// What is found when a leader that does not know yet that it was deposed is asked for a counter, to which its successor has added.
fn ask_a_deposed_leader(bug: Option<Bug>) -> Result<Figures, String> {
    let shape = Shape { question_count: 0, ..Shape::small(0) };
    let mut world = World::new(shape, bug, fastrand::Rng::with_seed(1), Trace::default());
    // Node 0 leads, and nothing is on its way.
    world.settle();
    world.act(Action::Hurry { node: 1 });
    world.act(Action::Turn { node: 1 });
    let added = Question::Add { counter: 0, by: 1 };
    let act = |world: &mut World, actions: &[Action]| actions.iter().for_each(|action| world.act(*action));
    let arrives = [
        Action::Store { index: 0, repeats: false },
        Action::Ack { index: 0, form: AckForm::Whole },
        Action::Show { count: ALL },
    ];
    act(&mut world, &arrives);
    world.act(Action::Read { node: 1, count: ALL });
    world.ask(1, added);
    world.act(Action::Turn { node: 1 });
    act(&mut world, &arrives);
    world.act(Action::Turn { node: 1 });
    world.ask(0, Question::ReadCounter { counter: 0 });
    world.act(Action::Turn { node: 0 });
    let is_answered = |fate: &Fate| matches!(fate, Fate::Answered(_));
    let fates: Vec<bool> =
        world.told().1.asked.iter().skip(1).map(|asked| is_answered(&asked.fate)).collect();
    assert_eq!(
        fates,
        [true, bug.is_some()],
        "the successor has answered, and the deposed leader only with {bug:?}"
    );
    world.settle();
    caught(|| world.check())
}

#[test]
fn a_deposed_leader_tells_nobody_what_was_true_before() {
    let figures = ask_a_deposed_leader(None).expect("its answer waits for a record, which is void");
    assert_eq!((figures.late_question_count, figures.unknown_count), (1, 1));
    let problem = ask_a_deposed_leader(Some(Bug::RefusalsWithoutRecord)).expect_err("the answer was stale");
    assert!(problem.contains("told Counter(None)") && problem.contains("true at no offset"), "{problem}");
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

type Falsify = fn(&mut History);

/// What the checker says of a history without trouble that `falsify` has changed.
fn check_falsified(falsify: impl Fn(&mut History)) -> Result<(), String> {
    let shape = Shape { question_count: 60, ..Shape::small(900) };
    let mut world = World::new(shape, None, fastrand::Rng::with_seed(3), Trace::default());
    world.run(&mut Choices::Path(Path::new(0, 0)));
    let (truth, history) = world.told();
    falsify(history);
    caught(|| drop(truth.check(history)))
}

/// The first answer of this kind.
fn answer_mut(
    history: &mut History,
    is_wanted: impl Fn(&Question, &Told) -> bool,
) -> (&mut u64, &mut Answered) {
    let mut all = history.asked.iter_mut().filter_map(|asked| match &mut asked.fate {
        Fate::Answered(answered) if is_wanted(&asked.question, &answered.told) => {
            Some((&mut asked.from, answered))
        }
        _ => None,
    });
    all.next().expect("one of them was asked")
}

#[test]
fn false_histories_are_found() {
    assert_eq!(check_falsified(|_| ()), Ok(()));
    let falsified: [(&str, Falsify); 7] = [
        ("a counter that nobody had", |history| {
            let is_added = |question: &Question, _: &Told| matches!(question, Question::Add { .. });
            answer_mut(history, is_added).1.told =
                Told::Answer(onrush_core::Answer::Counter { value: 1_000 });
        }),
        ("a success without an event", |history| {
            let is_read = |question: &Question, _: &Told| matches!(question, Question::ReadCounter { .. });
            answer_mut(history, is_read).1.has_event = true;
        }),
        ("an event without a success", |history| {
            let is_added = |question: &Question, _: &Told| matches!(question, Question::Add { .. });
            answer_mut(history, is_added).1.has_event = false;
        }),
        ("a refusal of what there was", |history| {
            let is_reserved = |question: &Question, told: &Told| {
                matches!((question, told), (Question::Reserve { .. }, Told::Answer(_)))
            };
            let (_, answered) = answer_mut(history, is_reserved);
            let refusal = onrush_core::Refusal::InsufficientStock { line: 0, quantity_available: 0 };
            (answered.told, answered.has_event) = (Told::Refused(refusal), false);
        }),
        ("a read that was stale", |history| {
            let is_read = |question: &Question, told: &Told| {
                matches!((question, told), (Question::ReadCounter { .. }, Told::Counter(Some(_))))
            };
            let (from, answered) = answer_mut(history, is_read);
            (*from, answered.until) = (0, 0);
        }),
        ("one event for two successes", |history| {
            let is_added = |asked: &&mut Asked| {
                matches!((&asked.question, &asked.fate), (Question::Add { .. }, Fate::Answered(_)))
            };
            let mut added = history.asked.iter_mut().filter(is_added);
            let (first, second) = (added.next().expect("one was asked"), added.next().expect("and another"));
            (second.question, second.from) = (first.question, first.from);
            let (Fate::Answered(first), Fate::Answered(second)) = (&first.fate, &mut second.fate) else {
                unreachable!("both were answered")
            };
            (second.told, second.at, second.until) = (first.told.clone(), first.at, first.until);
        }),
        ("a success before it was asked for", |history| {
            let is_added = |question: &Question, _: &Told| matches!(question, Question::Add { .. });
            let (from, answered) = answer_mut(history, is_added);
            (*from, answered.until) = (answered.until, answered.until);
        }),
    ];
    for (what, falsify) in falsified {
        let problem = check_falsified(falsify).expect_err(what);
        assert!(problem.contains("which is true at no offset"), "{what}: {problem}");
    }
}
