//! Tokens of the shop's own identity (JWT, RFC 7519, signed in the compact form of RFC 7515). A key says how it is used; what a
//! token says of its algorithm only chooses among the keys, so no token decides how it is checked.

mod claims;
mod der;
mod jwk;
mod key;
mod keys;
mod refused;

#[cfg(test)]
#[path = "attack_tests.rs"]
mod attacks;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use onrush_core::TimeMs;
use serde::Deserialize;
use serde::de::IgnoredAny;

pub use self::claims::{JwtRules, Proof};
use self::key::Algorithm;
pub use self::keys::{JwtKeys, UnusableKeys};
pub use self::refused::{JWT_CHARS_MAX, JwtRefused};

/// What a token says of its signature.
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    /// Extensions that have to be understood, of which none is.
    crit: Option<IgnoredAny>,
}

/// Who `token` says that its holder is, if one of `keys` signed it and it is good by `rules` at `now`.
///
/// # Errors
/// It proves nothing.
pub fn verify(token: &[u8], keys: &JwtKeys, rules: &JwtRules, now: TimeMs) -> Result<Proof, JwtRefused> {
    let token = std::str::from_utf8(token).map_err(|_| JwtRefused::Malformed)?;
    if token.len() > JWT_CHARS_MAX {
        return Err(JwtRefused::Malformed);
    }
    let (signed, signature) = token.rsplit_once('.').ok_or(JwtRefused::Malformed)?;
    let (header, claims) = signed.split_once('.').ok_or(JwtRefused::Malformed)?;
    let header: Header = serde_json::from_slice(&decoded(header)?).map_err(|_| JwtRefused::Malformed)?;
    if header.crit.is_some() || !header.typ.as_deref().is_none_or(is_type) {
        return Err(JwtRefused::Malformed);
    }
    let signature = decoded(signature)?;
    let algorithm = Algorithm::named(&header.alg).ok_or(JwtRefused::UnknownKey)?;
    let mut candidates = keys.of(algorithm, header.kid.as_deref()).peekable();
    candidates.peek().ok_or(JwtRefused::UnknownKey)?;
    if !candidates.any(|key| key.verifies(signed.as_bytes(), &signature)) {
        return Err(JwtRefused::BadSignature);
    }
    // Nothing that the token says counts before this line.
    rules.check(&decoded(claims)?, now)
}

/// Whether this is the type of a token that tells who somebody is (RFC 7519, section 5.1, and RFC 9068), and not that of another
/// one that the same issuer signs.
fn is_type(typ: &str) -> bool {
    let typ = typ.strip_prefix("application/").unwrap_or(typ);
    typ.eq_ignore_ascii_case("JWT") || typ.eq_ignore_ascii_case("at+jwt")
}

fn decoded(part: &str) -> Result<Vec<u8>, JwtRefused> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| JwtRefused::Malformed)
}
