//! True and false histories of reservations, as scripts: every lie must be noticed.

use super::*;
use crate::api::{Line, Stock};
use crate::http::Lost;

/// What the scripts call now, in milliseconds since 1970; everything was created at 0.
const NOW_MS: i64 = 1_000_000;

#[derive(Default)]
struct Script {
    ledger: Ledger,
    asks: HashMap<String, Arc<Ask>>,
    unknown: Vec<Arc<Ask>>,
    quantity_total: u64,
    clock_ns: u64,
}

/// Runs a script of one sale with one stock `s`, one statement per line:
///
/// ```text
/// sale total=N max=N|- ttl=N
/// reserve ASK CUSTOMER QUANTITY KEY|- -> ID|replay:ID|?|CODE      confirm|release ID -> ok|?|CODE
/// list CUSTOMER ID=STATUS:QUANTITY…      observe ID=STATUS:QUANTITY…      figures HELD CONFIRMED AVAILABLE [TOTAL]
/// resize TOTAL -> ok|?|CODE
/// ```
///
/// `expected` is a part of the violation that the last line must raise, or empty.
fn check(text: &str, expected: &str) {
    let mut script = Script::default();
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>();
    for (at, line) in lines.iter().enumerate() {
        let done = script.run(&line.split_whitespace().collect::<Vec<_>>());
        if at + 1 < lines.len() || expected.is_empty() {
            assert!(done.is_ok(), "{line}: {:#}\n{text}", done.unwrap_err());
        } else {
            let violation = format!("{:#}", done.expect_err(text));
            assert!(violation.contains(expected), "{violation}\n{text}");
        }
    }
}

impl Script {
    fn run(&mut self, words: &[&str]) -> Result<()> {
        match words[0] {
            "sale" => self.sale(words),
            "reserve" => return self.reserve(words),
            "confirm" => return self.step(Verb::Confirm, words[1], words[3]),
            "release" => return self.step(Verb::Release, words[1], words[3]),
            "list" => {
                let list = words[2..].iter().map(|word| self.shown(words[1], word)).collect::<Vec<_>>();
                self.ledger.listed("sale", words[1], &list, &self.unknown)?;
            }
            "observe" => {
                let (id, _) = words[1].split_once('=').expect("ID=");
                let customer = self.ledger.ask_of(id).map_or("nobody", |ask| ask.customer.as_str());
                let shown = self.shown(customer, words[1]);
                self.ledger.observed(&shown, NOW_MS)?;
            }
            "figures" => return self.figures(words),
            "resize" => return self.resize(words),
            other => panic!("unknown statement {other}"),
        }
        Ok(())
    }

    fn sale(&mut self, words: &[&str]) {
        let value = |at: usize| words[at].split_once('=').expect("name=value").1;
        self.quantity_total = value(1).parse().expect("total");
        let terms = Terms {
            stocks: BTreeMap::from([("s".to_owned(), BTreeSet::from([self.quantity_total]))]),
            per_customer_max: value(2).parse().ok(),
            cools_down: false,
            hold_ttl_ms: value(3).parse().expect("ttl"),
        };
        self.ledger.add_sale("sale", terms);
    }

    fn reserve(&mut self, words: &[&str]) -> Result<()> {
        let key = (words[4] != "-").then(|| words[4].to_owned());
        let ask = Ask {
            sale: "sale".into(),
            customer: words[2].into(),
            lines: vec![("s".into(), words[3].parse().expect("quantity"))],
            details: None,
            key,
        };
        let ask = Arc::clone(self.asks.entry(words[1].to_owned()).or_insert_with(|| Arc::new(ask)));
        let outcome = match words[6] {
            "?" => {
                self.unknown.push(Arc::clone(&ask));
                Outcome::Unknown(Lost::Closed)
            }
            code if code.contains('_') => Outcome::Refused { status: 409, code: code.into() },
            given => {
                let (replayed, id) = match given.split_once(':') {
                    Some((_, id)) => (true, id),
                    None => (false, given),
                };
                let status = if self.ledger.sales["sale"].hold_ttl_ms == 0 { "confirmed" } else { "held" };
                let shown = self.shown(words[2], &format!("{id}={status}:{}", words[3]));
                Outcome::Acknowledged(Reserved { reservation: shown, replayed })
            }
        };
        self.clock_ns += 10;
        let times = Times { sent_ns: self.clock_ns, ended_ns: self.clock_ns + 5 };
        self.ledger.reserved(&ask, times, &outcome).map(|_| ())
    }

    fn step(&mut self, verb: Verb, id: &str, told: &str) -> Result<()> {
        let status = if verb == Verb::Confirm { "confirmed" } else { "released" };
        let outcome = match told {
            "ok" => Outcome::Acknowledged(self.shown("a", &format!("{id}={status}:1"))),
            "?" => Outcome::Unknown(Lost::Closed),
            code => {
                let status = if code == "hold_expired" { 410 } else { 409 };
                return self.ledger.step_refused(verb, id, status, code, NOW_MS);
            }
        };
        self.ledger.stepped(verb, id, &outcome)
    }

