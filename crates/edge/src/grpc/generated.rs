//! What `build.rs` made of the files in `proto/`.

#![allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic, reason = "nobody wrote it")]

pub(crate) mod onrush {
    pub(crate) mod v1 {
        tonic::include_proto!("onrush.v1");
    }
}

pub(crate) mod product_inventory {
    tonic::include_proto!("proto");
}

/// All files, for reflection.
pub(crate) const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
