//! Reads `cargo metadata` and fails on any dependency edge other than those of the floors: arrows between crates go down
//! only, and some crates of others may be used on one floor alone.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;

/// A crate of this workspace, its floor, the crates of this workspace that it may depend on, and the crates of others
/// that it may use: all of them if `None`.
struct Floor {
    name: &'static str,
    number: u8,
    may_use: &'static [&'static str],
    others: Option<&'static [&'static str]>,
}

const FLOORS: &[Floor] = &[
    Floor {
        name: "onrush-core",
        number: 0,
        may_use: &[],
        others: Some(&["arrayvec", "foldhash", "jiff", "triomphe", "xxhash-rust"]),
    },
    Floor {
        name: "onrush-log",
        number: 1,
        may_use: &[],
        others: Some(&["crc32c", "rustix", "thiserror", "tracing"]),
    },
    // It is given bytes, addresses and times, and knows nothing that could be asked.
    Floor { name: "onrush-gate", number: 1, may_use: &["onrush-core"], others: None },
    Floor {
        name: "onrush-node",
        number: 2,
        may_use: &["onrush-core", "onrush-gate", "onrush-log"],
        others: None,
    },
    Floor {
        name: "onrush-sinks",
        number: 3,
        may_use: &["onrush-core", "onrush-log", "onrush-node"],
        others: None,
    },
    Floor { name: "onrush-cluster", number: 3, may_use: &["onrush-log", "onrush-node"], others: None },
    // It is given bytes and times.
    Floor {
        name: "onrush-debezium",
        number: 3,
        may_use: &["onrush-core", "onrush-node"],
        others: Some(&["compact_str", "serde", "serde_json"]),
    },
    Floor {
        name: "onrush-connect",
        number: 4,
        may_use: &["onrush-core", "onrush-debezium", "onrush-log", "onrush-node", "onrush-sinks"],
        others: None,
    },
    Floor {
        name: "onrush-edge",
        number: 4,
        may_use: &["onrush-core", "onrush-gate", "onrush-node", "onrush-sinks"],
        others: None,
    },
    Floor {
        name: "onrush",
        number: 5,
        may_use: &[
            "onrush-core",
            "onrush-gate",
            "onrush-log",
            "onrush-node",
            "onrush-cluster",
            "onrush-sinks",
            "onrush-connect",
            "onrush-edge",
        ],
        others: None,
    },
    // What others link. Its tests start a server.
    Floor { name: "onrush-client", number: 5, may_use: &[], others: None },
    // Development. The end-to-end checks see the server from outside only, and nothing depends on any of these.
    Floor {
        name: "onrush-bench",
        number: 6,
        may_use: &[
            "onrush-client",
            "onrush-connect",
            "onrush-core",
            "onrush-gate",
            "onrush-log",
            "onrush-node",
        ],
        others: None,
    },
    // Nodes of its own, over a log in memory.
    Floor {
        name: "onrush-sim",
        number: 6,
        may_use: &["onrush-core", "onrush-log", "onrush-node"],
        others: Some(&["clap", "fastrand"]),
    },
    Floor { name: "onrush-e2e", number: 6, may_use: &["onrush-client", "onrush-proxy"], others: None },
    Floor { name: "onrush-proxy", number: 0, may_use: &[], others: Some(&[]) },
    Floor { name: "xtask", number: 6, may_use: &[], others: None },
];

/// Crates of others that only the named crates may depend on, outside of tests.
const RESERVED: &[(&[&str], &[&str])] = &[
    (
        &["axum", "http", "http-body-util", "httparse", "hyper", "hyper-util", "tower", "utoipa"],
        &["onrush-edge", "onrush-bench", "onrush-e2e"],
    ),
    (&["tonic"], &["onrush-edge", "onrush-client"]),
    // Messages and rows of targets are JSON, too, and so is what a token of a shop says.
    (
        &["serde_json"],
        &["onrush-edge", "onrush-gate", "onrush-connect", "onrush-debezium", "onrush-bench", "onrush-e2e"],
    ),
    // The command line asks a server; nothing else is a client of HTTP.
    (&["reqwest", "ureq"], &["onrush"]),
    (
        &[
            "async-nats",
            "deadpool-postgres",
            "krafka",
            "lapin",
            "mysql_async",
            "pgwire-replication",
            "postgres",
            "rdkafka",
            "redis",
            "sqlx",
            "tokio-postgres",
            "tokio-postgres-rustls",
        ],
        // Checks and measurements look into targets with clients of their own.
        &["onrush-connect", "onrush-bench", "onrush-e2e"],
    ),
    (&["clap", "figment"], &["onrush", "onrush-bench", "onrush-e2e", "onrush-sim", "xtask"]),
];

/// Crates that nobody may depend on, and why.
const FORBIDDEN: &[(&str, &str)] = &[
    ("rkyv", "its format has had security advisories"),
    ("bincode", "nobody maintains it"),
    ("anymap", "state has types"),
    ("once_cell", "std has OnceLock and LazyLock, and there are no globals"),
    ("lazy_static", "std has LazyLock, and there are no globals"),
];

/// One arrow of the dependency graph, as far as it starts at a crate of this workspace.
struct Edge {
    from: String,
    to: String,
    /// Used by tests and benches alone.
    for_tests: bool,
}

fn floor_of(name: &str) -> Option<&'static Floor> {
    FLOORS.iter().find(|floor| floor.name == name)
}

