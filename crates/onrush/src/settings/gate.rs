//! The gate of the public listener: whose word about clients counts, how often may be asked, and which other pages may ask.

use std::fmt::Display;
use std::str::FromStr;

use onrush_edge::{ChallengeSettings, GateSettings};
use onrush_gate::challenge::Answer;
use onrush_gate::{Algorithm, ForwardedField, GroupRates, Rate, RateLimitSettings};

use super::bounds;
use super::checks::{Checks, quoted};
use super::raw::RawGate;

/// A limit that is not set.
const OFF: &str = "off";

pub(super) fn resolve(
    checks: &mut Checks<'_>,
    raw: &RawGate,
    cors_origins: &[String],
) -> Option<GateSettings> {
    let proxies_max = (bounds::TRUSTED_PROXIES_MAX, "networks");
    let trusted_proxies = listed(checks, "gate.trusted_proxies", &raw.trusted_proxies, proxies_max);
    let origins_max = (bounds::CORS_ORIGINS_MAX, "origins");
    let cors_origins = listed(checks, "server.cors_origins", cors_origins, origins_max);
    let forwarded_field = checks.choice(
        "gate.forwarded_field",
        &raw.forwarded_field,
        &[
            ("x-forwarded-for", ForwardedField::XForwardedFor),
            ("forwarded", ForwardedField::Forwarded),
            ("x-real-ip", ForwardedField::XRealIp),
        ],
    );
    let rate_limits = rate_limits(checks, raw);
    let challenges = challenges(checks, raw);
    Some(GateSettings {
        trusted_proxies: trusted_proxies?,
        forwarded_field: forwarded_field?,
        rate_limits: rate_limits?,
        challenges: challenges?,
        cors_origins: cors_origins?,
    })
}

/// What a careful operator would change of the gate.
pub(super) fn warning(raw: &RawGate) -> Option<String> {
    raw.unsafe_challenge_answer.as_ref().map(|_| {
        "gate.unsafe_challenge_answer is set: every picture has the same answer, so it keeps nobody out"
            .to_owned()
    })
}

fn challenges(checks: &mut Checks<'_>, raw: &RawGate) -> Option<ChallengeSettings> {
    let work_min = checks.number("gate.proof_of_work_min", raw.proof_of_work_min, &bounds::WORK);
    let work_max = checks.number("gate.proof_of_work_max", raw.proof_of_work_max, &bounds::WORK);
    let unsafe_answer = match raw.unsafe_challenge_answer.as_deref() {
        None => None,
        Some(digits) => match Answer::parse(digits) {
            None => {
                return checks.refuse("gate.unsafe_challenge_answer", quoted(digits), "must be six digits");
            }
            answer => answer,
        },
    };
    let (work_min, work_max) = (work_min?, work_max?);
    if work_max < work_min {
        return checks.refuse("gate.proof_of_work_max", work_max, "must be at least gate.proof_of_work_min");
    }
    Some(ChallengeSettings { work_min, work_max, unsafe_answer })
}

fn rate_limits(checks: &mut Checks<'_>, raw: &RawGate) -> Option<RateLimitSettings> {
    let algorithm = checks.choice(
        "gate.limit_algorithm",
        &raw.limit_algorithm,
        &[("bucket", Algorithm::Bucket), ("window", Algorithm::Window)],
    );
    let keys_max = checks.number("gate.limit_keys_max", raw.limit_keys_max, &bounds::LIMIT_KEYS);
    let reserve_address = rate(checks, "gate.limit_reserve_address", &raw.limit_reserve_address);
    let reserve_route = rate(checks, "gate.limit_reserve_route", &raw.limit_reserve_route);
    let reserve_customer = rate(checks, "gate.limit_reserve_customer", &raw.limit_reserve_customer);
    let pages_address = rate(checks, "gate.limit_pages_address", &raw.limit_pages_address);
    let pages_route = rate(checks, "gate.limit_pages_route", &raw.limit_pages_route);
    Some(RateLimitSettings {
        algorithm: algorithm?,
        keys_max: keys_max?,
        reserve: GroupRates { address: reserve_address?, route: reserve_route?, customer: reserve_customer? },
        pages: GroupRates { address: pages_address?, route: pages_route?, customer: None },
    })
}

/// Nothing if the text is wrong, and no rate if the limit is off.
#[allow(clippy::option_option, reason = "a limit that is off is right")]
fn rate(checks: &mut Checks<'_>, key: &str, text: &str) -> Option<Option<Rate>> {
    if text == OFF {
        return Some(None);
    }
    match text.parse() {
        Ok(rate) => Some(Some(rate)),
        Err(error) => checks.refuse(key, quoted(text), error),
    }
}

/// What each text is; there may be so many of them, which are called so.
fn listed<T: FromStr<Err: Display>>(
    checks: &mut Checks<'_>,
    key: &str,
    texts: &[String],
    (count_max, things): (usize, &str),
) -> Option<Vec<T>> {
    let mut found = Vec::new();
    for text in texts {
        match text.parse() {
            Ok(one) => found.push(one),
            Err(error) => {
                let _: Option<()> = checks.refuse(key, quoted(text), error);
            }
        }
    }
    if texts.len() > count_max {
        let rule = format!("may hold {count_max} {things} at most");
        return checks.refuse(key, format!("{} {things}", texts.len()), rule);
    }
    (found.len() == texts.len()).then_some(found)
}

#[cfg(test)]
#[path = "gate_tests.rs"]
mod tests;
