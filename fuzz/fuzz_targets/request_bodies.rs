//! Any bytes as the body of every request that has one: accepted or refused, never a panic; and a reservation that is
//! accepted has the bounds that the contract promises, as rows of the catalogue have.

#![no_main]

use libfuzzer_sys::fuzz_target;
use onrush_core::is_row_key;
use onrush_edge::api::catalog::body::{parse_row, parse_rows};
use onrush_edge::api::reservations::body::parse_reservation;
use onrush_edge::api::sales::terms::parse_sale;
use onrush_edge::api::windows::body::parse_window_shape;
use onrush_edge::scenarios::slot_booking::booking;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(call) = parse_reservation("sale", Some("key"), bytes) {
        assert!((1..=64).contains(&call.customer.len()));
        assert!((1..=16).contains(&call.lines.len()));
        assert!(call.lines.iter().all(|line| (1..=1000).contains(&line.quantity)));
        assert!(call.details.len() <= 4096);
        let again = parse_reservation("sale", Some("key"), bytes).expect("the same body twice");
        assert_eq!(again.key, call.key, "the fingerprint is stable");
    }
    let _ = parse_sale(bytes);
    let _ = parse_window_shape(bytes);
    let _ = booking::decode(bytes);
    for row in parse_rows(bytes).unwrap_or_default() {
        assert!(is_row_key(&row.key) && row.json.len() <= 16 << 10);
        assert_eq!(parse_row(&row.json).ok(), Some(&*row.json), "what a line has as its row is a row");
    }
});
