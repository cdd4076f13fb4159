//! Challenges: what a person answers before a reservation is decided, and a program finds hard to answer.
//!
//! An image challenge is six digits, as a picture and as a sound. Both are made from the answer and a seed alone. The same seed
//! makes the same bytes, so whoever asks again learns nothing new. The seed is no secret once they were seen: it may be worked out from
//! them, so nothing else should follow from it.

mod answer;
mod canvas;
mod glyphs;
mod picture;
mod sound;

pub use self::answer::{Answer, DIGITS};
pub use self::picture::{HEIGHT, WIDTH, picture_png};
pub use self::sound::sound_wav;
