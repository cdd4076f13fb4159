//! The answer of a picture or a sound: six digits.

use std::fmt;

use subtle::ConstantTimeEq as _;

/// Digits of an answer.
pub const DIGITS: usize = 6;

/// So many answers there are.
const ANSWERS: u64 = 10_u64.pow(6);

/// What a person reads or hears, the first digit first. Each is 0 to 9.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Answer(pub [u8; DIGITS]);

impl Answer {
    /// The answer that belongs to a random number.
    ///
    /// If all numbers are equally likely, no answer is likelier than another by more than 1 part in 10^13: 2^64 divided by the
    /// number of answers leaves a remainder.
    pub fn from_random(random: u64) -> Self {
        let mut digits = [0; DIGITS];
        let mut rest = random % ANSWERS;
        for digit in digits.iter_mut().rev() {
            *digit = u8::try_from(rest % 10).expect("a remainder of ten is small");
            rest /= 10;
        }
        Self(digits)
    }

    /// The answer of these six digits; nothing if the text is anything else.
    pub fn parse(digits: &str) -> Option<Self> {
        let digits: [u8; DIGITS] = digits.as_bytes().try_into().ok()?;
        digits.iter().all(u8::is_ascii_digit).then(|| Self(digits.map(|digit| digit - b'0')))
    }

    /// The answer whose digits are those of this number, with zeros before it; nothing if it has more digits.
    pub fn of_number(number: u32) -> Option<Self> {
        (u64::from(number) < ANSWERS).then(|| Self::from_random(number.into()))
    }

    /// The number that has these digits.
    pub fn number(&self) -> u32 {
        self.0.iter().fold(0, |number, digit| number * 10 + u32::from(*digit))
    }

    /// Whether somebody typed this answer, with any spaces around and between the digits. The time that it takes does not tell
    /// which digits are right.
    pub fn matches(&self, text: &str) -> bool {
        let mut typed = [0; DIGITS];
        let mut count = 0;
        for character in text.chars().filter(|character| !character.is_whitespace()) {
            let digit = character.to_digit(10).and_then(|digit| u8::try_from(digit).ok());
            let (Some(place), Some(digit)) = (typed.get_mut(count), digit) else { return false };
            *place = digit;
            count += 1;
        }
        count == DIGITS && self.0.ct_eq(&typed).into()
    }
}

/// Shows nothing of the answer, so that it gets into no message.
impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Answer(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_a_number_of_six_digits() {
        for (digits, number) in [("000000", 0), ("012345", 12_345), ("999999", 999_999)] {
            let answer = Answer::parse(digits).unwrap();
            assert_eq!(answer.number(), number);
            assert!(Answer::of_number(number).unwrap().matches(digits));
        }
        assert!(Answer::of_number(1_000_000).is_none());
        for wrong in ["", "12345", "1234567", "12345a", "12345 ", "１２"] {
            assert!(Answer::parse(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn an_answer_matches_its_digits_and_nothing_else() {
        let answer = Answer([0, 4, 2, 9, 9, 7]);
        for right in ["042997", " 042997\n", "042 997", "0 4 2 9 9 7", "\u{a0}04\t2997 "] {
            assert!(answer.matches(right), "{right:?}");
        }
        for wrong in [
            "",
            " ",
            "04299",
            "0429970",
            "0042997",
            "042998",
            "142997",
            "799240",
            "42997",
            "042-997",
            "042997.",
            "+42997",
            "o42997",
            "04299\u{666}",
            "\u{ff10}42997",
            "042997\0",
        ] {
            assert!(!answer.matches(wrong), "{wrong:?}");
        }
    }

    #[test]
    fn a_random_number_makes_any_answer() {
        for (random, expected) in [
            (0, [0, 0, 0, 0, 0, 0]),
            (42, [0, 0, 0, 0, 4, 2]),
            (999_999, [9, 9, 9, 9, 9, 9]),
            (1_000_000, [0, 0, 0, 0, 0, 0]),
            (u64::MAX, [5, 5, 1, 6, 1, 5]),
        ] {
            assert_eq!(Answer::from_random(random).0, expected, "{random}");
        }
    }

    #[test]
    fn an_answer_does_not_show_itself() {
        assert_eq!(format!("{:?}", Some(Answer([1, 2, 3, 4, 5, 6]))), "Some(Answer(…))");
    }
}
