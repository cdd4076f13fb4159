//! Sessions of customers: whom a request is from by its cookie or its bearer token, and the cookies that say so. Nothing is kept
//! of a session, and no request waits for another. `docs/gate/sessions.md` says what users see of it.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use onrush_core::TimeMs;
use onrush_gate::jwt::{self, JwtKeys, JwtRefused, JwtRules, Proof};
use onrush_gate::session::{NONCE_BYTES, Session, SessionKeys, TokenRefused};

use super::identity::Identity;
use super::origins::Origins;
use crate::http::credentials::{bearer, cookie};
use crate::http::request::Fields;
use crate::problem::{Code, Problem};

/// What sessions are like.
#[derive(Clone, Debug)]
pub struct SessionSettings {
    /// How long one lasts, in milliseconds, up to [`onrush_core::SESSION_MS_MAX`].
    pub ttl_ms: u64,
    /// Whether browsers send the cookie over HTTPS alone. Its name then begins with `__Host-`.
    pub secure_cookies: bool,
    /// What the shop's own tokens have to say.
    pub jwt_rules: JwtRules,
}

/// What makes and opens sessions. All threads share it; its keys may be replaced at any time.
pub struct Sessions {
    settings: SessionSettings,
    keys: ArcSwap<SessionKeys>,
    jwt_keys: ArcSwap<JwtKeys>,
    counts: [AtomicU64; DECISIONS.len()],
}

/// What is counted, by the code of its answer.
pub(super) const DECISIONS: [&str; 6] = [
    BEGUN,
    Code::SessionRequired.as_str(),
    Code::SessionExpired.as_str(),
    Code::InvalidCredentials.as_str(),
    Code::CustomerMismatch.as_str(),
    Code::CrossSite.as_str(),
];
const BEGUN: &str = "begun";

/// A session that was begun, as an answer tells it.
pub(crate) struct Begun {
    pub(crate) session: Session,
    /// The value of `Set-Cookie`.
    pub(crate) cookie: String,
}

impl Sessions {
    /// With the keys of the moment.
    pub fn new(settings: SessionSettings, keys: SessionKeys, jwt_keys: JwtKeys) -> Self {
        let (keys, jwt_keys) = (ArcSwap::from_pointee(keys), ArcSwap::from_pointee(jwt_keys));
        Self { settings, keys, jwt_keys, counts: [const { AtomicU64::new(0) }; DECISIONS.len()] }
    }

    /// From now on these keys make and open tokens.
    pub fn set_keys(&self, keys: SessionKeys) {
        self.keys.store(keys.into());
    }

    /// From now on these keys check the shop's own tokens.
    pub fn set_jwt_keys(&self, keys: JwtKeys) {
        self.jwt_keys.store(keys.into());
    }

    /// Whom a request with these fields is from. A bearer token counts before a cookie, and has to be good. A cookie that is
    /// none of ours is none at all: browsers send it without being asked. For the same reason one of ours counts on a request
    /// that may change something only if no page of another site can have made it, but for the origins that are listed.
    ///
    /// # Errors
    /// The bearer token is not good, or a page of another site may have made the request.
    pub(super) fn identify(
        &self,
        fields: &Fields<'_>,
        origins: &Origins,
        writes_at: Option<&[u8]>,
        now: TimeMs,
    ) -> Result<Identity, Problem> {
        if let Some(token) = bearer(fields) {
            return self.of_bearer(token, now).map(Identity::Customer);
        }
        let Some(token) = cookie(fields, self.cookie_name()) else { return Ok(Identity::Anyone) };
        match self.keys.load().open(token, now) {
            Err(TokenRefused::Invalid) => Ok(Identity::Anyone),
            Err(TokenRefused::Expired) => Ok(Identity::Expired),
            Ok(_) if writes_at.is_some_and(|authority| origins.is_cross_site_at(fields, authority)) => {
                Err(Problem::cross_site_session())
            }
            Ok(session) => Ok(Identity::Customer(proof_of(&session))),
        }
    }

    fn of_bearer(&self, token: &[u8], now: TimeMs) -> Result<Proof, Problem> {
        // The alphabet of our own tokens has no dot.
        if token.contains(&b'.') {
            return self.check_jwt(token, now).map_err(|refused| match refused {
                JwtRefused::Expired => Problem::session_expired(),
                other => Problem::invalid_token(&other),
            });
        }
        match self.keys.load().open(token, now) {
            Ok(session) => Ok(proof_of(&session)),
            Err(TokenRefused::Expired) => Err(Problem::session_expired()),
            Err(TokenRefused::Invalid) => Err(Problem::unknown_token()),
        }
    }

    /// Whom a token of the shop proves.
    ///
    /// # Errors
    /// It proves nothing.
    pub(crate) fn check_jwt(&self, token: &[u8], now: TimeMs) -> Result<Proof, JwtRefused> {
        jwt::verify(token, &self.jwt_keys.load(), &self.settings.jwt_rules, now)
    }

    /// Begins a session for a customer who proved to be this one.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub(crate) fn begin_for(&self, customer: &str, now: TimeMs) -> Result<Begun, Problem> {
        let session = Session::new(customer, now, now.saturating_add(self.settings.ttl_ms));
        let session = session.ok_or_else(Problem::overloaded)?;
        let mut nonce = [0; NONCE_BYTES];
        // A system without random numbers cannot keep a secret either.
        getrandom::fill(&mut nonce).map_err(|_| Problem::overloaded())?;
        let token = self.keys.load().seal(&session, &nonce);
        self.count(BEGUN);
        Ok(Begun { session, cookie: self.cookie_of(&token, self.settings.ttl_ms / 1_000) })
    }

    /// The value of `Set-Cookie` that makes a browser forget its session.
    pub(crate) fn ending_cookie(&self) -> String {
        self.cookie_of("", 0)
    }

    fn cookie_of(&self, token: &str, max_age_s: u64) -> String {
        self.cookie(self.cookie_name(), token, max_age_s)
    }

    /// The value of `Set-Cookie` for any cookie that browsers send back to us alone.
    pub(crate) fn cookie(&self, name: &str, value: &str, max_age_s: u64) -> String {
        let secure = if self.settings.secure_cookies { "; Secure" } else { "" };
        format!("{name}={value}; Max-Age={max_age_s}; Path=/; HttpOnly; SameSite=Lax{secure}")
    }

    fn cookie_name(&self) -> &'static str {
        if self.settings.secure_cookies { "__Host-onrush_session" } else { "onrush_session" }
    }

    /// Counts a decision. What is not one of [`DECISIONS`] is not ours.
    pub(crate) fn count(&self, decision: &str) {
        if let Some(at) = DECISIONS.iter().position(|own| *own == decision) {
            self.counts[at].fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How often each of [`DECISIONS`] was made.
    pub(crate) fn decision_counts(&self) -> [u64; DECISIONS.len()] {
        self.counts.each_ref().map(|count| count.load(Ordering::Relaxed))
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sessions(…)")
    }
}

fn proof_of(session: &Session) -> Proof {
    let session_began_at = Some(session.issued_at());
    Proof { customer: *session.name(), expires_at: session.expires_at(), session_began_at }
}
