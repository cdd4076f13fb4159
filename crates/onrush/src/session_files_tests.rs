//! Files of keys that are made, rotated and read again.

use std::os::unix::fs::PermissionsExt as _;

use onrush_gate::jwt::JwtRules;

use super::*;

const JWK: &str = r#"{"kty":"oct","k":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"}"#;
const NOW: TimeMs = 1_795_000_000_000;

fn files(directory: &Path) -> SessionFiles {
    let jwt_rules = JwtRules { issuer: None, audience: None, customer_claim: "sub".into(), clock_skew_ms: 0 };
    let settings = SessionSettings { ttl_ms: 60_000, secure_cookies: false, jwt_rules };
    let jwt_keys = directory.join("jwk");
    fs::write(&jwt_keys, JWK).unwrap();
    SessionFiles {
        settings,
        session_keys: directory.join("session-keys"),
        jwt_keys: Some(jwt_keys),
        accounts: false,
    }
}

#[test]
fn the_first_start_makes_a_key_that_only_its_owner_can_read_and_the_next_one_keeps_it() {
    let directory = tempfile::tempdir().unwrap();
    let files = files(directory.path());
    open(&files, NOW).unwrap();
    let text = fs::read_to_string(&files.session_keys).unwrap();
    let mode = fs::metadata(&files.session_keys).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    open(&files, NOW + 1).unwrap();
    assert_eq!(fs::read_to_string(&files.session_keys).unwrap(), text);
    fs::write(&files.session_keys, "nonsense").unwrap();
    let error = open(&files, NOW).unwrap_err().to_string();
    assert!(error.contains("line 1"), "{error}");
    assert_eq!(fs::read_to_string(&files.session_keys).unwrap(), "nonsense", "nothing is put in its place");
}

#[test]
fn a_rotation_adds_a_key_whole_and_leaves_no_file_behind() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("session-keys");
    fs::write(beside(&path, "unfinished"), "cut off").unwrap();
    let (first, kept) = rotate(&path, NOW).unwrap();
    assert_eq!(kept, 0);
    let (second, kept) = rotate(&path, NOW + 1).unwrap();
    assert_eq!(kept, 1);
    let keys = read_session_keys(&path).unwrap().unwrap();
    let ids: Vec<_> = keys.as_slice().iter().map(SessionKey::id).collect();
    assert_eq!(ids, [first, second]);
    assert!(!beside(&path, "unfinished").exists());
    fs::write(&path, "nonsense").unwrap();
    rotate(&path, NOW).unwrap_err();
    assert_eq!(fs::read_to_string(&path).unwrap(), "nonsense");
}

#[test]
fn a_file_that_is_read_again_and_is_wrong_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let files = files(directory.path());
    let sessions = open(&files, NOW).unwrap();
    let mut watch = SessionWatch::new(files.clone(), sessions);
    for text in ["nonsense", JWK, ""] {
        fs::write(files.jwt_keys.as_ref().unwrap(), text).unwrap();
        fs::write(&files.session_keys, text).unwrap();
        watch.read();
    }
    fs::remove_file(&files.session_keys).unwrap();
    watch.read();
    rotate(&files.session_keys, NOW).unwrap();
    watch.read();
}
