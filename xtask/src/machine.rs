//! What the tests and benchmarks need of the machine, and how it gets there: Debian's packages, by apt-get.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::steps::{cargo, execute, succeeds};

/// A program, the Debian package that brings it, and what cannot run without it.
struct Tool {
    program: &'static str,
    package: &'static str,
    needed_for: &'static str,
}

const TOOLS: &[Tool] = &[
    Tool { program: "curl", package: "curl", needed_for: "end-to-end checks of HTTP/2" },
    Tool {
        program: "ab",
        package: "apache2-utils",
        needed_for: "the published load command of the visitor counter",
    },
    Tool { program: "hey", package: "hey", needed_for: "the published load commands of slot booking" },
    Tool { program: "h2load", package: "nghttp2-client", needed_for: "end-to-end checks of HTTP/2" },
    Tool { program: "wrk", package: "wrk", needed_for: "benchmarks" },
    Tool { program: "nginx", package: "nginx-light", needed_for: "end-to-end checks and benchmarks" },
    Tool { program: "caddy", package: "caddy", needed_for: "end-to-end checks of forward authentication" },
    Tool { program: "redis-server", package: "redis-server", needed_for: "benchmarks, tests with Redis" },
    Tool { program: "postgres", package: "postgresql", needed_for: "tests with PostgreSQL" },
    Tool { program: "mariadbd", package: "mariadb-server", needed_for: "tests with MariaDB" },
    Tool { program: "faketime", package: "faketime", needed_for: "end-to-end checks of a wrong clock" },
    Tool { program: "pgbouncer", package: "pgbouncer", needed_for: "tests with PostgreSQL" },
    Tool { program: "openssl", package: "openssl", needed_for: "tests with encrypted connections" },
    Tool { program: "rabbitmq-server", package: "rabbitmq-server", needed_for: "tests with RabbitMQ" },
    Tool { program: "java", package: "default-jre-headless", needed_for: "tests with Kafka" },
    Tool { program: "mvn", package: "maven", needed_for: "tests with Kafka" },
    Tool { program: "node", package: "nodejs", needed_for: "looking at the pages with a browser, buf" },
    Tool { program: "npm", package: "npm", needed_for: "looking at the pages with a browser, buf" },
    Tool {
        program: "chromium-headless-shell",
        package: "chromium-headless-shell",
        needed_for: "looking at the pages with a browser",
    },
    Tool { program: "make", package: "make", needed_for: "building the Kafka sink" },
    Tool { program: "pkg-config", package: "pkg-config", needed_for: "building the Kafka sink with TLS" },
    Tool { program: "g++", package: "g++", needed_for: "fuzzing, building the Kafka sink" },
];

/// What a fresh Debian lacks for `python3 -m venv`; it is a module, so no program tells of it.
const VENV: Tool = Tool {
    program: "python3",
    package: "python3-venv",
    needed_for: "checking the API against its OpenAPI document, calling it by gRPC, checking Traefik",
};

/// The headers of OpenSSL, which pkg-config knows by this file.
const OPENSSL: Tool = Tool {
    program: "openssl.pc",
    package: "libssl-dev",
    needed_for: "building the Kafka sink with TLS, which all checks do",
};

/// Installs what is missing if this is root on a machine with apt-get; otherwise prints the command that does and goes on.
/// Only a failure of an installation that was tried is an error.
pub(crate) fn set_up() -> Result<()> {
    let missing: Vec<&Tool> = missing_tools();
    if missing.is_empty() {
        eprintln!("all programs are there");
        return Ok(());
    }
    let mut packages: Vec<_> = missing.iter().map(|tool| tool.package).collect();
    packages.sort_unstable();
    packages.dedup();
    if is_root() && find_program("apt-get").is_some() {
        install(&packages)?;
    } else {
        eprintln!("missing; install with: sudo apt-get install -y {}", packages.join(" "));
    }
    for tool in missing_tools() {
        eprintln!("MISSING {} (package {}): left out is {}", tool.program, tool.package, tool.needed_for);
    }
    Ok(())
}

/// Whether a component of the toolchain works, after trying to add it by rustup if there is one.
pub(crate) fn have_component(component: &str, subcommand: &str) -> bool {
    let works = || succeeds(&mut cargo([subcommand, "--version"]));
    if !works() && find_program("rustup").is_some() {
        // The check below tells whether it helped.
        let _ = execute(Command::new("rustup").args(["component", "add", component]));
    }
    works()
}

fn missing_tools() -> Vec<&'static Tool> {
    let mut missing: Vec<_> = TOOLS.iter().filter(|tool| find_program(tool.program).is_none()).collect();
    if !succeeds(Command::new("python3").args(["-c", "import ensurepip, venv"])) {
        missing.push(&VENV);
    }
    if !succeeds(Command::new("pkg-config").args(["--exists", "openssl"])) {
        missing.push(&OPENSSL);
    }
    missing
}

fn install(packages: &[&str]) -> Result<()> {
    eprintln!("installing {}", packages.join(" "));
    // Packages of servers start them on well-known ports; with this policy in force they do not.
    let policy = Path::new("/usr/sbin/policy-rc.d");
    let policy_is_ours = !policy.exists();
    if policy_is_ours {
        write_policy(policy).context("keep installed servers from starting")?;
    }
    let result = apt_get(&["update", "-qq"]).and_then(|()| {
        let install = ["install", "-y", "-qq", "--no-install-recommends"];
        apt_get(&[&install, packages].concat())
    });
    if policy_is_ours {
        std::fs::remove_file(policy).context("let servers start again")?;
    }
    result
}

fn write_policy(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, "#!/bin/sh\nexit 101\n")?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))
}

fn apt_get(arguments: &[&str]) -> Result<()> {
    execute(Command::new("apt-get").args(arguments).env("DEBIAN_FRONTEND", "noninteractive"))
}

/// Whether this program may do everything on this machine.
pub(crate) fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n")
}

/// Where a program lies; an error that names it if it lies nowhere.
pub(crate) fn program(name: &str) -> Result<PathBuf> {
    find_program(name).with_context(|| format!("the program {name} is missing; try `cargo xtask setup`"))
}

/// Daemons lie in `sbin`, and Debian keeps those of PostgreSQL and RabbitMQ in directories of their own; none of these is
/// on every user's path.
fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let daemons = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    // First, because programs of the same names elsewhere are wrappers that pick a user and a cluster by themselves.
    std::iter::once("/usr/lib/rabbitmq/bin".into())
        .chain(postgres_directories())
        .chain(std::env::split_paths(&path))
        .chain(daemons)
        .map(|directory| directory.join(name))
        .find(|candidate| candidate.is_file())
}

/// One for each version of PostgreSQL, the newest first.
fn postgres_directories() -> Vec<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut versions: Vec<u32> =
        versions.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    versions.sort_unstable_by(|one, other| other.cmp(one));
    versions.into_iter().map(|version| format!("/usr/lib/postgresql/{version}/bin").into()).collect()
}
