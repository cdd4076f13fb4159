//! What somebody may send instead of a token that the shop made for them: nothing of it is taken, and nothing panics.

use proptest::prelude::*;
use ring::hmac;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::{Value, json};

use super::*;

const NOW_S: u64 = 1_795_000_000;
const NOW: TimeMs = NOW_S * 1_000;
const SKEW_S: u64 = 60;
const SECRET: [u8; 32] = [7; 32];

const PUBLIC: [(&str, &str); 3] = [
    ("RS256", include_str!("test_keys/rsa.public.pem")),
    ("ES256", include_str!("test_keys/p256.public.pem")),
    ("EdDSA", include_str!("test_keys/ed25519.public.pem")),
];

fn rules() -> JwtRules {
    JwtRules {
        issuer: Some("shop".into()),
        audience: Some("onrush".into()),
        customer_claim: "sub".into(),
        clock_skew_ms: SKEW_S * 1_000,
    }
}

fn keys(alg: &str) -> JwtKeys {
    let public = PUBLIC.iter().find(|(own, _)| *own == alg).map(|(_, pem)| (*pem).to_owned());
    let secret = || format!(r#"{{"kty":"oct","k":"{}"}}"#, URL_SAFE_NO_PAD.encode(SECRET));
    JwtKeys::parse(&public.unwrap_or_else(secret)).unwrap()
}

fn claims() -> Value {
    json!({"sub": "ann", "iss": "shop", "aud": "onrush", "exp": NOW_S + 300, "iat": NOW_S, "name": {"first": "Ann"}})
}

fn signature(alg: &str, signed: &[u8]) -> Vec<u8> {
    let private = |pem: &str| PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).unwrap();
    let random = SystemRandom::new();
    match alg {
        "RS256" => {
            let pem = private(include_str!("test_keys/rsa.private.pem"));
            let pair = RsaKeyPair::from_pkcs8(pem.secret_pkcs8_der()).unwrap();
            let mut signature = vec![0; pair.public().modulus_len()];
            pair.sign(&RSA_PKCS1_SHA256, &random, signed, &mut signature).unwrap();
            signature
        }
        "ES256" => {
            let pem = private(include_str!("test_keys/p256.private.pem"));
            let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
            let pair = EcdsaKeyPair::from_pkcs8(algorithm, pem.secret_pkcs8_der(), &random).unwrap();
            pair.sign(&random, signed).unwrap().as_ref().to_vec()
        }
        "EdDSA" => {
            let pem = private(include_str!("test_keys/ed25519.private.pem"));
            let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(pem.secret_pkcs8_der()).unwrap();
            pair.sign(signed).as_ref().to_vec()
        }
        _ => {
            let key = hmac::Key::new(hmac::HMAC_SHA256, &SECRET);
            hmac::sign(&key, signed).as_ref().to_vec()
        }
    }
}

/// A token with this header, signed by the key of `alg` whatever the header says.
fn token(alg: &str, header: &Value, claims: &Value) -> String {
    let [header, claims] = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
    let signed = format!("{header}.{claims}");
    let signature = URL_SAFE_NO_PAD.encode(signature(alg, signed.as_bytes()));
    format!("{signed}.{signature}")
}

fn good(alg: &str) -> String {
    token(alg, &json!({"alg": alg, "typ": "JWT"}), &claims())
}

fn check(alg: &str, token: &str) -> Result<Proof, JwtRefused> {
    verify(token.as_bytes(), &keys(alg), &rules(), NOW)
}

#[test]
fn a_token_of_each_algorithm_says_who_its_holder_is() {
    for alg in ["RS256", "ES256", "EdDSA", "HS256"] {
        let proof = check(alg, &good(alg)).expect(alg);
        assert_eq!((proof.customer.as_str(), proof.expires_at), ("ann", NOW + 300_000));
    }
}

#[test]
fn the_example_of_the_standard_is_taken() {
    // RFC 7515, appendix A.1.
    let keys = r#"{"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}"#;
    let token = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    let rules = JwtRules { issuer: None, audience: None, customer_claim: "iss".into(), clock_skew_ms: 0 };
    let keys = JwtKeys::parse(keys).unwrap();
    let proof = verify(token.as_bytes(), &keys, &rules, 1_300_819_379_999).unwrap();
    assert_eq!(proof.customer.as_str(), "joe");
    assert_eq!(verify(token.as_bytes(), &keys, &rules, 1_300_819_380_000), Err(JwtRefused::Expired));
}

