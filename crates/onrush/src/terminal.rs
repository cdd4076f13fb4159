//! What others wrote, made fit for a terminal: a target's or a server's words cannot move the cursor or hide anything.

use std::fmt::Write;

/// Text that others wrote, as one line that a terminal shows as it is: what would move the cursor, colour, hide or turn
/// around what stands beside it is escaped.
pub(crate) fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '"' | '\'' | '\\' => printable.push(character),
            other => printable.extend(other.escape_debug()),
        }
    }
    printable
}

/// JSON that others wrote, with the control characters escaped that a terminal would obey. The lines stay.
pub(crate) fn printable_json(json: &str) -> String {
    let mut printable = String::with_capacity(json.len());
    for character in json.chars() {
        if character.is_control() && !matches!(character, '\n' | '\r' | '\t') {
            // JSON has such characters in strings only.
            write!(printable, "\\u{:04x}", u32::from(character)).expect("a String takes every write");
        } else {
            printable.push(character);
        }
    }
    printable
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_obeys_nothing_that_others_wrote() {
        for (text, expected) in [
            ("too \"long\" for 'a\\b'", "too \"long\" for 'a\\b'"),
            ("Zürich 券 🎟", "Zürich 券 🎟"),
            ("one\ntwo\r\tthree\0", "one\\ntwo\\r\\tthree\\0"),
            ("\x1b[2J\x1b]0;title\x07", "\\u{1b}[2J\\u{1b}]0;title\\u{7}"),
            ("\u{9b}31m\u{7f}", "\\u{9b}31m\\u{7f}"),
            ("abc\u{202e}cba\u{2066}", "abc\\u{202e}cba\\u{2066}"),
        ] {
            assert_eq!(printable(text), expected);
        }
    }

    #[test]
    fn json_stays_json() {
        let json = "{\"a\":\"\u{9b}31m\u{1b}\\n\"}\n";
        assert_eq!(printable_json(json), "{\"a\":\"\\u009b31m\\u001b\\n\"}\n");
    }
}
