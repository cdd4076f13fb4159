//! The server's own messages: to standard error, readable on a terminal and as JSON lines anywhere else. They never stop,
//! slow or end the server, whatever standard error is.

mod queue;

use std::io::{self, IsTerminal};
use std::panic::{self, PanicHookInfo};

use anyhow::Context;
use tracing_subscriber::EnvFilter;

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

/// The client of RabbitMQ writes whole messages into its own; they are the customers', and its sink says what is wrong. Whoever
/// names it in the level gets them all the same.
fn filter(level: &str) -> EnvFilter {
    const CLIENT: &str = "lapin";
    let filter = EnvFilter::new(level);
    if level.contains(CLIENT) {
        return filter;
    }
    filter.add_directive(format!("{CLIENT}=off").parse().expect("a name and a level are a directive"))
}

fn report_panic(panic: &PanicHookInfo<'_>) {
    let reason = panic.payload_as_str().unwrap_or("no reason given");
    let place = panic.location().map_or_else(String::new, ToString::to_string);
    let thread = std::thread::current();
    let thread = thread.name().unwrap_or("unnamed");
    let backtrace = std::backtrace::Backtrace::capture();
    tracing::error!(thread, place, %backtrace, "panic: {reason}");
}
