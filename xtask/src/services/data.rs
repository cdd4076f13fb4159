//! The data directory of a server that refuses to run as root: root runs it as the user that its package makes, and the
//! directory lies under `/tmp` if that user may not enter the directory of the services.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::chance::password;
use super::home::Home;
use super::lines::Lines;
use super::process::attached;
use crate::steps::{execute, succeeds};

/// A path for the data that the server may get at: in `home` if its user may enter it. `None` is the user that runs this
/// program.
pub(super) fn choose(home: &Home, user: Option<&str>) -> Result<PathBuf> {
    let Some(user) = user else { return Ok(home.path("data")) };
    ensure!(succeeds(Command::new("id").arg(user)), "there is no user {user} to run the server");
    let mut parents = home.directory.ancestors();
    let may_enter =
        parents.all(|parent| succeeds(attached(Path::new("test"), Some(user)).arg("-x").arg(parent)));
    let name = home.directory.file_name().unwrap_or_default().to_string_lossy();
    Ok(if may_enter {
        home.path("data")
    } else {
        PathBuf::from(format!("/tmp/onrush-{name}-{}/data", &password()?[..12]))
    })
}

/// Makes the chosen directory, empty and the server's own.
pub(super) fn make(settings: &Lines, user: Option<&str>) -> Result<PathBuf> {
    let data = PathBuf::from(settings.get("DATA")?);
    if user.is_some() {
        let parent = data.parent().context("the data directory has none above it")?;
        std::fs::create_dir_all(parent).with_context(|| format!("make {}", parent.display()))?;
    }
    execute(install("0700", user).arg("--directory").arg(&data))?;
    Ok(data)
}

/// Copies a file so that the server, and nobody else, may read the copy.
pub(super) fn give(file: &Path, copy: &Path, user: Option<&str>) -> Result<()> {
    execute(install("0600", user).arg(file).arg(copy))
}

fn install(mode: &str, user: Option<&str>) -> Command {
    let mut install = Command::new("install");
    install.arg(format!("--mode={mode}"));
    if let Some(user) = user {
        install.args([format!("--owner={user}"), format!("--group={user}")]);
    }
    install
}
