//! How long a client waits for a call, as it says in `grpc-timeout`
//! (<https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>).

use std::time::Duration;

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::time::Instant;
use tonic::Status;
use tonic::body::Body;

/// Until when a client waits, for calls that answer with a stream.
#[derive(Clone, Copy)]
pub(super) struct Deadline(pub(super) Instant);

/// Gives a call up when its client no longer waits for it.
#[allow(clippy::disallowed_methods, reason = "the client waits from now on")]
pub(super) async fn within(mut request: Request, next: Next) -> Response {
    let wait = request.headers().get("grpc-timeout").and_then(|value| parse(value.as_bytes()));
    // A timeout of a hundred years and more is none.
    let deadline = wait.and_then(|wait| Instant::now().checked_add(wait));
    let Some(deadline) = deadline else { return next.run(request).await };
    request.extensions_mut().insert(Deadline(deadline));
    match tokio::time::timeout_at(deadline, next.run(request)).await {
        Ok(response) => response,
        Err(_) => has_passed().into_http::<Body>().into_response(),
    }
}

/// What a client is told that no longer waits.
pub(super) fn has_passed() -> Status {
    Status::deadline_exceeded("The client's deadline has passed.")
}

/// 1 to 8 digits and a unit: hours, minutes, seconds, or thousandths, millionths or billionths of one.
fn parse(value: &[u8]) -> Option<Duration> {
    let (unit, digits) = value.split_last()?;
    if !(1..=8).contains(&digits.len()) || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some(match unit {
        b'H' => Duration::from_secs(number * 3_600),
        b'M' => Duration::from_secs(number * 60),
        b'S' => Duration::from_secs(number),
        b'm' => Duration::from_millis(number),
        b'u' => Duration::from_micros(number),
        b'n' => Duration::from_nanos(number),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_has_digits_and_a_unit() {
        for (value, expected) in [
            ("1S", Some(Duration::from_secs(1))),
            ("99999999H", Some(Duration::from_hours(99_999_999))),
            ("2M", Some(Duration::from_mins(2))),
            ("15m", Some(Duration::from_millis(15))),
            ("7u", Some(Duration::from_micros(7))),
            ("0n", Some(Duration::ZERO)),
            ("S", None),
            ("1", None),
            ("", None),
            ("+1S", None),
            ("1s", None),
            ("123456789S", None),
        ] {
            assert_eq!(parse(value.as_bytes()), expected, "{value}");
        }
    }
}
