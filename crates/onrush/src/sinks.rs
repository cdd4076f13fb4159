//! `onrush sinks`: what the sinks of a running server do, and an operator's word to one of them.

use std::fmt::Write;

use serde::Deserialize;

use crate::cli::{SinksAction, SinksArguments};
use crate::failure::Failure;
use crate::operator_client::OperatorClient;
use crate::output::print;
use crate::terminal::{printable, printable_json};
use crate::{environment, settings, table};

#[derive(Deserialize)]
struct SinkList {
    sinks: Vec<Sink>,
}

/// A sink as the operator listener tells it.
#[derive(Deserialize)]
#[allow(clippy::struct_field_names, reason = "the fields are called what the answer calls them")]
struct Sink {
    sink: String,
    kind: String,
    state: String,
    reason: Option<String>,
    skippable_offset: Option<u64>,
    sink_offset: u64,
    lag_events: u64,
    lag_ms: u64,
    backlog_bytes: u64,
    written_count: u64,
    failure_count: u64,
    skipped_count: u64,
    last_error: Option<LastError>,
}

#[derive(Deserialize)]
struct LastError {
    at: String,
    error: String,
}

/// Asks, and prints the answer.
pub(crate) fn run(typed: &SinksArguments) -> Result<(), Failure> {
    let operator = settings::load_operator(&typed.operator.flags(), environment())?;
    let client = OperatorClient::new(operator)?;
    let answer = match &typed.action {
        None => client.get("/v1/sinks")?,
        Some(SinksAction::Retry { sink }) => {
            client.post(&format!("/v1/sinks/{sink}/retry"), String::new())?
        }
        Some(SinksAction::Skip { sink, offset }) => {
            client.post(&format!("/v1/sinks/{sink}/skip"), format!("{{\"offset\":{offset}}}"))?
        }
    };
    if typed.operator.json {
        return print(&format!("{}\n", printable_json(&answer.text()?)));
    }
    let sinks = match typed.action {
        None => answer.value::<SinkList>()?.sinks,
        Some(_) => vec![answer.value::<Sink>()?],
    };
    print(&format!("{}\nasked {}\n", describe(&sinks), client.address()))
}

/// A line for each sink, and below them what an operator has to know of those that do not run.
fn describe(sinks: &[Sink]) -> String {
    if sinks.is_empty() {
        return "the server has no sinks: its settings have no section [sinks.NAME]\n".to_owned();
    }
    let heads =
        ["SINK", "KIND", "STATE", "OFFSET", "LAG", "BEHIND", "BACKLOG", "WRITTEN", "FAILURES", "SKIPPED"];
    let mut rows = vec![heads.map(str::to_owned).to_vec()];
    rows.extend(sinks.iter().map(|sink| {
        vec![
            sink.sink.clone(),
            sink.kind.clone(),
            sink.state.clone(),
            sink.sink_offset.to_string(),
            sink.lag_events.to_string(),
            format!("{} s", tenths(sink.lag_ms, 1_000)),
            format!("{} MiB", tenths(sink.backlog_bytes, 1 << 20)),
            sink.written_count.to_string(),
            sink.failure_count.to_string(),
            sink.skipped_count.to_string(),
        ]
    }));
    let mut text = table::aligned(&rows, 3);
    for sink in sinks {
        note(&mut text, sink).expect("a String takes every write");
    }
    text
}

fn note(text: &mut String, sink: &Sink) -> std::fmt::Result {
    let name = printable(&sink.sink);
    let failure = sink.last_error.as_ref();
    // The failure that stopped it is told once.
    let (stopper, failure) = match (&sink.reason, failure) {
        (Some(reason), Some(last)) if reason.contains(&last.error) => (failure, None),
        _ => (None, failure),
    };
    if let Some(reason) = &sink.reason {
        let at = stopper.map(|last| format!(" at {}", printable(&last.at))).unwrap_or_default();
        writeln!(text, "\n{name} stopped{at}: {}", printable(reason))?;
        writeln!(text, "  onrush sinks retry {name}    when that is mended")?;
        if let Some(offset) = sink.skippable_offset {
            writeln!(text, "  onrush sinks skip {name} {offset}    to go on without it")?;
        }
    }
    match failure {
        Some(LastError { at, error }) if sink.state != "running" => {
            writeln!(text, "\n{name} failed last at {}: {}", printable(at), printable(error))
        }
        _ => Ok(()),
    }
}

/// A quotient with one decimal, rounded down.
fn tenths(value: u64, unit: u64) -> String {
    format!("{}.{}", value / unit, u128::from(value % unit) * 10 / u128::from(unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sink(name: &str, state: &str) -> Sink {
        Sink {
            sink: name.into(),
            kind: "postgres".into(),
            state: state.into(),
            reason: None,
            skippable_offset: None,
            sink_offset: 4_711,
            lag_events: 12,
            lag_ms: 2_599,
            backlog_bytes: 67_108_863,
            written_count: 4_710,
            failure_count: 1,
            skipped_count: 0,
            last_error: Some(LastError { at: "2021-05-16T08:00:00.000Z".into(), error: "too many".into() }),
        }
    }

    #[test]
    fn sinks_are_told_in_columns() {
        let stopped = Sink {
            reason: Some("the target rejects the event at offset 4711: too many".into()),
            skippable_offset: Some(4_711),
            ..sink("shop", "stopped")
        };
        let refused =
            Sink { reason: Some("another log".into()), last_error: None, ..sink("other", "stopped") };
        let text = describe(&[sink("archive", "running"), stopped, refused]);
        assert_eq!(
            text,
            "SINK     KIND      STATE    OFFSET  LAG  BEHIND   BACKLOG  WRITTEN  FAILURES  SKIPPED\n\
             archive  postgres  running    4711   12   2.5 s  63.9 MiB     4710         1        0\n\
             shop     postgres  stopped    4711   12   2.5 s  63.9 MiB     4710         1        0\n\
             other    postgres  stopped    4711   12   2.5 s  63.9 MiB     4710         1        0\n\
             \nshop stopped at 2021-05-16T08:00:00.000Z: the target rejects the event at offset 4711: too many\n\
             \x20 onrush sinks retry shop    when that is mended\n\
             \x20 onrush sinks skip shop 4711    to go on without it\n\
             \nother stopped: another log\n\
             \x20 onrush sinks retry other    when that is mended\n"
        );
        assert!(describe(&[]).starts_with("the server has no sinks"));
    }

    #[test]
    fn what_a_target_said_cannot_reach_the_terminal() {
        let failed = LastError { at: "2021".into(), error: "no\nshop stopped: \x1b[2Jnonsense".into() };
        let text = describe(&[Sink { last_error: Some(failed), ..sink("shop\x1b[1m", "retrying") }]);
        assert!(
            !text.contains('\x1b') && text.contains("failed last at 2021: no\\nshop stopped: \\u{1b}[2J"),
            "{text}"
        );
    }

    #[test]
    fn quotients_are_rounded_down() {
        for (value, unit, text) in [
            (0, 1_000, "0.0"),
            (99, 1_000, "0.0"),
            (100, 1_000, "0.1"),
            (u64::MAX, 1 << 20, "17592186044415.9"),
        ] {
            assert_eq!(tenths(value, unit), text);
        }
    }
}
