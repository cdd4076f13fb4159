//! What a signed token has to say (RFC 7519, section 4), and what is taken from it.

use onrush_core::{TimeMs, is_new_name};
use serde_json::{Map, Value};

use super::refused::JwtRefused;
use crate::session::Customer;

/// What an operator demands of tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JwtRules {
    /// What `iss` must be, if anything.
    pub issuer: Option<String>,
    /// What `aud` must be, or have among others. Without it a token that is for somebody is refused: it is not for us.
    pub audience: Option<String>,
    /// The claim that names the customer.
    pub customer_claim: String,
    /// How far the clock of the issuer may be from ours, in milliseconds.
    pub clock_skew_ms: u64,
}

/// What a token proves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proof {
    /// Who its holder is.
    pub customer: Customer,
    /// Until when it says so, in milliseconds, without the skew.
    pub expires_at: TimeMs,
    /// When the session began that it is, in milliseconds. A token of the shop is none.
    pub session_began_at: Option<TimeMs>,
}

impl JwtRules {
    /// `claims` are JSON that was signed.
    pub(super) fn check(&self, claims: &[u8], now: TimeMs) -> Result<Proof, JwtRefused> {
        let claims: Map<String, Value> = serde_json::from_slice(claims).map_err(|_| JwtRefused::Malformed)?;
        let expires_at = claims.get("exp").and_then(time).ok_or(JwtRefused::NoExpiry)?;
        if now >= expires_at.saturating_add(self.clock_skew_ms) {
            return Err(JwtRefused::Expired);
        }
        let not_before = claims.get("nbf").map(|nbf| time(nbf).ok_or(JwtRefused::NotYet)).transpose()?;
        if not_before.is_some_and(|not_before| now.saturating_add(self.clock_skew_ms) < not_before) {
            return Err(JwtRefused::NotYet);
        }
        if let Some(issuer) = &self.issuer
            && claims.get("iss").and_then(Value::as_str) != Some(issuer)
        {
            return Err(JwtRefused::WrongIssuer);
        }
        if !self.is_for_us(claims.get("aud")) {
            return Err(JwtRefused::WrongAudience);
        }
        let customer = claims.get(&self.customer_claim).and_then(customer).ok_or(JwtRefused::NoCustomer)?;
        Ok(Proof { customer, expires_at, session_began_at: None })
    }

    /// A token that names an audience is refused by everybody who is not in it (RFC 7519, section 4.1.3).
    fn is_for_us(&self, aud: Option<&Value>) -> bool {
        let Some(audience) = &self.audience else { return aud.is_none() };
        match aud {
            Some(Value::String(one)) => one == audience,
            Some(Value::Array(several)) => several.iter().any(|one| one.as_str() == Some(audience)),
            _ => false,
        }
    }
}

/// Milliseconds of a time in seconds, which may have a fraction; the last time for one that is later. Nothing for what is no
/// number, or one before 1970.
fn time(value: &Value) -> Option<TimeMs> {
    if let Some(seconds) = value.as_u64() {
        return Some(seconds.saturating_mul(1_000));
    }
    let seconds = value.as_f64().filter(|seconds| *seconds >= 0.0)?;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast of a float saturates")]
    Some((seconds * 1_000.0) as TimeMs)
}

/// Shops number their customers, too.
fn customer(value: &Value) -> Option<Customer> {
    let text = match value {
        Value::String(name) => name.clone(),
        Value::Number(number) => number.as_u64()?.to_string(),
        _ => return None,
    };
    Customer::from(&text).ok().filter(|name| is_new_name(name))
}
