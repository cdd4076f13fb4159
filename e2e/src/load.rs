//! The mixed traffic under which servers are killed and stopped: many connections that count, reserve, confirm, release,
//! read and retry, and write down every request with what came of it.

use anyhow::{Result, anyhow, ensure};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::account_traffic::register;
use crate::answers::{count_of, outcome, read_reserved, request_count_of, reserve_request, value_of};
use crate::api::Reservation;
use crate::http::{Connection, Lost, Response, request};
use crate::ledger::{Ask, Outcome, Record, Reserved, Times, Verb};
use crate::operator_traffic::{deny, resize};
use crate::random::Random;
use crate::run_clock::Clock;
use crate::shop::{
    COOLED_CUSTOMER_COUNT, COOLED_SALE, LONG_WINDOW, RESIZED_SALE, SALES, SHORT_WINDOW, cooled_customer,
};

/// The visitor counter's route, and the counter behind it.
const VISITOR_ROUTE: (&str, &str) = ("/web-counter/increment", "counters/web-counter");

/// The request window's route, and the window behind it.
const REQUEST_ROUTE: (&str, &str) = ("/", "windows/requests");

/// What `serve` is told for the traffic: the scenario routes, with a request window that outlasts the run.
pub(crate) const ARGUMENTS: &[&str] = &["--demo", "--persistence-timeframe", "24h", "--precision", "10s"];

/// How long customers register before the others ask.
const HEAD_START_MS_MAX: u64 = 150;

/// How many reservations and requests the connections remember for each other.
const POOL_COUNT_MAX: usize = 2_000;

/// What the connections share.
#[derive(Debug)]
pub(crate) struct Traffic {
    clock: Clock,
    stop: AtomicBool,
    cycle: AtomicU64,
    pause: Duration,
    reservations: Mutex<Vec<(String, String)>>,
    keyed: Mutex<Vec<Arc<Ask>>>,
    twins: Mutex<Vec<Arc<Ask>>>,
}

impl Traffic {
    /// Traffic that has not begun.
    pub(crate) fn new(clock: Clock) -> Self {
        Self {
            clock,
            stop: AtomicBool::new(false),
            cycle: AtomicU64::new(0),
            pause: Duration::ZERO,
            reservations: Mutex::default(),
            keyed: Mutex::default(),
            twins: Mutex::default(),
        }
    }

    /// Lets every connection pause after each action.
    pub(crate) fn paced(self, pause: Duration) -> Self {
        Self { pause, ..self }
    }

    /// Runs `connection_count` connections until `end` returns (which kills or stops the server, or just waits), and
    /// returns all that they wrote down, in the order in which it ended.
    pub(crate) fn drive(
        &self,
        public: SocketAddr,
        operator: SocketAddr,
        connection_count: u64,
        random: &Random,
        end: impl FnOnce() -> Result<()>,
    ) -> Result<Vec<Record>> {
        let cycle = self.cycle.fetch_add(1, Ordering::Relaxed);
        self.stop.store(false, Ordering::Relaxed);
        lock(&self.twins).clear();
        let mut records = thread::scope(|scope| {
            let stopped = || self.stop.load(Ordering::Relaxed);
            let registering = [0, 1].map(|number| {
                let mut random = random.fork(connection_count + 2 + number);
                let names = (cycle, number);
                scope.spawn(move || register(self.clock, public, &mut random, names, stopped))
            });
            // Passwords have the lowest priority: once the others ask, next to none is hashed.
            thread::sleep(random.fork(connection_count + 4).span_ms(0, HEAD_START_MS_MAX));
            let clients = (0..connection_count)
                .map(|number| {
                    let random = random.fork(number + 1);
                    scope.spawn(move || {
                        let name = format!("{cycle}-{number}");
                        let mut client =
                            Client { traffic: self, random, name, asked: 0, records: Vec::new() };
                        client.run(public).map(|()| client.records)
                    })
                })
                .collect::<Vec<_>>();
            let mut resize_random = random.fork(0);
            let resizing = scope.spawn(move || resize(self.clock, operator, &mut resize_random, stopped));
            let mut deny_random = random.fork(connection_count + 1);
            let denying = scope.spawn(move || deny(self.clock, operator, &mut deny_random, stopped));
            let ended = end();
            self.stop.store(true, Ordering::Relaxed);
            let mut records = Vec::new();
            for client in clients {
                records.extend(client.join().map_err(|_| anyhow!("a client panicked"))??);
            }
            for operating in [resizing, denying].into_iter().chain(registering) {
                records.extend(operating.join().map_err(|_| anyhow!("an operator panicked"))??);
            }
            ended.map(|()| records)
        })?;
        records.sort_by_key(|record| record.times().ended_ns);
        Ok(records)
    }
}

/// One connection after another, and what came of every request.
struct Client<'a> {
    traffic: &'a Traffic,
    random: Random,
    name: String,
    asked: u64,
    records: Vec<Record>,
}

