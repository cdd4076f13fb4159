//! What a connection to Redis runs over: a socket of either family, encrypted if its address says so.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use ::redis::ConnectionAddr;
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};

use crate::TlsSettings;

pub(super) enum Stream {
    Tcp(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
    Unix(UnixStream),
}

impl Stream {
    /// Connects; nothing takes longer than `timeout` then, until another is set.
    pub(super) fn connect(
        address: &ConnectionAddr,
        tls: &TlsSettings,
        timeout: Duration,
    ) -> io::Result<Self> {
        let stream = match address {
            ConnectionAddr::Tcp(host, port) => Self::Tcp(connect_tcp(host, *port, timeout)?),
            ConnectionAddr::TcpTls { host, port, .. } => {
                let socket = connect_tcp(host, *port, timeout)?;
                Self::Tls(Box::new(encrypt(socket, host, tls)?))
            }
            ConnectionAddr::Unix(path) => Self::Unix(UnixStream::connect(path)?),
            _ => return Err(io::Error::from(io::ErrorKind::Unsupported)),
        };
        stream.set_timeout(timeout)?;
        Ok(stream)
    }

    /// From now on a read or a write that takes longer is an error.
    pub(super) fn set_timeout(&self, timeout: Duration) -> io::Result<()> {
        match self {
            Self::Tcp(socket) => bound(socket, timeout),
            Self::Tls(stream) => bound(&stream.sock, timeout),
            Self::Unix(socket) => {
                socket.set_read_timeout(Some(timeout))?;
                socket.set_write_timeout(Some(timeout))
            }
        }
    }
}

/// Tries each address of the host.
fn connect_tcp(host: &str, port: u16, timeout: Duration) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, timeout) {
            Ok(socket) => {
                socket.set_nodelay(true)?;
                bound(&socket, timeout)?;
                return Ok(socket);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn bound(socket: &TcpStream, timeout: Duration) -> io::Result<()> {
    socket.set_read_timeout(Some(timeout))?;
    socket.set_write_timeout(Some(timeout))
}

/// Shakes hands, so that what is wrong with certificates is known before anything is sent.
fn encrypt(
    mut socket: TcpStream,
    host: &str,
    tls: &TlsSettings,
) -> io::Result<StreamOwned<ClientConnection, TcpStream>> {
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let config = tls.client_config().map_err(io::Error::other)?;
    let mut connection = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
    while connection.is_handshaking() {
        connection.complete_io(&mut socket).map_err(unanswered)?;
    }
    Ok(StreamOwned::new(connection, socket))
}

/// A server without TLS waits for more of what it takes for a command.
fn unanswered(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
            io::Error::other("no answer in TLS in time; does the port speak TLS?")
        }
        _ => error,
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(socket) => socket.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
            Self::Unix(socket) => socket.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(socket) => socket.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
            Self::Unix(socket) => socket.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Tcp(socket) => socket.flush(),
            Self::Tls(stream) => stream.flush(),
            Self::Unix(socket) => socket.flush(),
        }
    }
}
