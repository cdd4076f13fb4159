//! What every error answer must look like: `application/problem+json` after RFC 9457, with the fields of the contract.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::http::Response;

/// Checks an error answer and returns its code.
pub(crate) fn check_problem(answer: &Response) -> Result<String> {
    let kind = answer.header("content-type").unwrap_or_default();
    ensure!(kind.starts_with("application/problem+json"), "an error of type {kind:?}: {}", answer.text());
    let problem: Value = answer.json()?;
    let text = |field: &str| {
        problem.get(field).and_then(Value::as_str).with_context(|| format!("no {field}: {problem}"))
    };
    let code = text("code")?;
    ensure!(problem["status"] == answer.status, "the status is {}, the body says {problem}", answer.status);
    ensure!(!text("title")?.is_empty() && !text("detail")?.is_empty(), "an empty title or detail: {problem}");
    ensure!(
        text("type")?.ends_with(&format!("/problems/{code}")),
        "the type does not name {code}: {problem}"
    );
    if matches!(answer.status, 429 | 503) {
        let seconds = answer.header("retry-after").with_context(|| format!("no Retry-After: {problem}"))?;
        ensure!(seconds.parse::<u64>().is_ok(), "Retry-After: {seconds}");
    }
    if answer.status == 405 {
        ensure!(answer.header("allow").is_some_and(|allow| !allow.is_empty()), "405 without Allow");
    }
    Ok(code.to_owned())
}