#[test]
fn no_token_chooses_how_it_is_checked() {
    let names =
        ["none", "None", "NONE", "", "HS256", "RS256", "ES256", "EdDSA", "RS512", "PS256", "ES256K", "HS384"];
    for own in ["RS256", "ES256", "EdDSA", "HS256"] {
        for named in names.into_iter().filter(|named| *named != own) {
            let swapped = token(own, &json!({"alg": named}), &claims());
            assert_eq!(check(own, &swapped), Err(JwtRefused::UnknownKey), "{own} as {named}");
            let unsigned = format!("{}.", swapped.rsplit_once('.').unwrap().0);
            assert_eq!(check(own, &unsigned), Err(JwtRefused::UnknownKey), "{own} as {named}, unsigned");
        }
    }
}

#[test]
fn the_text_of_a_public_key_is_no_secret() {
    for (alg, pem) in PUBLIC {
        for named in ["HS256", alg] {
            let header = URL_SAFE_NO_PAD.encode(json!({"alg": named}).to_string());
            let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims().to_string()));
            let key = hmac::Key::new(hmac::HMAC_SHA256, pem.as_bytes());
            let forged = hmac::sign(&key, signed.as_bytes());
            let forged = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(forged));
            assert!(check(alg, &forged).is_err(), "{alg} as {named}");
        }
    }
}

#[test]
fn a_token_with_any_bit_flipped_is_refused() {
    for alg in ["RS256", "ES256", "EdDSA", "HS256"] {
        let good = good(alg);
        let (keys, rules) = (keys(alg), rules());
        for at in 0..good.len() {
            for bit in 0..8 {
                let mut flipped = good.as_bytes().to_vec();
                flipped[at] ^= 1 << bit;
                assert!(verify(&flipped, &keys, &rules, NOW).is_err(), "{alg}: byte {at}, bit {bit}");
            }
        }
    }
}

#[test]
fn a_token_that_was_cut_made_longer_or_put_together_is_refused() {
    let good = good("EdDSA");
    for end in 0..good.len() {
        assert!(check("EdDSA", &good[..end]).is_err(), "{end}");
    }
    let other = token("EdDSA", &json!({"alg": "EdDSA"}), &json!({"sub": "bob"}));
    let [header, _, signature] = good.split('.').collect::<Vec<_>>()[..] else { panic!("three parts") };
    let others_claims = other.split('.').nth(1).unwrap();
    for (forged, expected) in [
        (format!("{header}.{others_claims}.{signature}"), JwtRefused::BadSignature),
        (format!("{good}.{signature}"), JwtRefused::BadSignature),
        (format!("{good}="), JwtRefused::Malformed),
        (format!(" {good}"), JwtRefused::Malformed),
        (format!("{good}\n"), JwtRefused::Malformed),
        ("..".to_owned(), JwtRefused::Malformed),
        (format!(".{}", "A".repeat(JWT_CHARS_MAX)), JwtRefused::Malformed),
        (".".repeat(JWT_CHARS_MAX), JwtRefused::Malformed),
    ] {
        assert_eq!(check("EdDSA", &forged), Err(expected), "{forged}");
    }
}

#[test]
fn headers_that_ask_for_more_than_a_signature() {
    for (header, expected) in [
        (json!({"alg": "HS256", "crit": ["exp"]}), Err(JwtRefused::Malformed)),
        (json!({"alg": "HS256", "crit": []}), Err(JwtRefused::Malformed)),
        (json!({"alg": "HS256", "typ": "logout+jwt"}), Err(JwtRefused::Malformed)),
        (json!({"alg": ["HS256"]}), Err(JwtRefused::Malformed)),
        (json!({"typ": "JWT"}), Err(JwtRefused::Malformed)),
        (json!([]), Err(JwtRefused::Malformed)),
        (json!({"alg": "HS256", "typ": "application/at+JWT"}), Ok(())),
        (json!({"alg": "HS256", "jku": "https://evil.example", "jwk": {"kty": "oct", "k": ""}}), Ok(())),
        (json!({"alg": "HS256", "kid": "../../dev/null"}), Ok(())),
    ] {
        let found = check("HS256", &token("HS256", &header, &claims())).map(|_| ());
        assert_eq!(found, expected, "{header}");
    }
}

