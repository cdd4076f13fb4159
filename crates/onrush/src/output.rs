//! Standard output, for results that somebody asked for.

use std::io::{self, Write};

use anyhow::Context;

use crate::failure::Failure;

/// Writes to standard output. A reader that has seen enough and closed the pipe is not a failure.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(error).context("write to standard output")?
        }
        _ => Ok(()),
    }
}
