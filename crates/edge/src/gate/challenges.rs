//! Challenges: given out, shown, and read back. Nothing is kept of one that is given out; the partition of its sale knows which were
//! used. `docs/gate/challenges.md` says what users see of it.

use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use onrush_core::{ChallengeKind, TimeMs};
use onrush_gate::challenge::{
    Answer, Binding, CHALLENGE_KEY_BYTES, CHALLENGE_TTL_MS, Challenge, ChallengeId, ChallengeKey, Found,
    Task, WidgetChallenge, WorkPrice, picture_png, sound_wav,
};
use onrush_node::ChallengeCall;

use super::worker_pool::{PoolTerms, Priority, WorkerPool};
use crate::problem::Problem;

/// What a user may set about challenges.
#[derive(Clone, Debug)]
pub struct ChallengeSettings {
    /// Attempts up to which a proof of work takes when few are asked for, up to [`onrush_gate::challenge::WORK_MAX`].
    pub work_min: u32,
    /// The same however many are asked for.
    pub work_max: u32,
    /// The answer of every picture, for tests.
    pub unsafe_answer: Option<Answer>,
}

impl Default for ChallengeSettings {
    fn default() -> Self {
        Self { work_min: 50_000, work_max: 1_000_000, unsafe_answer: None }
    }
}

/// What makes and reads challenges, for all threads of a listener.
pub(crate) struct Challenges {
    key: ChallengeKey,
    next_number: AtomicU64,
    price: WorkPrice,
    unsafe_answer: Option<Answer>,
    /// Draws; started by the first picture or sound that is asked for.
    drawers: OnceLock<WorkerPool<()>>,
    /// Given out, by kind.
    given: [AtomicU64; KINDS.len()],
}

/// What a client is told of a challenge.
pub(crate) enum Given {
    /// With its picture and its sound under its id.
    Picture { id: ChallengeId, expires_at: TimeMs },
    /// For the widget, which tries numbers up to `attempts_max`.
    Work { challenge: WidgetChallenge, attempts_max: u32 },
}

/// A challenge that a request brings, for what it claims.
#[derive(Clone, Copy)]
pub(crate) struct Brought<'a> {
    pub(crate) text: &'a str,
    pub(crate) sale: &'a str,
    pub(crate) customer: &'a str,
}

/// Behind the threads that answer: with both cores busy, drawing gets a quarter of one. It is not the lowest priority, because who
/// gets no picture cannot reserve.
const DRAWING: PoolTerms = PoolTerms {
    name: "challenges",
    aide_name: "challenges-aide",
    waiting_max: 256,
    priority: Priority::Behind(5),
};

/// A clock may step back by so much, and challenges from before count on.
const CLOCK_STEP_MS: u64 = 60_000;

/// The kinds, in the order of the figures.
pub(crate) const KINDS: [ChallengeKind; 2] = [ChallengeKind::Image, ChallengeKind::ProofOfWork];

impl Challenges {
    /// # Panics
    /// The system has no random numbers, without which no server starts.
    pub(super) fn new(settings: &ChallengeSettings) -> Self {
        let mut secret = [0; CHALLENGE_KEY_BYTES];
        getrandom::fill(&mut secret).expect("a server that starts has random numbers");
        Self {
            key: ChallengeKey::new(&secret),
            next_number: AtomicU64::new(0),
            price: WorkPrice::new(settings.work_min, settings.work_max),
            unsafe_answer: settings.unsafe_answer,
            drawers: OnceLock::new(),
            given: [const { AtomicU64::new(0) }; KINDS.len()],
        }
    }

