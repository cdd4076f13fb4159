//! Which strings name a counter, window, sale, stock or customer, and which of them may be given to a new one.

use crate::NAME_BYTES_MAX;

/// Whether `name` has 1 to [`NAME_BYTES_MAX`] bytes, all of them in `A-Z a-z 0-9 . _ ~ : @ -`.
pub fn is_name(name: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(|byte| ALLOWED[usize::from(byte)])
}

/// Whether something new may have this name: `.` and `..` are names, as they were given once, but mean another place in the
/// path of a URL (RFC 3986, section 5.2.4), so that most clients cannot reach what has them.
pub fn is_new_name(name: &str) -> bool {
    is_name(name) && !matches!(name, "." | "..")
}

const ALLOWED: [bool; 256] = {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~:@-";
    let mut allowed = [false; 256];
    let mut at = 0;
    while at < alphabet.len() {
        allowed[alphabet[at] as usize] = true;
        at += 1;
    }
    allowed
};

#[cfg(test)]
mod tests {
    use super::{is_name, is_new_name};

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
