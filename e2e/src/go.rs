//! Programs in Go that a check drives.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::tool::kept_directory;

/// The program of this module in exactly this version, for a run in `directory`; nothing, and loudly, on a machine that has no Go or cannot
/// reach the module.
pub(crate) fn program(directory: &Path, name: &str, module: &str, version: &str) -> Option<PathBuf> {
    let place = kept_directory(directory, &format!("{name}-{version}"));
    let program = place.join(name);
    if !program.exists() {
        println!("    installing {name} into {}", place.display());
        let install = Command::new("go")
            .args(["install", &format!("{module}@{version}")])
            .env("GOBIN", &place)
            .output();
        match install {
            Ok(output) if output.status.success() => {}
            Ok(output) => println!("    {}", String::from_utf8_lossy(&output.stderr).trim()),
            Err(error) => println!("    go: {error}"),
        }
    }
    if program.exists() {
        return Some(program);
    }
    println!("    SKIPPED what needs {name}: it takes Go and its module proxy");
    None
}
