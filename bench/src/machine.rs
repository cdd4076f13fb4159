//! What the figures were measured on: processor, cores, kernel and the versions of every program that took part.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};
use serde::Serialize;

use crate::process::search_path;

/// The peers and load generators, each with the Debian package that has it.
const PROGRAMS: [(&str, &str); 5] = [
    ("nginx", "nginx"),
    ("redis-server", "redis-server"),
    ("redis-benchmark", "redis-tools"),
    ("wrk", "wrk"),
    ("setpriv", "util-linux"),
];

/// Written into every result file.
#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    pub(crate) cpu_model: String,
    pub(crate) core_count: usize,
    pub(crate) memory_bytes: u64,
    pub(crate) kernel: String,
    pub(crate) load_average_at_start: String,
    pub(crate) file_system: String,
    pub(crate) versions: Vec<(&'static str, String)>,
}

impl Machine {
    pub(crate) fn describe(onrush: &Path, directory: &Path) -> Self {
        let onrush = onrush.to_string_lossy();
        let versions = vec![
            ("onrush", first_line(&onrush, "--version")),
            ("nginx", first_line("nginx", "-v")),
            ("redis", first_line("redis-server", "-v")),
            ("wrk", first_line("wrk", "-v")),
            ("rustc", first_line("rustc", "-V")),
        ];
        Self {
            cpu_model: proc_value("/proc/cpuinfo", "model name"),
            core_count: core_count(),
            memory_bytes: proc_value("/proc/meminfo", "MemTotal")
                .trim_end_matches(" kB")
                .parse()
                .unwrap_or(0)
                * 1024,
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned(),
            load_average_at_start: load_average(),
            file_system: crate::disk::file_system(directory),
            versions,
        }
    }
}

pub(crate) fn core_count() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

pub(crate) fn load_average() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().take(3).collect::<Vec<_>>().join(" ")
}

/// Names every missing program at once, with the line that installs them.
pub(crate) fn require_programs() -> Result<()> {
    let path = search_path();
    let present =
        |program: &str| std::env::split_paths(&path).any(|directory| directory.join(program).is_file());
    let missing: Vec<_> = PROGRAMS.iter().filter(|(program, _)| !present(program)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let programs: Vec<_> = missing.iter().map(|(program, _)| *program).collect();
    let packages: Vec<_> = missing.iter().map(|(_, package)| *package).collect();
    bail!("missing: {}; on Debian: apt-get install -y {}", programs.join(", "), packages.join(" "));
}

/// What a program says first when it is given this argument.
pub(crate) fn first_line(program: &str, flag: &str) -> String {
    let Ok(output) = Command::new(program).arg(flag).env("PATH", search_path()).output() else {
        return "not found".into();
    };
    let text = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&text).lines().next().unwrap_or_default().trim().to_owned()
}

fn proc_value(path: &str, key: &str) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with(key)).unwrap_or_default();
    line.split_once(':').map_or(String::new(), |(_, value)| value.trim().to_owned())
}