#[test]
fn claims_that_are_not_what_is_demanded() {
    use JwtRefused::{Expired, NoCustomer, NoExpiry, NotYet, WrongAudience, WrongIssuer};
    for (member, value, expected) in [
        ("exp", json!(null), Some(NoExpiry)),
        ("exp", json!("9999999999"), Some(NoExpiry)),
        ("exp", json!(-1), Some(NoExpiry)),
        ("exp", json!([NOW_S + 1]), Some(NoExpiry)),
        ("exp", json!(0), Some(Expired)),
        ("exp", json!(NOW_S - SKEW_S), Some(Expired)),
        ("exp", json!(NOW_S - SKEW_S + 1), None),
        ("exp", json!(1e300), None),
        ("exp", json!(u64::MAX), None),
        ("nbf", json!(NOW_S + SKEW_S), None),
        ("nbf", json!(NOW_S + SKEW_S + 1), Some(NotYet)),
        ("nbf", json!("0"), Some(NotYet)),
        ("nbf", json!(null), Some(NotYet)),
        ("iss", json!("other"), Some(WrongIssuer)),
        ("iss", json!(["shop"]), Some(WrongIssuer)),
        ("iss", json!("Shop"), Some(WrongIssuer)),
        ("aud", json!("other"), Some(WrongAudience)),
        ("aud", json!([]), Some(WrongAudience)),
        ("aud", json!(["other", "onrush"]), None),
        ("aud", json!({"onrush": 1}), Some(WrongAudience)),
        ("sub", json!(""), Some(NoCustomer)),
        ("sub", json!(".."), Some(NoCustomer)),
        ("sub", json!("an n"), Some(NoCustomer)),
        ("sub", json!("n".repeat(65)), Some(NoCustomer)),
        ("sub", json!(null), Some(NoCustomer)),
        ("sub", json!(-7), Some(NoCustomer)),
        ("sub", json!(7), None),
    ] {
        let mut claims = claims();
        claims[member] = value.clone();
        let found = check("HS256", &token("HS256", &json!({"alg": "HS256"}), &claims)).err();
        assert_eq!(found, expected, "{member} = {value}");
    }
    for member in ["exp", "iss", "aud", "sub"] {
        let mut claims = claims();
        claims.as_object_mut().unwrap().remove(member);
        check("HS256", &token("HS256", &json!({"alg": "HS256"}), &claims)).expect_err(member);
    }
    for claims in [json!([]), json!(null), json!("sub")] {
        let token = token("HS256", &json!({"alg": "HS256"}), &claims);
        assert_eq!(check("HS256", &token), Err(JwtRefused::Malformed), "{claims}");
    }
}

#[test]
fn a_token_for_somebody_is_not_for_a_server_that_has_no_name() {
    let rules = JwtRules { audience: None, ..rules() };
    assert_eq!(verify(good("HS256").as_bytes(), &keys("HS256"), &rules, NOW), Err(JwtRefused::WrongAudience));
}

#[test]
fn clocks_that_step_open_nothing_that_was_closed() {
    let token = good("HS256");
    for (now, expected) in [
        (NOW + 300_000 + SKEW_S * 1_000 - 1, None),
        (NOW + 300_000 + SKEW_S * 1_000, Some(JwtRefused::Expired)),
        (u64::MAX, Some(JwtRefused::Expired)),
    ] {
        assert_eq!(verify(token.as_bytes(), &keys("HS256"), &rules(), now).err(), expected, "{now}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_no_token(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(verify(&bytes, &keys("HS256"), &rules(), NOW).is_err());
    }

    #[test]
    fn signed_nonsense_never_panics(header in ".{0,60}", claims in ".{0,60}") {
        for header in [header.as_str(), r#"{"alg":"HS256"}"#] {
            let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(&claims));
            let signature = URL_SAFE_NO_PAD.encode(signature("HS256", signed.as_bytes()));
            let token = format!("{signed}.{signature}");
            prop_assert!(verify(token.as_bytes(), &keys("HS256"), &rules(), NOW).is_err());
        }
    }
}
