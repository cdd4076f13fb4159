//! Reads every Rust file of the repository and fails on what the house does not want: a file without its opening words,
//! a file too long, a name that says nothing, unfinished code, and anything impure in the core.

use std::fmt::Write;
use std::path::{Path, PathBuf};

/// Longer than this, a file has more than one topic.
const LINES_MAX: usize = 500;

/// Names of crates and modules that say nothing of what is in them.
const BANNED_NAMES: &[&str] = &["utils", "util", "common", "helpers", "helper", "types", "manager", "misc"];

/// Unfinished code, and tests that do not run.
const BANNED_EVERYWHERE: &[(&str, &str)] = &[
    ("todo!", "finish it"),
    ("unimplemented!", "finish it"),
    ("dbg!", "a message belongs into the log"),
    ("#[ignore", "a test runs or does not exist"),
    ("TODO", "finish it"),
    ("FIXME", "fix it"),
];

/// The core is pure: no clock, no chance, no input, no output, no threads, no order that differs from run to run.
const BANNED_IN_CORE: &[(&str, &str)] = &[
    ("std::time", "time is an argument"),
    ("SystemTime", "time is an argument"),
    ("Instant::", "time is an argument"),
    ("std::fs", "the core knows no files"),
    ("std::io", "the core knows no input or output"),
    ("std::net", "the core knows no network"),
    ("std::env", "settings are arguments"),
    ("std::thread", "the core runs where it is called"),
    ("Mutex", "one thread owns the state, and what it shares does not change"),
    ("RwLock", "one thread owns the state, and what it shares does not change"),
    ("Atomic", "one thread owns the state, and what it shares does not change"),
    ("OnceLock", "one thread owns the state, and what it shares does not change"),
    ("LazyLock", "one thread owns the state, and what it shares does not change"),
    ("Condvar", "nobody waits here"),
    ("mpsc", "the core runs where it is called"),
    ("RandomState", "its hashes differ from run to run"),
    ("collections::HashMap", "its order differs from run to run; use hashbrown with a fixed hasher"),
    ("collections::HashSet", "its order differs from run to run; use hashbrown with a fixed hasher"),
    ("async fn", "decide and apply are synchronous"),
    (".await", "decide and apply are synchronous"),
    ("serde", "the wire and the disk have types of their own"),
    ("println!", "the core knows no input or output"),
];

/// Everything that is wrong with one file; `path` is relative to the repository.
fn problems(path: &Path, text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let mut complain = |line: usize, what: &str| problems.push(format!("{}:{line}: {what}", path.display()));
    if !text.starts_with("//!") {
        complain(1, "begins without a `//!` that says what it is for");
    }
    let line_count = text.lines().count();
    if line_count > LINES_MAX {
        complain(line_count, &format!("{line_count} lines are more than {LINES_MAX}: split it by topic"));
    }
    for name in path.iter().filter_map(|part| Path::new(part).file_stem()?.to_str()) {
        if BANNED_NAMES.contains(&name) {
            complain(1, &format!("`{name}` says nothing of what is in it"));
        }
    }
    let in_core = path.starts_with("crates/core/src");
    for (index, line) in text.lines().enumerate() {
        let code = line.split("//").next().unwrap_or(line);
        for (banned, reason) in BANNED_EVERYWHERE {
            if line.contains(banned) {
                complain(index + 1, &format!("`{banned}`: {reason}"));
            }
        }
        for (banned, reason) in BANNED_IN_CORE.iter().filter(|_| in_core) {
            if code.contains(banned) {
                complain(index + 1, &format!("`{banned}`: {reason}"));
            }
        }
        let module = code.trim().trim_start_matches("pub(crate) ").trim_start_matches("pub ");
        if let Some(name) = module.strip_prefix("mod ").and_then(|rest| rest.split([' ', ';']).next())
            && BANNED_NAMES.contains(&name)
        {
            complain(index + 1, &format!("`{name}` says nothing of what is in it"));
        }
    }
    problems
}

/// Every Rust file that belongs to the repository, relative to `root`.
fn rust_files(root: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut directories: Vec<PathBuf> =
        ["crates", "clients", "bench", "e2e", "proxy", "sim", "xtask", "fuzz"]
            .map(|name| root.join(name))
            .to_vec();
    while let Some(directory) = directories.pop() {
        let Ok(entries) = std::fs::read_dir(&directory) else { continue };
        for entry in entries {
            let path = entry.expect("read an entry of a directory").path();
            let built = path.file_name().is_some_and(|name| name == "target" || name == "corpus");
            if path.is_dir() && !built {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

#[test]
fn every_file_is_tidy() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the repository");
    let files = rust_files(root);
    assert!(files.len() > 10, "the repository was read");
    let mut report = String::new();
    for file in files {
        let path = file.strip_prefix(root).expect("the file lies in the repository");
        if path == Path::new("xtask/tests/tidy.rs") {
            continue; // It spells out what it bans.
        }
        let text = std::fs::read_to_string(&file).expect("read a Rust file");
        for problem in problems(path, &text) {
            writeln!(report, "{problem}").expect("a String takes every write");
        }
    }
    assert!(report.is_empty(), "\n{report}");
}

#[test]
fn untidy_files_are_found() {
    let long = format!("//! Long.\n{}", "fn f() {}\n".repeat(LINES_MAX));
    for (path, text, expected) in [
        ("crates/node/src/leader.rs", "//! Fine.\nuse std::time::Duration;\n", None),
        ("crates/node/src/leader.rs", "use std::fmt;\n", Some("begins without")),
        ("crates/node/src/leader.rs", long.as_str(), Some("are more than")),
        ("crates/node/src/utils.rs", "//! Fine.\n", Some("`utils` says nothing")),
        ("crates/common/src/lib.rs", "//! Fine.\n", Some("`common` says nothing")),
        (
            "crates/node/src/lib.rs",
            "//! Fine.\npub(crate) mod helpers;\n",
            Some(":2: `helpers` says nothing"),
        ),
        ("crates/node/src/lib.rs", "//! Fine.\nmod types {\n}\n", Some("`types` says nothing")),
        ("crates/node/src/lib.rs", "//! Fine.\nfn f() { todo!() }\n", Some(":2: `todo!`")),
        (
            "crates/node/src/lib.rs",
            "//! Fine.\n#[ignore = \"slow\"]\n",
            Some("a test runs or does not exist"),
        ),
        ("crates/node/src/lib.rs", "//! Fine.\n// TODO later\n", Some("finish it")),
        ("crates/core/src/state.rs", "//! Fine.\nuse std::time::Duration;\n", Some("time is an argument")),
        ("crates/core/src/state.rs", "//! Knows nothing of std::time.\n", None),
        ("crates/core/src/state.rs", "//! Fine.\nuse std::collections::HashMap;\n", Some("use hashbrown")),
        ("crates/core/tests/model.rs", "//! Fine.\nuse std::collections::HashMap;\n", None),
    ] {
        let found = problems(Path::new(path), text);
        match (found.as_slice(), expected) {
            ([], None) => {}
            ([one, ..], Some(part)) if one.contains(part) => {}
            _ => panic!("{path} with {text:?}: found {found:?}, expected {expected:?}"),
        }
    }
}
