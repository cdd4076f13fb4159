//! HTTP/2 clients that send frames and ask for nothing.

use crate::support::{Http1, Rig, settings};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
const PING: &[u8] = &[0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
const WINDOW_UPDATE: &[u8] = &[0, 0, 4, 8, 0, 0, 0, 0, 0, 0, 0, 0, 1];

#[test]
fn floods_of_frames_that_ask_for_nothing_are_cut_off() {
    let rig = Rig::start(settings());
    for (number, frame) in [SETTINGS, PING, WINDOW_UPDATE].into_iter().enumerate() {
        let mut client = Http1::connect(rig.public());
        client.send(PREFACE);
        client.send(SETTINGS);
        let flood = frame.repeat(10_000);
        // Sending fails as soon as the server has closed.
        for _ in 0..100 {
            if !client.try_send(&flood) {
                break;
            }
        }
        client.wait_for_close();
        let cut_off = rig.metric("onrush_connections_cut_off_total{awaited=\"progress\"}");
        assert_eq!(cut_off, number as u64 + 1, "{frame:?}");
    }
}
