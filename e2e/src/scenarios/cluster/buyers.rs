//! Buyers of a shop that has several nodes, of which one leads: they ask the one that led last, and now and then any other, go on to the
//! next where it does not, repeat what they heard nothing of, and write down every question with what came of it.

use anyhow::Result;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use super::shop::{COUNTERS, WINDOW, sales};
use crate::answers::{count_of, outcome, read_reserved, reserve_request, value_of};
use crate::api::{Reservation, Sale};
use crate::cluster_checker::{Answer, Told};
use crate::http::{Connection, Lost, Response, request};
use crate::ledger::{Ask, Outcome, Reserved, Times, Verb};
use crate::random::Random;
use crate::run_clock::Clock;

/// Pause after each question, and after one that nobody decided.
const PAUSE: Duration = Duration::from_millis(5);
const REFUSED_PAUSE: Duration = Duration::from_millis(25);

/// How long most wait for an answer, and how long some do, who hear what a node says when it wakes.
const TIMEOUT: Duration = Duration::from_secs(2);
const LONG_TIMEOUT: Duration = Duration::from_secs(20);

/// How many reservations are remembered.
const POOL_COUNT_MAX: usize = 1_000;

/// What all of them share.
#[derive(Debug)]
pub(super) struct Market {
    pub(super) clock: Clock,
    publics: Vec<SocketAddr>,
    leader: AtomicUsize,
    has_ended: AtomicBool,
    /// Which sales are on.
    round: AtomicU64,
    /// By node, when the latest question was sent that it decided.
    decided_ns: Vec<AtomicU64>,
    /// Asks that were acknowledged, and the sale and id of what they got.
    pool: Mutex<Vec<(Arc<Ask>, String)>>,
}

impl Market {
    pub(super) fn new(clock: Clock, publics: Vec<SocketAddr>) -> Self {
        let decided_ns = publics.iter().map(|_| AtomicU64::new(0)).collect();
        Self {
            clock,
            publics,
            leader: AtomicUsize::new(0),
            has_ended: AtomicBool::new(false),
            round: AtomicU64::new(0),
            decided_ns,
            pool: Mutex::default(),
        }
    }

    /// Opens for the sales of a round.
    pub(super) fn open(&self, round: u64) {
        self.round.store(round, Ordering::Relaxed);
        self.has_ended.store(false, Ordering::Relaxed);
        self.pool().clear();
    }

    /// Lets everybody go home.
    pub(super) fn close(&self) {
        self.has_ended.store(true, Ordering::Relaxed);
    }

    /// Whether another node than this, if one is given, has decided a question that was sent after a moment.
    pub(super) fn has_decided(&self, after_ns: u64, besides: Option<usize>) -> bool {
        let nodes = self.decided_ns.iter().enumerate().filter(|(node, _)| besides != Some(*node));
        nodes.into_iter().any(|(_, decided)| decided.load(Ordering::Relaxed) > after_ns)
    }

    pub(super) fn has_ended(&self) -> bool {
        self.has_ended.load(Ordering::Relaxed)
    }

    fn pool(&self) -> std::sync::MutexGuard<'_, Vec<(Arc<Ask>, String)>> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One buyer.
pub(super) struct Buyer<'a> {
    market: &'a Market,
    random: Random,
    name: String,
    timeout: Duration,
    /// Always asks this node.
    node: Option<usize>,
    connections: Vec<Option<Connection>>,
    asked: u64,
    unknown: Vec<Arc<Ask>>,
    answers: Vec<Answer>,
}

impl<'a> Buyer<'a> {
    /// One who asks whoever led last.
    pub(super) fn new(market: &'a Market, random: Random, name: String, is_patient: bool) -> Self {
        let timeout = if is_patient { LONG_TIMEOUT } else { TIMEOUT };
        let connections = market.publics.iter().map(|_| None).collect();
        let (asked, unknown, answers) = (0, Vec::new(), Vec::new());
        Self { market, random, name, timeout, node: None, connections, asked, unknown, answers }
    }

    /// One who always asks the same node, and tells the others when it leads.
    pub(super) fn scout(market: &'a Market, random: Random, name: String, node: usize) -> Self {
        Self { node: Some(node), ..Self::new(market, random, name, false) }
    }

