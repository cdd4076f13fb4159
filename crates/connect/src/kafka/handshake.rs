//! Asks a broker for its certificate once more, because librdkafka tells that it does not believe one, and not why.

use std::io;
use std::net::{TcpStream, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{CertificateError, ClientConnection, Error};

use crate::{TlsSettings, tls};

/// Longest wait for a connection, and for each answer on it.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Reads until the handshake is given up: a broker that sends byte by byte is not waited for.
const READS_MAX: u32 = 32;

/// What is wrong with the encryption at `address`, as a sentence; nothing if it is not the certificate, or not seen again.
pub(super) fn fault(address: &str, settings: &TlsSettings) -> Option<String> {
    let host = address.rsplit_once(':')?.0.trim_start_matches('[').trim_end_matches(']');
    match shake_hands(address, host, settings) {
        // The library of librdkafka believes no certificate by itself, however exactly it is the one that was named.
        Ok(()) => settings.ca_file.as_ref().map(|_| {
            "TLS: librdkafka does not trust the server's certificate by itself: tls_ca_file must have the certificate of its \
             authority"
                .to_owned()
        }),
        Err(error) => words(host, &error),
    }
}

fn shake_hands(address: &str, host: &str, settings: &TlsSettings) -> io::Result<()> {
    let config = settings.client_config().map_err(io::Error::other)?;
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let mut connection = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
    let addresses = address.to_socket_addrs()?;
    let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
    // Most names have at most two, one of each version of IP; more would be waited for too long.
    let mut stream = addresses
        .take(2)
        .find_map(|address| TcpStream::connect_timeout(&address, TIMEOUT).ok())
        .ok_or_else(refused)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    for _ in 0..READS_MAX {
        while connection.wants_write() {
            connection.write_tls(&mut stream)?;
        }
        if !connection.is_handshaking() {
            return Ok(());
        }
        if connection.read_tls(&mut stream)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        connection
            .process_new_packets()
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    }
    Err(io::ErrorKind::TimedOut.into())
}

fn words(host: &str, error: &io::Error) -> Option<String> {
    let reason = error.get_ref().and_then(|error| error.downcast_ref::<Error>());
    match reason {
        Some(Error::InvalidCertificate(CertificateError::UnknownIssuer)) => Some(
            "TLS: nobody trusted vouches for the server's certificate: name that of its authority as tls_ca_file"
                .to_owned(),
        ),
        Some(Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        )) => Some(format!(
            "TLS: the server's certificate is for other names than {host}: use one of them in brokers, and in what the brokers \
             advertise"
        )),
        _ => tls::cause(error),
    }
}
