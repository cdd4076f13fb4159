//! Keys for session tokens as text: a line for each key, the newest last, as `id cipher key made-at`. The id is eight
//! hexadecimal digits, the key is base64, the time is RFC 3339. Lines that begin with `#` are for people.

use std::fmt::Write as _;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use onrush_core::{parse_rfc3339, write_rfc3339};

use super::key::{Cipher, KeyId, SessionKey};
use super::keys::{KEYS_MAX, SessionKeys};

/// The most bytes of a file of keys: twice what the most keys take.
pub(super) const FILE_BYTES_MAX: usize = 16 << 10;

const HEADING: &str = "\
# Keys of sessions. The last one is for new sessions; `onrush gate rotate-key` adds one. Whoever reads this file can make a session
# of any customer.
";

/// Why a text holds no keys.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyFileError {
    /// There is more than any file of keys has.
    #[error("it has more than {FILE_BYTES_MAX} bytes")]
    TooLong,
    /// A line is neither a key nor a comment. Its words are not repeated: they may be a key.
    #[error(
        "line {line} is no key: {reason}. A line is ID CIPHER KEY MADE-AT: eight hexadecimal digits, A256GCM or A128GCM, base64, and an RFC 3339 time"
    )]
    Line {
        /// From 1.
        line: usize,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// There is no line with a key.
    #[error("there is no key in it")]
    Empty,
    /// There are more keys than are kept.
    #[error("there are more than {KEYS_MAX} keys in it")]
    TooManyKeys,
    /// Two keys have one id.
    #[error("two keys in it have the same id")]
    SameId,
}

impl SessionKeys {
    /// The keys as the text of a file.
    pub fn to_text(&self) -> String {
        let mut text = String::from(HEADING);
        for key in self.as_slice() {
            let mut made_at = Vec::new();
            write_rfc3339(&mut made_at, key.made_at());
            let (secret, made_at) = (STANDARD.encode(key.secret()), String::from_utf8_lossy(&made_at));
            // Writing to a `String` cannot fail.
            let _ = writeln!(text, "{} {} {secret} {made_at}", key.id(), key.cipher());
        }
        text
    }
}

impl FromStr for SessionKeys {
    type Err = KeyFileError;

    fn from_str(text: &str) -> Result<Self, KeyFileError> {
        if text.len() > FILE_BYTES_MAX {
            return Err(KeyFileError::TooLong);
        }
        let mut keys = Vec::new();
        for (at, line) in text.lines().enumerate() {
            let line_text = line.trim();
            if line_text.is_empty() || line_text.starts_with('#') {
                continue;
            }
            let key = parse_line(line_text).map_err(|reason| KeyFileError::Line { line: at + 1, reason })?;
            keys.push(key);
        }
        match keys.len() {
            0 => Err(KeyFileError::Empty),
            count if count > KEYS_MAX => Err(KeyFileError::TooManyKeys),
            _ => Self::new(keys).ok_or(KeyFileError::SameId),
        }
    }
}

fn parse_line(line: &str) -> Result<SessionKey, &'static str> {
    let mut words = line.split_ascii_whitespace();
    let (Some(id), Some(cipher), Some(secret), Some(made_at), None) =
        (words.next(), words.next(), words.next(), words.next(), words.next())
    else {
        return Err("it does not have four words");
    };
    let is_id =
        id.len() == 8 && id.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    let id = u32::from_str_radix(id, 16).ok().filter(|_| is_id).ok_or("the id is wrong")?;
    let cipher: Cipher = cipher.parse().map_err(|()| "the cipher is not known")?;
    let secret = STANDARD.decode(secret).map_err(|_| "the key is not base64")?;
    let made_at = parse_rfc3339(made_at).ok_or("the time is not RFC 3339")?;
    SessionKey::new(KeyId(id), cipher, &secret, made_at)
        .map_err(|_| "the key is not as long as its cipher asks for")
}

#[cfg(test)]
#[path = "key_file_tests.rs"]
mod tests;
