//! The database of a sink fails over: its primary is killed and a real streaming replica is promoted, with and without everything
//! that the primary had confirmed, and the old primary comes back as if nothing had happened. Every outcome is in the database that
//! the sink writes to, once, and where going on would be wrong the sink stops and says what to do.

mod buyers;
mod pair;

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;
use serde_json::Value;
use std::fs;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use crate::Bench;
use crate::activity;
use crate::http::{self, request};
use crate::operator::{AGREES, await_caught_up, await_sink, reconcile, sink, sinks_command};
use crate::scenarios::visits::{ask_replica, await_replicated};
use crate::server::{Launch, Server};
use crate::services::Services;
use crate::targets::postgres::Database;
use crate::targets::{Events, Stored, compare};
use buyers::Buyers;
use pair::{Pair, Which, cut_connections, state};

/// The sink whose database fails over, and one to compare with.
const SINKS: [&str; 2] = ["postgres", "redis"];

/// What the server's log has when a sink stops.
const HAS_STOPPED: &str = "the sink has stopped";

/// What is said of a server that lacks nothing but that the sink has connected to another.
const LACKS_CONNECTION: &str = "it does not know of the sink's last connection there, and was left behind";

/// What is said of a server that lacks events as well.
const LACKS_EVENTS: &str = ": it was left behind, or is an old primary";

/// How long a replica may take to notice that its primary is gone.
const NOTICE_TIMEOUT: Duration = Duration::from_mins(1);

/// Runs the scenario.
pub(crate) fn run(bench: &mut Bench) -> Result<String> {
    let Some(services) = Services::find()? else {
        return Ok("SKIPPED: cargo xtask services up tells how to start servers".into());
    };
    let mut bought_count = 0;
    for (name, part) in [
        ("the replica has everything", has_everything as fn(&mut Shop) -> Result<()>),
        ("the old primary has as much", has_as_much),
        ("the replica lacks something", lacks_something),
        ("the replica lacks the last connection", lacks_connection),
    ] {
        let mut shop = Shop::open(bench, &services, name).context(name)?;
        part(&mut shop).context(name)?;
        bought_count += shop.buyers.bought_count();
        shop.close().context(name)?;
    }
    Ok(format!("{bought_count} reservations, each one row on the right server"))
}

/// A replica that has everything is gone on with, and nobody notices. An old primary that comes back is not.
fn has_everything(shop: &mut Shop) -> Result<()> {
    shop.pair.replicate_synchronously()?;
    let (public, operator) = (shop.server().public(), shop.server().operator());
    let pair = &shop.pair;
    let visits = shop.visit_count;
    shop.buyers.during(public, || {
        pair.kill_first()?;
        let at_kill = sink(operator, "postgres")?.sink_offset;
        read_while_behind(public, visits).context("while there is no primary")?;
        pair.promote_second()?;
        await_sink(operator, "postgres", "the new primary", |sink| {
            sink.state == "running" && sink.sink_offset > at_kill
        })
    })?;
    shop.check_whole(Which::Second)?;
    ensure!(shop.visit()? == 0, "the new primary is said to be behind");
    let output = output(&shop.launch)?;
    ensure!(!output.contains(HAS_STOPPED), "the sink stopped:\n{output}");

    shop.pair.start_first()?;
    let (first, second) = (&shop.pair.first, &shop.pair.second);
    let left = state(first)?;
    shop.buyers.during(public, || {
        cut_connections(second)?;
        check_stopped(operator, &shop.launch, (first, second), LACKS_EVENTS)
    })?;
    ensure!(state(first)? == left, "the old primary was {left:?}, and is {:?}", state(first)?);
    ensure!(read(public)? == (shop.visit_count, 0), "the new primary is read as {:?}", read(public)?);
    shop.pair.kill_first()?;
    shop.retry()?;
    shop.check_whole(Which::Second).context("after the old primary was ended")
}

/// The old primary has every event. It only does not know that the sink has connected elsewhere.
fn has_as_much(shop: &mut Shop) -> Result<()> {
    shop.pair.await_replicated()?;
    shop.stop()?;
    shop.pair.kill_first()?;
    shop.pair.promote_second()?;
    shop.start()?;
    shop.await_caught_up()?;
    shop.pair.start_first()?;
    let left = state(&shop.pair.first)?;
    // A restart does not make it the right one.
    for _ in 0..2 {
        shop.restart()?;
        let servers = (&shop.pair.first, &shop.pair.second);
        check_stopped(shop.server().operator(), &shop.launch, servers, LACKS_CONNECTION)?;
        let now = state(&shop.pair.first)?;
        ensure!(now == left, "the old primary was {left:?}, and is {now:?}");
    }
    shop.pair.kill_first()?;
    shop.retry()?;
    shop.buy()?;
    shop.check_whole(Which::Second)
}