    fn figures(&mut self, words: &[&str]) -> Result<()> {
        let number = |at: usize| words[at].parse::<u64>().expect("a number");
        let stock = Stock {
            stock: "s".into(),
            title: None,
            starts_at: None,
            ends_at: None,
            closes_at: None,
            quantity_total: if words.len() > 4 { number(4) } else { self.quantity_total },
            quantity_held: number(1),
            quantity_confirmed: number(2),
            quantity_available: number(3),
        };
        self.ledger.figures(&Sale {
            sale: "sale".into(),
            title: None,
            opens_at: None,
            closes_at: None,
            per_customer_max: None,
            hold_ttl_ms: 0,
            gate: crate::api::Gate::default(),
            status: "open".into(),
            stocks: vec![stock],
        })
    }

    fn resize(&mut self, words: &[&str]) -> Result<()> {
        let outcome = match words[3] {
            "ok" => Outcome::Acknowledged(()),
            "?" => Outcome::Unknown(Lost::Closed),
            code => Outcome::Refused { status: 409, code: code.into() },
        };
        self.ledger.resized("sale", words[1].parse().expect("a number"), &outcome)
    }

    /// A reservation from `ID=STATUS:QUANTITY`.
    fn shown(&self, customer: &str, word: &str) -> Reservation {
        let (id, rest) = word.split_once('=').expect("ID=");
        let (status, quantity) = rest.split_once(':').expect("STATUS:QUANTITY");
        let ttl_ms = i64::try_from(self.ledger.sales["sale"].hold_ttl_ms).expect("ttl");
        let expires_at = jiff::Timestamp::from_millisecond(ttl_ms).expect("time").to_string();
        Reservation {
            reservation: id.into(),
            sale: "sale".into(),
            customer: customer.into(),
            status: serde_json::from_value(status.into()).expect("status"),
            lines: vec![Line { stock: "s".into(), quantity: quantity.parse().expect("quantity") }],
            details: None,
            created_at: "1970-01-01T00:00:00Z".into(),
            expires_at: (ttl_ms > 0).then_some(expires_at),
        }
    }
}

#[test]
fn true_histories_pass() {
    check("sale total=9 max=- ttl=0 \n reserve q a 1 - -> r \n list a r=confirmed:1 \n figures 0 1 8", "");
    check("sale total=9 max=- ttl=0 \n reserve q a 1 - -> ? \n list a \n figures 0 0 9", "");
    check("sale total=9 max=- ttl=0 \n reserve q a 1 - -> ? \n list a r=confirmed:1 \n figures 0 1 8", "");
    check(
        "sale total=9 max=- ttl=0 \n reserve q a 1 k -> ? \n reserve q a 1 k -> r \n list a r=confirmed:1",
        "",
    );
    check(
        "sale total=9 max=- ttl=0 \n reserve q a 1 k -> r \n reserve q a 1 k -> replay:r \n figures 0 1 8",
        "",
    );
    check("sale total=0 max=- ttl=0 \n reserve q a 1 k -> insufficient_stock \n figures 0 0 0", "");
    let held = "sale total=9 max=- ttl=9000000 \n reserve q a 1 - -> r \n ";
    for (steps, states) in [
        ("", "held"),
        ("confirm r -> ok", "confirmed"),
        ("confirm r -> ?", "held confirmed"),
        ("release r -> ?", "held released"),
        ("confirm r -> ? \n release r -> ?", "held confirmed released"),
        ("confirm r -> ok \n release r -> ?", "confirmed released"),
        ("confirm r -> ? \n release r -> ok", "released"),
        ("release r -> ok \n confirm r -> reservation_not_held", "released"),
    ] {
        for state in ["held", "confirmed", "released", "expired"] {
            let violation = if states.contains(state) { "" } else { "but may only be one of" };
            check(&format!("{held}{steps} \n observe r={state}:1"), violation);
        }
    }
    let expired = "sale total=9 max=- ttl=1000 \n reserve q a 1 - -> r \n ";
    check(&format!("{expired}observe r=expired:1 \n figures 0 0 9"), "");
    check(&format!("{expired}confirm r -> hold_expired"), "");
    check(&format!("{expired}observe r=held:1 \n figures 1 0 8"), "");
}

#[test]
fn lost_reservations_are_noticed() {
    check("sale total=9 max=- ttl=0 \n reserve q a 1 - -> r \n list a", "is not shown r");
    check("sale total=9 max=- ttl=0 \n reserve q a 1 - -> r \n figures 0 0 9", "make 0 and 1");
    check(
        "sale total=9 max=- ttl=0 \n reserve q a 1 k -> ? \n list a r=confirmed:1 \n figures 0 0 9",
        "make 0 and 1",
    );
    check(
        "sale total=9 max=- ttl=0 \n reserve q a 1 k -> r \n reserve q a 1 k -> insufficient_stock",
        "a retry was refused",
    );
    check(
        "sale total=9 max=- ttl=9000000 \n reserve q a 1 - -> r \n confirm r -> ok \n observe r=held:1",
        "Held",
    );
}

