//! Any bytes as the content of a snapshot of any format: a state or a refusal, never a panic; and a state that was read gives itself
//! back.

#![no_main]

use libfuzzer_sys::fuzz_target;
use onrush_core::{Limits, State};
use onrush_log::Format;
use onrush_node::record::{FactDecoder, encode_fact};

fuzz_target!(|bytes: &[u8]| {
    for format in [Format::V1, Format::V2] {
        check(format, bytes);
    }
});

fn check(format: Format, bytes: &[u8]) {
    let mut state = State::restore(Limits::default(), 7);
    if FactDecoder::new(format).decode(bytes, |fact| state.restore_fact(fact)).is_err() {
        return;
    }
    let mut written = Vec::new();
    state.facts(&mut |fact| encode_fact(&mut written, &fact));
    let mut again = State::restore(Limits::default(), 8);
    FactDecoder::new(Format::NEWEST)
        .decode(&written, |fact| again.restore_fact(fact))
        .expect("what a state gives out, a state takes");
    assert_eq!(again.digest(), state.digest());
}
