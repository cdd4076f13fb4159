//! Any bytes as the payload of a batch: decoded or refused with a position, never a panic.

#![no_main]

use libfuzzer_sys::fuzz_target;
use onrush_node::wire::{DecodeError, decode_records};

fuzz_target!(|bytes: &[u8]| {
    let decoded = decode_records::<DecodeError>(bytes, 1_700_000_000_000, |_| Ok(()));
    if let Err(error) = decoded {
        assert!(error.position <= bytes.len());
    }
});
