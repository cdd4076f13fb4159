//! The sound of an answer: its digits, spoken in English.
//!
//! Pauses, speed and volume differ at random, so that no two recordings of a digit are alike. Behind the digits there is a hiss, and parts
//! of speech that run backwards: they sound like speech and are no word.

use std::ops::{Range, RangeInclusive};

use fastrand::Rng;

use super::answer::{Answer, DIGITS};

/// Recordings of 0 to 9, as WAV with 8,000 samples of 8 bits a second. `sounds/README.md` says where they are from.
const RECORDINGS: [&[u8]; 10] = [
    include_bytes!("sounds/0.wav"),
    include_bytes!("sounds/1.wav"),
    include_bytes!("sounds/2.wav"),
    include_bytes!("sounds/3.wav"),
    include_bytes!("sounds/4.wav"),
    include_bytes!("sounds/5.wav"),
    include_bytes!("sounds/6.wav"),
    include_bytes!("sounds/7.wav"),
    include_bytes!("sounds/8.wav"),
    include_bytes!("sounds/9.wav"),
];

/// Bytes before the samples, in the recordings and in what is made of them.
const HEADER_BYTES: usize = 44;

// What the header says of the samples.
const PCM: u16 = 1;
const CHANNELS: u16 = 1;
const SAMPLES_PER_S: u32 = 8_000;
const BYTES_PER_S: u32 = SAMPLES_PER_S;
const BYTES_AT_ONCE: u16 = 1;
const BITS: u16 = 8;

/// A sample of silence.
const SILENCE: u8 = 128;

/// Samples of a pause before, between and behind the digits.
const PAUSES: Range<usize> = 2_800..5_400;

/// How much faster a digit is spoken than it was recorded, in percent. The recordings are short, so most become longer.
const SPEEDS: Range<usize> = 82..105;

/// Volume of the digits, in percent.
const VOLUMES: Range<i32> = 95..130;

/// Speed and volume of what runs backwards, in percent.
const BACKWARD_SPEEDS: Range<usize> = 75..130;
const BACKWARD_VOLUMES: Range<i32> = 10..22;

/// Samples between the beginnings of two that run backwards.
const BACKWARD_PAUSES: Range<usize> = 800..2_400;

/// Distance of the hiss from silence.
const HISS: RangeInclusive<i32> = -3..=3;

/// The sound, as WAV: one channel, 8,000 samples of 8 bits a second. It has fewer than 60,000 bytes, which are 7.5 seconds.
///
/// # Panics
/// A digit of the answer is above 9.
pub fn sound_wav(answer: &Answer, seed: u64) -> Vec<u8> {
    // The picture is made from the numbers of the seed itself.
    let mut rng = Rng::with_seed(!seed);
    let mut length = rng.usize(PAUSES);
    let mut spoken: [(usize, Vec<i32>); DIGITS] = Default::default();
    for (place, digit) in spoken.iter_mut().zip(answer.0) {
        let volume = rng.i32(VOLUMES);
        *place = (length, samples(digit, rng.usize(SPEEDS)).map(|sample| sample * volume / 100).collect());
        length += place.1.len() + rng.usize(PAUSES);
    }
    let mut mixed: Vec<i32> = (0..length).map(|_| rng.i32(HISS)).collect();
    add_backward_speech(&mut mixed, &mut rng);
    for (start, digit) in &spoken {
        add(&mut mixed[*start..], digit);
    }
    wav(&mixed)
}

/// The recording of a digit at another speed, as distances from silence. Pitch goes with speed.
fn samples(digit: u8, speed: usize) -> impl DoubleEndedIterator<Item = i32> {
    let recording = &RECORDINGS[usize::from(digit)][HEADER_BYTES..];
    let count = (recording.len() - 1) * 100 / speed;
    (0..count).map(move |number| {
        let (index, part) = (number * speed / 100, number * speed % 100);
        let [here, next] = [index, index + 1].map(|index| i32::from(recording[index]) - i32::from(SILENCE));
        here + (next - here) * i32::try_from(part).expect("below 100") / 100
    })
}

fn add_backward_speech(mixed: &mut [i32], rng: &mut Rng) {
    let mut start = rng.usize(BACKWARD_PAUSES);
    while start < mixed.len() {
        let volume = rng.i32(BACKWARD_VOLUMES);
        let speech: Vec<i32> = samples(rng.u8(..10), rng.usize(BACKWARD_SPEEDS))
            .rev()
            .map(|sample| sample * volume / 100)
            .collect();
        add(&mut mixed[start..], &speech);
        start += rng.usize(BACKWARD_PAUSES);
    }
}

/// Adds one sound to another, as far as the other one goes.
fn add(to: &mut [i32], sound: &[i32]) {
    for (to, sample) in to.iter_mut().zip(sound) {
        *to += sample;
    }
}

