//! What a command has to say: results on standard output, and why it failed on standard error.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;

use anyhow::Context;

use crate::failure::Failure;

/// How long a process that ends waits for somebody to read why.
const COMPLAINT_WAIT: Duration = Duration::from_secs(5);

/// Writes to standard output. A reader that has seen enough and closed the pipe is not a failure.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(error).context("write to standard output")?
        }
        _ => Ok(()),
    }
}

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

/// Says on standard error why the process ends. Nobody may be able to read it, and then the exit code has to do.
pub(crate) fn complain(failure: &Failure) {
    let text = format!("onrush: {failure}\n");
    let (written, waiting) = sync_channel(1);
    let write = move || {
        let _ = io::stderr().write_all(text.as_bytes());
        let _ = written.send(());
    };
    if thread::Builder::new().name("complaint".to_owned()).spawn(write).is_ok() {
        let _ = waiting.recv_timeout(COMPLAINT_WAIT);
    }
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
