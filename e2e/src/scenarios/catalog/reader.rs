//! A connection on the public listener that reads all keys as fast as it can: one by one or several at once, with and without
//! conditions, and some requests before the answers of others.

use anyhow::{Context as _, Result, ensure};
use std::net::SocketAddr;
use std::time::Duration;

use super::rows::{KEY_COUNT, counter_of, read_many, target, target_of_many, version_of};
use super::traffic::Traffic;
use crate::http::{Connection, Lost, Response};
use crate::ledger::Times;
use crate::ledger::rows::{Incoherent, Key, Period, Read};
use crate::problem::check_problem;
use crate::random::Random;

/// After so many requests a reader takes another connection.
const REQUESTS_PER_CONNECTION: u64 = 400;

/// How long the server of the scenario lets a read wait for a version.
pub(super) const WAIT: Duration = Duration::from_millis(250);

/// A reader, for one life of the server.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    traffic: &'a Traffic,
    random: Random,
    /// The counter and the tag with which it read each key last.
    known: Vec<Option<(u64, String)>>,
    seen: Period,
}

/// A request.
#[derive(Debug)]
struct Ask {
    keys: Vec<Key>,
    is_single: bool,
    /// The row that the client says that it has.
    known: Option<(u64, String)>,
    min_version: Option<u64>,
}

impl Ask {
    fn bytes(&self) -> Vec<u8> {
        let single = || (target(self.keys[0]), '?');
        let (target, sign) = if self.is_single { single() } else { (target_of_many(&self.keys), '&') };
        let version =
            self.min_version.map(|version| format!("{sign}min_version={version}")).unwrap_or_default();
        let condition = self.known.as_ref().map(|(_, tag)| format!("If-None-Match: {tag}\r\n"));
        let condition = condition.unwrap_or_default();
        format!("GET {target}{version} HTTP/1.1\r\nHost: localhost\r\n{condition}\r\n").into_bytes()
    }
}

impl<'a> Reader<'a> {
    /// One that has read nothing.
    pub(super) fn new(traffic: &'a Traffic, random: Random) -> Self {
        Self { traffic, random, known: vec![None; KEY_COUNT], seen: Period::default() }
    }

    /// Reads until the server is killed, and returns what was seen.
    pub(super) fn run(mut self, public: SocketAddr) -> Result<Period> {
        loop {
            let Ok(mut connection) = Connection::open(public) else {
                return self.traffic.check_lost(&Lost::Closed).map(|()| self.seen);
            };
            self.seen.reads.push(Vec::new());
            let mut asked = 0;
            while asked < REQUESTS_PER_CONNECTION {
                let depth = if self.random.chance(20) { self.random.between(2, 8) } else { 1 };
                let asks = (0..depth).map(|_| self.ask()).collect::<Vec<_>>();
                asked += depth;
                if let Some(lost) = self.exchange(&mut connection, &asks)? {
                    return self.traffic.check_lost(&lost).map(|()| self.seen);
                }
            }
        }
    }

    fn ask(&mut self) -> Ask {
        let mut ask = Ask { keys: vec![self.key()], is_single: true, known: None, min_version: None };
        match self.random.below(100) {
            0..40 => {}
            40..65 => ask.known.clone_from(&self.known[ask.keys[0]]),
            _ => {
                ask.is_single = false;
                for _ in 0..self.random.below(12) {
                    // A twin comes with its twin in many cases, as only then they can be compared.
                    let key = self.key();
                    ask.keys.extend([key, key ^ 1]);
                }
                ask.keys.sort_unstable();
                ask.keys.dedup();
            }
        }
        let newest = self.traffic.newest_version();
        ask.min_version = match self.random.below(100) {
            0..15 => Some(newest),
            // Traffic makes it soon, unless the server is killed before.
            15..18 => Some(newest + self.random.between(1, 20)),
            _ => None,
        };
        ask
    }

    fn key(&mut self) -> Key {
        Key::try_from(self.random.below(KEY_COUNT as u64)).expect("a key fits usize")
    }

    /// Sends requests together and reads their answers; returns why the connection was lost, if it was.
    fn exchange(&mut self, connection: &mut Connection, asks: &[Ask]) -> Result<Option<Lost>> {
        let bytes = asks.iter().flat_map(Ask::bytes).collect::<Vec<_>>();
        let sent_ns = self.traffic.clock.now_ns();
        if let Err(lost) = connection.send(&bytes) {
            return Ok(Some(lost));
        }
        for ask in asks {
            let answer = match connection.receive(false) {
                Ok(answer) => answer,
                Err(lost) => return Ok(Some(lost)),
            };
            let times = Times { sent_ns, ended_ns: self.traffic.clock.now_ns() };
            self.take(ask, times, &answer).with_context(|| format!("{ask:?}"))?;
        }
        Ok(None)
    }

    fn take(&mut self, ask: &Ask, times: Times, answer: &Response) -> Result<()> {
        let (rows, version) = match answer.status {
            503 => return self.take_incoherent(ask, times, answer),
            404 if ask.is_single => {
                let code = check_problem(answer)?;
                ensure!(code == "row_not_found", "answered 404 {code}");
                (vec![(ask.keys[0], None)], None)
            }
            200 | 304 if ask.is_single => {
                (vec![(ask.keys[0], Some(self.take_row(ask, answer)?))], Some(version_of(answer)?))
            }
            _ => {
                let (rows, version) = read_many(&ask.keys, answer)?;
                (rows, Some(version))
            }
        };
        if let Some((version, wanted)) = version.zip(ask.min_version) {
            ensure!(version >= wanted, "the version is {version}");
        }
        self.seen.reads.last_mut().context("no connection")?.push(Read { rows, times, version });
        Ok(())
    }

    /// The counter of the row that an answer has, or says that the client has.
    fn take_row(&mut self, ask: &Ask, answer: &Response) -> Result<u64> {
        let key = ask.keys[0];
        let tag = answer.header("etag").context("no ETag")?;
        let counter = match (&ask.known, answer.status) {
            (Some((counter, known)), 304) => {
                ensure!(tag == known, "304 with the ETag {tag}");
                *counter
            }
            (known, 200) => {
                let kind = answer.header("content-type");
                ensure!(kind == Some("application/json"), "a row of type {kind:?}");
                let counter = counter_of(key, std::str::from_utf8(&answer.body)?)?;
                let is_known = known.as_ref().is_some_and(|(known, _)| *known == counter);
                ensure!(!is_known, "a row that the client has is answered in full");
                counter
            }
            _ => anyhow::bail!("answered {} without a condition", answer.status),
        };
        self.traffic.tagged(key, counter, tag)?;
        self.known[key] = Some((counter, tag.to_owned()));
        Ok(counter)
    }

    fn take_incoherent(&mut self, ask: &Ask, times: Times, answer: &Response) -> Result<()> {
        let code = check_problem(answer)?;
        ensure!(code == "incoherent", "answered 503 {code}");
        let min_version = ask.min_version.context("incoherent, and no version was asked for")?;
        let waited = Duration::from_nanos(times.ended_ns - times.sent_ns);
        ensure!(waited >= WAIT, "incoherent after {waited:?}");
        self.seen.incoherent.push(Incoherent { min_version, times });
        Ok(())
    }
}
