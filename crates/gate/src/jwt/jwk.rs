//! A key as JSON (JWK, RFC 7517, 7518 and 8037).

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::key::{Algorithm, JwtKey};

/// The members that mean something here. There may be others.
#[derive(Deserialize)]
pub(super) struct Jwk<'a> {
    #[serde(borrow)]
    kty: Cow<'a, str>,
    #[serde(borrow)]
    kid: Option<Cow<'a, str>>,
    #[serde(borrow)]
    alg: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "use")]
    used_for: Option<Cow<'a, str>>,
    #[serde(borrow)]
    key_ops: Option<Vec<Cow<'a, str>>>,
    #[serde(borrow)]
    crv: Option<Cow<'a, str>>,
    #[serde(borrow)]
    n: Option<Cow<'a, str>>,
    #[serde(borrow)]
    e: Option<Cow<'a, str>>,
    #[serde(borrow)]
    x: Option<Cow<'a, str>>,
    #[serde(borrow)]
    y: Option<Cow<'a, str>>,
    #[serde(borrow)]
    k: Option<Cow<'a, str>>,
    /// The private part.
    d: Option<IgnoredAny>,
}

/// Why a JWK is not used.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NoKey {
    /// It is for something else, which a set may hold as well.
    ForOthers(&'static str),
    /// It is wrong.
    Wrong(&'static str),
}

impl Jwk<'_> {
    /// The key with the only algorithm that its kind allows.
    pub(super) fn to_key(&self) -> Result<JwtKey, NoKey> {
        use NoKey::{ForOthers, Wrong};
        if self.d.is_some() {
            return Err(Wrong("it is a private key: only the shop may have that, give the public one"));
        }
        let is_for_signatures = self.used_for.as_deref().is_none_or(|used_for| used_for == "sig")
            && self.key_ops.as_ref().is_none_or(|operations| operations.iter().any(|one| one == "verify"));
        if !is_for_signatures {
            return Err(ForOthers("it is not for checking signatures (use, key_ops)"));
        }
        let key = match (&*self.kty, self.crv.as_deref()) {
            ("RSA", _) => JwtKey::rsa(&number(self.n.as_ref())?, &number(self.e.as_ref())?),
            ("EC", Some("P-256")) => JwtKey::p256(&number(self.x.as_ref())?, &number(self.y.as_ref())?),
            ("OKP", Some("Ed25519")) => JwtKey::ed25519(&number(self.x.as_ref())?),
            ("oct", _) => JwtKey::secret(&number(self.k.as_ref())?),
            _ => return Err(ForOthers("its kind is none of RSA, P-256, Ed25519 and oct (kty, crv)")),
        };
        let mut key = key.map_err(Wrong)?;
        let is_same = |alg: &str| Algorithm::named(alg) == Some(key.algorithm());
        if !self.alg.as_deref().is_none_or(is_same) {
            return Err(ForOthers(
                "its algorithm is none of RS256, ES256, EdDSA and HS256 for its kind (alg)",
            ));
        }
        key.id = self.kid.as_deref().map(str::to_owned);
        Ok(key)
    }
}

fn number(text: Option<&Cow<'_, str>>) -> Result<Vec<u8>, NoKey> {
    let text = text.ok_or(NoKey::Wrong("a part of the key is missing"))?;
    URL_SAFE_NO_PAD.decode(&**text).map_err(|_| NoKey::Wrong("a part of the key is not base64url"))
}
