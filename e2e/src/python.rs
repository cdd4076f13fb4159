//! Packages of Python that a check uses, each set in an environment of its own.

use anyhow::{Context as _, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::tool::kept_directory;

/// The environment with exactly what `e2e/NAME/requirements.txt` says, for a run in `directory`; nothing, and loudly, on a machine
/// that has no pip or cannot reach `PyPI`.
pub(crate) fn environment(directory: &Path, name: &str) -> Result<Option<PathBuf>> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(name).join("requirements.txt");
    let requirements = fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
    let environment = kept_directory(directory, name);
    // What is there was installed by the same lines, or is of another version.
    let installed = environment.join("requirements.txt");
    if fs::read_to_string(&installed).is_ok_and(|lines| lines == requirements) {
        return Ok(Some(environment));
    }
    println!("    installing what {name} needs into {}", environment.display());
    let made = Command::new("python3").args(["-m", "venv"]).arg(&environment).output();
    let is_made = made.is_ok_and(|output| output.status.success());
    if is_made {
        let pip = Command::new(environment.join("bin/python"))
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
            .args(["--require-hashes", "--only-binary=:all:", "-r"])
            .arg(&file)
            .output()
            .context("start pip")?;
        if pip.status.success() {
            fs::write(&installed, requirements)?;
            return Ok(Some(environment));
        }
        println!("    {}", String::from_utf8_lossy(&pip.stderr).trim());
    }
    println!("    SKIPPED what needs {name}: it takes python3-venv and PyPI");
    Ok(None)
}
