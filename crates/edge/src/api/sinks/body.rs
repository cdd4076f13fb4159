//! A sink as operators see it, and the body that names an event to leave out.

use onrush_core::write_rfc3339;
use onrush_sinks::{SinkState, SinkStatus, Stop};

use crate::http::json::parse_json;
use crate::problem::Problem;
use crate::text::{write_json_string, write_number};

/// Appends `{"sinks":[…]}`.
pub(crate) fn write_sinks(out: &mut Vec<u8>, sinks: &[SinkStatus]) {
    out.extend_from_slice(b"{\"sinks\":[");
    for (at, sink) in sinks.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write_sink(out, sink);
    }
    out.extend_from_slice(b"]}");
}

/// Appends one sink. Its name, kind and state need no escapes.
pub(crate) fn write_sink(out: &mut Vec<u8>, sink: &SinkStatus) {
    out.extend_from_slice(b"{\"sink\":\"");
    out.extend_from_slice(sink.name.as_bytes());
    out.extend_from_slice(b"\",\"kind\":\"");
    out.extend_from_slice(sink.kind.as_bytes());
    out.extend_from_slice(b"\",\"state\":\"");
    out.extend_from_slice(sink.state.name().as_bytes());
    out.extend_from_slice(b"\",\"reason\":");
    let stop = match &sink.state {
        SinkState::Stopped(stop) => Some(stop),
        _ => None,
    };
    match stop {
        Some(stop) => write_json_string(out, &stop.reason()),
        None => out.extend_from_slice(b"null"),
    }
    out.extend_from_slice(b",\"skippable_offset\":");
    match stop.and_then(Stop::skippable) {
        Some(offset) => write_number(out, offset),
        None => out.extend_from_slice(b"null"),
    }
    for (member, value) in [
        ("sink_offset", sink.sink_offset),
        ("lag_events", sink.lag_events),
        ("lag_ms", sink.lag_ms),
        ("backlog_bytes", sink.backlog_bytes),
        ("written_count", sink.written_count),
        ("failure_count", sink.failure_count),
        ("skipped_count", sink.skipped_count),
    ] {
        out.extend_from_slice(b",\"");
        out.extend_from_slice(member.as_bytes());
        out.extend_from_slice(b"\":");
        write_number(out, value);
    }
    out.extend_from_slice(b",\"last_error\":");
    match &sink.last_error {
        Some((at, error)) => {
            out.extend_from_slice(b"{\"at\":\"");
            write_rfc3339(out, *at);
            out.extend_from_slice(b"\",\"error\":");
            write_json_string(out, error);
            out.push(b'}');
        }
        None => out.extend_from_slice(b"null"),
    }
    out.push(b'}');
}

/// The body of `POST /v1/sinks/{sink}/skip`: the offset of the event to leave out.
pub(crate) fn parse_skip(body: &[u8]) -> Result<u64, Problem> {
    parse_json(body).map(|SkipBody { offset }| offset)
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct SkipBody {
    offset: u64,
}

#[cfg(test)]
pub(crate) mod sample {
    use super::*;

    /// A sink of which every figure is different.
    pub(crate) fn sink(state: SinkState) -> SinkStatus {
        SinkStatus {
            name: "shop".into(),
            kind: "postgres",
            state,
            sink_offset: 7,
            lag_events: 3,
            lag_ms: 1_500,
            backlog_bytes: 4_096,
            written_count: 6,
            failure_count: 2,
            skipped_count: 1,
            last_error: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::sample::sink as status;
    use super::*;

    #[track_caller]
    fn check(sink: &SinkStatus, start: &str, end: &str) {
        const FIGURES: &str = "\"sink_offset\":7,\"lag_events\":3,\"lag_ms\":1500,\"backlog_bytes\":4096,\
             \"written_count\":6,\"failure_count\":2,\"skipped_count\":1";
        let mut out = Vec::new();
        write_sink(&mut out, sink);
        let expected = format!("{{\"sink\":\"shop\",\"kind\":\"postgres\",{start},{FIGURES},{end}}}");
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn sinks_byte_for_byte() {
        for (state, name) in [
            (SinkState::Starting, "starting"),
            (SinkState::Running, "running"),
            (SinkState::Waiting, "waiting"),
            (SinkState::Retrying, "retrying"),
        ] {
            let start = format!("\"state\":\"{name}\",\"reason\":null,\"skippable_offset\":null");
            check(&status(state), &start, "\"last_error\":null");
        }
        let rejected = Stop::Rejected { offset: 7, reason: "check \"positive\"".into() };
        let failed = SinkStatus {
            last_error: Some((1_621_152_000_000, "a \"b\"\n".into())),
            ..status(SinkState::Stopped(rejected))
        };
        check(
            &failed,
            "\"state\":\"stopped\",\"reason\":\"the target rejects the event at offset 7: check \\\"positive\\\"\",\
             \"skippable_offset\":7",
            "\"last_error\":{\"at\":\"2021-05-16T08:00:00.000Z\",\"error\":\"a \\\"b\\\"\\n\"}",
        );
        let refused = status(SinkState::Stopped(Stop::Refused { reason: "another log".into() }));
        check(
            &refused,
            "\"state\":\"stopped\",\"reason\":\"another log\",\"skippable_offset\":null",
            "\"last_error\":null",
        );
    }

    #[test]
    fn lists_byte_for_byte() {
        let mut one = Vec::new();
        write_sink(&mut one, &status(SinkState::Running));
        let one = String::from_utf8(one).unwrap();
        for (count, expected) in [
            (0, "{\"sinks\":[]}".to_owned()),
            (1, format!("{{\"sinks\":[{one}]}}")),
            (2, format!("{{\"sinks\":[{one},{one}]}}")),
        ] {
            let mut out = Vec::new();
            write_sinks(&mut out, &vec![status(SinkState::Running); count]);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }

    #[test]
    fn an_offset_is_a_whole_number() {
        for (body, offset) in [
            (r#"{"offset":0}"#, Some(0)),
            (r#"{"offset":18446744073709551615}"#, Some(u64::MAX)),
            (r#"{"offset":18446744073709551616}"#, None),
            (r#"{"offset":-1}"#, None),
            (r#"{"offset":1.5}"#, None),
            (r#"{"offset":"1"}"#, None),
            (r#"{"offset":null}"#, None),
            (r#"{"offset":1,"x":1}"#, None),
            (r#"{"offset":1,"offset":1}"#, None),
            ("{}", None),
            ("[1]", None),
            ("", None),
        ] {
            match (parse_skip(body.as_bytes()), offset) {
                (Ok(found), Some(offset)) => assert_eq!(found, offset, "{body}"),
                (Err(problem), None) => assert_eq!(problem.status(), 400, "{body}"),
                (found, _) => panic!("{body}: {found:?}"),
            }
        }
    }
}
