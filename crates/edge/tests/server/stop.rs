//! The end of a server while clients do nothing.

use crate::support::{Http1, Rig, settings};

#[test]
fn a_stop_waits_for_no_idle_connection() {
    let rig = Rig::start(settings());
    let mut idle = Http1::connect(rig.public());
    idle.send(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(idle.receive(false).is_some());
    let new = Http1::connect(rig.public());
    // Greets in HTTP/2 and answers nothing from then on, no ping and no farewell.
    let mut silent = Http1::connect(rig.public());
    silent.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0");
    rig.wait_until("HTTP/2 is spoken", |rig| rig.metric("onrush_connections_http2_total") == 1);
    rig.stop();
    silent.wait_for_close();
    drop((idle, new));
}
