//! The key of the operator listener, in a file that may be changed while the server runs.

use std::fs::File;
use std::io::Read as _;
use std::sync::{Mutex, PoisonError};

use onrush_edge::OperatorKey;

use super::bounds;

/// Bytes of the file that are read: more than any key with blanks around it, so that what is no file of a key costs little.
const FILE_BYTES_MAX: u64 = 4_096;

/// The key in the file, or what is wrong with it.
pub(super) fn read(path: &str) -> Result<String, String> {
    let unread = |error| format!("read the key: {error}");
    let mut text = String::new();
    File::open(path).map_err(unread)?.take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(unread)?;
    let key = text.trim();
    let bounds = bounds::OPERATOR_KEY_BYTES;
    if bounds.contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(key.to_owned());
    }
    Err(format!(
        "the key in it must be {} to {} printable ASCII characters without spaces, such as the output of \
         `openssl rand -hex 32`",
        bounds.start(),
        bounds.end()
    ))
}

/// Reads the file with every request, so that another key counts at once. While there is no key in it there is none at all; the log
/// says so once, and once when there is one again.
pub(super) fn in_file(path: &str) -> OperatorKey {
    let path = path.to_owned();
    let said: Mutex<Option<String>> = Mutex::new(None);
    OperatorKey::new(move || {
        let read = read(&path);
        let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.as_ref() != read.as_ref().err() {
            match &read {
                Ok(_) => tracing::info!("operator.key_file = {path:?}: the key can be read again"),
                Err(problem) => tracing::error!(
                    "operator.key_file = {path:?}: {problem}; until then every request to the operator listener is refused"
                ),
            }
            *said = read.as_ref().err().cloned();
        }
        read.ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_that_of_the_moment_and_a_file_without_one_gives_none() {
        let directory = tempfile::tempdir().expect("make a directory");
        let path = directory.path().join("key");
        let key = in_file(path.to_str().expect("a temporary path is text"));
        assert_eq!(key.read(), None);
        for (content, expected) in [
            ("0123456789abcdef\n", Some("0123456789abcdef")),
            ("fedcba9876543210", Some("fedcba9876543210")),
            ("", None),
            ("short", None),
            (&"0".repeat(5_000), None),
            (" 0123456789abcdef", Some("0123456789abcdef")),
        ] {
            std::fs::write(&path, content).expect("write the key");
            assert_eq!(key.read().as_deref(), expected, "{content:?}");
        }
        std::fs::remove_file(&path).expect("remove the key");
        assert_eq!(key.read(), None);
    }
}
