//! Files that the server takes only if nobody else may write them.

use anyhow::{Context as _, Result};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// Writes a file that its owner alone may read, and returns its path.
pub(crate) fn write_secret(path: &Path, text: &str) -> Result<String> {
    let written = fs::write(path, text);
    let closed = written.and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(0o600)));
    closed.with_context(|| format!("write {}", path.display()))?;
    Ok(path.to_string_lossy().into_owned())
}
