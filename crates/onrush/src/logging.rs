//! The server's own messages: to standard error, readable on a terminal and as JSON lines anywhere else. They never stop,
//! slow or end the server, whatever standard error is.

mod queue;

use std::io::{self, IsTerminal};
use std::panic::{self, PanicHookInfo};

use anyhow::Context;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use crate::failure::Failure;
use crate::settings::{Logging, LoggingFormat};
pub(crate) use queue::MessageQueue;
use queue::StandardError;

/// The messages, once they are started.
pub(crate) struct Messages {
    pub(crate) queue: MessageQueue,
    set_level: Box<dyn Fn(EnvFilter) -> Result<(), String>>,
}

impl Messages {
    /// Says more or less from now on; the level was checked with the settings.
    pub(crate) fn set_level(&self, level: &str) {
        if let Err(problem) = (self.set_level)(filter(level)) {
            tracing::warn!(problem, "the level of messages could not be changed");
        }
    }
}

/// Starts the messages. Called once, before anything that has something to say; the level was checked with the settings.
pub(crate) fn start(settings: &Logging) -> Result<Messages, Failure> {
    let target = StandardError::open().context("open standard error")?;
    let queue = MessageQueue::start(target).context("start the thread of messages")?;
    let on_terminal = io::stderr().is_terminal();
    let messages = tracing_subscriber::fmt()
        .with_env_filter(filter(&settings.level))
        .with_writer(queue.clone())
        // It would say so on standard error.
        .log_internal_errors(false)
        .with_ansi(on_terminal);
    let set_level: Box<dyn Fn(EnvFilter) -> Result<(), String>> = match (settings.format, on_terminal) {
        (LoggingFormat::Json, _) | (LoggingFormat::Auto, false) => {
            let messages = messages.json().flatten_event(true).with_filter_reloading();
            let handle = messages.reload_handle();
            messages.init();
            Box::new(move |filter| handle.reload(filter).map_err(|error| error.to_string()))
        }
        (LoggingFormat::Pretty, _) | (LoggingFormat::Auto, true) => {
            let messages = messages.with_filter_reloading();
            let handle = messages.reload_handle();
            messages.init();
            Box::new(move |filter| handle.reload(filter).map_err(|error| error.to_string()))
        }
    };
    // A panic is a message like any other, or a collector of JSON lines would choke on it when it matters most.
    panic::set_hook(Box::new(report_panic));
    Ok(Messages { queue, set_level })
}

/// A level without a name is that of onrush's own messages. Libraries are heard only by their names: theirs are lines with places in
/// their source, and one of them writes whole messages of customers. What matters of them a sink says in its own words.
fn filter(level: &str) -> EnvFilter {
    const OWN: &str = "onrush";
    let parts = level.split(',').map(str::trim).map(|part| match part.parse::<LevelFilter>() {
        Ok(level) => format!("{OWN}={level}"),
        Err(_) => part.to_owned(),
    });
    EnvFilter::new(parts.collect::<Vec<_>>().join(","))
}

fn report_panic(panic: &PanicHookInfo<'_>) {
    let reason = panic.payload_as_str().unwrap_or("no reason given");
    let place = panic.location().map_or_else(String::new, ToString::to_string);
    let thread = std::thread::current();
    let thread = thread.name().unwrap_or("unnamed");
    let backtrace = std::backtrace::Backtrace::capture();
    tracing::error!(thread, place, %backtrace, "panic: {reason}");
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("nobody panics with the lines").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What is written at this level, by onrush's parts and by libraries.
    fn written(level: &str) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let messages = tracing_subscriber::fmt()
            .with_env_filter(filter(level))
            .with_writer(move || writer.clone())
            .with_ansi(false)
            .finish();
        tracing::subscriber::with_default(messages, || {
            tracing::info!(target: "onrush::serve", "ours");
            tracing::debug!(target: "onrush_node::partition", "detail");
            tracing::error!(target: "lapin::channel", "/root/lapin/src/channel.rs: closed");
            tracing::error!(target: "rdkafka::client", "librdkafka: Global error");
            tracing::warn!(target: "rustls::check", "received an alert");
        });
        let written = lines.0.lock().expect("nobody panics with the lines").clone();
        String::from_utf8(written).expect("lines are text")
    }

    #[test]
    fn libraries_are_heard_only_by_name() {
        for (level, expected) in [
            ("info", &["ours"][..]),
            ("debug", &["ours", "detail"]),
            ("trace", &["ours", "detail"]),
            ("off", &[]),
            ("warn", &[]),
            ("info,lapin=error", &["ours", "channel.rs"]),
            ("onrush_node=debug,info", &["ours", "detail"]),
            ("rustls=warn", &["received an alert"]),
        ] {
            let written = written(level);
            assert_eq!(written.lines().count(), expected.len(), "{level}: {written}");
            for words in expected {
                assert!(written.contains(words), "{level}: {written}");
            }
        }
    }
}