impl Client<'_> {
    /// Sends requests until the traffic stops or an answer is lost; an answer that breaks the contract is an error.
    fn run(&mut self, public: SocketAddr) -> Result<()> {
        while !self.stopped() {
            let Ok(mut connection) = Connection::open(public) else { return Ok(()) };
            while !self.stopped() {
                let before = self.records.len();
                let closing = self.act(&mut connection)?;
                if self.records[before..].iter().any(|record| record.lost().is_some()) {
                    return Ok(());
                }
                if closing {
                    break;
                }
                if !self.traffic.pause.is_zero() {
                    thread::sleep(self.traffic.pause);
                }
            }
        }
        Ok(())
    }

    fn stopped(&self) -> bool {
        self.traffic.stop.load(Ordering::Relaxed)
    }

    /// One action; true when the server closes the connection after it.
    fn act(&mut self, connection: &mut Connection) -> Result<bool> {
        match self.random.below(100) {
            0..22 => self.add(connection),
            22..28 => self.add_pipelined(connection),
            28..32 => self.read(connection),
            32..36 => self.add_by_scenario(connection),
            36..40 => self.add_to_long_window(connection),
            40..46 => self.hit(connection),
            46..78 => {
                let ask = self.invent_ask();
                self.reserve(connection, ask)
            }
            78..84 => self.repeat(connection),
            _ => self.step(connection),
        }
    }

    fn counter(&mut self) -> String {
        match self.random.below(10) {
            0 => format!("counters/fresh-{}", self.name.split('-').next().unwrap_or_default()),
            number => format!("counters/visits-{}", number % 4),
        }
    }

    fn add(&mut self, connection: &mut Connection) -> Result<bool> {
        let number = self.counter();
        let by = if self.random.chance(60) { 1 } else { self.random.between(2, 900) };
        let target = if by == 1 { format!("/v1/{number}") } else { format!("/v1/{number}?by={by}") };
        let (times, answer) = self.call(connection, &request("POST", &target));
        let closing = closes(&answer);
        let outcome = outcome(answer, &[200], value_of)?;
        self.records.push(Record::Add { number, by, times, outcome });
        Ok(closing)
    }

    /// Several additions in flight on one connection: the answers come in order.
    fn add_pipelined(&mut self, connection: &mut Connection) -> Result<bool> {
        let numbers = (0..self.random.between(2, 8)).map(|_| self.counter()).collect::<Vec<_>>();
        let requests =
            numbers.iter().map(|number| request("POST", &format!("/v1/{number}"))).collect::<Vec<_>>();
        let sent_ns = self.traffic.clock.now_ns();
        let mut lost = connection.send(&requests.concat()).err();
        let mut closing = false;
        for number in numbers {
            let answer = match &lost {
                Some(lost) => Err(lost.clone()),
                None => connection.receive(false),
            };
            // Nothing behind an answer that says close may be taken up (RFC 9112, section 9.6): a client that believes it
            // counts the rest as never accepted.
            ensure!(
                !(closing && answer.is_ok()),
                "an answer of a pipeline says close, and more requests behind it are answered"
            );
            closing |= closes(&answer);
            lost = answer.as_ref().err().cloned();
            let times = Times { sent_ns, ended_ns: self.traffic.clock.now_ns() };
            let outcome = outcome(answer, &[200], value_of)?;
            self.records.push(Record::Add { number, by: 1, times, outcome });
        }
        Ok(closing)
    }

    fn read(&mut self, connection: &mut Connection) -> Result<bool> {
        let number = self.counter();
        let (times, answer) = self.call(connection, &request("GET", &format!("/v1/{number}")));
        let closing = closes(&answer);
        match answer {
            Ok(answer) if answer.status == 200 => {
                let value = value_of(&answer)?;
                self.records.push(Record::Read { number, times, value });
            }
            // A counter that nobody has added to yet, a refusal, or no answer: nothing was learnt.
            _ => {}
        }
        Ok(closing)
    }

    fn add_to_long_window(&mut self, connection: &mut Connection) -> Result<bool> {
        let (times, answer) = self.call(connection, &request("POST", &format!("/v1/{LONG_WINDOW}")));
        let closing = closes(&answer);
        let outcome = outcome(answer, &[200], count_of)?;
        self.records.push(Record::Add { number: LONG_WINDOW.into(), by: 1, times, outcome });
        Ok(closing)
    }

    /// The scenario routes are other doors to a counter and a window.
    fn add_by_scenario(&mut self, connection: &mut Connection) -> Result<bool> {
        let visit = self.random.chance(50);
        let (target, number) = if visit { VISITOR_ROUTE } else { REQUEST_ROUTE };
        let (times, answer) = self.call(connection, &request("GET", target));
        let closing = closes(&answer);
        let outcome = outcome(answer, &[200], if visit { Response::json::<u64> } else { request_count_of })?;
        self.records.push(Record::Add { number: number.into(), by: 1, times, outcome });
        Ok(closing)
    }

    fn hit(&mut self, connection: &mut Connection) -> Result<bool> {
        let (times, answer) = self.call(connection, &request("POST", &format!("/v1/{SHORT_WINDOW}")));
        let closing = closes(&answer);
        let outcome = outcome(answer, &[200], count_of)?;
        self.records.push(Record::Hit { times, outcome });
        Ok(closing)
    }

    fn invent_ask(&mut self) -> Arc<Ask> {
        self.asked += 1;
        let settings = self.random.pick(SALES);
        let cycle = self.name.split('-').next().unwrap_or_default().to_owned();
        let (customer, units_max) = match settings.sale {
            "limited" => (format!("l{cycle}-{}", self.random.below(60)), 2),
            "tour" => (format!("t{cycle}-{}", self.random.below(400)), 3),
            COOLED_SALE => (cooled_customer(self.random.below(COOLED_CUSTOMER_COUNT)), 3),
            _ => (format!("c{}-{}", self.name, self.asked), 5),
        };
        let line_count = self.random.between(1, 3.min(settings.stocks.len() as u64));
        let first = self.random.below(settings.stocks.len() as u64);
        let lines = (0..line_count)
            .map(|number| {
                let at = (first + number) % settings.stocks.len() as u64;
                let stock = settings.stocks[usize::try_from(at).expect("an index fits usize")].0;
                (stock.to_owned(), self.random.between(1, units_max))
            })
            .collect();
        let shared_customer = settings.per_customer_max.is_some() || settings.cooldown_ms > 0;
        let key =
            (shared_customer || self.random.chance(50)).then(|| format!("k{}-{}", self.name, self.asked));
        let details = self.random.chance(25).then(|| self.details());
        Arc::new(Ask { sale: settings.sale.into(), customer, lines, details, key })
    }

    fn details(&mut self) -> Value {
        match self.random.below(3) {
            0 => json!({"name": "Zoë \"Q\" \\ \u{1f3ab}\n", "row": self.random.below(99)}),
            1 => json!({"nested": {"list": [1, 2.5, null, true, {"x": []}]}}),
            _ => json!({"note": "x".repeat(usize::try_from(self.random.below(3000)).expect("small"))}),
        }
    }

    fn reserve(&mut self, connection: &mut Connection, ask: Arc<Ask>) -> Result<bool> {
        if ask.key.is_some() && self.random.chance(30) {
            remember(&self.traffic.twins, Arc::clone(&ask));
        }
        let (times, answer) = self.call(connection, &reserve_request(&ask));
        let closing = closes(&answer);
        let outcome = outcome(answer, &[200, 201], read_reserved)?;
        if let Outcome::Acknowledged(Reserved { reservation, .. }) = &outcome {
            remember(&self.traffic.reservations, (ask.sale.clone(), reservation.reservation.clone()));
            if ask.key.is_some() {
                remember(&self.traffic.keyed, Arc::clone(&ask));
            }
        }
        self.records.push(Record::Reserve { ask, times, outcome });
        Ok(closing)
    }

    /// Sends once more what is being sent elsewhere, or was answered before.
    fn repeat(&mut self, connection: &mut Connection) -> Result<bool> {
        let traffic = self.traffic;
        let twin = lock(&traffic.twins).pop();
        let earlier = {
            let keyed = lock(&traffic.keyed);
            (!keyed.is_empty()).then(|| Arc::clone(self.random.pick(&keyed)))
        };
        match twin.or(earlier) {
            Some(ask) => self.reserve(connection, ask),
            None => self.read(connection),
        }
    }

    fn step(&mut self, connection: &mut Connection) -> Result<bool> {
        let traffic = self.traffic;
        let chosen = {
            let reservations = lock(&traffic.reservations);
            (!reservations.is_empty()).then(|| self.random.pick(&reservations).clone())
        };
        let Some((sale, reservation)) = chosen else { return self.add(connection) };
        // Units of the tight sale come back more often, or nothing would be left to reserve.
        let release =
            self.random.chance(if matches!(sale.as_str(), "limited" | RESIZED_SALE) { 90 } else { 45 });
        let (verb, path) = if release { (Verb::Release, "release") } else { (Verb::Confirm, "confirm") };
        let target = format!("/v1/sales/{sale}/reservations/{reservation}/{path}");
        let (times, answer) = self.call(connection, &request("POST", &target));
        let closing = closes(&answer);
        let outcome = outcome(answer, &[200], Response::json::<Reservation>)?;
        self.records.push(Record::Step { verb, reservation, times, outcome });
        Ok(closing)
    }

    fn call(&self, connection: &mut Connection, bytes: &[u8]) -> (Times, Result<Response, Lost>) {
        self.traffic.clock.time(|| connection.call(bytes))
    }
}

fn closes(answer: &Result<Response, Lost>) -> bool {
    let connection = answer.as_ref().ok().and_then(|answer| answer.header("connection"));
    connection.is_some_and(|value| value.eq_ignore_ascii_case("close"))
}

fn lock<T>(shared: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn remember<T>(pool: &Mutex<Vec<T>>, item: T) {
    let mut pool = lock(pool);
    if pool.len() >= POOL_COUNT_MAX {
        pool.drain(..POOL_COUNT_MAX / 2);
    }
    pool.push(item);
}
