//! Requests to change the catalogue that are refused and change nothing, and the greatest ones that are taken.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use std::net::SocketAddr;

use super::rows::{PARTS, encoded, shown};
use crate::http::{self, Response, request, request_json, request_of_type};
use crate::problem::check_problem;
use crate::server::Server;

/// Bytes of the largest row.
const ROW_BYTES_MAX: usize = 16 << 10;

/// Lines of the longest list of rows.
const LINES_MAX: usize = 10_000;

/// Rows of the greatest size that fit one list.
const FULL_ROWS: usize = 90;

/// Characters of the longest key.
const KEY_CHARACTERS_MAX: usize = 128;

const JSON: &str = "application/json";
const LINES: &str = "application/x-ndjson";

/// A request, and how it must be refused.
struct Refused {
    name: String,
    bytes: Vec<u8>,
    /// Goes to the public listener.
    is_public: bool,
    statuses: &'static [u16],
    code: Option<&'static str>,
    /// How the explanation begins.
    detail: &'static str,
}

impl Refused {
    fn new(name: impl Into<String>, bytes: Vec<u8>, status: &'static [u16], code: &'static str) -> Self {
        Self { name: name.into(), bytes, is_public: false, statuses: status, code: Some(code), detail: "" }
    }

    fn says(self, detail: &'static str) -> Self {
        Self { detail, ..self }
    }

    fn public(self) -> Self {
        Self { is_public: true, ..self }
    }

    fn any_code(self) -> Self {
        Self { code: None, ..self }
    }

    fn check(&self, server: &Server) -> Result<()> {
        let listener = if self.is_public { server.public() } else { server.operator() };
        let answer = http::once(listener, &self.bytes)?;
        let said = || format!("{} {}", answer.status, answer.text());
        ensure!(self.statuses.contains(&answer.status), "not {:?} but {}", self.statuses, said());
        let code = check_problem(&answer)?;
        ensure!(self.code.is_none_or(|expected| expected == code), "not {:?} but {}", self.code, said());
        let problem: Value = answer.json()?;
        let detail = problem["detail"].as_str().unwrap_or_default();
        ensure!(detail.starts_with(self.detail), "it does not say {:?} but {}", self.detail, said());
        Ok(())
    }
}

/// Tries all of them on a server whose collection of parts has no rows yet; returns how many were refused.
pub(super) fn check(server: &Server) -> Result<usize> {
    let seed = lines([("left", "{\"n\": 1}"), ("right", "{\"n\":2}")]);
    put(server.operator(), "two rows", &request_of_type("POST", &parts(), LINES, &seed))?;
    let before = shown(server.operator(), PARTS)?;
    ensure!((before.rows, before.bytes) == (2, 15), "two rows were put: {before:?}");
    let refused = [rows(), keys(), lists(), names(), listeners()].into_iter().flatten().collect::<Vec<_>>();
    for refused in &refused {
        refused.check(server).with_context(|| refused.name.clone())?;
        let after = shown(server.operator(), PARTS)?;
        let figures = (&after.version, after.rows, after.bytes);
        let expected = (&before.version, before.rows, before.bytes);
        ensure!(figures == expected, "{}: {before:?} became {after:?}", refused.name);
    }
    for (key, row) in [("left", "{\"n\": 1}"), ("right", "{\"n\":2}")] {
        let answer = read(server, key)?;
        ensure!(answer.status == 200 && answer.text() == row, "{key} is {} {}", answer.status, answer.text());
    }
    greatest(server)?;
    Ok(refused.len())
}

fn parts() -> String {
    format!("/v1/catalog/{PARTS}")
}

fn part(key: &str) -> String {
    format!("/v1/catalog/{PARTS}/{}", encoded(key))
}

fn lines<'a>(rows: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let lines = rows.into_iter().map(|(key, row)| format!("{{\"key\":\"{key}\",\"row\":{row}}}\n"));
    lines.collect::<Vec<_>>().concat()
}

