//! All keys that check signatures of tokens, as a file has them: public keys in PEM, a JWK, or a JWKS.

use std::borrow::Cow;

use rustls_pki_types::pem::{PemObject as _, SectionKind};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::der::parse_public_key;
use super::jwk::{Jwk, NoKey};
use super::key::{Algorithm, JwtKey};

/// The most bytes of a file of keys.
const FILE_BYTES_MAX: usize = 64 << 10;
/// The most keys. A token that names none is tried with each of its algorithm, so this bounds what a token costs.
const KEYS_MAX: usize = 16;

/// One key at least.
#[derive(Debug)]
pub struct JwtKeys(Vec<JwtKey>);

/// Why a file has no keys that can be used. Nothing of it is repeated: it may be a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UnusableKeys(Cow<'static, str>);

#[derive(Deserialize)]
struct Jwks<'a> {
    #[serde(borrow)]
    keys: Vec<&'a RawValue>,
}

impl JwtKeys {
    /// No keys: no token proves anything.
    pub const fn none() -> Self {
        Self(Vec::new())
    }

    /// The keys in the text of a file. Keys of a set that are for something else are passed over.
    ///
    /// # Errors
    /// A key is wrong, or there is none to use.
    pub fn parse(text: &str) -> Result<Self, UnusableKeys> {
        if text.len() > FILE_BYTES_MAX {
            return Err(unusable(format!("it has more than {FILE_BYTES_MAX} bytes")));
        }
        let keys = match text.trim_start() {
            json if json.starts_with('{') => of_json(json)?,
            pem => of_pem(pem)?,
        };
        match keys.len() {
            0 => Err(unusable("there is no public key of RSA, P-256 or Ed25519, JWK or JWKS in it")),
            count if count > KEYS_MAX => Err(unusable(format!("there are more than {KEYS_MAX} keys in it"))),
            _ => Ok(Self(keys)),
        }
    }

    /// The keys of this algorithm that a token with this key id may be signed by: a key without an id may be any.
    pub(super) fn of(&self, algorithm: Algorithm, id: Option<&str>) -> impl Iterator<Item = &JwtKey> {
        self.0.iter().filter(move |key| {
            let may_be = match (id, key.id.as_deref()) {
                (Some(wanted), Some(own)) => wanted == own,
                _ => true,
            };
            may_be && key.algorithm() == algorithm
        })
    }
}

fn of_json(text: &str) -> Result<Vec<JwtKey>, UnusableKeys> {
    if let Ok(set) = serde_json::from_str::<Jwks<'_>>(text) {
        let mut keys = Vec::new();
        for (at, key) in set.keys.iter().enumerate() {
            match jwk(key.get()) {
                Ok(key) => keys.push(key),
                Err(NoKey::ForOthers(_)) => {}
                Err(NoKey::Wrong(reason)) => return Err(unusable(format!("keys[{at}]: {reason}"))),
            }
        }
        return Ok(keys);
    }
    jwk(text)
        .map(|key| vec![key])
        .map_err(|(NoKey::ForOthers(reason) | NoKey::Wrong(reason))| unusable(reason))
}

fn jwk(text: &str) -> Result<JwtKey, NoKey> {
    // What is wrong is not said by the parser: it repeats what it read.
    let jwk: Jwk<'_> = serde_json::from_str(text).map_err(|_| NoKey::Wrong("it is no JWK and no JWKS"))?;
    jwk.to_key()
}

fn of_pem(text: &str) -> Result<Vec<JwtKey>, UnusableKeys> {
    let mut keys = Vec::new();
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(text.as_bytes()) {
        let (kind, der) =
            section.map_err(|_| unusable("it is no PEM: a section has no end or is not base64"))?;
        match kind {
            SectionKind::PublicKey => keys.push(parse_public_key(&der).map_err(unusable)?),
            SectionKind::PrivateKey | SectionKind::RsaPrivateKey | SectionKind::EcPrivateKey => {
                let reason = "it is a private key: only the shop may have that. `openssl pkey -pubout` makes the public one";
                return Err(unusable(reason));
            }
            _ => {
                let reason = "it has something other than PUBLIC KEY. `openssl x509 -pubkey -noout` takes that out of a certificate";
                return Err(unusable(reason));
            }
        }
    }
    Ok(keys)
}

fn unusable(reason: impl Into<Cow<'static, str>>) -> UnusableKeys {
    UnusableKeys(reason.into())
}

#[cfg(test)]
#[path = "keys_tests.rs"]
mod tests;