/// A replica that lacks what the primary had confirmed is not gone on with before an operator says so.
fn lacks_something(shop: &mut Shop) -> Result<()> {
    shop.pair.end_replication()?;
    // What the replica lacks begins with this connection of the sink.
    shop.restart()?;
    shop.buy()?;
    let visits = shop.visit_count;
    shop.check_whole(Which::First)?;
    let (public, operator) = (shop.server().public(), shop.server().operator());
    read_while_behind(public, visits)?;
    let pair = &shop.pair;
    let left = state(&pair.second)?;
    shop.buyers.during(public, || {
        pair.kill_first()?;
        pair.promote_second()?;
        check_stopped(operator, &shop.launch, (&pair.second, &pair.first), LACKS_EVENTS)
    })?;
    ensure!(state(&pair.second)? == left, "the replica was {left:?}, and is {:?}", state(&pair.second)?);

    let frozen = shop.pair.freeze_second()?;
    shop.pair.start_first()?;
    shop.retry()?;
    shop.check_whole(Which::First).context("with the right one made the primary")?;

    drop(frozen);
    let pair = &shop.pair;
    shop.buyers.during(public, || {
        pair.kill_first()?;
        check_stopped(operator, &shop.launch, (&pair.second, &pair.first), LACKS_EVENTS)
    })?;
    shop.retry()?;
    shop.check_whole(Which::Second).context("with the one that lacked something")?;
    ensure!(shop.visit()? == 0, "the new primary is said to be behind");
    Ok(())
}

/// A replica that lacks nothing but the sink's last connection is gone on with by an operator's word, and told from the primary that was
/// left, although both have the same events.
fn lacks_connection(shop: &mut Shop) -> Result<()> {
    shop.pair.await_replicated()?;
    shop.pair.end_replication()?;
    shop.restart()?;
    shop.await_caught_up()?;
    shop.pair.kill_first()?;
    shop.pair.promote_second()?;
    // A sink looks for its server when it starts, and otherwise when it has something to write.
    shop.restart()?;
    let servers = (&shop.pair.second, &shop.pair.first);
    check_stopped(shop.server().operator(), &shop.launch, servers, LACKS_CONNECTION)?;
    shop.retry()?;
    shop.await_caught_up()?;
    shop.pair.start_first()?;
    let left = state(&shop.pair.first)?;
    shop.restart()?;
    let servers = (&shop.pair.first, &shop.pair.second);
    check_stopped(shop.server().operator(), &shop.launch, servers, LACKS_CONNECTION)?;
    let now = state(&shop.pair.first)?;
    ensure!(now == left, "the old primary was {left:?}, and is {now:?}");
    shop.pair.kill_first()?;
    shop.retry()?;
    shop.buy()?;
    shop.check_whole(Which::Second)
}

/// The sink stops at the first server, which answers, for the second, which confirmed more. What is shown of it names both, how far each
/// is, what the first `lacks`, and what to do.
fn check_stopped(
    operator: SocketAddr,
    launch: &Launch,
    (answers, confirmed): (&Database, &Database),
    lacks: &str,
) -> Result<()> {
    let stopped = await_sink(operator, "postgres", "a stop", |sink| sink.state == "stopped")?;
    let reason = stopped.reason.context("it stopped without a reason")?;
    let (_, has) = answers.number("SELECT sink, next_offset FROM sinks")?;
    for words in [
        format!("{} answers for the target now", answers.address),
        format!("below offset {has}, while {} had confirmed those below ", confirmed.address),
        lacks.to_owned(),
        "Nothing was written to it".to_owned(),
        "onrush sinks retry postgres".to_owned(),
    ] {
        ensure!(reason.contains(&words), "the reason lacks {words:?}: {reason}");
    }
    let printed = sinks_command(launch, &[])?;
    ensure!(printed.contains("stopped") && printed.contains(&reason), "onrush sinks says:\n{printed}");
    let output = output(launch)?;
    ensure!(output.contains(HAS_STOPPED), "the server says nothing of the stop:\n{output}");
    Ok(())
}

