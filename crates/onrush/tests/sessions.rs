//! Sessions as an operator meets them: the first start makes a key, and `gate rotate-key` makes another one.

use std::path::Path;
use std::process::{Command, Output};

const BINARY: &str = env!("CARGO_BIN_EXE_onrush");
const JWK: &str = r#"{"kty":"oct","k":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"}"#;

fn rotate_key(data: &Path, jwk: Option<&Path>) -> Output {
    let mut command = Command::new(BINARY);
    command.env_clear().args(["gate", "rotate-key", "--data"]).arg(data);
    if let Some(jwk) = jwk {
        command.env("ONRUSH_GATE__JWT_KEY_FILE", jwk);
    }
    command.output().expect("run the binary")
}

#[test]
fn a_key_is_added_and_older_ones_are_kept() {
    let directory = tempfile::tempdir().expect("make a directory");
    let jwk = directory.path().join("jwk");
    std::fs::write(&jwk, JWK).expect("write a key");
    for kept_count in 0..3 {
        let output = rotate_key(directory.path(), Some(&jwk));
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{output:?}");
        assert!(said.contains(&format!("older keys that are kept: {kept_count} (")), "{said}");
    }
    let text = std::fs::read_to_string(directory.path().join("session-keys")).expect("read the keys");
    assert_eq!(text.lines().filter(|line| !line.starts_with('#')).count(), 3);
}

#[test]
fn without_sessions_there_is_no_key_to_make() {
    let directory = tempfile::tempdir().expect("make a directory");
    let output = rotate_key(directory.path(), None);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains(
            "sessions are off in these settings: neither gate.jwt_key_file nor gate.accounts is set"
        ),
        "{said}"
    );
    assert!(!directory.path().join("session-keys").exists());
}
