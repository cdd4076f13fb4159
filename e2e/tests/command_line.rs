//! The command line of the checks. That it is tested lets `cargo test` build the checks beside all else, for those who run both.

use std::process::{Command, Output};

fn run(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_onrush-e2e"));
    // Otherwise long lines are broken, wherever the terminal ends.
    command.env("COLUMNS", "1000").args(arguments).output().expect("the checks are built")
}

#[test]
fn the_help_lists_what_the_table_lists() {
    let help = run(&["--help"]);
    assert!(help.status.success());
    let help = String::from_utf8_lossy(&help.stdout).into_owned();
    let listed = help.lines().skip_while(|line| *line != "Scenarios:").skip(1);
    let listed: Vec<_> = listed.filter_map(|line| line.split_whitespace().next()).collect();
    let table = include_str!("../README.md").lines();
    let table: Vec<_> = table.filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    assert!(listed.len() > 20 && listed.iter().all(|name| table.contains(name)), "{listed:?} {table:?}");
}

#[test]
fn a_check_that_is_not_there_is_named_with_those_that_are() {
    let refused = run(&["kill9", "kill10"]);
    assert!(!refused.status.success());
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("no scenario kill10") && said.contains("sigterm"), "{said}");
}
