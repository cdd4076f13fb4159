//! Public keys as PEM files have them: `SubjectPublicKeyInfo` in DER (RFC 5280, section 4.1; RFC 3279, 5480 and 8410).

use super::key::JwtKey;

/// All of a key of Ed25519 before its point.
const ED25519: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
/// All of a key of P-256 before its two numbers.
const P256: [u8; 27] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
    0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
];
/// The algorithm `rsaEncryption` without parameters.
const RSA: [u8; 13] = [0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;

/// The key that these bytes are.
///
/// # Errors
/// It is of no kind that is used here, or no key.
pub(super) fn parse_public_key(der: &[u8]) -> Result<JwtKey, &'static str> {
    if let Some(point) = der.strip_prefix(&ED25519) {
        return JwtKey::ed25519(point);
    }
    if let Some((x, y)) = der.strip_prefix(&P256).and_then(|point| point.split_at_checked(32)) {
        return JwtKey::p256(x, y);
    }
    let (modulus, exponent) = rsa(der).ok_or("it is no public key of RSA, P-256 or Ed25519")?;
    JwtKey::rsa(modulus, exponent)
}

/// Modulus and exponent.
fn rsa(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (info, []) = element(SEQUENCE, der)? else { return None };
    let (algorithm, info) = element(SEQUENCE, info)?;
    let (bits, []) = element(BIT_STRING, info)? else { return None };
    let [0, key @ ..] = bits else { return None };
    let (numbers, []) = element(SEQUENCE, key)? else { return None };
    let (modulus, numbers) = element(INTEGER, numbers)?;
    let (exponent, []) = element(INTEGER, numbers)? else { return None };
    let is_negative = |number: &[u8]| number.first().is_none_or(|first| first & 0x80 != 0);
    (algorithm == RSA && !is_negative(modulus) && !is_negative(exponent)).then_some((modulus, exponent))
}

/// The content of the element with this tag that `bytes` begin with, and what is behind it. Up to 64 KiB.
fn element(tag: u8, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = match bytes.strip_prefix(&[tag])? {
        [short @ 0..=0x7f, rest @ ..] => (usize::from(*short), rest),
        [0x81, length, rest @ ..] => (usize::from(*length), rest),
        [0x82, high, low, rest @ ..] => (usize::from(u16::from_be_bytes([*high, *low])), rest),
        _ => return None,
    };
    rest.split_at_checked(length)
}