/// The layout is that of "Multimedia Programming Interface and Data Specifications 1.0".
fn wav(samples: &[i32]) -> Vec<u8> {
    // A chunk of odd length is followed by a byte that does not count.
    let padding = samples.len() % 2;
    let [riff_bytes, sample_bytes] = [HEADER_BYTES - 8 + samples.len() + padding, samples.len()]
        .map(|bytes| u32::try_from(bytes).expect("a sound is short"));
    let mut wav = Vec::with_capacity(HEADER_BYTES + samples.len() + padding);
    wav.extend_from_slice(b"RIFF");
    wav.extend_from_slice(&riff_bytes.to_le_bytes());
    wav.extend_from_slice(b"WAVEfmt ");
    wav.extend_from_slice(&16_u32.to_le_bytes());
    wav.extend_from_slice(&PCM.to_le_bytes());
    wav.extend_from_slice(&CHANNELS.to_le_bytes());
    wav.extend_from_slice(&SAMPLES_PER_S.to_le_bytes());
    wav.extend_from_slice(&BYTES_PER_S.to_le_bytes());
    wav.extend_from_slice(&BYTES_AT_ONCE.to_le_bytes());
    wav.extend_from_slice(&BITS.to_le_bytes());
    wav.extend_from_slice(b"data");
    wav.extend_from_slice(&sample_bytes.to_le_bytes());
    wav.extend(samples.iter().map(|sample| {
        u8::try_from((sample + i32::from(SILENCE)).clamp(0, 255)).expect("a clamped sample is a byte")
    }));
    wav.resize(wav.len() + padding, 0);
    wav
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(wav: &[u8], at: usize, bytes: usize) -> usize {
        wav[at..at + bytes].iter().rev().fold(0, |number, &byte| number << 8 | usize::from(byte))
    }

    /// Mean distance from silence.
    fn loudness(samples: &[u8]) -> f64 {
        let sum: u32 = samples.iter().map(|&sample| u32::from(sample.abs_diff(SILENCE))).sum();
        f64::from(sum) / f64::from(u32::try_from(samples.len()).expect("a sound is short"))
    }

    #[test]
    fn the_same_seed_makes_the_same_sound_and_another_seed_another() {
        let answer = Answer([0, 1, 2, 3, 4, 5]);
        assert_eq!(sound_wav(&answer, 7), sound_wav(&answer, 7));
        assert_ne!(sound_wav(&answer, 7), sound_wav(&answer, 8));
        assert_ne!(sound_wav(&answer, 7), sound_wav(&Answer([0, 1, 2, 3, 4, 6]), 7));
    }

    #[test]
    fn the_header_says_what_follows() {
        let mut odd = 0;
        for seed in 0..1_000 {
            let wav = sound_wav(&Answer::from_random(seed * 7_919), seed);
            assert!((30_000..60_000).contains(&wav.len()), "seed {seed}: {} bytes", wav.len());
            assert_eq!(
                (&wav[..4], &wav[8..16], &wav[36..40]),
                (&b"RIFF"[..], &b"WAVEfmt "[..], &b"data"[..])
            );
            assert_eq!(number(&wav, 4, 4), wav.len() - 8, "seed {seed}");
            let format = [(16, 4), (20, 2), (22, 2), (24, 4), (28, 4), (32, 2), (34, 2)];
            assert_eq!(format.map(|(at, bytes)| number(&wav, at, bytes)), [16, 1, 1, 8_000, 8_000, 1, 8]);
            let samples = number(&wav, 40, 4);
            assert_eq!(samples + samples % 2, wav.len() - HEADER_BYTES, "seed {seed}");
            odd += samples % 2;
        }
        assert!((100..900).contains(&odd), "sounds of both kinds were looked at, {odd} of odd length");
    }

    #[test]
    fn recordings_have_the_header_that_is_skipped() {
        for (digit, recording) in RECORDINGS.iter().enumerate() {
            assert_eq!(&recording[..4], b"RIFF", "{digit}");
            assert_eq!(number(recording, 40, 4), recording.len() - HEADER_BYTES, "{digit}");
            assert_eq!(number(recording, 24, 4), 8_000, "{digit}");
        }
    }

    /// Of windows of a twentieth of a second, those that are speech are far louder than those of pauses.
    #[test]
    fn digits_are_far_louder_than_what_is_behind_them() {
        for seed in 0..200 {
            let wav = sound_wav(&Answer::from_random(seed * 7_919), seed);
            let windows: Vec<f64> = wav[HEADER_BYTES..].chunks_exact(400).map(loudness).collect();
            let mut sorted = windows.clone();
            sorted.sort_by(f64::total_cmp);
            let (quiet, loud) = (sorted[sorted.len() / 4], sorted[sorted.len() * 9 / 10]);
            assert!(loud > 4.0 * quiet, "seed {seed}: {quiet:.1} and {loud:.1}");
        }
    }
}
