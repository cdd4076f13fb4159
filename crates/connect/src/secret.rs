//! A credential, which nothing prints.

use std::borrow::Cow;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Bytes of a file that holds a credential and perhaps the end of a line.
const FILE_BYTES_MAX: u64 = 4_096;

/// Text that `Debug` does not show; it has no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Source);

#[derive(Clone, PartialEq, Eq)]
enum Source {
    Text(String),
    File(PathBuf),
}

impl Secret {
    /// Keeps this text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Source::Text(text.into()))
    }

    /// What this file holds whenever it is needed, without the end of a line at its end. So a credential that is changed there
    /// counts from the next connection on.
    pub fn in_file(path: impl Into<PathBuf>) -> Self {
        Self(Source::File(path.into()))
    }

    /// The text, for the one call that needs it.
    ///
    /// # Errors
    /// A sentence that says why the file could not be read, or what is wrong with it.
    pub fn reveal(&self) -> Result<Cow<'_, str>, String> {
        match &self.0 {
            Source::Text(text) => Ok(Cow::Borrowed(text)),
            Source::File(path) => {
                read(path).map(Cow::Owned).map_err(|problem| format!("{}: {problem}", path.display()))
            }
        }
    }
}

fn read(path: &Path) -> Result<String, String> {
    let unread = |error| format!("read the password: {error}");
    let mut text = String::new();
    File::open(path).map_err(unread)?.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(unread)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(format!("a password must be at most {FILE_BYTES_MAX} bytes"));
    }
    let line = text.strip_suffix('\n').unwrap_or(&text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.is_empty() { Err("there is no password in it".to_owned()) } else { Ok(line.to_owned()) }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_whenever_it_is_needed() {
        let directory = tempfile::tempdir().expect("make a directory");
        let path = directory.path().join("password");
        let secret = Secret::in_file(&path);
        assert!(secret.reveal().expect_err("there is no file").contains("read the password"));
        for (content, revealed) in [("one\n", "one"), ("two\r\n", "two"), (" three", " three")] {
            std::fs::write(&path, content).expect("write the password");
            assert_eq!(secret.reveal().expect("there is a password"), revealed);
        }
        for (content, problem) in
            [("\n", "there is no password"), (&*"x".repeat(5_000), "at most 4096 bytes")]
        {
            std::fs::write(&path, content).expect("write the password");
            assert!(secret.reveal().expect_err("that is none").contains(problem));
        }
        assert_eq!(format!("{secret:?}"), "Secret(…)");
    }
}
