//! Holds a server at rest against the whole history of a run: what is unknown is looked up or retried, everything else must
//! be as it was acknowledged.

mod accounts;
mod denylist;
mod sessions;
mod stored;

use anyhow::{Context as _, Result, anyhow, ensure};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use crate::answers::{count_of, outcome, read_reserved, reserve_request, value_of};
use crate::api::{Reservation, ReservationList, Sale};
use crate::http::{self, Connection, request};
use crate::ledger::accounts::Accounts;
use crate::ledger::cooldowns::CoolDowns;
use crate::ledger::denials::Denials;
use crate::ledger::numbers::{Add, Period, Read};
use crate::ledger::panes::{Hit, Panes};
use crate::ledger::reservations::{Ledger, Terms};
use crate::ledger::{Ask, Outcome, Record, Reserved, Times};
use crate::random::Random;
use crate::run_clock::Clock;
use crate::server::Server;
use crate::shop::{SALES, SHORT_WINDOW};

/// The settings of the short window: 2 s in panes of 100 ms. The server reads its clock while a request is under way, however
/// long its threads rest; 200 ms are for what is set right in the wall clock between two starts of the server.
const SHORT_PANES: Panes = Panes { span_ns: 2_000_000_000, precision_ns: 100_000_000, slack_ns: 200_000_000 };

/// How many requests an audit has in flight on its connection.
const PIPELINE_DEPTH: usize = 32;

/// How long a hold may outlive its end before a run says that it never ends.
const EXPIRY_TIMEOUT: Duration = Duration::from_secs(10);

/// How many older reservations and keys each audit looks at again.
const SAMPLE_COUNT: u64 = 300;

/// What a run did and saw.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    requests: u64,
    additions: u64,
    reservations: u64,
    steps: u64,
    replays: u64,
    refusals: u64,
    cooling_down: u64,
    denied: u64,
    unknown: u64,
    found: u64,
    retried: u64,
    accounts: u64,
    accounts_found: u64,
    log_ins: u64,
    sessions_ended: u64,
}

impl fmt::Display for Tally {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} requests; acknowledged: {} additions, {} reservations, {} confirms and releases, {} replays; {} refused, {} of them in a cool-down and {} by the denylist; \
             {} unknown, of which {} reservations were found by their customer and {} by another attempt with their key; \
             {} accounts and {} found to be there, {} log-ins, sessions ended {} times",
            self.requests,
            self.additions,
            self.reservations,
            self.steps,
            self.replays,
            self.refusals,
            self.cooling_down,
            self.denied,
            self.unknown,
            self.found,
            self.retried,
            self.accounts,
            self.accounts_found,
            self.log_ins,
            self.sessions_ended
        )
    }
}

#[derive(Debug, Default)]
struct Number {
    value: u64,
    period: Period,
}

/// Everything that a run knows about its server.
#[derive(Debug)]
pub(crate) struct History {
    clock: Clock,
    numbers: BTreeMap<String, Number>,
    hits: Vec<Hit>,
    ledger: Ledger,
    denials: Denials,
    cooldowns: CoolDowns,
    accounts: Accounts,
    /// Those that were registered since the last audit.
    new_accounts: BTreeSet<String>,
    sessions: Vec<sessions::Begun>,
    reservations: Vec<(String, String)>,
    touched: BTreeSet<String>,
    customers: BTreeSet<(String, String)>,
    unknown: Vec<Arc<Ask>>,
    keyed: Vec<Arc<Ask>>,
    /// What happened so far.
    pub tally: Tally,
}

impl History {
    /// The history of a fresh data directory.
    pub(crate) fn new(clock: Clock) -> Self {
        let mut ledger = Ledger::default();
        for sale in SALES {
            let stocks = sale
                .stocks
                .iter()
                .map(|(stock, total)| ((*stock).to_owned(), BTreeSet::from([*total])))
                .collect();
            let terms = Terms {
                stocks,
                per_customer_max: sale.per_customer_max,
                hold_ttl_ms: sale.hold_ttl_ms,
                cools_down: sale.cooldown_ms > 0,
            };
            ledger.add_sale(sale.sale, terms);
        }
        Self {
            clock,
            numbers: BTreeMap::new(),
            hits: Vec::new(),
            ledger,
            denials: Denials::default(),
            cooldowns: CoolDowns::default(),
            accounts: Accounts::default(),
            new_accounts: BTreeSet::new(),
            sessions: Vec::new(),
            reservations: Vec::new(),
            touched: BTreeSet::new(),
            customers: BTreeSet::new(),
            unknown: Vec::new(),
            keyed: Vec::new(),
            tally: Tally::default(),
        }
    }

