//! The gate of the public listener: its checks, in the order of the contract. The first that refuses wins.

use std::fmt::Write as _;
use std::hash::RandomState;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use onrush_core::{ChallengeKind, TimeMs};
use onrush_gate::{Left, RateLimits, RouteGroup, Standing, TICKS_PER_S, Taken, canonical, client_address};
use onrush_node::{Asker, ReserveCall};

use super::challenges::{Challenges, KINDS};
use super::identity::Identity;
use super::origins::{Origins, PageOrigin};
use super::sessions::{DECISIONS, Sessions};
use crate::http::request::{Fields, Request};
use crate::metrics::GateFigures;
use crate::problem::Problem;
use crate::settings::GateSettings;

/// Nanoseconds of a tick.
const TICK_NS: u64 = 1_000_000_000 / TICKS_PER_S;

/// Shared by the threads of the listener.
pub(crate) struct PublicGate {
    settings: GateSettings,
    /// Absent if every limit is off.
    rates: Option<Rates>,
    /// Absent if sessions are off.
    sessions: Option<Arc<Sessions>>,
    challenges: Challenges,
    origins: Origins,
}

struct Rates {
    limits: RateLimits,
    /// Of the time that limits count from.
    started: Instant,
    /// `RateLimit-Policy` by group.
    policies: [String; 2],
}

/// What the gate found out about a request that it let through. The router has it as an extension.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Admission {
    /// What it took of the limits, and when, in ticks.
    taken: Option<(Taken, u64)>,
    /// Where the page is from that made it.
    pub(crate) page_origin: PageOrigin,
}

impl Admission {
    /// How the limit stands that is nearest to refusing.
    pub(crate) fn standing(&self) -> Option<Standing> {
        self.taken.and_then(|(taken, _)| taken.standing)
    }
}

impl PublicGate {
    /// `now` is the start of the time that limits count in.
    pub(crate) fn new(settings: GateSettings, now: Instant) -> Self {
        // Which keys could share a bucket must not be known outside.
        let limits = RateLimits::new(&settings.rate_limits, RandomState::new());
        let rates = limits.map(|limits| {
            let policies = [RouteGroup::Reserve, RouteGroup::Pages].map(|group| policy(&limits, group));
            Rates { limits, started: now, policies }
        });
        let challenges = Challenges::new(&settings.challenges);
        let origins = Origins::new(settings.cors_origins.clone());
        Self { settings, rates, sessions: None, challenges, origins }
    }

    /// The same with sessions.
    #[must_use]
    pub(crate) fn with_sessions(self, sessions: Option<Arc<Sessions>>) -> Self {
        Self { sessions, ..self }
    }

    /// Lets everybody through.
    pub(crate) fn open() -> Self {
        let settings = GateSettings::default();
        let challenges = Challenges::new(&settings.challenges);
        Self { settings, rates: None, sessions: None, challenges, origins: Origins::NONE }
    }

    pub(super) fn check(
        &self,
        request: &Request<'_>,
        group: Option<RouteGroup>,
        now: impl FnOnce() -> Instant,
    ) -> Result<Admission, Problem> {
        match group {
            Some(group) if self.rates.is_some() => {
                self.check_limits(group, self.client_address(request), now)
            }
            _ => Ok(Admission::default()),
        }
    }

    /// Whether this address may ask once more for what is in `group`. It takes from the limits.
    ///
    /// # Errors
    /// What it is answered instead.
    pub(crate) fn check_limits(
        &self,
        group: RouteGroup,
        address: IpAddr,
        now: impl FnOnce() -> Instant,
    ) -> Result<Admission, Problem> {
        let Some(rates) = &self.rates else { return Ok(Admission::default()) };
        let now = rates.ticks(now());
        let taken = rates.limits.take(group, address, now);
        let taken = taken.map_err(|refused| Problem::rate_limited(&refused))?;
        Ok(Admission { taken: Some((taken, now)), ..Admission::default() })
    }

    pub(crate) fn check_customer(
        &self,
        admission: &mut Admission,
        claim: &ReserveCall,
    ) -> Result<(), Problem> {
        if let (Some(rates), Some((taken, now))) = (&self.rates, &mut admission.taken) {
            let is_proven = matches!(claim.asker, Asker::Customer(_));
            let asked = rates.limits.take_customer(taken, &claim.customer, is_proven, *now);
            asked.map_err(|refused| Problem::rate_limited(&refused))?;
        }
        Ok(())
    }

    /// Whom a request with these fields is from, which may change something or not; [`Identity::Unknown`] while sessions are
    /// off.
    ///
    /// # Errors
    /// What it is answered instead.
    pub(crate) fn identify(
        &self,
        fields: &Fields<'_>,
        may_write: bool,
        now: TimeMs,
    ) -> Result<Identity, Problem> {
        let own = fields.authority().unwrap_or_default();
        self.identify_at(fields, may_write.then_some(own), now)
    }

