//! What a command has to say: results on standard output, and why it failed on standard error.

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

/// Says on standard error what somebody should know who asked for something else.
pub(crate) fn warn(text: &str) {
    // Whoever cannot be warned gets the result all the same.
    let _ = writeln!(io::stderr(), "onrush: warning: {text}");
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