    /// Asks until the market closes; an answer that breaks the contract is an error.
    pub(super) fn run(mut self) -> Result<Vec<Answer>> {
        while !self.market.has_ended() {
            let node = self.choose_node();
            let told = match self.node {
                Some(_) => self.add(node)?,
                None => self.act(node)?,
            };
            let is_decided = match told {
                Some((times, told)) => {
                    let is_decided = told.is_decided();
                    if is_decided {
                        self.market.decided_ns[node].fetch_max(times.sent_ns, Ordering::Relaxed);
                        self.market.leader.store(node, Ordering::Relaxed);
                    }
                    self.answers.push(Answer { node, times, told });
                    is_decided
                }
                None => false,
            };
            if !is_decided && self.node.is_none() {
                // Whoever finds the leader tells the others; until then everybody looks for it.
                let next = (node + 1) % self.market.publics.len();
                let leader = &self.market.leader;
                let _ = leader.compare_exchange(node, next, Ordering::Relaxed, Ordering::Relaxed);
            }
            thread::sleep(if is_decided { PAUSE } else { REFUSED_PAUSE });
        }
        Ok(self.answers)
    }

    fn choose_node(&mut self) -> usize {
        if let Some(node) = self.node {
            return node;
        }
        if self.random.chance(5) {
            return self.below(self.market.publics.len());
        }
        self.market.leader.load(Ordering::Relaxed)
    }

    fn act(&mut self, node: usize) -> Result<Option<(Times, Told)>> {
        match self.random.below(100) {
            0..40 => {
                let ask = match self.unknown.pop() {
                    Some(ask) if self.random.chance(80) => ask,
                    _ => self.invent_ask(),
                };
                self.reserve(node, ask)
            }
            40..46 => {
                let earlier = self.known_reservation().map(|(ask, _)| ask);
                let ask = earlier.unwrap_or_else(|| self.invent_ask());
                self.reserve(node, ask)
            }
            46..66 => self.step(node),
            66..78 => self.add(node),
            78..82 => self.add_to_window(node),
            82..88 => self.read_number(node),
            88..94 => self.read_sale(node),
            _ => self.read_reservation(node),
        }
    }

    fn reserve(&mut self, node: usize, ask: Arc<Ask>) -> Result<Option<(Times, Told)>> {
        let Some((times, answer)) = self.call(node, &reserve_request(&ask)) else {
            self.unknown.push(ask);
            return Ok(None);
        };
        let outcome = outcome(answer, &[200, 201], read_reserved)?;
        match &outcome {
            Outcome::Acknowledged(Reserved { reservation, .. }) => {
                let mut pool = self.market.pool();
                if pool.len() >= POOL_COUNT_MAX {
                    pool.drain(..POOL_COUNT_MAX / 2);
                }
                pool.push((Arc::clone(&ask), reservation.reservation.clone()));
            }
            Outcome::Refused { status, .. } if *status != 503 => {}
            Outcome::Refused { .. } | Outcome::Unknown(_) => self.unknown.push(Arc::clone(&ask)),
        }
        Ok(Some((times, Told::Reserved { ask, outcome })))
    }

    fn step(&mut self, node: usize) -> Result<Option<(Times, Told)>> {
        let Some((ask, reservation)) = self.known_reservation() else { return self.add(node) };
        let (verb, path) =
            if self.random.chance(60) { (Verb::Release, "release") } else { (Verb::Confirm, "confirm") };
        let target = format!("/v1/sales/{}/reservations/{reservation}/{path}", ask.sale);
        let Some((times, answer)) = self.call(node, &request("POST", &target)) else { return Ok(None) };
        let outcome = outcome(answer, &[200], Response::json::<Reservation>)?;
        Ok(Some((times, Told::Stepped { verb, reservation, outcome })))
    }

    fn add(&mut self, node: usize) -> Result<Option<(Times, Told)>> {
        let number = (*self.random.pick(COUNTERS)).to_owned();
        let by = if self.random.chance(60) { 1 } else { self.random.between(2, 900) };
        let target = format!("/v1/{number}?by={by}");
        let Some((times, answer)) = self.call(node, &request("POST", &target)) else { return Ok(None) };
        let outcome = outcome(answer, &[200], value_of)?;
        Ok(Some((times, Told::Added { number, by, outcome })))
    }

