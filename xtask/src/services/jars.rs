//! Services in Java, run from jars that Maven fetches once, as `services/NAME/pom.xml` says.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use super::home::{Home, remove_if_there};
use super::process::run_logged;
use crate::machine::program;
use crate::steps::root;

/// The jars of a service, shared by all directories of services.
pub(super) fn directory(name: &str) -> PathBuf {
    root().join(format!("target/services/{name}-libs"))
}

/// Fetches the jars unless those that `pom.xml` asks for are there.
pub(super) fn fetch(name: &str, log: &Path) -> Result<()> {
    let pom = root().join(format!("services/{name}/pom.xml"));
    let wanted = std::fs::read(&pom).with_context(|| format!("read {}", pom.display()))?;
    let libraries = directory(name);
    // Several services have the same jars, and start beside each other.
    std::fs::create_dir_all(root().join("target/services")).context("make the directory of the jars")?;
    let lock = File::create(libraries.with_extension("lock")).context("open the lock of the jars")?;
    lock.lock().context("lock the jars")?;
    if std::fs::read(libraries.join("pom.xml")).is_ok_and(|there| there == wanted) {
        return Ok(());
    }
    eprintln!("{name}: fetching its jars by Maven, some 50 MB; the next start has them");
    let fresh = libraries.with_extension("fresh");
    remove_if_there(&fresh).context("remove jars that were not fetched wholly")?;
    let mut maven = Command::new(program("mvn")?);
    maven.args(["--batch-mode", "--quiet", "--file"]).arg(&pom);
    maven.args(["dependency:copy-dependencies", "-DincludeScope=runtime"]);
    maven.arg(format!("-DoutputDirectory={}", fresh.display()));
    run_logged(&mut maven, "fetch the jars", log)?;
    std::fs::copy(&pom, fresh.join("pom.xml")).context("note which jars these are")?;
    remove_if_there(&libraries).context("remove the jars of another version")?;
    std::fs::rename(&fresh, &libraries).context("put the fetched jars into their place")
}

/// Completes a command of Java that runs a class of a service.
pub(super) fn add_arguments(command: &mut Command, name: &str, home: &Home, class: &str) {
    let logging = root().join("services/log4j2.xml");
    command
        // Otherwise every virtual machine leaves a file under /tmp.
        .arg("-XX:-UsePerfData")
        .arg(format!("-Djava.io.tmpdir={}", home.path("scratch").display()))
        .arg(format!("-Dlog4j2.configurationFile={}", logging.display()))
        .arg("-classpath")
        .arg(directory(name).join("*"))
        .arg(class);
}