    /// Gives out a challenge.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub(crate) fn give(
        &self,
        kind: ChallengeKind,
        sale: &str,
        customer: &str,
        now: TimeMs,
    ) -> Result<Given, Problem> {
        let (attempts_max, task) = match kind {
            ChallengeKind::Image => (0, Task::Digits(self.draw_answer()?.number())),
            ChallengeKind::ProofOfWork => {
                let most = self.price.next(now);
                (most, Task::Work(draw_below(u64::from(most) + 1)?))
            }
        };
        let (id, expires_at) = self.seal(task, Binding::new(sale, customer), now)?;
        self.given[kind as usize].fetch_add(1, Ordering::Relaxed);
        Ok(match task {
            Task::Work(number) => {
                Given::Work { challenge: WidgetChallenge::new(&id, number, expires_at), attempts_max }
            }
            Task::Digits(_) | Task::Done => Given::Picture { id, expires_at },
        })
    }

    fn seal(&self, task: Task, binding: Binding, now: TimeMs) -> Result<(ChallengeId, TimeMs), Problem> {
        let expires_at = now.saturating_add(CHALLENGE_TTL_MS);
        let seed = getrandom::u64().map_err(|_| Problem::overloaded())?;
        let number = self.next_number.fetch_add(1, Ordering::Relaxed);
        Ok((self.key.seal(&Challenge { number, task, expires_at, seed, binding }), expires_at))
    }

    fn draw_answer(&self) -> Result<Answer, Problem> {
        match &self.unsafe_answer {
            Some(answer) => Ok(*answer),
            None => getrandom::u64().map(Answer::from_random).map_err(|_| Problem::overloaded()),
        }
    }

    /// What a request brings: `<id>:<answer>`, or what the widget puts into a form.
    pub(crate) fn read(&self, brought: Brought<'_>, now: TimeMs) -> ChallengeCall {
        let read = match brought.text.split_once(':') {
            Some((id, answer)) => {
                self.find(id, now).map(|challenge| (challenge, is_read(challenge.task, answer)))
            }
            None => Found::parse(brought.text).and_then(|found| {
                let challenge = self.find(&found.id, now)?;
                Some((challenge, is_found(challenge.task, found.number)))
            }),
        };
        // One that is somebody else's is not used up: whoever sees an id could take it from its owner.
        let is_own = |(challenge, _): &(Challenge, bool)| {
            challenge.binding == Binding::new(brought.sale, brought.customer)
        };
        read.filter(is_own).map_or(ChallengeCall::Unreadable, |(challenge, is_solved)| {
            let kind = challenge.task.kind();
            ChallengeCall::Answered { number: challenge.number, kind, is_solved }
        })
    }

    /// A challenge that can be solved at `now`. One that ends later than one that is made now is of a clock that was ahead.
    fn find(&self, id: &str, now: TimeMs) -> Option<Challenge> {
        let lasts = |challenge: &Challenge| {
            now < challenge.expires_at && challenge.expires_at <= now + CHALLENGE_TTL_MS + CLOCK_STEP_MS
        };
        self.key.open(id.as_bytes()).filter(lasts)
    }

    /// What stands for a picture that was read right, to be brought instead of it. It is used up like any other.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub(crate) fn done(&self, sale: &str, customer: &str, now: TimeMs) -> Result<ChallengeId, Problem> {
        self.seal(Task::Done, Binding::new(sale, customer), now).map(|(id, _)| id)
    }

    /// What a request brings whose text is the id of [`Self::done`]. Any other id is nothing, and is not used up.
    pub(crate) fn read_done(&self, brought: Brought<'_>, now: TimeMs) -> ChallengeCall {
        let found = self.find(brought.text, now).filter(|challenge| {
            challenge.task == Task::Done && challenge.binding == Binding::new(brought.sale, brought.customer)
        });
        found.map_or(ChallengeCall::Missing, |Challenge { number, task, .. }| ChallengeCall::Answered {
            number,
            kind: task.kind(),
            is_solved: true,
        })
    }

    /// The picture of a challenge, as a PNG.
    ///
    /// # Errors
    /// There is no such challenge, or it is over; or too many pictures and sounds are asked for at once.
    pub(crate) async fn picture(&self, id: &str, now: TimeMs) -> Result<Vec<u8>, Problem> {
        self.draw(id, now, picture_png).await
    }

    /// The same to be heard, as a WAV.
    ///
    /// # Errors
    /// As for the picture.
    pub(crate) async fn sound(&self, id: &str, now: TimeMs) -> Result<Vec<u8>, Problem> {
        self.draw(id, now, sound_wav).await
    }

    async fn draw(
        &self,
        id: &str,
        now: TimeMs,
        draw: fn(&Answer, u64) -> Vec<u8>,
    ) -> Result<Vec<u8>, Problem> {
        let challenge = self.find(id, now).ok_or_else(Problem::challenge_over)?;
        let Task::Digits(number) = challenge.task else { return Err(Problem::challenge_over()) };
        let answer = Answer::of_number(number).ok_or_else(Problem::challenge_over)?;
        let drawers = self.drawers()?;
        drawers.run(drawers.place()?, move |()| draw(&answer, challenge.seed)).await
    }

    fn drawers(&self) -> Result<&WorkerPool<()>, Problem> {
        if let Some(drawers) = self.drawers.get() {
            return Ok(drawers);
        }
        let started = WorkerPool::start(DRAWING, || ()).map_err(|error| {
            tracing::error!(%error, "no thread can be started to draw challenges");
            Problem::overloaded()
        })?;
        // Of two that are started at once one is dropped, and ends.
        Ok(self.drawers.get_or_init(|| started))
    }

    /// How many were given out, by [`KINDS`].
    pub(crate) fn given_counts(&self) -> [u64; KINDS.len()] {
        self.given.each_ref().map(|count| count.load(Ordering::Relaxed))
    }
}

fn is_read(task: Task, answer: &str) -> bool {
    match task {
        Task::Digits(number) => Answer::of_number(number).is_some_and(|own| own.matches(answer)),
        Task::Done | Task::Work(_) => false,
    }
}

fn is_found(task: Task, found: u64) -> bool {
    matches!(task, Task::Work(number) if u64::from(number) == found)
}

/// A number below `end`, each about as likely as the others: of 2^64 at most 2^32 are too many for one.
fn draw_below(end: u64) -> Result<u32, Problem> {
    let drawn = getrandom::u64().map_err(|_| Problem::overloaded())? % end;
    Ok(u32::try_from(drawn).unwrap_or(u32::MAX))
}

impl fmt::Debug for Challenges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Challenges(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A challenge counts for its five minutes, and not for as long as a clock was ahead that was put right.
    #[test]
    fn a_challenge_of_a_clock_that_was_ahead_is_over() {
        const MADE_AT: TimeMs = 86_400_000;
        let challenges = Challenges::new(&ChallengeSettings::default());
        let id = challenges.done("s", "ann", MADE_AT).unwrap();
        let counts_at = |now| {
            let brought = Brought { text: &id, sale: "s", customer: "ann" };
            matches!(challenges.read_done(brought, now), ChallengeCall::Answered { is_solved: true, .. })
        };
        for (now, counts) in [
            (MADE_AT, true),
            (MADE_AT + CHALLENGE_TTL_MS - 1, true),
            (MADE_AT + CHALLENGE_TTL_MS, false),
            (MADE_AT - CLOCK_STEP_MS, true),
            (MADE_AT - CLOCK_STEP_MS - 1, false),
            (0, false),
        ] {
            assert_eq!(counts_at(now), counts, "{now}");
        }
    }
}
