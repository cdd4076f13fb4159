//! Proof of work in the form of the ALTCHA widget (version 2, <https://altcha.org/docs/v2/proof-of-work>): the client finds the
//! number behind a salt of which the SHA-256 is known. The salt is the token of the challenge, so what the client sends back says
//! by itself which number it was.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use onrush_core::TimeMs;
use ring::digest::{SHA256, digest};

/// The most that a challenge may cost, in attempts: on average a quarter of an hour for a browser that tries 60,000 a second.
pub const WORK_MAX: u32 = 100_000_000;

/// The name of the only hash, as the widget writes it.
pub const ALGORITHM: &str = "SHA-256";

/// Bytes of the longest text of the widget that is read.
const PAYLOAD_BYTES_MAX: usize = 1_024;

/// How fast the count of challenges fades, in milliseconds: after so long a little more than a third is left.
const FADING_MS: f32 = 10_000.0;

/// Challenges in that time up to which each costs the least: 100 a second.
const CHEAP_COUNT: f32 = 1_000.0;

/// What the widget reads beside the number up to which it tries.
#[derive(Debug, PartialEq, Eq)]
pub struct WidgetChallenge {
    /// What the number is appended to: the id of the challenge, and when it expires, which the widget shows.
    pub salt: String,
    /// The hash of the salt and the number, in hexadecimal digits.
    pub challenge: String,
}

impl WidgetChallenge {
    /// Of the challenge of this id, in which `number` is to be found.
    pub fn new(id: &str, number: u32, expires_at: TimeMs) -> Self {
        // The `&` keeps the digits that follow out of the parameter.
        let salt = format!("{id}?expires={}&", expires_at / 1_000);
        let hash = digest(&SHA256, format!("{salt}{number}").as_bytes());
        Self { salt, challenge: hexadecimal(hash.as_ref()) }
    }
}

/// What a client found.
#[derive(Debug, PartialEq, Eq)]
pub struct Found {
    /// The id of the challenge.
    pub id: String,
    /// The number.
    pub number: u64,
}

#[derive(serde::Deserialize)]
struct Payload<'a> {
    #[serde(borrow)]
    algorithm: Cow<'a, str>,
    #[serde(borrow)]
    salt: Cow<'a, str>,
    number: u64,
}

impl Found {
    /// Reads what the widget puts into a form: JSON in base64; nothing if it is not that. Its hash and its signature are passed
    /// over: the id stands for both.
    pub fn parse(payload: &str) -> Option<Self> {
        if payload.len() > PAYLOAD_BYTES_MAX {
            return None;
        }
        let json = STANDARD.decode(payload).ok()?;
        let Payload { algorithm, salt, number } = serde_json::from_slice(&json).ok()?;
        let (id, _) = salt.split_once('?')?;
        (algorithm == ALGORITHM).then(|| Self { id: id.to_owned(), number })
    }
}

/// What a challenge costs: it rises with how many are asked for, between two bounds.
pub struct WorkPrice {
    least: u32,
    most: u32,
    /// How many were asked for lately, fading, as the bits of a float; and when the last one was, in milliseconds that wrap around.
    asked: AtomicU64,
}

impl WorkPrice {
    /// Between `least` and `most` attempts, both at most [`WORK_MAX`]; `most` counts as `least` if it is less.
    pub const fn new(least: u32, most: u32) -> Self {
        Self { least, most, asked: AtomicU64::new(0) }
    }

    /// The number up to which one more challenge is, asked for at `now`. On average half as many attempts find it.
    pub fn next(&self, now: TimeMs) -> u32 {
        let now = truncated(now);
        let count = |asked: u64| {
            let (at, count) = (truncated(asked), f32::from_bits(truncated(asked >> 32)));
            // A clock that was set back is no time at all.
            let since = now.wrapping_sub(at).cast_signed().max(0);
            #[expect(clippy::cast_precision_loss, reason = "an estimate")]
            let faded = count * (-(since as f32) / FADING_MS).exp();
            faded + 1.0
        };
        let pack = |asked| Some(u64::from(count(asked).to_bits()) << 32 | u64::from(now));
        let before = self.asked.fetch_update(Ordering::Relaxed, Ordering::Relaxed, pack);
        let asked = count(before.unwrap_or_else(|asked| asked));
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a float too large is the largest number"
        )]
        let price = (f64::from(self.least) * f64::from(asked / CHEAP_COUNT)) as u32;
        price.max(self.least).min(self.most.max(self.least)).min(WORK_MAX)
    }
}

/// The lower half.
fn truncated(number: u64) -> u32 {
    u32::try_from(number & u64::from(u32::MAX)).expect("the lower half")
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a `String` cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_widget_finds_the_number() {
        let made = WidgetChallenge::new("id", 321, 1_700_000_000_999);
        assert_eq!(made.salt, "id?expires=1700000000&");
        let hash =
            |number: u32| hexadecimal(digest(&SHA256, format!("{}{number}", made.salt).as_bytes()).as_ref());
        let found: Vec<u32> = (0..1_000).filter(|number| hash(*number) == made.challenge).collect();
        assert_eq!(found, [321]);
        assert_eq!(made.challenge.len(), 64);
    }

    #[test]
    fn what_the_widget_sends_is_read() {
        let payload = |json: &str| STANDARD.encode(json);
        let json = r#"{"algorithm":"SHA-256","challenge":"ab","number":321,"salt":"id?expires=1&","signature":"cd","took":5}"#;
        assert_eq!(Found::parse(&payload(json)), Some(Found { id: "id".to_owned(), number: 321 }));
        for wrong in [
            json.replace("SHA-256", "SHA-1"),
            json.replace("321", "-1"),
            json.replace("321", "1.5"),
            json.replace('?', "!"),
            json.replace("salt", "pepper"),
            json[1..].to_owned(),
            "{}".to_owned(),
            String::new(),
            json.replace("ab", &"a".repeat(2_000)),
        ] {
            assert_eq!(Found::parse(&payload(&wrong)), None, "{wrong}");
        }
        assert_eq!(Found::parse(json), None, "it is not in base64");
    }

    #[test]
    fn the_price_rises_with_what_is_asked_and_falls_again() {
        let price = WorkPrice::new(1_000, 50_000);
        let ask = |count, now| (0..count).map(|_| price.next(now)).last().unwrap();
        assert_eq!(ask(1_000, 0), 1_000, "100 a second are cheap");
        let twice = ask(1_000, 0);
        assert!((1_900..=2_100).contains(&twice), "{twice}");
        assert_eq!(ask(100_000, 0), 50_000, "it has an end");
        let faded = ask(1, 30_000);
        assert!((4_900..=5_300).contains(&faded), "what was asked before fades: {faded}");
        let set_back = ask(1, 29_000);
        assert!(
            (faded..=faded + 2).contains(&set_back),
            "a clock that is set back fades nothing: {set_back}"
        );
        assert_eq!(ask(1, 200_000), 1_000);
    }

    #[test]
    fn bounds_that_cross_are_the_lower_one() {
        assert_eq!(WorkPrice::new(1_000, 10).next(0), 1_000);
    }
}