    /// The same where browsers know this server by another authority than the request has: `writes_at`, if it may change something.
    ///
    /// # Errors
    /// What it is answered instead.
    pub(super) fn identify_at(
        &self,
        fields: &Fields<'_>,
        writes_at: Option<&[u8]>,
        now: TimeMs,
    ) -> Result<Identity, Problem> {
        match &self.sessions {
            Some(sessions) => sessions.identify(fields, &self.origins, writes_at, now),
            None => Ok(Identity::Unknown),
        }
    }

    /// Whether these fields come from our own pages, from those of an origin that is listed, or from no browser.
    ///
    /// # Errors
    /// A page of another site may have made a browser send them.
    pub(crate) fn check_site(&self, fields: &Fields<'_>) -> Result<(), Problem> {
        if self.origins.is_cross_site(fields) { Err(Problem::cross_site_session()) } else { Ok(()) }
    }

    pub(super) fn origins(&self) -> &Origins {
        &self.origins
    }

    /// What begins sessions.
    ///
    /// # Errors
    /// They are off.
    pub(crate) fn sessions(&self) -> Result<&Sessions, Problem> {
        self.sessions.as_deref().ok_or_else(Problem::sessions_off)
    }

    /// What makes and reads challenges.
    pub(crate) fn challenges(&self) -> &Challenges {
        &self.challenges
    }

    /// Counts a refusal that has to do with sessions.
    pub(crate) fn count_refusal(&self, problem: &Problem) {
        if let Some(sessions) = &self.sessions {
            sessions.count(problem.code());
        }
    }

    pub(super) fn policy(&self, group: RouteGroup) -> &str {
        self.rates.as_ref().map_or("", |rates| &rates.policies[group as usize])
    }

    pub(super) fn sweep(&self, now: Instant) {
        if let Some(rates) = &self.rates {
            rates.limits.sweep(rates.ticks(now));
        }
    }

    /// What is left of each limit of reservations that is on, for a customer with a session if there are sessions. Nothing is
    /// taken.
    pub(crate) fn left(&self, address: Option<IpAddr>, customer: Option<&str>, now: Instant) -> Vec<Left> {
        let Some(rates) = &self.rates else { return Vec::new() };
        let customer = customer.map(|customer| (customer, self.sessions.is_some()));
        rates.limits.left(RouteGroup::Reserve, address, customer, rates.ticks(now)).collect()
    }

    /// What it did so far.
    pub(crate) fn figures(&self) -> GateFigures {
        let decisions = self.sessions.as_ref().map(|sessions| sessions.decision_counts()).unwrap_or_default();
        let kinds = KINDS.map(ChallengeKind::as_str);
        GateFigures {
            limits: self.rates.as_ref().map(|rates| rates.limits.figures()).unwrap_or_default(),
            sessions: DECISIONS.into_iter().zip(decisions).collect(),
            challenges: kinds.into_iter().zip(self.challenges.given_counts()).collect(),
        }
    }

    /// Whether a trusted proxy is connected.
    pub(super) fn is_from_proxy(&self, request: &Request<'_>) -> bool {
        let peer = canonical(request.peer.0.ip());
        self.settings.trusted_proxies.iter().any(|network| network.contains(peer))
    }

    /// Whom a request comes from.
    pub(super) fn client_address(&self, request: &Request<'_>) -> IpAddr {
        self.address_of(request.peer.0.ip(), &request.fields)
    }

    /// Whom a request from `peer` with these fields comes from.
    pub(crate) fn address_of(&self, peer: IpAddr, fields: &Fields<'_>) -> IpAddr {
        let GateSettings { trusted_proxies, forwarded_field, .. } = &self.settings;
        if trusted_proxies.is_empty() {
            return canonical(peer);
        }
        client_address(peer, trusted_proxies, *forwarded_field, fields.all(forwarded_field.name()))
    }
}

impl Rates {
    fn ticks(&self, now: Instant) -> u64 {
        let since: Duration = now.saturating_duration_since(self.started);
        since.as_secs() * TICKS_PER_S + u64::from(since.subsec_nanos()) / TICK_NS
    }
}

/// Every limit of a group with its burst, and the seconds in which a whole burst comes back, rounded up.
fn policy(limits: &RateLimits, group: RouteGroup) -> String {
    let mut policy = String::new();
    for (limited, rate) in limits.rates(group) {
        let (quota, window_s) = (rate.burst(), rate.depth().div_ceil(TICKS_PER_S));
        let comma = if policy.is_empty() { "" } else { ", " };
        // Writing to a `String` cannot fail.
        let _ = write!(policy, "{comma}\"{}\";q={quota};w={window_s}", limited.as_str());
    }
    policy
}
