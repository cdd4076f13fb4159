//! One key that checks signatures of tokens, which has one algorithm.

use std::fmt;

use ring::hmac;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};

/// The shortest secret of HS256, in bytes (RFC 7518, section 3.2).
const SECRET_BYTES_MIN: usize = 32;
/// Bits of the modulus of RS256 (RFC 7518, section 3.3; the upper end is that of the library).
const MODULUS_BITS: std::ops::RangeInclusive<usize> = 2_048..=8_192;

/// How a token is signed, as `alg` says (RFC 7518, section 3.1, and RFC 8037).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    Rs256,
    Es256,
    EdDsa,
    Hs256,
}

/// A key, with the id that its file gives it.
pub(super) struct JwtKey {
    pub(super) id: Option<String>,
    material: Material,
}

enum Material {
    Rsa {
        modulus: Box<[u8]>,
        exponent: Box<[u8]>,
    },
    /// An uncompressed point.
    P256(Box<[u8]>),
    Ed25519(Box<[u8]>),
    Secret(hmac::Key),
}

impl Algorithm {
    const ALL: [(&'static str, Self); 4] =
        [("RS256", Self::Rs256), ("ES256", Self::Es256), ("EdDSA", Self::EdDsa), ("HS256", Self::Hs256)];

    /// The algorithm of this name; nothing for any other, `none` among them.
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(own, _)| *own == name).map(|(_, algorithm)| algorithm)
    }
}

impl JwtKey {
    /// Both numbers begin with their highest byte.
    pub(super) fn rsa(modulus: &[u8], exponent: &[u8]) -> Result<Self, &'static str> {
        let [modulus, exponent] = [modulus, exponent].map(without_leading_zeros);
        let bits = modulus.len() * 8 - modulus.first().map_or(0, |first| first.leading_zeros() as usize);
        // The library refuses other exponents with each signature, without saying so.
        let is_exponent = matches!(exponent, [3] | [1, 0, 1]);
        if !MODULUS_BITS.contains(&bits) {
            return Err("an RSA key must have 2,048 to 8,192 bits");
        }
        if !is_exponent {
            return Err("the exponent of an RSA key must be 65537 or 3");
        }
        Ok(Self::of(Material::Rsa { modulus: modulus.into(), exponent: exponent.into() }))
    }

    /// Both numbers have 32 bytes.
    pub(super) fn p256(x: &[u8], y: &[u8]) -> Result<Self, &'static str> {
        if x.len() != 32 || y.len() != 32 {
            return Err("the numbers of a P-256 key must have 32 bytes");
        }
        Ok(Self::of(Material::P256([&[4], x, y].concat().into())))
    }

    pub(super) fn ed25519(point: &[u8]) -> Result<Self, &'static str> {
        if point.len() != 32 {
            return Err("an Ed25519 key must have 32 bytes");
        }
        Ok(Self::of(Material::Ed25519(point.into())))
    }

    pub(super) fn secret(secret: &[u8]) -> Result<Self, &'static str> {
        if secret.len() < SECRET_BYTES_MIN {
            return Err("the secret of HS256 must have 32 bytes at least");
        }
        Ok(Self::of(Material::Secret(hmac::Key::new(hmac::HMAC_SHA256, secret))))
    }

    const fn of(material: Material) -> Self {
        Self { id: None, material }
    }

    /// The only algorithm that it is ever used with.
    pub(super) const fn algorithm(&self) -> Algorithm {
        match self.material {
            Material::Rsa { .. } => Algorithm::Rs256,
            Material::P256(_) => Algorithm::Es256,
            Material::Ed25519(_) => Algorithm::EdDsa,
            Material::Secret(_) => Algorithm::Hs256,
        }
    }

    /// Whether `signature` is its signature of `signed`.
    pub(super) fn verifies(&self, signed: &[u8], signature: &[u8]) -> bool {
        let verified =
            match &self.material {
                Material::Rsa { modulus, exponent } => RsaPublicKeyComponents { n: modulus, e: exponent }
                    .verify(&RSA_PKCS1_2048_8192_SHA256, signed, signature),
                Material::P256(point) => {
                    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(signed, signature)
                }
                Material::Ed25519(point) => UnparsedPublicKey::new(&ED25519, point).verify(signed, signature),
                Material::Secret(secret) => hmac::verify(secret, signed, signature),
            };
        verified.is_ok()
    }
}

impl fmt::Debug for JwtKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JwtKey({:?}, {:?}, …)", self.algorithm(), self.id)
    }
}

fn without_leading_zeros(number: &[u8]) -> &[u8] {
    let start = number.iter().position(|byte| *byte != 0).unwrap_or(number.len());
    &number[start..]
}