#[test]
fn doubled_reservations_are_noticed() {
    let keyed = "sale total=9 max=- ttl=0 \n reserve q a 1 k -> r \n ";
    check(&format!("{keyed}reserve q a 1 k -> replay:other"), "two reservations");
    check(&format!("{keyed}reserve q a 1 k -> r"), "201 twice");
    check(&format!("{keyed}reserve p b 1 - -> r"), "given to two requests");
    check(&format!("{keyed}list a r=confirmed:1 other=confirmed:1"), "nobody asked for");
    check(&format!("{keyed}list a r=confirmed:1 r=confirmed:1"), "twice");
    check(&format!("{keyed}figures 0 2 7"), "make 0 and 1");
    check("sale total=9 max=- ttl=0 \n reserve q a 1 - -> replay:r", "without a key");
    check(
        "sale total=9 max=- ttl=0 \n reserve q a 1 k -> ? \n list a r=confirmed:1 \n reserve q a 1 k -> r",
        "201 twice",
    );
}

#[test]
fn invented_effects_are_noticed() {
    check("sale total=9 max=- ttl=0 \n list a r=confirmed:1", "nobody asked for");
    check("sale total=9 max=- ttl=0 \n observe r=confirmed:1", "nobody asked for");
    check("sale total=9 max=- ttl=0 \n figures 0 1 8", "make 0 and 0");
    check("sale total=9 max=- ttl=0 \n reserve q a 1 - -> ? \n list a r=confirmed:2", "nobody asked for");
    check("sale total=9 max=- ttl=0 \n reserve q a 1 - -> r \n observe r=released:1", "Released");
    check("sale total=9 max=- ttl=9000000 \n reserve q a 1 - -> r \n observe r=expired:1", "Expired");
    check("sale total=9 max=- ttl=9000000 \n reserve q a 1 - -> r \n confirm r -> hold_expired", "410");
    check(
        "sale total=9 max=- ttl=9000000 \n reserve q a 1 - -> r \n release r -> reservation_not_held",
        "was refused",
    );
    check("sale total=9 max=- ttl=0 \n reserve q a 1 - -> customer_limit_reached", "was refused");
}

#[test]
fn changed_quantities_are_kept() {
    let sale = "sale total=9 max=- ttl=0 \n ";
    check(&format!("{sale}resize 5 -> ok \n figures 0 0 5 5"), "");
    check(&format!("{sale}resize 5 -> ok \n figures 0 0 9 9"), "a total of 9");
    check(&format!("{sale}resize 5 -> ? \n figures 0 0 5 5"), "");
    check(&format!("{sale}resize 5 -> ? \n figures 0 0 9 9"), "");
    check(&format!("{sale}resize 5 -> ? \n figures 0 0 9 9 \n figures 0 0 5 5"), "a total of 5");
    check(&format!("{sale}resize 5 -> quantity_below_reserved \n figures 0 0 5 5"), "a total of 5");
    check(&format!("{sale}resize 10 -> quantity_below_reserved"), "cannot become 10");
}

#[test]
fn wrong_sums_and_limits_are_noticed() {
    check("sale total=9 max=- ttl=0 \n reserve q a 1 - -> r \n figures 0 1 7", "9 in total is not");
    check(
        "sale total=9 max=1 ttl=0 \n reserve q a 1 - -> r \n reserve p a 1 - -> t \n list a r=confirmed:1 t=confirmed:1",
        "2 units",
    );
    check(
        "sale total=9 max=- ttl=9000000 \n reserve q a 1 - -> r \n release r -> ok \n observe r=released:1 \n confirm r -> ok",
        "after it had been released",
    );
}

#[test]
fn of_two_requests_with_the_same_body_either_may_have_been_the_one() {
    let begin = "sale total=10 max=1 ttl=0
        reserve a ann 1 k -> ?
        reserve b ann 1 l -> ?
        list ann r=confirmed:1";
    check(
        &format!("{begin}\nreserve a ann 1 k -> customer_limit_reached\nreserve b ann 1 l -> replay:r"),
        "",
    );
    check(
        &format!("{begin}\nreserve b ann 1 l -> customer_limit_reached\nreserve a ann 1 k -> replay:r"),
        "",
    );
    check(
        &format!("{begin}\nreserve a ann 1 k -> replay:r\nreserve b ann 1 l -> replay:r"),
        "was given to two requests",
    );
    let one = "sale total=10 max=1 ttl=0
        reserve a ann 1 k -> ?
        list ann r=confirmed:1
        reserve a ann 1 k -> customer_limit_reached";
    check(one, "has a reservation, but a retry was refused");
}
