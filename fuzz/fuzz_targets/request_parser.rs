//! Any bytes are a request, the beginning of one, or refused; and what is taken for a request stays the same however
//! it arrives and whatever follows it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use onrush_edge::h1::{Body, Parsed, parse};

const BODY_BYTES_MAX: usize = 16 << 10;

fuzz_target!(|bytes: &[u8]| {
    let Parsed::Request(request) = parse(bytes, BODY_BYTES_MAX) else { return };
    assert!(request.length <= bytes.len());
    assert!(request.path.end <= request.length && request.method.end <= request.length);
    match &request.body {
        Body::Inline(range) => assert!(range.end == request.length && range.len() <= BODY_BYTES_MAX),
        Body::Unfolded(body) => assert!(body.len() <= BODY_BYTES_MAX),
    }
    // No prefix is taken for a whole request, and none that leads to one is refused.
    for end in [request.length / 2, request.length - 1] {
        assert!(matches!(parse(&bytes[..end], BODY_BYTES_MAX), Parsed::PartialHead | Parsed::PartialBody(_)));
    }
    let mut longer = bytes[..request.length].to_vec();
    longer.extend_from_slice(b"GET / HTTP/1.1\r\n");
    assert_eq!(parse(&longer, BODY_BYTES_MAX), Parsed::Request(request));
});
