//! Makes Rust of the protocol files in `proto/`, by a compiler that is Rust as well, so that nothing has to be installed.

use std::error::Error;
use std::path::{Path, PathBuf};

/// Every file, below `proto/`.
const FILES: [&str; 6] = [
    "onrush/v1/catalog.proto",
    "onrush/v1/counters.proto",
    "onrush/v1/reservations.proto",
    "onrush/v1/sales.proto",
    "onrush/v1/windows.proto",
    "product_inventory.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto");
    println!("cargo::rerun-if-changed={}", root.display());
    let described = protox::compile(FILES, [&root])?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    // For reflection.
    std::fs::write(out.join("descriptors.bin"), protox::prost::Message::encode_to_vec(&described))?;
    tonic_prost_build::configure().build_client(false).build_transport(false).compile_fds(described)?;
    Ok(())
}
