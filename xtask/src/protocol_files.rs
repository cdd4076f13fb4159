//! `buf lint` of the protocol files in `proto/`, by the buf that `xtask/buf/package-lock.json` names. It comes from npm.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::machine;
use crate::steps::{Steps, execute, root};

/// Checks them, or says why not. `proto/buf.yaml` says what is asked of them.
pub(crate) fn check(steps: &mut Steps) {
    let name = "buf lint proto";
    match install() {
        Ok(buf) => {
            steps.run(name, || execute(Command::new(buf).args(["lint", "proto"]).current_dir(root())));
        }
        Err(error) => steps.skip(name, &format!("buf cannot be had: {error:#}")),
    }
}

/// Where buf is, after installing it if that version is not there.
fn install() -> Result<PathBuf> {
    let (wanted, home) = (root().join("xtask/buf"), root().join("target/buf"));
    let (lock, installed) = ("package-lock.json", home.join("installed.json"));
    let doing = || format!("read {}", wanted.join(lock).display());
    let wanted_lock = fs::read(wanted.join(lock)).with_context(doing)?;
    if fs::read(&installed).ok().as_ref() != Some(&wanted_lock) {
        let npm = machine::program("npm")?;
        fs::create_dir_all(&home).with_context(|| format!("create {}", home.display()))?;
        for file in ["package.json", lock] {
            fs::copy(wanted.join(file), home.join(file)).with_context(|| format!("copy {file}"))?;
        }
        let arguments = ["ci", "--silent", "--no-audit", "--no-fund"];
        execute(Command::new(npm).args(arguments).current_dir(&home))?;
        fs::write(&installed, wanted_lock).with_context(|| format!("write {}", installed.display()))?;
    }
    Ok(home.join("node_modules/.bin/buf"))
}
