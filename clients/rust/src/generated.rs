//! What `build.rs` made of the files in `proto/`.

#![allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic, reason = "nobody wrote it")]

tonic::include_proto!("onrush.v1");
