//! Who leads, as this node of several has read it. Both listeners answer.

use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;
use onrush_core::write_rfc3339;
use serde_json::json;
use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};
use utoipa::openapi::{HttpMethod, RefOr, Schema};

use super::answer::{Answer, WithoutBody, WithoutQuery, json};
use super::app::App;
use super::route::Route;
use crate::components::NodeReport;
use crate::openapi::operation::{HEALTH, Operation};
use crate::openapi::parts::{list, object, object_or_null, one_of, text, time, whole};
use crate::problem::{Code, Problem};
use crate::text::{write_json_string, write_number};

pub(super) fn routes() -> [Route; 1] {
    let example = json!({
        "node": 1,
        "url": "http://10.0.0.7:8080",
        "partitions": [{
            "partition": 0,
            "role": "following",
            "since": "2026-11-28T09:00:00.000Z",
            "leader": {"node": 2, "url": "http://10.0.0.8:8080"},
            "epoch": 4711,
            "record_no": 5120,
            "offset": 90210,
            "lag_ms": 212,
            "snapshot_offset": 85000,
            "problem": null,
        }],
    });
    let read = Operation::new(HttpMethod::Get, "/v1/cluster", HEALTH, "readCluster", "Who leads")
        .description("As this node has read it. A server that shares its log with no other answers 404.")
        .json(200, "The node, and each partition of the log.", "Cluster", example)
        .problems(&[Code::NotFound]);
    [Route::new(read, answer)]
}

pub(super) fn schemas() -> [(&'static str, RefOr<Schema>); 1] {
    let node = || whole("Number of the node.", 1, None).into();
    let or_null = |builder: ObjectBuilder, sort: Type| {
        builder.schema_type(SchemaType::from_iter([sort, Type::Null])).into()
    };
    let leader = object_or_null(
        "Who leads, as far as the node has read; null if nobody does.",
        vec![("node", node()), ("url", text("Where that one is reached; empty if it is not known.").into())],
    );
    let lag = "How old the newest sign of a leader is that the node has read, milliseconds. While somebody leads, and the \
               node keeps up, that is half a second or less; null before it has read any.";
    let epoch = whole("The newest epoch that was read; null if there is none.", 0, None);
    let snapshot = "Events that a new node would have from the newest snapshot in the shared log, as far as this node has looked; null if it knows of none.";
    let problem =
        text("Why the node follows no more, must not lead, or sends no snapshot; null if nothing is wrong.");
    let partition = object(
        "One partition, as the node has it.",
        vec![
            ("partition", whole("Its number.", 0, None).into()),
            ("role", one_of("What the node does for it.", &["leading", "following", "stopped"])),
            ("since", time("Since when the role and the epoch are these, by the clock of the node.")),
            ("leader", leader),
            ("epoch", or_null(epoch, Type::Integer)),
            ("record_no", whole("Number of the record of the shared log that is read next.", 0, None).into()),
            ("offset", whole("Events that the node has.", 0, None).into()),
            ("lag_ms", or_null(whole(lag, 0, None), Type::Integer)),
            ("snapshot_offset", or_null(whole(snapshot, 0, None), Type::Integer)),
            ("problem", or_null(problem, Type::String)),
        ],
    );
    let fields = vec![
        ("node", node()),
        ("url", text("Where other nodes reach it.").into()),
        ("partitions", list("Every partition of the log.", partition, None)),
    ];
    [("Cluster", object("A node of several.", fields))]
}

async fn answer(State(app): State<Arc<App>>, _: WithoutQuery, _: WithoutBody) -> Answer {
    let node = app.components.node.as_ref().ok_or_else(Problem::no_cluster)?;
    let report = node.report();
    Ok(json(StatusCode::OK, |out| write(out, &report)))
}

fn write(out: &mut Vec<u8>, report: &NodeReport) {
    let number = |out: &mut Vec<u8>, member: &str, value: u64| {
        out.extend_from_slice(member.as_bytes());
        write_number(out, value);
    };
    let number_or_null = |out: &mut Vec<u8>, member: &str, value: Option<u64>| {
        out.extend_from_slice(member.as_bytes());
        match value {
            Some(value) => write_number(out, value),
            None => out.extend_from_slice(b"null"),
        }
    };
    number(out, "{\"node\":", report.node.into());
    out.extend_from_slice(b",\"url\":");
    write_json_string(out, &report.url);
    out.extend_from_slice(b",\"partitions\":[{\"partition\":0,\"role\":\"");
    out.extend_from_slice(report.role.as_bytes());
    out.extend_from_slice(b"\",\"since\":\"");
    write_rfc3339(out, report.since);
    out.extend_from_slice(b"\",\"leader\":");
    match &report.leader {
        Some((node, url)) => {
            number(out, "{\"node\":", u64::from(*node));
            out.extend_from_slice(b",\"url\":");
            write_json_string(out, url);
            out.push(b'}');
        }
        None => out.extend_from_slice(b"null"),
    }
    number_or_null(out, ",\"epoch\":", report.epoch);
    number(out, ",\"record_no\":", report.record_no);
    number(out, ",\"offset\":", report.offset);
    number_or_null(out, ",\"lag_ms\":", report.lag_ms);
    number_or_null(out, ",\"snapshot_offset\":", report.snapshot_offset);
    out.extend_from_slice(b",\"problem\":");
    match &report.problem {
        Some(problem) => write_json_string(out, problem),
        None => out.extend_from_slice(b"null"),
    }
    out.extend_from_slice(b"}]}");
}
