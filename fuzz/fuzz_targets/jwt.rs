//! Any bytes as a token of the shop, as its claims, and as a file of keys: never a panic, and nothing is proved that was not signed.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use onrush_gate::jwt::{JwtKeys, JwtRules, verify};

const NOW: u64 = 1_795_000_000_000;

static KEYS: LazyLock<JwtKeys> = LazyLock::new(|| {
    // Keys of RFC 8037 and RFC 7515: an Ed25519 key and a secret.
    let keys = r#"{"keys":[
        {"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
        {"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}
    ]}"#;
    JwtKeys::parse(keys).expect("two keys")
});

fuzz_target!(|bytes: &[u8]| {
    let rules = JwtRules { issuer: None, audience: None, customer_claim: "sub".into(), clock_skew_ms: 60_000 };
    assert!(verify(bytes, &KEYS, &rules, NOW).is_err());
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = JwtKeys::parse(text);
    }
});
