//! Makes a client of the protocol files in `proto/`, by a compiler that is Rust as well, so that nothing has to be installed.

use std::error::Error;
use std::path::Path;

/// What the client calls, below `proto/`.
const FILES: [&str; 3] =
    ["onrush/v1/catalog.proto", "onrush/v1/counters.proto", "onrush/v1/reservations.proto"];

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto");
    println!("cargo::rerun-if-changed={}", root.display());
    let described = protox::compile(FILES, [&root])?;
    tonic_prost_build::configure().build_server(false).build_transport(false).compile_fds(described)?;
    Ok(())
}
