//! Sessions: how long they last, and the files of the keys that make them and that check the shop's tokens.

use std::path::{Path, PathBuf};

use onrush_edge::SessionSettings;
use onrush_gate::jwt::JwtRules;

use super::bounds;
use super::checks::{Checks, quoted};
use super::raw::RawGate;
use crate::session_files::{self, SessionFiles};

/// The name of the file of session keys in the data directory, if no other is set.
const KEY_FILE: &str = "session-keys";

/// Nothing if something is wrong, and no files while sessions are off.
#[allow(clippy::option_option, reason = "sessions that are off are right")]
pub(super) fn resolve(
    checks: &mut Checks<'_>,
    raw: &RawGate,
    directory: &str,
) -> Option<Option<SessionFiles>> {
    let ttl_ms = milliseconds(checks, "gate.session_ttl", &raw.session_ttl, &bounds::SESSION_TTL_MS);
    let clock_skew_ms =
        milliseconds(checks, "gate.jwt_clock_skew", &raw.jwt_clock_skew, &bounds::CLOCK_SKEW_MS);
    let customer_claim = claim(checks, &raw.jwt_customer_claim);
    let issuer = said(checks, "gate.jwt_issuer", raw.jwt_issuer.as_deref());
    let audience = said(checks, "gate.jwt_audience", raw.jwt_audience.as_deref());
    if raw.jwt_key_file.is_none() && !raw.accounts {
        let (_, _, _) = (ttl_ms?, clock_skew_ms?, customer_claim?);
        return Some(None);
    }
    let jwt_path = raw.jwt_key_file.as_ref().map(|path| {
        file(checks, "gate.jwt_key_file", path, |path| session_files::read_jwt_keys(path).map(|_| ()))
    });
    let jwt_path = jwt_path.map_or(Some(None), |path| path.map(Some));
    let session_path = keys_path(raw, directory);
    let session_path = file(checks, "gate.session_key_file", &session_path.to_string_lossy(), |path| {
        session_files::read_session_keys(path).map(|_| ())
    });
    let jwt_rules = JwtRules {
        issuer: issuer?,
        audience: audience?,
        customer_claim: customer_claim?,
        clock_skew_ms: clock_skew_ms?,
    };
    let settings = SessionSettings { ttl_ms: ttl_ms?, secure_cookies: raw.secure_cookies, jwt_rules };
    Some(Some(SessionFiles {
        settings,
        session_keys: session_path?,
        jwt_keys: jwt_path?,
        accounts: raw.accounts,
    }))
}

/// Where the keys of sessions are, or will be.
pub(super) fn keys_path(raw: &RawGate, directory: &str) -> PathBuf {
    let default_path = || Path::new(directory).join(KEY_FILE);
    raw.session_key_file.as_ref().map_or_else(default_path, PathBuf::from)
}

/// A path whose file is as it should be.
fn file(
    checks: &mut Checks<'_>,
    key: &str,
    path: &str,
    read: impl FnOnce(&Path) -> Result<(), String>,
) -> Option<PathBuf> {
    match read(Path::new(path)) {
        Ok(()) => Some(PathBuf::from(path)),
        Err(problem) => checks.refuse(key, quoted(path), problem),
    }
}

fn milliseconds(
    checks: &mut Checks<'_>,
    key: &str,
    text: &str,
    (bounds, rule): &(std::ops::RangeInclusive<u64>, &str),
) -> Option<u64> {
    let ms = checks.duration_ms(key, text)?;
    if bounds.contains(&ms) { Some(ms) } else { checks.refuse(key, quoted(text), rule) }
}

fn claim(checks: &mut Checks<'_>, text: &str) -> Option<String> {
    said(checks, "gate.jwt_customer_claim", Some(text)).flatten()
}

/// Text of a token. Nothing if it is wrong, and no text where none is set.
#[allow(clippy::option_option, reason = "what is not set is right")]
fn said(checks: &mut Checks<'_>, key: &str, text: Option<&str>) -> Option<Option<String>> {
    let Some(text) = text else { return Some(None) };
    if bounds::JWT_TEXT_BYTES.contains(&text.len()) && !text.chars().any(char::is_control) {
        return Some(Some(text.to_owned()));
    }
    let bounds = bounds::JWT_TEXT_BYTES;
    let rule =
        format!("must be {} to {} bytes of text without control characters", bounds.start(), bounds.end());
    checks.refuse(key, quoted(text), rule)
}

#[cfg(test)]
#[path = "sessions_tests.rs"]
mod tests;
