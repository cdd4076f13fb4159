//! The life of a sale as its operator and its customers see it: scheduled, open, sold out, closed, archived; at every stage
//! the right refusal, and after a kill and a restart the same answers again.

use anyhow::{Context as _, Result, ensure};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::Bench;
use crate::answers::read_reserved;
use crate::api::{Reservation, Sale, Status};
use crate::http::{Connection, Response, request, request_json};
use crate::problem::check_problem;
use crate::server::Server;

/// One after another: what is done, and what must come of it before and after a restart.
struct Stage {
    name: &'static str,
    /// Opens so many seconds from now, closes so many seconds from now.
    times: (Option<i64>, Option<i64>),
    /// Its only stock closes so many seconds from now.
    stock_closes: Option<i64>,
    quantity_total: u64,
    status: &'static str,
    reserve: (u16, &'static str),
}

const STAGES: &[Stage] = &[
    Stage {
        name: "scheduled",
        times: (Some(3_600), None),
        stock_closes: None,
        quantity_total: 3,
        status: "scheduled",
        reserve: (409, "sale_not_open"),
    },
    Stage {
        name: "opened early",
        times: (Some(-3_600), Some(3_600)),
        stock_closes: None,
        quantity_total: 3,
        status: "open",
        reserve: (201, ""),
    },
    Stage {
        name: "two units of three withdrawn",
        times: (None, Some(3_600)),
        stock_closes: None,
        quantity_total: 1,
        status: "sold_out",
        reserve: (409, "insufficient_stock"),
    },
    Stage {
        name: "the stock closed",
        times: (None, Some(3_600)),
        stock_closes: Some(-60),
        quantity_total: 2,
        status: "sold_out",
        reserve: (409, "stock_closed"),
    },
    Stage {
        name: "one added",
        times: (None, None),
        stock_closes: None,
        quantity_total: 2,
        status: "open",
        reserve: (201, ""),
    },
    Stage {
        name: "closed",
        times: (Some(-7_200), Some(-3_600)),
        stock_closes: None,
        quantity_total: 5,
        status: "closed",
        reserve: (409, "sale_closed"),
    },
];

/// Runs the scenario.
pub(crate) fn run(bench: &mut Bench) -> Result<String> {
    let launch = bench.launch()?;
    let mut server = launch.start()?;
    let mut given = Vec::new();
    for (at, stage) in STAGES.iter().enumerate() {
        let customer = format!("customer-{at}");
        put(&server, stage).context(stage.name)?;
        given.extend(check_stage(&server, stage, &customer).context(stage.name)?);
        server.kill()?;
        server = launch.start()?;
        check_status(&server, stage, &given).with_context(|| format!("{}, after a restart", stage.name))?;
    }
    let mut operator = Connection::open(server.operator())?;
    let archived = operator.call(&request("DELETE", "/v1/sales/life"))?;
    ensure!(archived.status == 204, "archiving a closed sale is {}: {}", archived.status, archived.text());
    check_archived(&server, &given)?;
    server.kill()?;
    let server = launch.start()?;
    check_archived(&server, &given).context("after a restart")?;
    let again = &STAGES[1];
    put(&server, again).context("a new sale of the same name")?;
    let shown = Sale::read(&mut Connection::open(server.public())?, "life")?;
    ensure!(shown.stocks[0].quantity_available == again.quantity_total, "a new sale begins with {shown:?}");
    holds(&server).context("holds")?;
    server.stop(rustix::process::Signal::TERM)?;
    Ok(format!("{} stages, each before and after a restart", STAGES.len()))
}

fn put(server: &Server, stage: &Stage) -> Result<()> {
    let time = |seconds: Option<i64>| -> Result<Option<String>> {
        let shifted = |seconds| Timestamp::now().checked_add(SignedDuration::from_secs(seconds));
        Ok(seconds.map(shifted).transpose()?.map(|time| time.to_string()))
    };
    let body = json!({
        "opens_at": time(stage.times.0)?, "closes_at": time(stage.times.1)?, "per_customer_max": 1,
        "stocks": [{
            "stock": "unit", "closes_at": time(stage.stock_closes)?, "quantity_total": stage.quantity_total,
        }],
    });
    let mut operator = Connection::open(server.operator())?;
    let request = request_json("PUT", "/v1/sales/life", &[], &body.to_string());
    for _ in 0..2 {
        let answer = operator.call(&request)?;
        ensure!(matches!(answer.status, 200 | 201), "put is {}: {}", answer.status, answer.text());
    }
    Ok(())
}

/// Reserves as a new customer; returns the id when the stage allows it.
fn check_stage(server: &Server, stage: &Stage, customer: &str) -> Result<Option<String>> {
    let shown = Sale::read(&mut Connection::open(server.public())?, "life")?;
    ensure!(shown.status == stage.status, "the sale is {}, not {}", shown.status, stage.status);
    let mut connection = Connection::open(server.public())?;
    let answer = connection.call(&reserve("life", customer))?;
    let (status, code) = stage.reserve;
    ensure!(answer.status == status, "a reservation is {}: {}", answer.status, answer.text());
    if status != 201 {
        let found = check_problem(&answer)?;
        ensure!(found == code, "instead of {code}: {found}");
        check_members(&answer, code)?;
        return Ok(None);
    }
    let id = read_reserved(&answer)?.reservation.reservation;
    let second = connection.call(&reserve("life", customer))?;
    let found = check_problem(&second)?;
    ensure!(
        found == "customer_limit_reached",
        "the second reservation of a customer who may have one is {}: {found}",
        second.status
    );
    check_members(&second, &found)?;
    Ok(Some(id))
}

/// What some problems say besides.
fn check_members(answer: &Response, code: &str) -> Result<()> {
    let problem: Value = answer.json()?;
    let fits = match code {
        "insufficient_stock" => problem["stock"] == "unit" && problem["quantity_available"] == 0,
        "customer_limit_reached" => problem["per_customer_max"] == 1,
        "stock_closed" => problem["stock"] == "unit" && problem["closes_at"].is_string(),
        "sale_not_open" => problem["opens_at"].is_string() && answer.header("retry-after").is_some(),
        _ => true,
    };
    ensure!(fits, "{code} does not say what it should: {problem}");
    Ok(())
}

fn check_status(server: &Server, stage: &Stage, given: &[String]) -> Result<()> {
    let mut connection = Connection::open(server.public())?;
    let shown = Sale::read(&mut connection, "life")?;
    let stock = shown.stock("unit")?;
    // The stage's own reservation may have taken the last unit since.
    let sold_out = stock.quantity_available == 0 && shown.status == "sold_out";
    ensure!(shown.status == stage.status || sold_out, "the sale is {}", shown.status);
    ensure!(
        stock.quantity_total == stage.quantity_total && stock.quantity_confirmed == given.len() as u64,
        "the figures are {stock:?}"
    );
    for id in given {
        let shown: Reservation = connection.call(&request("GET", &path("life", id)))?.expect(200)?;
        ensure!(shown.status == Status::Confirmed, "{shown:?}");
    }
    Ok(())
}

/// Of an archived sale nothing is left.
fn check_archived(server: &Server, given: &[String]) -> Result<()> {
    let mut connection = Connection::open(server.public())?;
    let mut requests = vec![request("GET", "/v1/sales/life"), reserve("life", "late")];
    requests.extend(given.iter().map(|id| request("GET", &path("life", id))));
    for request in requests {
        let answer = connection.call(&request)?;
        let code = check_problem(&answer)?;
        ensure!(answer.status == 404 && code == "sale_not_found", "of an archived sale: {code}");
    }
    Ok(())
}

/// Held, confirmed, released, expired, and every step that is too late.
fn holds(server: &Server) -> Result<()> {
    let body = json!({"hold_ttl_ms": 300, "stocks": [{"stock": "unit", "quantity_total": 5}]}).to_string();
    let mut operator = Connection::open(server.operator())?;
    operator.call(&request_json("PUT", "/v1/sales/holds", &[], &body))?.expect::<Sale>(201)?;
    let mut connection = Connection::open(server.public())?;
    let mut id_of = |customer: &str| -> Result<String> {
        let answer = connection.call(&reserve("holds", customer))?;
        let reservation: Reservation = answer.expect(201)?;
        ensure!(reservation.status == Status::Held, "{reservation:?}");
        Ok(reservation.reservation)
    };
    let (confirmed, released, expired) = (id_of("a")?, id_of("b")?, id_of("c")?);
    let mut step = |id: &str, verb: &str, status: u16, expected: &str| -> Result<()> {
        let answer = connection.call(&request("POST", &format!("{}/{verb}", path("holds", id))))?;
        let got = match answer.status {
            200 => answer.json::<Value>()?["status"].as_str().unwrap_or_default().to_owned(),
            _ => check_problem(&answer)?,
        };
        ensure!(
            answer.status == status && got == expected,
            "{verb} is {} {got}, not {expected}",
            answer.status
        );
        Ok(())
    };
    for _ in 0..2 {
        step(&confirmed, "confirm", 200, "confirmed")?;
        step(&released, "release", 200, "released")?;
    }
    step(&released, "confirm", 409, "reservation_not_held")?;
    await_status(server, &expired, Status::Expired)?;
    step(&expired, "confirm", 410, "hold_expired")?;
    step(&expired, "release", 410, "hold_expired")?;
    step(&confirmed, "release", 200, "released")?;
    let shown = Sale::read(&mut Connection::open(server.public())?, "holds")?;
    ensure!(shown.stock("unit")?.quantity_available == 5, "in the end: {shown:?}");
    Ok(())
}

fn await_status(server: &Server, id: &str, status: Status) -> Result<()> {
    let mut connection = Connection::open(server.public())?;
    // Far more readings than a hold of 300 ms outlasts.
    for _ in 0..2_000 {
        let shown: Reservation = connection.call(&request("GET", &path("holds", id)))?.expect(200)?;
        if shown.status == status {
            return Ok(());
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    anyhow::bail!("{id} never becomes {status:?}")
}

fn path(sale: &str, id: &str) -> String {
    format!("/v1/sales/{sale}/reservations/{id}")
}

fn reserve(sale: &str, customer: &str) -> Vec<u8> {
    let body = json!({"customer": customer, "lines": [{"stock": "unit", "quantity": 1}]}).to_string();
    request_json("POST", &format!("/v1/sales/{sale}/reservations"), &[], &body)
}
