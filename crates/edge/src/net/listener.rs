//! Sockets that are listened on, and the connections that come out of them.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};

use super::h1;
use super::thread::EdgeThread;
use crate::hot;
use crate::http::request::Peer;
use crate::problem::Problem;

/// Connections that the kernel keeps for us while we are busy.
const BACKLOG: i32 = 4096;

/// Makes sure that nobody else listens there: sharing the port with our own threads means that the system would let us
/// share it with a second server as well.
pub(crate) fn probe(address: SocketAddr) -> io::Result<Socket> {
    let open = || {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        // Only a socket that listens keeps another from the same address.
        socket.listen(1)?;
        Ok(socket)
    };
    open().map_err(|error| named(address, &error))
}

fn named(address: SocketAddr, error: &io::Error) -> io::Error {
    io::Error::new(
        error.kind(),
        format!(
            "cannot listen on {address}: {error}; stop what listens there, or choose another --listen or --operator-listen"
        ),
    )
}

/// A listener that shares its port with those of the other threads; the kernel spreads connections over them.
pub(crate) fn listen(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let open = || {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        Ok(socket.into())
    };
    open().map_err(|error: io::Error| named(address, &error))
}

/// Takes connections up for ever.
pub(crate) async fn accept_all(listener: &TcpListener, thread: &Rc<EdgeThread>) {
    static TOLD: AtomicBool = AtomicBool::new(false);
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => accept(stream, Peer(peer), thread),
            Err(error) => {
                if !TOLD.swap(true, Ordering::Relaxed) {
                    tracing::warn!(%error, "cannot accept connections; the server goes on trying, and does not say this again");
                }
                // Out of file descriptors, most likely: give those that are open time to end.
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
}

fn accept(stream: TcpStream, peer: Peer, thread: &Rc<EdgeThread>) {
    let counters = &thread.counters;
    counters.accepted_count.add(1);
    let Some(place) = thread.take_place() else {
        counters.over_capacity_count.add(1);
        return refuse(&stream);
    };
    // Without it small answers wait for acknowledgements; a socket that cannot do it is closed already.
    let _ = stream.set_nodelay(true);
    let served = Rc::clone(thread);
    let (hand_over, deadline) = tokio::sync::oneshot::channel();
    let task = tokio::task::spawn_local(async move {
        let _place = place;
        if let Ok(deadline) = deadline.await {
            h1::serve(stream, peer, served, deadline).await;
        }
    });
    // The receiver is in the task that was just spawned.
    let _ = hand_over.send(thread.deadlines.watch(task.abort_handle()));
}

/// Tells a connection too many to come back later, if that can be done at once.
fn refuse(stream: &TcpStream) {
    let mut body = Vec::new();
    let head = hot::render_problem(&Problem::overloaded(), &mut body);
    let mut answer = Vec::new();
    answer.extend_from_slice(b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\n");
    let length = body.len().to_string();
    let mut write =
        |name: &str, value: &str| answer.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    if let Some(content_type) = head.content_type {
        write("content-type", content_type);
    }
    write("content-length", &length);
    for (name, value) in &head.fields {
        write(name, value);
    }
    answer.extend_from_slice(b"\r\n");
    answer.extend_from_slice(&body);
    // A client that cannot take it now learns the same from the closed connection.
    let _ = stream.try_write(&answer);
}
