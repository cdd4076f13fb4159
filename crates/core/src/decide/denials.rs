//! Who is denied, and who is no longer.

use std::sync::Arc;

use super::{Answer, Decision, check_ceiling, check_memory};
use crate::{
    Ceiling, Denial, DenialKind, Event, Now, REASON_BYTES_MAX, Refusal, SESSION_MS_MAX, State,
    TERMS_TIME_MS_MAX, TimeMs,
};

pub(super) fn decide_deny<'a>(
    state: &State,
    kind: DenialKind,
    value: &'a str,
    reason: &'a str,
    expires_at: Option<TimeMs>,
    wall: TimeMs,
) -> Result<Decision<'a>, Refusal> {
    check_value(kind, value)?;
    let invalid = |field, rule| Err(Refusal::Invalid { field, rule });
    if reason.len() > REASON_BYTES_MAX {
        return invalid("reason", "must be at most 256 bytes");
    }
    if expires_at.is_some_and(|at| at <= wall || at > TERMS_TIME_MS_MAX) {
        return invalid("expires_at", "must be later than now, and at most 9999-12-31T23:59:59.999Z");
    }
    let found = state.denylist.get(kind, value);
    let expires_at = if kind == DenialKind::Session {
        if expires_at.is_some() {
            return invalid("expires_at", "must be left out: sessions that are ended stay so");
        }
        // What was ended stays so when the wall clock is set back.
        let before = found.and_then(|found| found.expires_at).unwrap_or_default();
        Some(wall.saturating_add(SESSION_MS_MAX).min(TERMS_TIME_MS_MAX).max(before))
    } else {
        expires_at
    };
    let answer = Answer::Denied { created: !found.is_some_and(|found| found.is_live(wall)) };
    if found.is_some_and(|found| *found.reason == *reason && found.expires_at == expires_at) {
        return Ok(Decision::nothing_new(answer));
    }
    if found.is_none() {
        check_ceiling(state.denial_count() < state.limits.denials_max, Ceiling::Denials)?;
    }
    if found.is_none_or(|found| found.reason.len() < reason.len()) {
        check_memory(state)?;
    }
    Ok(Decision::new(Event::Denied { kind, value, reason, expires_at }, answer))
}

pub(super) fn decide_undeny<'a>(
    state: &State,
    kind: DenialKind,
    value: &'a str,
    wall: TimeMs,
) -> Result<Decision<'a>, Refusal> {
    check_value(kind, value)?;
    match state.denylist.get(kind, value) {
        Some(found) if found.is_live(wall) => {
            Ok(Decision::new(Event::Undenied { kind, value }, Answer::Undenied))
        }
        _ => Err(Refusal::DenialNotFound),
    }
}

/// A denial that is over by both clocks, to be forgotten by [`Denial::expired`]; `None` if there is none. Until both clocks
/// agree the denial stays, so that a wall clock that was ahead for a moment takes none away.
pub fn decide_denial_expiry(state: &State, now: Now) -> Option<Arc<Denial>> {
    let now = now.wall.min(state.clamp(now.partition));
    state.denylist.first_to_expire().filter(|denial| !denial.is_live(now)).cloned()
}

impl Denial {
    /// That it is over and forgotten: what [`decide_denial_expiry`] decides.
    pub fn expired(&self) -> Event<'_> {
        Event::DenialExpired { kind: self.kind, value: &self.value }
    }
}

fn check_value(kind: DenialKind, value: &str) -> Result<(), Refusal> {
    match kind {
        _ if kind.takes(value) => Ok(()),
        DenialKind::Customer | DenialKind::Session => Err(Refusal::InvalidName { field: "customer" }),
        DenialKind::Address => {
            Err(Refusal::Invalid { field: "address", rule: "must be an IP address or a network" })
        }
    }
}