/// A row of so many bytes.
fn row_of(length: usize) -> String {
    let frame = "{\"x\":\"\"}".len();
    format!("{{\"x\":\"{}\"}}", "x".repeat(length - frame))
}

fn put(operator: SocketAddr, what: &str, bytes: &[u8]) -> Result<()> {
    let answer = http::once(operator, bytes).with_context(|| what.to_owned())?;
    ensure!(answer.status == 200, "{what}: {} {}", answer.status, answer.text());
    Ok(())
}

fn read(server: &Server, key: &str) -> Result<Response> {
    http::once(server.public(), &request("GET", &part(key)))
}

fn rows() -> Vec<Refused> {
    let put = |body: &str| request_json("PUT", &part("left"), &[], body);
    let mut refused =
        ["", "[]", "1", "null", "\"text\"", "{", "{}{}", "{\"n\":}", "{'n':1}", "{\"n\":1}, {\"n\":2}"]
            .map(|body| Refused::new(format!("the row {body:?}"), put(body), &[400], "invalid_request"))
            .into_iter()
            .collect::<Vec<_>>();
    let large = put(&row_of(ROW_BYTES_MAX + 1));
    refused.push(Refused::new("a row of 16 KiB and a byte", large, &[413], "body_too_large"));
    for kind in ["text/plain", LINES] {
        let bytes = request_of_type("PUT", &part("left"), kind, "{}");
        refused.push(Refused::new(format!("a row as {kind}"), bytes, &[415], "unsupported_media_type"));
    }
    refused
}

fn keys() -> Vec<Refused> {
    let long = "k".repeat(KEY_CHARACTERS_MAX + 1);
    let mut refused = Vec::new();
    for key in ["a\nb", "\0", "a\u{7f}", "\u{85}", &long] {
        for bytes in [request_json("PUT", &part(key), &[], "{}"), request("DELETE", &part(key))] {
            refused.push(Refused::new(format!("the key {key:?}"), bytes, &[400], "invalid_request"));
        }
    }
    let invalid = request_json("PUT", &format!("{}/%FF", parts()), &[], "{}");
    refused.push(Refused::new("a key that is no UTF-8", invalid, &[400], "invalid_request"));
    let absent = request("DELETE", &part("nowhere"));
    refused.push(Refused::new("deleting what is not there", absent, &[404], "row_not_found"));
    refused
}

fn lists() -> Vec<Refused> {
    let post = |body: &str| request_of_type("POST", &parts(), LINES, body);
    let good = lines([("new", "{\"n\":3}")]);
    let large = lines([("large", row_of(ROW_BYTES_MAX + 1).as_str())]);
    let bad = [
        "{\"key\":\"new\",\"row\":[]}\n",
        "{\"key\":\"new\",\"row\":{}\n",
        "{\"key\":\"new\"}\n",
        "{\"row\":{}}\n",
        "{\"key\":\"\",\"row\":{}}\n",
        "{\"key\":\"a\\u0000\",\"row\":{}}\n",
        "{\"key\":\"new\",\"row\":{},\"more\":1}\n",
        "{\"key\":7,\"row\":{}}\n",
        "[]\n",
        "new\n",
        &large,
    ];
    let mut refused = Vec::new();
    for bad in bad {
        let name = format!("the line {:?}", bad.chars().take(60).collect::<String>());
        let third =
            Refused::new(&name, post(&[&good, &good, bad, &good].concat()), &[400], "invalid_request");
        refused.push(third.says("Line 3: "));
        let last = Refused::new(&name, post(&[&good, "\n", bad].concat()), &[400], "invalid_request");
        refused.push(last.says("Line 3: "));
    }
    for body in ["", "\n \n"] {
        refused.push(Refused::new(format!("the lines {body:?}"), post(body), &[400], "invalid_request"));
    }
    let many = post(&good.repeat(LINES_MAX + 1));
    refused.push(Refused::new("10,001 lines", many, &[413], "body_too_large"));
    let full = lines([("new", row_of(ROW_BYTES_MAX).as_str())]);
    for (name, count) in [("lines of 1.6 MB together", 100), ("a body of 2.6 MB", 160)] {
        refused.push(Refused::new(name, post(&full.repeat(count)), &[413], "body_too_large"));
    }
    for kind in [JSON, "text/plain", "application/x-ndjson2"] {
        let bytes = request_of_type("POST", &parts(), kind, &good);
        refused.push(Refused::new(format!("lines as {kind}"), bytes, &[415], "unsupported_media_type"));
    }
    refused
}

