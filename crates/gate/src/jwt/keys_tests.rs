//! Files of keys: what is used, what is passed over, and what is refused.

use super::*;

const RSA: &str = include_str!("test_keys/rsa.public.pem");
const RSA_SHORT: &str = include_str!("test_keys/rsa_short.public.pem");
const P256: &str = include_str!("test_keys/p256.public.pem");
const P384: &str = include_str!("test_keys/p384.public.pem");
const ED25519: &str = include_str!("test_keys/ed25519.public.pem");

const SECRET: &str = r#"{"kty":"oct","kid":"s","k":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"}"#;
/// The keys of RFC 7515, appendix A.2 and A.3, and of RFC 8037, appendix A.2.
const RSA_JWK: &str = r#"{"kty":"RSA","kid":"r","use":"sig","alg":"RS256","extra":[1],"n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ","e":"AQAB"}"#;
const P256_JWK: &str = r#"{"kty":"EC","crv":"P-256","key_ops":["verify"],"x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#;
const ED25519_JWK: &str =
    r#"{"kty":"OKP","crv":"Ed25519","kid":"e","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;

fn set(keys: &[&str]) -> String {
    format!(r#"{{"keys":[{}]}}"#, keys.join(","))
}

fn found(text: &str) -> Vec<(Algorithm, Option<String>)> {
    let keys = JwtKeys::parse(text).expect(text);
    keys.0.iter().map(|key| (key.algorithm(), key.id.clone())).collect()
}

fn refused(text: &str) -> String {
    JwtKeys::parse(text).expect_err(text).to_string()
}

#[test]
fn each_key_has_the_algorithm_of_its_kind() {
    let id = |id: &str| Some(id.to_owned());
    assert_eq!(found(RSA), [(Algorithm::Rs256, None)]);
    assert_eq!(found(P256), [(Algorithm::Es256, None)]);
    assert_eq!(found(ED25519), [(Algorithm::EdDsa, None)]);
    let several = format!("for people\n{RSA}{ED25519}\r\n{P256}");
    let kinds = [Algorithm::Rs256, Algorithm::EdDsa, Algorithm::Es256];
    assert_eq!(found(&several), kinds.map(|algorithm| (algorithm, None)));
    assert_eq!(found(SECRET), [(Algorithm::Hs256, id("s"))]);
    let all = set(&[RSA_JWK, P256_JWK, ED25519_JWK, SECRET]);
    assert_eq!(
        found(&all),
        [
            (Algorithm::Rs256, id("r")),
            (Algorithm::Es256, None),
            (Algorithm::EdDsa, id("e")),
            (Algorithm::Hs256, id("s"))
        ]
    );
}

#[test]
fn keys_of_a_set_for_something_else_are_passed_over_and_alone_they_are_refused() {
    for other in [
        RSA_JWK.replace("\"sig\"", "\"enc\"").as_str(),
        RSA_JWK.replace("RS256", "RS512").as_str(),
        RSA_JWK.replace("RS256", "HS256").as_str(),
        RSA_JWK.replace("RS256", "none").as_str(),
        P256_JWK.replace("\"verify\"", "\"sign\"").as_str(),
        P256_JWK.replace("P-256", "P-521").as_str(),
        ED25519_JWK.replace("Ed25519", "X25519").as_str(),
        r#"{"kty":"new"}"#,
    ] {
        assert_eq!(found(&set(&[other, ED25519_JWK])).len(), 1, "{other}");
        JwtKeys::parse(other).expect_err(other);
        JwtKeys::parse(&set(&[other])).expect_err(other);
    }
}

#[test]
fn files_that_are_wrong_are_refused_with_the_reason_and_nothing_of_them_is_repeated() {
    let many = vec![SECRET; KEYS_MAX + 1];
    for (text, reason) in [
        ("", "there is no public key"),
        ("nonsense", "there is no public key"),
        ("{}", "no JWK and no JWKS"),
        ("{", "no JWK and no JWKS"),
        (r#"{"keys":[]}"#, "there is no public key"),
        (r#"{"keys":[7]}"#, "keys[0]: it is no JWK"),
        (&set(&many), "more than 16 keys"),
        (&" ".repeat(FILE_BYTES_MAX + 1), "more than 65536 bytes"),
        (RSA_SHORT, "2,048 to 8,192 bits"),
        (P384, "no public key of RSA, P-256 or Ed25519"),
        (include_str!("test_keys/rsa.private.pem"), "private key"),
        (include_str!("test_keys/ed25519.private.pem"), "private key"),
        (&RSA.replace("PUBLIC KEY", "CERTIFICATE"), "x509"),
        (&RSA.replace("-----END", "-----ENDE"), "no PEM"),
        (&SECRET.replace("AAECAwQFBgcI", ""), "32 bytes at least"),
        (&SECRET.replace("AAEC", "AA+/"), "not base64url"),
        (&SECRET.replace("\"k\"", "\"x\""), "missing"),
        (&RSA_JWK.replace("AQAB", "AQ"), "exponent"),
        (&RSA_JWK.replace("\"e\"", "\"d\""), "private key"),
        (&ED25519_JWK.replace("11qY", ""), "32 bytes"),
        (&P256_JWK.replace("f83O", ""), "32 bytes"),
        (&set(&[ED25519_JWK, &RSA_JWK.replace("AQAB", "AAAA")]), "keys[1]: the exponent"),
    ] {
        let said = refused(text);
        assert!(said.contains(reason), "{text}: {said}");
        assert!(!said.contains("BgcI"), "{said}");
    }
}

#[test]
fn a_public_key_that_was_cut_or_changed_never_panics() {
    for pem in [RSA, P256, ED25519] {
        let (_, der) = <(SectionKind, Vec<u8>)>::from_pem_slice(pem.as_bytes()).unwrap();
        for end in 0..der.len() {
            assert!(parse_public_key(&der[..end]).is_err(), "{end}");
        }
        for at in 0..der.len() {
            for bit in 0..8 {
                let mut changed = der.clone();
                changed[at] ^= 1 << bit;
                let _ = parse_public_key(&changed);
            }
        }
    }
}

#[test]
fn a_key_id_chooses_among_keys_that_have_one() {
    let keys = JwtKeys::parse(&set(&[P256_JWK, ED25519_JWK, SECRET])).unwrap();
    let count = |algorithm, id| keys.of(algorithm, id).count();
    assert_eq!(count(Algorithm::EdDsa, Some("e")), 1);
    assert_eq!(count(Algorithm::EdDsa, Some("s")), 0);
    assert_eq!(count(Algorithm::EdDsa, None), 1);
    assert_eq!(count(Algorithm::Es256, Some("any")), 1, "a key without an id may be any");
    assert_eq!(count(Algorithm::Rs256, None), 0);
}
