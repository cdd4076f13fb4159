//! The connections of a load generator that runs on one thread: each carries one request at a time, and one epoll watches
//! all of them.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::io::Errno;

/// Open connections, told apart by their index.
pub(crate) struct Connections {
    epoll: OwnedFd,
    list: Vec<Connection>,
    events: Vec<epoll::Event>,
}

struct Connection {
    stream: TcpStream,
    /// What has arrived of the answer.
    answer: Vec<u8>,
}

impl Connections {
    pub(crate) fn open(address: SocketAddr, count: usize) -> Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).context("create an epoll")?;
        let mut list = Vec::with_capacity(count);
        for index in 0..count {
            let stream = TcpStream::connect(address).context("connect")?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            epoll::add(&epoll, &stream, epoll::EventData::new_u64(index as u64), epoll::EventFlags::IN)?;
            list.push(Connection { stream, answer: Vec::new() });
        }
        Ok(Self { epoll, list, events: Vec::with_capacity(256) })
    }

    /// Sends a request on a connection that is idle.
    pub(crate) fn send(&mut self, index: usize, request: &[u8]) -> Result<()> {
        // An idle connection has room for one small request, so this neither blocks nor writes a part.
        self.list[index].stream.write_all(request).context("send a request")
    }

    /// Waits until something has arrived or `timeout` has passed, and adds the connections that have something to `ready`.
    pub(crate) fn wait(&mut self, timeout: Duration, ready: &mut Vec<usize>) -> Result<()> {
        let timeout = Timespec::try_from(timeout).context("convert a timeout")?;
        match epoll::wait(&self.epoll, spare_capacity(&mut self.events), Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error).context("wait for answers"),
        }
        for event in self.events.drain(..) {
            ready.push(usize::try_from(event.data.u64())?);
        }
        Ok(())
    }

    /// Reads what has arrived. `read` is given all bytes behind the answer before, and returns `None` while the answer is not
    /// whole, and then how many bytes it has.
    pub(crate) fn receive<A>(
        &mut self,
        index: usize,
        read: impl FnOnce(&[u8]) -> Result<Option<(A, usize)>>,
    ) -> Result<Option<A>> {
        let Connection { stream, answer } = &mut self.list[index];
        let mut chunk = [0; 4096];
        match stream.read(&mut chunk) {
            Ok(0) => bail!("the server closed a connection"),
            Ok(read_bytes) => answer.extend_from_slice(&chunk[..read_bytes]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(error).context("read an answer"),
        }
        let whole = read(answer)?;
        if let Some((_, bytes)) = whole {
            answer.drain(..bytes);
        }
        Ok(whole.map(|(whole, _)| whole))
    }
}
