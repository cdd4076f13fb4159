//! Any bytes as the payload of a batch of any format: decoded or refused with a position, never a panic.

#![no_main]

use libfuzzer_sys::fuzz_target;
use onrush_log::Format;
use onrush_node::record::{DecodeError, decode_records};

fuzz_target!(|bytes: &[u8]| {
    for format in [Format::V1, Format::V2] {
        let decoded = decode_records::<DecodeError>(format, bytes, 1_700_000_000_000, |_| Ok(()));
        if let Err(error) = decoded {
            assert!(error.position <= bytes.len());
        }
    }
});
