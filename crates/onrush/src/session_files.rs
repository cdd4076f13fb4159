//! The files of the keys of sessions: read, made, and read again when they change. Whether they changed is asked once a second,
//! so that no signal is needed after a rotation.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use onrush_core::TimeMs;
use onrush_edge::{SessionSettings, Sessions};
use onrush_gate::jwt::JwtKeys;
use onrush_gate::session::{Cipher, KeyId, SessionKey, SessionKeys};

/// How long a file that changed may go unseen.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Bytes of a file that are read: more than any file of keys has.
const FILE_BYTES_MAX: u64 = 128 << 10;

/// What sessions need to begin with.
#[derive(Clone, Debug)]
pub(crate) struct SessionFiles {
    pub(crate) settings: SessionSettings,
    /// Of the keys for sessions. Made if it does not exist.
    pub(crate) session_keys: PathBuf,
    /// Of the keys that check the shop's tokens, if it has any.
    pub(crate) jwt_keys: Option<PathBuf>,
    /// Whether customers have accounts here.
    pub(crate) accounts: bool,
}

/// The keys that check the shop's tokens, or what is wrong with the file.
pub(crate) fn read_jwt_keys(path: &Path) -> Result<JwtKeys, String> {
    let text = read(path).map_err(|error| format!("read the keys: {error}"))?;
    JwtKeys::parse(&text).map_err(|error| error.to_string())
}

/// The keys of sessions, or what is wrong with the file; nothing if there is none.
pub(crate) fn read_session_keys(path: &Path) -> Result<Option<SessionKeys>, String> {
    match read(path) {
        Ok(text) => text.parse().map(Some).map_err(|error| format!("{error}")),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("read the keys: {error}")),
    }
}

/// The sessions of a server that starts, with a new file of keys if there is none.
pub(crate) fn open(files: &SessionFiles, now: TimeMs) -> anyhow::Result<Arc<Sessions>> {
    if files.accounts && files.jwt_keys.is_some() {
        tracing::warn!(
            "gate.accounts and gate.jwt_key_file are both set: anybody can register a name that the shop gives to somebody else, \
             and be that customer. Set one of them, or keep the names apart"
        );
    }
    let found = read_session_keys(&files.session_keys).map_err(|error| anyhow!(error))?;
    let keys = if let Some(keys) = found {
        keys
    } else {
        let keys = SessionKeys::one(new_key(now)?);
        write(&files.session_keys, &keys.to_text())?;
        tracing::info!(path = %files.session_keys.display(), "made a key for sessions");
        keys
    };
    let jwt_keys = files.jwt_keys.as_deref().map_or_else(|| Ok(JwtKeys::none()), read_jwt_keys);
    let jwt_keys = jwt_keys.map_err(|error| anyhow!(error))?;
    Ok(Arc::new(Sessions::new(files.settings.clone(), keys, jwt_keys)))
}

/// Adds a key for new sessions to the file and leaves out those that no session can need. Returns the new key's id, and how many older
/// keys are kept.
pub(crate) fn rotate(path: &Path, now: TimeMs) -> anyhow::Result<(KeyId, usize)> {
    let lock =
        OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(beside(path, "lock"));
    let lock = lock.with_context(|| format!("open the lock of {}", path.display()))?;
    // Held until the end: two rotations at once would lose one of the keys.
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).context("lock the file of keys")?;
    let key = new_key(now)?;
    let id = key.id();
    let keys = match read_session_keys(path).map_err(|error| anyhow!("{}: {error}", path.display()))? {
        Some(keys) => keys.rotated(key)?,
        None => SessionKeys::one(key),
    };
    write(path, &keys.to_text())?;
    Ok((id, keys.as_slice().len() - 1))
}

fn new_key(now: TimeMs) -> anyhow::Result<SessionKey> {
    let cipher = Cipher::default();
    let mut secret = vec![0; cipher.key_bytes()];
    getrandom::fill(&mut secret).context("draw random numbers")?;
    let id = getrandom::u32().context("draw random numbers")?;
    Ok(SessionKey::new(KeyId(id), cipher, &secret, now)?)
}

/// Puts a file in place whole, which its owner alone can read.
fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let unfinished = beside(path, "unfinished");
    let write = || {
        match fs::remove_file(&unfinished) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&unfinished, path)?;
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
    };
    write().with_context(|| format!("write the keys of sessions to {}", path.display()))
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    PathBuf::from(name)
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(FILE_BYTES_MAX).read_to_string(&mut text)?;
    Ok(text)
}

/// Looks whether files of keys have changed.
pub(crate) struct SessionWatch {
    files: SessionFiles,
    sessions: Arc<Sessions>,
    seen: [Option<Stamp>; 2],
}

/// What tells a file from the one that was there before.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    length: u64,
    modified: (i64, i64),
}

impl SessionWatch {
    /// `sessions` has the keys that are in the files now.
    pub(crate) fn new(files: SessionFiles, sessions: Arc<Sessions>) -> Self {
        let seen = stamps(&files);
        Self { files, sessions, seen }
    }

    /// Waits, and then reads what changed.
    pub(crate) async fn look(&mut self) {
        tokio::time::sleep(LOOK_INTERVAL).await;
        self.read();
    }

    /// Reads what changed. A file that is wrong changes nothing, and is told once.
    pub(crate) fn read(&mut self) {
        let now = stamps(&self.files);
        let [of_sessions, of_jwt] = [now[0] != self.seen[0], now[1] != self.seen[1]];
        self.seen = now;
        if of_sessions {
            let path = &self.files.session_keys;
            let read =
                read_session_keys(path).and_then(|keys| keys.ok_or_else(|| "there is none".to_owned()));
            said("gate.session_key_file", path, read.map(|keys| self.sessions.set_keys(keys)));
        }
        if of_jwt && let Some(path) = &self.files.jwt_keys {
            said("gate.jwt_key_file", path, read_jwt_keys(path).map(|keys| self.sessions.set_jwt_keys(keys)));
        }
    }
}

fn said(key: &str, path: &Path, read: Result<(), String>) {
    let path = path.display();
    match read {
        Ok(()) => tracing::info!("{key} = {path}: the file has changed, and its keys are in force"),
        Err(problem) => {
            tracing::error!(
                "{key} = {path}: the file has changed and is wrong, so the keys before it stay: {problem}"
            );
        }
    }
}

fn stamps(files: &SessionFiles) -> [Option<Stamp>; 2] {
    [stamp(&files.session_keys), files.jwt_keys.as_deref().and_then(stamp)]
}

fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = fs::metadata(path).ok()?;
    let modified = (metadata.mtime(), metadata.mtime_nsec());
    Some(Stamp { inode: metadata.ino(), length: metadata.len(), modified })
}

#[cfg(test)]
#[path = "session_files_tests.rs"]
mod tests;
