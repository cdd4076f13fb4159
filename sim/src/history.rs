//! What clients asked and were told, and when: as the number of events that were in force then.

use onrush_core::{Answer, ReservationRef, TimeMs};

use crate::question::{Question, Told};

/// Everything that was asked in a run.
#[derive(Default)]
pub(crate) struct History {
    pub(crate) asked: Vec<Asked>,
    /// The latest time that anybody was told.
    told_max: TimeMs,
    /// Reservations of which somebody was told.
    known: Vec<ReservationRef>,
    /// A claim of which nobody knows what became.
    unanswered: Option<Question>,
}

/// A question, and what became of it.
pub(crate) struct Asked {
    pub(crate) question: Question,
    /// So many events were in force when it was asked.
    pub(crate) from: u64,
    /// The latest time that anybody had been told then.
    told_before: TimeMs,
    pub(crate) fate: Fate,
}

/// What became of a question.
pub(crate) enum Fate {
    /// It is with a node.
    Waiting,
    /// It was answered.
    Answered(Answered),
    /// Its asker was told that nobody knows.
    Unknown,
}

/// An answer.
pub(crate) struct Answered {
    pub(crate) told: Told,
    /// When it was decided, by the time of the partition.
    pub(crate) at: TimeMs,
    /// Whether that was an event.
    pub(crate) has_event: bool,
    /// So many events were in force when it was told.
    pub(crate) until: u64,
}

impl History {
    /// Draws the next question.
    pub(crate) fn draw(&self, random: &mut fastrand::Rng) -> Question {
        let number = u32::try_from(self.asked.len()).expect("few are asked");
        Question::draw(random, number, &self.known, self.unanswered)
    }

    /// Somebody asks; the number of the question.
    pub(crate) fn ask(&mut self, question: Question, from: u64) -> usize {
        self.asked.push(Asked { question, from, told_before: self.told_max, fate: Fate::Waiting });
        self.asked.len() - 1
    }

    /// The answer reaches the client.
    pub(crate) fn answer(&mut self, number: usize, answered: Answered) {
        let asked = &mut self.asked[number];
        assert!(matches!(asked.fate, Fate::Waiting), "question {number} is answered twice");
        assert!(
            answered.at >= asked.told_before,
            "question {number} is answered at {}, and {} was told before it was asked",
            answered.at,
            asked.told_before
        );
        self.told_max = self.told_max.max(answered.at);
        if let Told::Answer(Answer::Reserved { reservation, .. }) = answered.told {
            self.known.push(reservation);
        }
        asked.fate = Fate::Answered(answered);
    }

    /// Nobody knows what became of it.
    pub(crate) fn give_up(&mut self, number: usize) {
        let asked = &mut self.asked[number];
        assert!(matches!(asked.fate, Fate::Waiting), "question {number} is answered twice");
        asked.fate = Fate::Unknown;
        if matches!(asked.question, Question::Reserve { .. }) {
            self.unanswered = Some(asked.question);
        }
    }

    /// Whether anybody still waits.
    pub(crate) fn is_waiting(&self) -> bool {
        self.asked.iter().any(|asked| matches!(asked.fate, Fate::Waiting))
    }
}