/// What the server said so far.
fn output(launch: &Launch) -> Result<String> {
    fs::read_to_string(&launch.output).context("read server output")
}

/// The newest visit as the replica has it: its number, and how far behind the replica says that it is.
fn read(public: SocketAddr) -> Result<(u64, u64)> {
    let answer = ask_replica(public)?;
    let lag = answer.header("onrush-replica-lag-ms").context("no header for the lag")?.parse();
    let visitor: Value = answer.json()?;
    Ok((visitor["counter"].as_u64().context("no counter")?, lag.context("read the lag")?))
}

/// A replica that nobody sends anything goes on answering with what it has, and says how old that is.
fn read_while_behind(public: SocketAddr, visits: u64) -> Result<()> {
    let started = Instant::now();
    loop {
        let (counter, lag_ms) = read(public)?;
        ensure!(counter == visits, "visit {counter} is read, not {visits}");
        if lag_ms > 0 {
            return Ok(());
        }
        ensure!(started.elapsed() < NOTICE_TIMEOUT, "the replica still says that it is not behind");
        thread::sleep(Duration::from_millis(20));
    }
}

/// A server with both sinks, and its buyers.
struct Shop {
    server: Option<Server>,
    launch: Launch,
    buyers: Buyers,
    visit_count: u64,
    // Dropped after the server.
    pair: Pair,
}

impl Shop {
    fn open(bench: &mut Bench, services: &Services, name: &str) -> Result<Self> {
        let directory = bench.directory.join(name.replace(' ', "-"));
        let pair = Pair::start(services, &directory.join("services"))?;
        let mut launch = bench.launch()?.with(&[("ONRUSH_SCENARIOS__VISITOR_COUNTER", "true")]);
        (launch.data, launch.output) = (directory.join("data"), directory.join("server.log"));
        launch.environment.extend(pair.settings());
        let server = launch.start()?;
        activity::set_up(server.operator())?;
        let (server, buyers) = (Some(server), Buyers::default());
        let mut shop = Self { server, launch, buyers, visit_count: 0, pair };
        shop.buy()?;
        ensure!(shop.visit()? == 0, "a replica that follows is said to be behind");
        shop.check_whole(Which::First)?;
        Ok(shop)
    }

    fn server(&self) -> &Server {
        self.server.as_ref().expect("it is stopped only to be started")
    }

    fn stop(&mut self) -> Result<()> {
        self.server.take().expect("it runs").stop(Signal::TERM)
    }

    /// Ends everything and removes what the databases keep. Otherwise that stays.
    fn close(mut self) -> Result<()> {
        self.stop()?;
        self.pair.purge()
    }

    fn start(&mut self) -> Result<()> {
        self.server = Some(self.launch.start()?);
        Ok(())
    }

    fn restart(&mut self) -> Result<()> {
        self.stop()?;
        self.start()
    }

    fn buy(&mut self) -> Result<()> {
        let public = self.server().public();
        self.buyers.go_on(public)
    }

    /// A visit, which is read back from the replica; how far behind it says that it is.
    fn visit(&mut self) -> Result<u64> {
        let visit = http::once(self.server().public(), &request("GET", "/web-counter/increment"))?;
        self.visit_count += 1;
        ensure!(visit.text() == self.visit_count.to_string(), "the visit is {}", visit.text());
        await_replicated(self.server(), self.visit_count)
    }

    /// What an operator does when the right server answers.
    fn retry(&self) -> Result<()> {
        sinks_command(&self.launch, &["retry", "postgres"]).map(drop)
    }

    fn await_caught_up(&self) -> Result<()> {
        await_caught_up(self.server().operator(), &SINKS)
    }

    /// On this server is everything once: each event as in the log and in Redis, and each reservation.
    fn check_whole(&self, which: Which) -> Result<()> {
        self.await_caught_up()?;
        let database = self.pair.database(which);
        let kept =
            |stored: Vec<Stored>| stored.iter().map(|one| (one.offset, one.kept())).collect::<Events>();
        let (rows, entries) = (kept(database.events(0)?), kept(self.pair.redis.events(0)?));
        compare(("PostgreSQL", &rows), ("Redis", &entries))?;
        self.buyers.check(database)?;
        let printed = reconcile(&self.launch, "postgres", AGREES)?;
        let read = format!("read from the server at {}", database.address);
        ensure!(printed.contains(&read), "reconcile says nothing of {}:\n{printed}", database.address);
        Ok(())
    }
}
