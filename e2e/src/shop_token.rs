//! Tokens as a shop signs them for its customers (a JWT by HS256), and the key by which a server believes them.

use anyhow::Result;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use serde_json::json;
use std::path::Path;

use crate::secret::write_secret;

/// In seconds since 1970: the year 2100.
const EXPIRES_AT: u64 = 4_102_444_800;

/// Whoever signs.
pub(crate) struct Signer {
    secret: [u8; 32],
    key: hmac::Key,
}

impl Signer {
    /// By a secret of this run.
    pub(crate) fn new(seed: u64) -> Self {
        let mut secret = [0; 32];
        secret[..8].copy_from_slice(&seed.to_be_bytes());
        Self { secret, key: hmac::Key::new(hmac::HMAC_SHA256, &secret) }
    }

    /// Writes the key as a server reads it, and returns the path.
    pub(crate) fn write_key(&self, path: &Path) -> Result<String> {
        write_secret(path, &json!({"kty": "oct", "k": URL_SAFE_NO_PAD.encode(self.secret)}).to_string())
    }

    /// The token of a customer.
    pub(crate) fn token(&self, customer: &str) -> String {
        let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!(
            "{}.{}",
            part(json!({"alg": "HS256"})),
            part(json!({"sub": customer, "exp": EXPIRES_AT}))
        );
        let signature = hmac::sign(&self.key, signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_three_parts_of_which_the_last_signs_the_others() {
        let signer = Signer::new(7);
        let token = signer.token("ann");
        let (parts, signature) = token.rsplit_once('.').expect("a signature");
        let signature = URL_SAFE_NO_PAD.decode(signature).expect("base64");
        assert!(hmac::verify(&signer.key, parts.as_bytes(), &signature).is_ok());
        let (_, claims) = parts.split_once('.').expect("claims");
        let claims = URL_SAFE_NO_PAD.decode(claims).expect("base64");
        assert_eq!(claims, br#"{"exp":4102444800,"sub":"ann"}"#);
    }
}