/// Collections that the settings do not name.
fn names() -> Vec<Refused> {
    let none = "/v1/catalog/none";
    let good = lines([("new", "{}")]);
    let unknown = |name: &str, bytes| Refused::new(name, bytes, &[404], "collection_not_found");
    vec![
        unknown("PUT", request_json("PUT", &format!("{none}/new"), &[], "{}")),
        unknown("DELETE", request("DELETE", &format!("{none}/new"))),
        unknown("POST", request_of_type("POST", none, LINES, &good)),
        unknown("GET", request("GET", &format!("{none}/new"))).public(),
        unknown("GET of an encoded key", request("GET", &format!("{none}/%6eew"))).public(),
        unknown("GET of several", request("GET", &format!("{none}?keys=new,old"))).public(),
    ]
}

/// Everybody may read, and nothing else.
fn listeners() -> Vec<Refused> {
    let good = lines([("new", "{}")]);
    let changes = [
        ("PUT", request_json("PUT", &part("left"), &[], "{}")),
        ("DELETE", request("DELETE", &part("left"))),
        ("POST", request_of_type("POST", &parts(), LINES, &good)),
        ("POST of one row", request_json("POST", &part("left"), &[], "{}")),
        ("the list of collections", request("GET", "/v1/catalog")),
    ];
    let mut refused = changes
        .map(|(name, bytes)| Refused::new(name, bytes, &[404, 405], "").any_code().public())
        .into_iter()
        .collect::<Vec<_>>();
    let many = (0..101).map(|key| key.to_string()).collect::<Vec<_>>().join(",");
    for query in ["", "?keys=", "?keys=a,", "?keys=a%0Ab", "?keys=a&min_version=x", &format!("?keys={many}")]
    {
        let bytes = request("GET", &format!("{}{query}", parts()));
        let name = format!("the query {:?}", query.chars().take(30).collect::<String>());
        refused.push(Refused::new(name, bytes, &[400], "invalid_request").public());
    }
    let absent = request("GET", &part("nowhere"));
    refused.push(Refused::new("a row that is not there", absent, &[404], "row_not_found").public());
    refused
}

/// What is just small enough is taken, and read as it was put.
fn greatest(server: &Server) -> Result<()> {
    let operator = server.operator();
    let row = row_of(ROW_BYTES_MAX);
    let long = "\u{10348}".repeat(KEY_CHARACTERS_MAX);
    for key in ["left", long.as_str(), "a/b,c %", ".."] {
        put(operator, key, &request_json("PUT", &part(key), &[], &row))?;
        let answer = read(server, key)?;
        ensure!(answer.status == 200 && answer.body == row.as_bytes(), "{key:?} is {}", answer.status);
    }
    let keys = (0..LINES_MAX).map(|number| format!("part-{number}")).collect::<Vec<_>>();
    let body = lines(keys.iter().map(|key| (key.as_str(), "{}")));
    put(operator, "10,000 lines", &request_of_type("POST", &parts(), LINES, &body))?;
    let body = lines(keys[..FULL_ROWS].iter().map(|key| (key.as_str(), row.as_str())));
    put(operator, "lines of 1.47 MB together", &request_of_type("POST", &parts(), LINES, &body))?;
    let shown = shown(operator, PARTS)?;
    // Left and right, three more keys, and the lines.
    ensure!(shown.rows == 5 + LINES_MAX as u64, "10,000 lines were put: {shown:?}");
    Ok(())
}
