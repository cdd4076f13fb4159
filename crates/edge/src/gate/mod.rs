//! The gate: who may ask this listener at all. It is asked before a request is looked up anywhere, in both protocols at the
//! same place. `docs/gate` says what users see of it.

mod challenges;
mod checks;
mod denylist;
mod identity;
mod operator;
mod origins;
mod passwords;
mod public;
mod sessions;
mod worker_pool;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use onrush_core::TimeMs;
use onrush_gate::{RouteGroup, Standing};
use onrush_node::{ChallengeCall, ReserveCall};

pub use self::challenges::ChallengeSettings;
pub(crate) use self::challenges::{Brought, Given, KINDS};
pub(crate) use self::checks::{CHALLENGE, CHECKS, DENYLIST, NONE, RATE_LIMITS, REPLAY, SESSION, check_of};
pub use self::denylist::Denylist;
pub(crate) use self::identity::Identity;
pub(crate) use self::operator::{OperatorGate, OperatorPaths};
pub(crate) use self::origins::PageOrigin;
pub(crate) use self::passwords::Password;
pub use self::passwords::PasswordPool;
pub(crate) use self::public::{Admission, PublicGate};
pub(crate) use self::sessions::Begun;
pub use self::sessions::{SessionSettings, Sessions};
use crate::http::request::{Fields, Request};
use crate::problem::Problem;
use crate::text::write_number;

/// The gate of one listener.
pub(crate) enum Gate {
    /// Of the public one, shared by its threads.
    Public(Arc<PublicGate>),
    /// Of the operator's.
    Operator(OperatorGate),
}

impl Gate {
    /// Whether `request` may go on. Its route is one of `group`, or one that is not limited. The clock is read only if
    /// somebody wants to know the time.
    ///
    /// # Errors
    /// What it is answered instead.
    pub(crate) fn check(
        &self,
        request: &Request<'_>,
        group: Option<RouteGroup>,
        now: impl FnOnce() -> Instant,
    ) -> Result<Admission, Problem> {
        match self {
            Self::Public(gate) => gate.check(request, group, now),
            Self::Operator(gate) => gate.check(request).map(|()| Admission::default()),
        }
    }

    /// Whether customers can have sessions.
    ///
    /// # Errors
    /// They are off.
    pub(crate) fn demand_sessions(&self) -> Result<(), Problem> {
        match self {
            Self::Public(gate) => gate.sessions().map(drop),
            Self::Operator(_) => Err(Problem::sessions_off()),
        }
    }

    /// Whom a request comes from: the first address of its chain that is no trusted proxy.
    pub(crate) fn client_address(&self, request: &Request<'_>) -> IpAddr {
        match self {
            Self::Public(gate) => gate.client_address(request),
            Self::Operator(_) => request.peer.0.ip(),
        }
    }

    /// The rest of the check of a reservation, once its body says whose it is.
    ///
    /// # Errors
    /// What it is answered instead.
    pub(crate) fn check_customer(
        &self,
        admission: &mut Admission,
        claim: &ReserveCall,
    ) -> Result<(), Problem> {
        match self {
            Self::Public(gate) => gate.check_customer(admission, claim),
            Self::Operator(_) => Ok(()),
        }
    }

    /// Whom a request with these fields is from; see [`PublicGate::identify`].
    ///
    /// # Errors
    /// What it is answered instead.
    pub(crate) fn identify(
        &self,
        fields: &Fields<'_>,
        may_write: bool,
        now: TimeMs,
    ) -> Result<Identity, Problem> {
        match self {
            Self::Public(gate) => gate.identify(fields, may_write, now),
            Self::Operator(_) => Ok(Identity::Unknown),
        }
    }

    /// The same by another authority; see [`PublicGate::identify_at`].
    ///
    /// # Errors
    /// What it is answered instead.
    pub(crate) fn identify_at(
        &self,
        fields: &Fields<'_>,
        writes_at: Option<&[u8]>,
        now: TimeMs,
    ) -> Result<Identity, Problem> {
        match self {
            Self::Public(gate) => gate.identify_at(fields, writes_at, now),
            Self::Operator(_) => Ok(Identity::Unknown),
        }
    }

    /// Whether a trusted proxy sends a request.
    pub(crate) fn is_from_proxy(&self, request: &Request<'_>) -> bool {
        match self {
            Self::Public(gate) => gate.is_from_proxy(request),
            Self::Operator(_) => false,
        }
    }

    /// What a claim brings of a challenge. The operator is asked for none.
    pub(crate) fn read_challenge(&self, brought: Brought<'_>, now: TimeMs) -> ChallengeCall {
        match self {
            Self::Public(gate) => gate.challenges().read(brought, now),
            Self::Operator(_) => ChallengeCall::Missing,
        }
    }

    /// The same where only a challenge that was verified before counts.
    pub(crate) fn read_done_challenge(&self, brought: Brought<'_>, now: TimeMs) -> ChallengeCall {
        match self {
            Self::Public(gate) => gate.challenges().read_done(brought, now),
            Self::Operator(_) => ChallengeCall::Missing,
        }
    }

    /// Where the page is from that made a request with these fields, as far as it is listed.
    pub(crate) fn page_origin(&self, fields: &Fields<'_>) -> PageOrigin {
        match self {
            Self::Public(gate) => gate.origins().page_origin(fields),
            Self::Operator(_) => PageOrigin::NotAsked,
        }
    }

    /// The fields by which browsers know who may read an answer.
    pub(crate) fn origin_fields(&self, page: PageOrigin) -> impl Iterator<Item = (&'static str, &str)> {
        let origins = match self {
            Self::Public(gate) => Some(gate.origins()),
            Self::Operator(_) => None,
        };
        origins.into_iter().flat_map(move |origins| origins.answer_fields(page))
    }

    /// Counts a refusal that has to do with sessions.
    pub(crate) fn count_refusal(&self, problem: &Problem) {
        if let Self::Public(gate) = self {
            gate.count_refusal(problem);
        }
    }

    /// The value of `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers-10): every limit of these routes.
    pub(crate) fn policy(&self, group: RouteGroup) -> &str {
        match self {
            Self::Public(gate) => gate.policy(group),
            Self::Operator(_) => "",
        }
    }

    /// Forgets what nobody needs, a part at a time. Each thread calls it with each tick.
    pub(crate) fn sweep(&self, now: Instant) {
        if let Self::Public(gate) = self {
            gate.sweep(now);
        }
    }
}

/// Appends the value of `RateLimit` (the same draft): what a limit lets through now, and in how many seconds a whole burst.
pub(crate) fn write_standing(standing: &Standing, out: &mut Vec<u8>) {
    let Standing { limited, remaining, full_after_s, .. } = standing;
    out.push(b'"');
    out.extend_from_slice(limited.as_str().as_bytes());
    out.extend_from_slice(b"\";r=");
    write_number(out, *remaining);
    out.extend_from_slice(b";t=");
    write_number(out, *full_after_s);
}
