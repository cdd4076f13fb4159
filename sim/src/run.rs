//! Runs of a world: one for each seed, or all with few departures from the smooth way. What goes wrong is kept with what is
//! needed to see it again.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use fastrand::Rng;

use crate::bug::Bug;
use crate::choices::{Choices, Path};
use crate::figures::Figures;
use crate::trace::Trace;
use crate::world::{Shape, World};

/// A run in which a promise was broken.
#[derive(Debug)]
pub(crate) struct Finding {
    /// Which.
    pub(crate) problem: String,
    /// Steps after which the trouble ended; with fewer nothing is found.
    pub(crate) step_count: usize,
    /// What happened.
    pub(crate) trace: Vec<String>,
}

/// The run of a seed.
pub(crate) fn run_seed(seed: u64, bug: Option<Bug>) -> Result<Figures, Finding> {
    let shape = Shape::draw(&mut Rng::with_seed(seed));
    let (ran, _) = run_shape(seed, shape, bug, Trace::default());
    ran.map_err(|problem| shortened(shape, &problem, |shape, trace| run_shape(seed, shape, bug, trace)))
}

/// What happens in the run of a seed.
pub(crate) fn trace_of_seed(seed: u64, bug: Option<Bug>) -> Vec<String> {
    let shape = Shape::draw(&mut Rng::with_seed(seed));
    run_shape(seed, shape, bug, Trace::written()).1.lines().to_vec()
}

/// With fewer steps than the seed says, it begins in the same way.
fn run_shape(seed: u64, shape: Shape, bug: Option<Bug>, trace: Trace) -> (Result<Figures, String>, Trace) {
    let mut random = Rng::with_seed(seed);
    // What clients ask does not hang on what is chosen.
    let questions = random.fork();
    let mut world = World::new(shape, bug, questions, trace);
    let ran = caught(|| world.run(&mut Choices::Random(random)));
    (ran, world.trace)
}

/// Every run of a small world that departs from the smooth way so many times at most. `each` is called after each run.
pub(crate) fn run_all(
    departures_max: usize,
    step_count: usize,
    bug: Option<Bug>,
    mut each: impl FnMut(&Figures),
) -> Result<(), Finding> {
    let shape = Shape::small(step_count);
    let random = Rng::with_seed(1);
    let mut choices = Choices::Path(Path::new(departures_max, step_count));
    loop {
        let mut run = |shape: Shape, trace: Trace| {
            let Choices::Path(path) = &mut choices else { unreachable!("it is one") };
            path.rewind();
            let mut world = World::new(shape, bug, random.clone(), trace);
            let ran = caught(|| world.run(&mut choices));
            (ran, world.trace)
        };
        match run(shape, Trace::default()).0 {
            Ok(figures) => each(&figures),
            Err(problem) => return Err(shortened(shape, &problem, run)),
        }
        let Choices::Path(path) = &mut choices else { unreachable!("it is one") };
        if !path.advance() {
            return Ok(());
        }
    }
}

/// The shortest beginning of a run that breaks a promise as well, with its trace.
fn shortened(
    shape: Shape,
    problem: &str,
    mut run: impl FnMut(Shape, Trace) -> (Result<Figures, String>, Trace),
) -> Finding {
    for step_count in 0..=shape.step_count {
        let (ran, trace) = run(Shape { step_count, ..shape }, Trace::written());
        if let Err(problem) = ran {
            return Finding { problem, step_count, trace: trace.lines().to_vec() };
        }
    }
    Finding {
        problem: format!("{problem}; the same run again breaks nothing"),
        step_count: shape.step_count,
        trace: Vec::new(),
    }
}

/// Runs something; the message if it panics.
pub(crate) fn caught<T>(run: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|panic: Box<dyn Any + Send>| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        text.unwrap_or("it panicked without a word").to_owned()
    })
}
