//! hyper answering a constant: what the usual HTTP library of Rust reaches with the edge's own arrangement, one
//! current-thread runtime per core with a listener of its own on a shared port.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper::{Request, Response, body::Incoming};
use hyper_util::rt::TokioIo;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, LocalOptions};

use crate::machine::core_count;
use crate::process::{Running, free_port};

/// Connections that the kernel keeps while the server is busy; the same as onrush's.
const BACKLOG: i32 = 4096;

/// The same bytes as nginx answers.
const BODY: &[u8] = b"1234567";

/// A started server that answers every request with a constant.
#[derive(Debug)]
pub(crate) struct Hyper {
    process: Running,
    pub(crate) address: SocketAddr,
}

impl Hyper {
    /// Starts this program once more, as that server. What it prints goes to `directory`.
    pub(crate) fn start(directory: &Path) -> Result<Self> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["--hyper-listen", &address.to_string()]);
        let mut process = Running::start(&command, "KILL", &directory.join("output"))?;
        process.wait_until(Duration::from_secs(10), Duration::from_millis(10), || {
            TcpStream::connect(address).is_ok()
        })?;
        Ok(Self { process, address })
    }

    pub(crate) fn pids(&self) -> Vec<u32> {
        self.process.pids()
    }
}

/// Serves until the process is killed.
pub(crate) fn serve(address: SocketAddr) -> Result<()> {
    let threads: Vec<_> =
        (0..core_count()).map(|_| std::thread::spawn(move || serve_on_one_thread(address))).collect();
    for thread in threads {
        thread.join().map_err(|_| anyhow::anyhow!("a thread of the server panicked"))??;
    }
    Ok(())
}

fn serve_on_one_thread(address: SocketAddr) -> Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default())?;
    runtime.block_on(async {
        let listener = TcpListener::from_std(listen(address).context("listen")?)?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            tokio::task::spawn_local(async move {
                let served = hyper::server::conn::http1::Builder::new()
                    .pipeline_flush(true)
                    .serve_connection(TokioIo::new(stream), service_fn(answer));
                // A client that ends its connection is no failure of the server.
                let _ = served.await;
            });
        }
    })
}

async fn answer(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::new(Bytes::from_static(BODY))))
}

fn listen(address: SocketAddr) -> Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}
