//! Challenges: what a person reads or hears, or a program works for, before a reservation is decided.
//!
//! An image challenge is six digits, as a picture and as a sound. Both are made from the answer and a seed alone. The same seed
//! makes the same bytes, so whoever asks again learns nothing new. The seed is no secret once they were seen: it may be worked out from
//! them, so nothing else should follow from it.

mod answer;
mod canvas;
mod glyphs;
mod picture;
mod proof_of_work;
mod sound;
mod token;

pub use self::answer::{Answer, DIGITS};
pub use self::picture::{HEIGHT, WIDTH, picture_png};
pub use self::proof_of_work::{ALGORITHM, Found, WORK_MAX, WidgetChallenge, WorkPrice};
pub use self::sound::sound_wav;
pub use self::token::{
    Binding, CHALLENGE_ID_CHARS, CHALLENGE_KEY_BYTES, CHALLENGE_TTL_MS, Challenge, ChallengeId, ChallengeKey,
    Task,
};
