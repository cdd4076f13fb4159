//! Customers who are logged in: the keys that a server is given, and the cookies that it would have given to its customers. They
//! are sealed here, so that a run does not begin with as many log-ins as it has customers.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use onrush_gate::session::{Cipher, KeyId, NONCE_BYTES, Session, SessionKey, SessionKeys};

use crate::wrk::FIRST_CUSTOMER;

/// The key of a shop that begins no session here: with one, sessions are on.
const JWT_KEY: &str = r#"{"kty":"oct","k":"BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc"}"#;
/// Longer than any benchmark.
const SESSION_TTL_MS: u64 = 12 * 3_600 * 1_000;

/// What makes the cookies.
pub(crate) struct Members {
    keys: SessionKeys,
    directory: PathBuf,
    now: u64,
}

impl Members {
    /// With keys in files of this directory.
    pub(crate) fn new(directory: &Path) -> Result<Self> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
        let now = u64::try_from(now)?;
        let keys = SessionKeys::one(SessionKey::new(KeyId(1), Cipher::default(), &[7; 32], now)?);
        let members = Self { keys, directory: directory.to_owned(), now };
        write_secret(&members.session_key_file(), &members.keys.to_text())?;
        write_secret(&members.jwt_key_file(), JWT_KEY)?;
        Ok(members)
    }

    /// What a server has to be told to know these customers.
    pub(crate) fn environment(&self) -> [(String, String); 2] {
        [("SESSION", self.session_key_file()), ("JWT", self.jwt_key_file())]
            .map(|(key, file)| (format!("ONRUSH_GATE__{key}_KEY_FILE"), file.display().to_string()))
    }

    /// The cookie of a customer.
    pub(crate) fn cookie(&self, customer: &str) -> Result<String> {
        let session =
            Session::new(customer, self.now, self.now + SESSION_TTL_MS).context("make a session")?;
        // A nonce has to be used once only; the name of the customer sees to that, and nobody has to be kept from guessing it.
        let mut nonce = [0; NONCE_BYTES];
        for (place, byte) in nonce.iter_mut().rev().zip(customer.bytes().rev()) {
            *place = byte;
        }
        Ok(format!("onrush_session={}", self.keys.seal(&session, &nonce)))
    }

    /// A file with the cookies of `count` customers of a run, as scripts of wrk name them.
    pub(crate) fn cookies(&self, run_name: &str, count: u64) -> Result<PathBuf> {
        let mut text = String::new();
        for number in 1..=count {
            let cookie = self.cookie(&format!("{run_name}{}", FIRST_CUSTOMER + number))?;
            writeln!(text, "{cookie}")?;
        }
        let path = self.directory.join("cookies");
        fs::write(&path, text).context("write the cookies")?;
        Ok(path)
    }

    fn session_key_file(&self) -> PathBuf {
        self.directory.join("session-keys")
    }

    fn jwt_key_file(&self) -> PathBuf {
        self.directory.join("shop.jwk")
    }
}

/// A file that its owner alone may read, or the server does not take it.
fn write_secret(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("write {}", path.display()))?;
    Ok(fs::set_permissions(path, fs::Permissions::from_mode(0o600))?)
}