    /// Takes the records of one burst of traffic.
    pub(crate) fn absorb(&mut self, records: Vec<Record>) -> Result<()> {
        // A request is judged by changes of the denylist that were under way with it, and may have ended after it.
        for record in &records {
            if let Record::Deny { customer, denied, times, outcome } = record {
                self.count_outcome(outcome);
                self.denials.changed(customer, *denied, *times, outcome)?;
            }
        }
        self.absorb_accounts(&records)?;
        let mut steps = Vec::new();
        for record in records {
            self.tally.requests += 1;
            match record {
                Record::Add { number, by, times, outcome } => {
                    self.count_outcome(&outcome);
                    self.tally.additions += u64::from(matches!(outcome, Outcome::Acknowledged(_)));
                    let number = self.numbers.entry(number).or_default();
                    number.period.adds.push(Add { by, times, outcome });
                }
                Record::Read { number, times, value } => {
                    self.numbers.entry(number).or_default().period.reads.push(Read { times, value });
                }
                Record::Hit { times, outcome } => {
                    self.count_outcome(&outcome);
                    self.hits.push(Hit { times, outcome });
                }
                Record::Reserve { ask, times, outcome } => {
                    self.count_outcome(&outcome);
                    self.reserved(&ask, times, &outcome)?;
                }
                Record::Resize { sale, quantity_total, outcome, .. } => {
                    self.count_outcome(&outcome);
                    self.ledger.resized(&sale, quantity_total, &outcome)?;
                }
                Record::Deny { .. } | Record::Register { .. } | Record::LogIn { .. } => {}
                Record::Step { .. } => steps.push(record),
            }
        }
        let now_ms = Timestamp::now().as_millisecond();
        for refused in [false, true] {
            for step in &steps {
                let Record::Step { verb, reservation, outcome, .. } = step else { continue };
                match outcome {
                    Outcome::Refused { status, code } if refused => {
                        self.tally.refusals += 1;
                        self.ledger.step_refused(*verb, reservation, *status, code, now_ms)?;
                    }
                    Outcome::Refused { .. } => {}
                    _ if refused => {}
                    _ => {
                        self.count_outcome(outcome);
                        self.tally.steps += u64::from(!outcome.is_unknown());
                        self.touched.insert(reservation.clone());
                        self.ledger.stepped(*verb, reservation, outcome)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Checks everything against the server, which nobody else is using.
    pub(crate) fn audit(&mut self, server: &Server, random: &mut Random) -> Result<()> {
        let mut connection = Connection::open(server.public()).context("connect for the audit")?;
        self.check_numbers(&mut connection).context("numbers")?;
        self.check_short_window(&mut connection).context("the short window")?;
        self.check_denylist(server.operator()).context("the denylist")?;
        self.check_accounts(server.public(), random).context("accounts")?;
        self.check_sessions(server, random).context("sessions")?;
        let unknown = std::mem::take(&mut self.unknown);
        self.check_lists(&mut connection, &unknown).context("lists by customer, unknown outcomes open")?;
        self.retry_keys(server.public(), &unknown).context("retries of keys with unknown outcome")?;
        Self::await_expiry(&mut connection)?;
        self.check_reservations(&mut connection, random).context("reservations by id")?;
        self.check_lists(&mut connection, &[]).context("lists by customer")?;
        for sale in SALES {
            let shown = Sale::read(&mut connection, sale.sale).context("read a sale")?;
            self.ledger.figures(&shown).context("figures")?;
        }
        self.check_keys(&mut connection, random).context("keys answered before")?;
        self.customers.clear();
        self.touched.clear();
        Ok(())
    }

    /// Checks every reservation ever made, by id.
    pub(crate) fn audit_all(&mut self, server: &Server) -> Result<()> {
        let mut connection = Connection::open(server.public()).context("connect for the last audit")?;
        let reservations = self.reservations.clone();
        self.observe(&mut connection, &reservations).context("every reservation of the run")
    }

    /// Sale, id and customer of some reservation that is held, or of the newest when none is.
    pub(crate) fn held_reservation(&self) -> (String, String, String) {
        let mut newest_first = self.reservations.iter().rev();
        let held = newest_first.find(|(sale, id)| sale == "wide" && self.ledger.is_held(id));
        let (sale, id) = held.or(self.reservations.last()).cloned().unwrap_or_default();
        let customer = self.ledger.ask_of(&id).map(|ask| ask.customer.clone()).unwrap_or_default();
        (sale, id, customer)
    }

    fn count_outcome<T>(&mut self, outcome: &Outcome<T>) {
        match outcome {
            Outcome::Acknowledged(_) => {}
            Outcome::Refused { .. } => self.tally.refusals += 1,
            Outcome::Unknown(_) => self.tally.unknown += 1,
        }
    }

    fn reserved(&mut self, ask: &Arc<Ask>, times: Times, outcome: &Outcome<Reserved>) -> Result<()> {
        self.customers.insert((ask.sale.clone(), ask.customer.clone()));
        let possible = self.denials.during(&ask.customer, times);
        match outcome {
            Outcome::Refused { code, .. } if code == "denied" => {
                ensure!(possible.denied, "{ask:?} was denied, but its customer is not on the denylist");
                self.tally.denied += 1;
                return Ok(());
            }
            Outcome::Refused { code, .. } if code == "cooling_down" => {
                self.tally.cooling_down += 1;
                let (sent_ms, ended_ms) =
                    (self.clock.wall_ms(times.sent_ns), self.clock.wall_ms(times.ended_ns));
                self.cooldowns.refused(&ask.sale, &ask.customer, sent_ms, ended_ms);
            }
            Outcome::Acknowledged(_) => {
                ensure!(possible.allowed, "{ask:?} was taken, but its customer is on the denylist");
            }
            // It cannot have had an effect.
            Outcome::Unknown(_) if !possible.allowed => return Ok(()),
            _ => {}
        }
        if outcome.is_unknown() {
            self.unknown.push(Arc::clone(ask));
        }
        if let Outcome::Acknowledged(Reserved { replayed, .. }) = outcome {
            self.tally.replays += u64::from(*replayed);
            self.tally.reservations += u64::from(!*replayed);
        }
        if let Some(id) = self.ledger.reserved(ask, times, outcome)? {
            self.touched.insert(id.clone());
            self.reservations.push((ask.sale.clone(), id));
            if ask.key.is_some() {
                self.keyed.push(Arc::clone(ask));
            }
        }
        Ok(())
    }

    fn check_numbers(&mut self, connection: &mut Connection) -> Result<()> {
        let requests =
            self.numbers.keys().map(|number| request("GET", &format!("/v1/{number}"))).collect::<Vec<_>>();
        let answers = connection.pipeline(&requests, PIPELINE_DEPTH)?;
        for ((name, number), answer) in self.numbers.iter_mut().zip(answers) {
            let value = match answer.status {
                404 => 0,
                200 if name.starts_with("windows/") => count_of(&answer)?,
                200 => value_of(&answer)?,
                status => anyhow::bail!("{name} answered {status}: {}", answer.text()),
            };
            number.period.check(number.value, value).with_context(|| name.clone())?;
            number.value = value;
            number.period = Period::default();
        }
        Ok(())
    }

    fn check_short_window(&mut self, connection: &mut Connection) -> Result<()> {
        let asked = request("GET", &format!("/v1/{SHORT_WINDOW}"));
        let (times, answer) = self.clock.time(|| connection.call(&asked));
        let answer = answer?;
        ensure!(answer.status == 200, "answered {}: {}", answer.status, answer.text());
        SHORT_PANES.check(&self.hits, times, count_of(&answer)?)?;
        // A hit that was answered is itself a reading, of itself and all before.
        for hit in self.hits.iter().rev().take(40) {
            if let Outcome::Acknowledged(count) = hit.outcome {
                SHORT_PANES.check(&self.hits, hit.times, count)?;
            }
        }
        let kept_ns = times.sent_ns.saturating_sub(2 * SHORT_PANES.span_ns);
        self.hits.retain(|hit| hit.times.ended_ns >= kept_ns);
        Ok(())
    }

    fn check_lists(&mut self, connection: &mut Connection, unknown: &[Arc<Ask>]) -> Result<()> {
        let customers = self.customers.iter().cloned().collect::<Vec<_>>();
        let requests = customers
            .iter()
            .map(|(sale, customer)| {
                request("GET", &format!("/v1/sales/{sale}/customers/{customer}/reservations"))
            })
            .collect::<Vec<_>>();
        let answers = connection.pipeline(&requests, PIPELINE_DEPTH)?;
        for ((sale, customer), answer) in customers.iter().zip(answers) {
            let list: ReservationList = answer.expect(200)?;
            let before = self.ledger.reservation_count();
            self.ledger.listed(sale, customer, &list.reservations, unknown)?;
            self.cooldowns.check(sale, customer, cooldown_ms(sale), &list.reservations)?;
            self.tally.found += (self.ledger.reservation_count() - before) as u64;
            for reservation in list.reservations {
                let id = reservation.reservation;
                if self.touched.insert(id.clone()) {
                    self.reservations.push((sale.clone(), id));
                }
            }
        }
        Ok(())
    }

    /// Retries each key with an unknown outcome on two connections at once: both must give the same one reservation.
    fn retry_keys(&mut self, public: SocketAddr, unknown: &[Arc<Ask>]) -> Result<()> {
        let asks = unknown.iter().filter(|ask| ask.key.is_some()).collect::<Vec<_>>();
        let barrier = Barrier::new(2);
        let clock = self.clock;
        let retry = || {
            let answers = asks.iter().map(|ask| {
                barrier.wait();
                clock.time(|| http::once(public, &reserve_request(ask)))
            });
            answers.collect::<Vec<_>>()
        };
        let (first, second) = thread::scope(|scope| {
            let other = scope.spawn(retry);
            (retry(), other.join().map_err(|_| anyhow!("a retry panicked")))
        });
        let second = second?;
        for ((ask, first), second) in asks.into_iter().zip(first).zip(second) {
            self.tally.retried += 1;
            let mut answers = [first, second];
            answers.sort_by_key(|(times, _)| times.ended_ns);
            let mut given = Vec::new();
            for (times, answer) in answers {
                let outcome = outcome(Ok(answer?), &[200, 201], read_reserved)?;
                self.reserved(ask, times, &outcome)?;
                given.push(matches!(outcome, Outcome::Acknowledged(_)));
            }
            // Units of the brief sale come back by time between the two, and so ends a cool-down.
            ensure!(
                given[0] == given[1] || ask.sale == "brief" || cooldown_ms(&ask.sale) > 0,
                "of two retries of {ask:?} at once only one got the reservation"
            );
        }
        Ok(())
    }

    fn await_expiry(connection: &mut Connection) -> Result<()> {
        let started = Instant::now();
        for sale in SALES.iter().filter(|sale| (1..=1000).contains(&sale.hold_ttl_ms)) {
            loop {
                let shown = Sale::read(connection, sale.sale).context("read a sale")?;
                let held = shown.stocks.iter().map(|stock| stock.quantity_held).sum::<u64>();
                if held == 0 {
                    break;
                }
                ensure!(
                    started.elapsed() < EXPIRY_TIMEOUT,
                    "{held} units of {} are still held long after every hold has ended",
                    sale.sale
                );
                thread::sleep(Duration::from_millis(20));
            }
        }
        Ok(())
    }

    fn check_reservations(&mut self, connection: &mut Connection, random: &mut Random) -> Result<()> {
        let mut chosen = self.touched.iter().filter_map(|id| self.place_of(id)).collect::<Vec<_>>();
        if !self.reservations.is_empty() {
            chosen.extend((0..SAMPLE_COUNT).map(|_| random.pick(&self.reservations).clone()));
        }
        self.observe(connection, &chosen)
    }

    fn place_of(&self, id: &str) -> Option<(String, String)> {
        self.ledger.ask_of(id).map(|ask| (ask.sale.clone(), id.to_owned()))
    }

    fn observe(&mut self, connection: &mut Connection, reservations: &[(String, String)]) -> Result<()> {
        let requests = reservations
            .iter()
            .map(|(sale, id)| request("GET", &format!("/v1/sales/{sale}/reservations/{id}")))
            .collect::<Vec<_>>();
        let answers = connection.pipeline(&requests, PIPELINE_DEPTH)?;
        let now_ms = Timestamp::now().as_millisecond();
        for ((_, id), answer) in reservations.iter().zip(answers) {
            let shown: Reservation = answer.expect(200).with_context(|| format!("read {id}"))?;
            ensure!(shown.reservation == *id, "asked for {id}, shown {}", shown.reservation);
            self.ledger.observed(&shown, now_ms)?;
        }
        Ok(())
    }

    /// Keys answered in this or an earlier life of the server: the same body gives the same reservation, another is refused.
    fn check_keys(&mut self, connection: &mut Connection, random: &mut Random) -> Result<()> {
        if self.keyed.is_empty() {
            return Ok(());
        }
        for _ in 0..SAMPLE_COUNT / 10 {
            let ask = Arc::clone(random.pick(&self.keyed));
            let sent_ns = self.clock.now_ns();
            if self.denials.during(&ask.customer, Times { sent_ns, ended_ns: sent_ns }).denied {
                continue;
            }
            let answer = connection.call(&reserve_request(&ask))?;
            let times = Times { sent_ns, ended_ns: self.clock.now_ns() };
            let outcome = outcome(Ok(answer), &[200, 201], read_reserved)?;
            ensure!(
                matches!(&outcome, Outcome::Acknowledged(reserved) if reserved.replayed),
                "a retry of {ask:?} was answered {outcome:?}"
            );
            self.reserved(&ask, times, &outcome)?;
            let mut other = (*ask).clone();
            other.lines[0].1 += 1;
            let answer = connection.call(&reserve_request(&other))?;
            ensure!(
                answer.status == 422 && answer.text().contains("idempotency_key_reused"),
                "another body under the key of {ask:?} was answered {}: {}",
                answer.status,
                answer.text()
            );
        }
        Ok(())
    }
}

/// How long a customer of this sale has to wait after a reservation.
fn cooldown_ms(sale: &str) -> u64 {
    SALES.iter().find(|known| known.sale == sale).map_or(0, |known| known.cooldown_ms)
}
