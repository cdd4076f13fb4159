//! Which strings name a counter, window, sale, stock or customer, which of them may be given to a new one, and the same in words.

use crate::NAME_BYTES_MAX;

/// What a name may be made of: ranges and single characters, with blanks between them. A macro, so that rules can hold it.
macro_rules! alphabet {
    () => {
        "A-Z a-z 0-9 . _ ~ : @ -"
    };
}

/// What [`is_name`] allows a name to be made of.
pub const NAME_ALPHABET: &str = alphabet!();

/// What [`is_name`] asks for, in words that finish the sentence "`field` …".
pub const NAME_RULE: &str = concat!("must be 1 to 64 characters of ", alphabet!());

/// What [`is_new_name`] asks for, in words that finish the sentence "`field` …".
pub const NEW_NAME_RULE: &str =
    concat!("must be 1 to 64 characters of ", alphabet!(), ", but not one dot or two alone");

const _: () = assert!(NAME_BYTES_MAX == 64, "the rules say this number");

/// Whether `name` has 1 to [`NAME_BYTES_MAX`] bytes, all of them in [`NAME_ALPHABET`].
pub fn is_name(name: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(|byte| ALLOWED[usize::from(byte)])
}

/// Whether something new may have this name: `.` and `..` are names, as they were given once, but mean another place in the
/// path of a URL (RFC 3986, section 5.2.4), so that most clients cannot reach what has them.
pub fn is_new_name(name: &str) -> bool {
    is_name(name) && !matches!(name, "." | "..")
}

const ALLOWED: [bool; 256] = {
    let words = NAME_ALPHABET.as_bytes();
    let mut allowed = [false; 256];
    let mut at = 0;
    while at < words.len() {
        let is_range = at + 2 < words.len() && words[at + 1] == b'-';
        let (mut byte, last) = (words[at], words[if is_range { at + 2 } else { at }]);
        while byte <= last {
            allowed[byte as usize] = true;
            byte += 1;
        }
        at += if is_range { 4 } else { 2 };
    }
    allowed
};

#[cfg(test)]
mod tests {
    use super::{ALLOWED, is_name, is_new_name};

    #[test]
    fn the_alphabet_is_what_its_words_say() {
        let allowed: String =
            (0..=255_u8).filter(|byte| ALLOWED[usize::from(*byte)]).map(char::from).collect();
        let digits_and_letters = "0123456789:@ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz~";
        assert_eq!(allowed, format!("-.{digits_and_letters}"));
    }

    #[test]
    fn alphabet_and_length() {
        for name in ["a", "PWTC", "2021-05-16", "a.b_c~d:e@f", &"x".repeat(64)] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", " ", "a b", "a/b", "é", "a\0", "a%20", "\u{7f}", &"x".repeat(65)] {
            assert!(!is_name(name) && !is_new_name(name), "{name:?}");
        }
    }

    #[test]
    fn dot_segments_are_not_given_any_more() {
        for (name, is_new) in [(".", false), ("..", false), ("...", true), (".a", true), ("a..", true)] {
            assert_eq!((is_name(name), is_new_name(name)), (true, is_new), "{name}");
        }
    }
}