    fn add_to_window(&mut self, node: usize) -> Result<Option<(Times, Told)>> {
        let asked = request("POST", &format!("/v1/{WINDOW}"));
        let Some((times, answer)) = self.call(node, &asked) else { return Ok(None) };
        let outcome = outcome(answer, &[200], count_of)?;
        Ok(Some((times, Told::Added { number: WINDOW.into(), by: 1, outcome })))
    }

    fn read_number(&mut self, node: usize) -> Result<Option<(Times, Told)>> {
        let number = (*self.random.pick(COUNTERS)).to_owned();
        let read = self.read(node, &format!("/v1/{number}"))?;
        let Some((times, answer)) = read else { return Ok(None) };
        let value = if answer.status == 404 { 0 } else { value_of(&answer)? };
        Ok(Some((times, Told::NumberRead { number, value })))
    }

    fn read_sale(&mut self, node: usize) -> Result<Option<(Times, Told)>> {
        let sale = self.sale();
        let Some((times, answer)) = self.read(node, &format!("/v1/sales/{sale}"))? else { return Ok(None) };
        Ok(Some((times, Told::SaleRead(answer.expect::<Sale>(200)?))))
    }

    fn read_reservation(&mut self, node: usize) -> Result<Option<(Times, Told)>> {
        let Some((ask, reservation)) = self.known_reservation() else { return self.read_sale(node) };
        let target = format!("/v1/sales/{}/reservations/{reservation}", ask.sale);
        let Some((times, answer)) = self.read(node, &target)? else { return Ok(None) };
        Ok(Some((times, Told::ReservationRead(answer.expect(200)?))))
    }

    /// A read; nothing if nobody answered it.
    fn read(&mut self, node: usize, target: &str) -> Result<Option<(Times, Response)>> {
        let Some((times, answer)) = self.call(node, &request("GET", target)) else { return Ok(None) };
        match answer {
            Err(Lost::Malformed(reason)) => Err(anyhow::anyhow!("malformed answer: {reason}")),
            Ok(answer) if answer.status != 503 => Ok(Some((times, answer))),
            _ => Ok(None),
        }
    }

    /// Asks a node; nothing if it is not there to be asked.
    fn call(&mut self, node: usize, bytes: &[u8]) -> Option<(Times, Result<Response, Lost>)> {
        let mut connection = match self.connections[node].take() {
            Some(connection) => connection,
            None => Connection::open(self.market.publics[node]).ok()?,
        };
        connection.set_timeout(self.timeout).ok()?;
        let (times, answer) = self.market.clock.time(|| connection.call(bytes));
        let stays = answer.as_ref().is_ok_and(|answer| {
            answer.header("connection").is_none_or(|value| !value.eq_ignore_ascii_case("close"))
        });
        if stays {
            self.connections[node] = Some(connection);
        }
        Some((times, answer))
    }

    fn invent_ask(&mut self) -> Arc<Ask> {
        self.asked += 1;
        let round = self.market.round.load(Ordering::Relaxed);
        let sales = sales(round);
        let sale = self.random.pick(&sales);
        let customer = format!("c{round}-{}", self.random.below(sale.customer_count));
        let line_count = self.random.between(1, 3.min(sale.stocks.len() as u64));
        let first = self.below(sale.stocks.len());
        let stocks = sale.stocks.iter().cycle().skip(first).take(usize::try_from(line_count).unwrap_or(1));
        let lines = stocks.map(|(stock, _)| ((*stock).to_owned(), self.random.between(1, 3))).collect();
        let key = Some(format!("k{}-{}", self.name, self.asked));
        Arc::new(Ask { sale: sale.name.clone(), customer, lines, details: None, key })
    }

    fn sale(&mut self) -> String {
        let sales = sales(self.market.round.load(Ordering::Relaxed));
        self.random.pick(&sales).name.clone()
    }

    fn known_reservation(&mut self) -> Option<(Arc<Ask>, String)> {
        let pool = self.market.pool();
        (!pool.is_empty()).then(|| self.random.pick(&pool).clone())
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.random.below(bound as u64)).expect("an index fits usize")
    }
}