/// What is wrong with one edge, if anything is.
fn problem(edge: &Edge) -> Option<String> {
    let Edge { from, to, for_tests } = edge;
    let Some(floor) = floor_of(from) else {
        return Some(format!("{from} is on no floor: add it to xtask/tests/floors.rs and to the design"));
    };
    if let Some((_, reason)) = FORBIDDEN.iter().find(|(name, _)| name == to) {
        return Some(format!("{from} -> {to}: {reason}"));
    }
    if let Some(target) = floor_of(to) {
        // A crate may name itself in tests, to turn a feature on; beyond that tests may look down, never up or aside.
        let allowed = floor.may_use.contains(&target.name)
            || (*for_tests && (target.name == floor.name || target.number < floor.number));
        return (!allowed).then(|| {
            format!("{from} -> {to}: floor {} may not use floor {} here", floor.number, target.number)
        });
    }
    if *for_tests {
        return None;
    }
    if floor.others.is_some_and(|others| !others.contains(&to.as_str())) {
        return Some(format!("{from} -> {to}: floor {} may use only {:?}", floor.number, floor.others?));
    }
    let (_, owners) = RESERVED.iter().find(|(names, _)| names.contains(&to.as_str()))?;
    (!owners.contains(&from.as_str())).then(|| format!("{from} -> {to}: only {owners:?} may use it"))
}

fn edges_of_the_workspace() -> Vec<Edge> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("start cargo metadata");
    assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON");
    let packages = metadata["packages"].as_array().expect("cargo metadata has packages");
    packages.iter().flat_map(edges_of_package).collect()
}

fn edges_of_package(package: &Value) -> Vec<Edge> {
    let from = package["name"].as_str().expect("a package has a name");
    let dependencies = package["dependencies"].as_array().expect("a package has dependencies");
    dependencies
        .iter()
        .map(|dependency| Edge {
            from: from.to_owned(),
            to: dependency["name"].as_str().expect("a dependency has a name").to_owned(),
            for_tests: dependency["kind"] == "dev",
        })
        .collect()
}

#[test]
fn every_edge_goes_down() {
    let edges = edges_of_the_workspace();
    assert!(edges.iter().any(|edge| edge.from == "onrush"), "the workspace was read");
    let problems: Vec<_> = edges.iter().filter_map(problem).collect();
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

#[test]
fn the_floors_themselves_go_down() {
    let floors: BTreeMap<_, _> = FLOORS.iter().map(|floor| (floor.name, floor.number)).collect();
    for floor in FLOORS {
        for target in floor.may_use {
            assert!(floors[target] < floor.number, "{} may use {target}", floor.name);
        }
    }
}

#[test]
fn edges_that_break_the_rules_are_found() {
    for (script, expected) in [
        ("onrush-log -> onrush-core", Some("floor 1 may not use floor 0")),
        ("onrush -> onrush-edge", None),
        ("onrush-node -> onrush-edge", Some("floor 2 may not use floor 4")),
        ("onrush-node -> onrush-sinks", Some("floor 2 may not use floor 3")),
        ("onrush-edge -> onrush-log", Some("floor 4 may not use floor 1")),
        ("onrush-edge -> onrush-connect", Some("floor 4 may not use floor 4")),
        ("onrush-e2e -> onrush-core", Some("may not use floor 0")),
        ("onrush-core -> serde", Some("floor 0 may use only")),
        ("onrush-core -> tokio", Some("floor 0 may use only")),
        ("onrush-log -> tokio", Some("floor 1 may use only")),
        ("onrush-gate -> onrush-core", None),
        ("onrush-gate -> onrush-log", Some("floor 1 may not use floor 1")),
        ("onrush-gate -> http", Some("may use it")),
        ("onrush-node -> hyper", Some("may use it")),
        ("onrush-node -> redis", Some("may use it")),
        ("onrush-edge -> tokio-postgres", Some("may use it")),
        ("onrush-connect -> tokio-postgres", None),
        ("onrush-edge -> serde_json", None),
        ("onrush-connect -> serde_json", None),
        ("onrush -> serde_json", Some("may use it")),
        ("onrush-connect -> onrush-sinks", None),
        ("onrush-connect -> onrush-node", None),
        ("onrush-connect -> onrush-edge", Some("floor 4 may not use floor 4")),
        ("onrush-connect -> axum", Some("may use it")),
        ("onrush-connect -> url", None),
        ("onrush -> onrush-connect", None),
        ("onrush -> ureq", None),
        ("onrush-edge -> ureq", Some("may use it")),
        ("onrush-connect -> ureq", Some("may use it")),
        ("onrush-bench -> lapin", None),
        ("onrush -> rdkafka", Some("may use it")),
        ("onrush-node -> lapin", Some("may use it")),
        ("onrush-edge -> bincode", Some("nobody maintains it")),
        ("onrush-stray -> serde", Some("is on no floor")),
        ("onrush-core -> proptest (tests)", None),
        ("onrush-log -> onrush-log (tests)", None),
        ("onrush-edge -> onrush-log (tests)", None),
        ("onrush-core -> onrush-log (tests)", Some("floor 0 may not use floor 1")),
        ("onrush-edge -> onrush-connect (tests)", Some("floor 4 may not use floor 4")),
    ] {
        let (arrow, for_tests) =
            script.strip_suffix(" (tests)").map_or((script, false), |arrow| (arrow, true));
        let (from, to) = arrow.split_once(" -> ").expect("a script is FROM -> TO");
        let found = problem(&Edge { from: from.to_owned(), to: to.to_owned(), for_tests });
        match (&found, expected) {
            (None, None) => {}
            (Some(text), Some(part)) if text.contains(part) => {}
            _ => panic!("{script}: found {found:?}, expected {expected:?}"),
        }
    }
}
