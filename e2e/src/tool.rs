//! Programs of the distribution that a check drives, and what to install when one is missing.

use anyhow::{Context as _, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A program and the Debian package that has it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tool {
    /// The program.
    pub program: &'static str,
    /// Its package.
    pub package: &'static str,
}

/// `ApacheBench`.
pub(crate) const AB: Tool = Tool { program: "ab", package: "apache2-utils" };
/// hey.
pub(crate) const HEY: Tool = Tool { program: "hey", package: "hey" };
/// wrk.
pub(crate) const WRK: Tool = Tool { program: "wrk", package: "wrk" };
/// curl.
pub(crate) const CURL: Tool = Tool { program: "curl", package: "curl" };
/// h2load.
pub(crate) const H2LOAD: Tool = Tool { program: "h2load", package: "nghttp2-client" };
/// nginx.
pub(crate) const NGINX: Tool = Tool { program: "nginx", package: "nginx-light" };
/// Caddy.
pub(crate) const CADDY: Tool = Tool { program: "caddy", package: "caddy" };

/// The client of `MariaDB`.
pub(crate) const MARIADB: Tool = Tool { program: "mariadb", package: "mariadb-client" };

/// Where a check keeps what it installs: beside the directory of the run, to be used again by the next.
pub(crate) fn kept_directory(run: &Path, name: &str) -> PathBuf {
    run.parent().and_then(Path::parent).unwrap_or(run).join(name)
}

impl Tool {
    /// True when the program is there; says what to install when it is not.
    pub(crate) fn present(self) -> bool {
        let found = Command::new("sh")
            .args(["-c", &format!("command -v {}", self.program)])
            .stdout(Stdio::null())
            .status()
            .is_ok_and(|status| status.success());
        if !found {
            println!("    SKIPPED what needs {}: apt-get install {}", self.program, self.package);
        }
        found
    }

    /// Runs the program to its end and returns what it printed; an exit status other than 0 is an error.
    pub(crate) fn run(self, arguments: &[&str]) -> Result<String> {
        let output = Command::new(self.program)
            .args(arguments)
            .output()
            .with_context(|| format!("run {}", self.program))?;
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(
            output.status.success(),
            "{} {} ended with {}: {printed}{}",
            self.program,
            arguments.join(" "),
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(printed)
    }
}
