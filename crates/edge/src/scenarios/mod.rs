//! Ready-made applications over the same operations: thin codecs for paths and answers that other systems document, so that
//! their clients and load commands run unchanged. Each is on only if its setting is.

pub mod booking;
pub mod demo;
pub mod stations;
pub mod visitor;

use crate::text::write_number;

/// The counter behind `GET /web-counter/increment`, which answers the new total as a bare decimal.
pub const VISITOR_COUNTER: &str = "web-counter";

/// The content type of that answer.
pub const VISITOR_COUNTER_CONTENT_TYPE: &str = "application/json; charset=UTF-8";

/// The window behind `/`, which counts every request of any method.
pub const REQUEST_WINDOW: &str = "requests";

/// The content type of its answer.
pub const REQUEST_WINDOW_CONTENT_TYPE: &str = "application/json; charset=utf-8";

/// Appends the answer of `/`, as in `{"requestCount":4}`.
pub fn write_request_count(out: &mut Vec<u8>, count: u64) {
    out.extend_from_slice(b"{\"requestCount\":");
    write_number(out, count);
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_request_count_byte_for_byte() {
        let mut out = Vec::new();
        super::write_request_count(&mut out, 4);
        assert_eq!(out, br#"{"requestCount":4}"#);
    }
}
