//! The denylist: a map, and whether the wall clock has passed the end.

use onrush_core::{
    Answer, Ceiling, DenialKind, Limits, Now, REASON_BYTES_MAX, Refusal, SESSION_MS_MAX, TERMS_TIME_MS_MAX,
    is_network,
};

use super::{Model, check_ceiling, check_new_name, ensure};

/// What is said of somebody who is denied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Denial {
    pub(crate) reason: &'static str,
    pub(crate) expires_at: Option<u64>,
}

impl Denial {
    fn is_over(&self, time: u64) -> bool {
        self.expires_at.is_some_and(|expires_at| expires_at <= time)
    }
}

/// Puts somebody on the list, or, without a denial, takes them off.
#[derive(Clone, Debug)]
pub(crate) struct DenialStep {
    pub(crate) kind: DenialKind,
    pub(crate) value: &'static str,
    pub(crate) denial: Option<Denial>,
}

impl Model {
    pub(super) fn change_denylist(
        &mut self,
        limits: &Limits,
        step: &DenialStep,
        wall: u64,
    ) -> Result<(Answer, bool), Refusal> {
        let key = (step.kind, step.value);
        match step.kind {
            DenialKind::Customer | DenialKind::Session => check_new_name("customer", step.value)?,
            DenialKind::Address => ensure(is_network(step.value), || Refusal::Invalid {
                field: "address",
                rule: "must be an IP address or a network",
            })?,
        }
        let is_live = self.denied(step.kind, step.value, wall).is_some();
        let Some(denial) = &step.denial else {
            ensure(is_live, || Refusal::DenialNotFound)?;
            self.denials.remove(&key);
            return Ok((Answer::Undenied, true));
        };
        ensure(denial.reason.len() <= REASON_BYTES_MAX, || Refusal::Invalid {
            field: "reason",
            rule: "must be at most 256 bytes",
        })?;
        let fits = denial.expires_at.is_none_or(|at| wall < at && at <= TERMS_TIME_MS_MAX);
        ensure(fits, || Refusal::Invalid {
            field: "expires_at",
            rule: "must be later than now, and at most 9999-12-31T23:59:59.999Z",
        })?;
        let ends_sessions = step.kind == DenialKind::Session;
        ensure(!ends_sessions || denial.expires_at.is_none(), || Refusal::Invalid {
            field: "expires_at",
            rule: "must be left out: sessions that are ended stay so",
        })?;
        let mut denial = denial.clone();
        if ends_sessions {
            let before = self.denials.get(&key).and_then(|before| before.expires_at);
            denial.expires_at = Some((wall + SESSION_MS_MAX).min(TERMS_TIME_MS_MAX)).max(before);
        }
        if !self.denials.contains_key(&key) {
            check_ceiling(self.denials.len(), limits.denials_max, Ceiling::Denials)?;
        }
        let before = self.denials.insert(key, denial.clone());
        Ok((Answer::Denied { created: !is_live }, before.as_ref() != Some(&denial)))
    }

    /// What is said of somebody who is denied at this time of the wall clock.
    pub(crate) fn denied(&self, kind: DenialKind, value: &'static str, wall: u64) -> Option<&Denial> {
        self.denials.get(&(kind, value)).filter(|denial| !denial.is_over(wall))
    }

    /// Forgets whose denial is over by both clocks, and tells them in the order of their ends.
    pub(crate) fn forget_denials(&mut self, now: Now) -> Vec<&'static str> {
        let time = now.partition.max(self.time);
        let is_over = |denial: &Denial| denial.is_over(now.wall.min(time));
        let mut over: Vec<_> = self.denials.iter().filter(|(_, denial)| is_over(denial)).collect();
        over.sort_by_key(|(key, denial)| (denial.expires_at, **key));
        let over: Vec<_> = over.into_iter().map(|(key, _)| key.1).collect();
        self.denials.retain(|_, denial| !is_over(denial));
        if !over.is_empty() {
            self.time = time;
        }
        over
    }
}
