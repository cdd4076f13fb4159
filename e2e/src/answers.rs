//! Answers of the server, and what they mean for the effect of a request.

use anyhow::{Context as _, Result, anyhow, ensure};
use serde::Deserialize;
use serde_json::json;

use crate::api::{Problem, Reservation};
use crate::http::{Lost, Response, request_json};
use crate::ledger::{Ask, Outcome, Reserved};

/// The bytes of a reserve request.
pub(crate) fn reserve_request(ask: &Ask) -> Vec<u8> {
    let lines = ask.lines.iter().map(|(stock, quantity)| json!({"stock": stock, "quantity": quantity}));
    let mut body = json!({"customer": ask.customer, "lines": lines.collect::<Vec<_>>()});
    if let Some(details) = &ask.details {
        body["details"] = details.clone();
    }
    let headers = ask.key.iter().map(|key| format!("Idempotency-Key: {key}")).collect::<Vec<_>>();
    request_json("POST", &format!("/v1/sales/{}/reservations", ask.sale), &headers, &body.to_string())
}

/// The reservation of a 200 or 201 answer, with the headers that the contract promises checked.
pub(crate) fn read_reserved(answer: &Response) -> Result<Reserved> {
    let reservation: Reservation = answer.json()?;
    let replayed = answer.header("idempotent-replayed") == Some("true");
    let location = format!("/v1/sales/{}/reservations/{}", reservation.sale, reservation.reservation);
    ensure!(replayed == (answer.status == 200), "{} with replayed {replayed}", answer.status);
    ensure!(
        replayed || answer.header("location") == Some(&location),
        "Location is {:?}, not {location}",
        answer.header("location")
    );
    Ok(Reserved { reservation, replayed })
}

/// Turns an answer, or its absence, into what it means for the effect.
pub(crate) fn outcome<T>(
    answer: Result<Response, Lost>,
    success: &[u16],
    read: impl FnOnce(&Response) -> Result<T>,
) -> Result<Outcome<T>> {
    match answer {
        Err(Lost::Malformed(reason)) => Err(anyhow!("malformed answer: {reason}")),
        Err(lost) => Ok(Outcome::Unknown(lost)),
        Ok(answer) if success.contains(&answer.status) => Ok(Outcome::Acknowledged(read(&answer)?)),
        Ok(answer) => {
            let problem: Problem = answer.json().context("read the problem")?;
            ensure!(problem.status == answer.status, "{} says {}", answer.status, problem.status);
            Ok(Outcome::Refused { status: answer.status, code: problem.code })
        }
    }
}

/// The value of a counter's answer.
pub(crate) fn value_of(answer: &Response) -> Result<u64> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Counter {
        #[serde(rename = "counter")]
        _counter: String,
        value: u64,
    }
    Ok(answer.json::<Counter>()?.value)
}

/// The count of the request window's answer.
pub(crate) fn request_count_of(answer: &Response) -> Result<u64> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields, rename_all = "camelCase")]
    struct Requests {
        request_count: u64,
    }
    Ok(answer.json::<Requests>()?.request_count)
}

/// The count of a window's answer.
pub(crate) fn count_of(answer: &Response) -> Result<u64> {
    #[derive(Deserialize)]
    struct Window {
        count: u64,
    }
    Ok(answer.json::<Window>()?.count)
}
