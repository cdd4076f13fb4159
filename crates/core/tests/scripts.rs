//! Runs the scripts in `tests/scripts`. A script is a list of commands with the outcomes that they must have; the language
//! is described in `tests/scripts/README.md`. After every command the state must equal its replay under another hash
//! seed, and after every script what was restored from its facts.

mod script;

use std::{fs, path::Path};

use script::check;

#[test]
fn scripts_have_the_outcomes_they_name() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "txt"));
    files.sort();
    let mut failures = Vec::new();
    let mut script_count = 0;
    for path in &files {
        let text = fs::read_to_string(path).unwrap();
        let mut lines: Vec<(usize, &str)> =
            text.lines().enumerate().map(|(at, line)| (at + 1, line)).collect();
        lines.retain(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
        for script in lines.chunk_by(|_, (_, next)| !next.starts_with("== ")) {
            script_count += 1;
            if let Err(failure) = check(script) {
                failures.push(format!("{}:{failure}", path.display()));
            }
        }
    }
    assert!(
        failures.is_empty(),
        "{} of {script_count} scripts failed:\n{}",
        failures.len(),
        failures.join("\n")
    );
    assert!(script_count >= 60, "only {script_count} scripts were found");
}
