//! Scripts about sessions.

use super::super::tests::check;

const JWK: &str = r#"{"kty":"oct","k":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"}"#;

#[test]
fn sessions_are_on_with_a_file_of_keys_of_the_shop() {
    check(&format!(
        "password {JWK}
         file [gate]
         file jwt_key_file = \"{{password}}\"
         shows jwt_key_file = \"
         shows # session_key_file is not set
         shows session_ttl = \"12h\"
         shows jwt_customer_claim = \"sub\"
         shows jwt_clock_skew = \"60s\"
         shows secure_cookies = false
         hides AAECAw"
    ));
    check("shows # jwt_key_file is not set");
    check("env ONRUSH_GATE__ACCOUNTS=true\nshows accounts = true\nshows # jwt_key_file is not set");
    check("env ONRUSH_GATE__ACCOUNTS=perhaps\nrefuses gate.accounts");
}

#[test]
fn files_that_hold_no_keys_are_named_and_not_repeated() {
    for (text, reason) in [
        ("secret", "there is no public key"),
        (&JWK.replace("AAECAwQFBgcI", ""), "32 bytes at least"),
        ("-----BEGIN PRIVATE KEY-----\\nAAAA\\n-----END PRIVATE KEY-----", "private key"),
    ] {
        check(&format!(
            "password {text}\nenv ONRUSH_GATE__JWT_KEY_FILE={{password}}\nrefuses gate.jwt_key_file = \nrefuses {reason}"
        ));
    }
    check(
        "env ONRUSH_GATE__JWT_KEY_FILE=/nowhere\nrefuses gate.jwt_key_file = \"/nowhere\"\nrefuses read the keys: ",
    );
    check(&format!(
        "password {JWK}
         env ONRUSH_GATE__JWT_KEY_FILE={{password}}
         env ONRUSH_GATE__SESSION_KEY_FILE={{password}}
         refuses gate.session_key_file =
         refuses line 1 is no key
         hides AAECAw"
    ));
}

#[test]
fn durations_and_texts_of_sessions_have_bounds() {
    for (key, value, rule) in [
        ("session_ttl", "59s", "must be 1m to 720h"),
        ("session_ttl", "721h", "must be 1m to 720h"),
        ("session_ttl", "a day", "is not a duration"),
        ("jwt_clock_skew", "11m", "must be 0s to 10m"),
        ("jwt_customer_claim", "", "must be 1 to 256 bytes"),
        ("jwt_issuer", "", "must be 1 to 256 bytes"),
        ("jwt_audience", "", "must be 1 to 256 bytes"),
    ] {
        check(&format!(
            "file [gate]\nfile {key} = \"{value}\"\nrefuses gate.{key} = \"{value}\"\nrefuses {rule}"
        ));
    }
    check(
        "file [gate]\nfile session_ttl = \"720h\"\nfile jwt_clock_skew = \"0s\"\nshows session_ttl = \"720h\"",
    );
}
