//! Stories: logs of events of every kind that could have happened, made from a seed.

use std::sync::atomic::{AtomicU32, Ordering};

use onrush_connect::write_event_data;
use onrush_core::{
    GateTerms, Incarnation, ReservationNo, SaleNo, SaleTerms, StockNo, StockTerms, TimeMs, WindowShape,
};
use onrush_node::RESERVATION_ID_BYTES;
use onrush_sinks::{Change, Claim, ReservationSubject, SinkEvent, SinkLine, Source};

use crate::harness::Seen;

/// 2026-01-01T00:00:00Z.
const BEGIN: TimeMs = 1_767_225_600_000;
const DETAILS: [&str; 6] = [
    "",
    "{}",
    r#"{"name":"Zoë Łukasz","seat":{"row":12,"letters":["A","B"]}}"#,
    r#"{"note":"quote \" backslash \\ newline \n tab \t","emoji":"🎟️🎫","null":null}"#,
    r#"{"mysejahteraId":"900101-01-0101","firstName":"سلوى","lastName":"李","address":"12, Jalan 'Ampang'","phoneNumber":"+60","location":"PWTC","date":"2021-05-01"}"#,
    r#"{ "spaced" : [ 1 , 2.5 , -3.5e-2 , true ] , "html" : "<b>&amp;</b>" }"#,
];

/// A log with its source.
pub struct Story {
    pub source: Source,
    pub events: Vec<StoryEvent>,
}

/// An event that owns its texts.
#[derive(Clone, Debug)]
pub struct StoryEvent {
    pub offset: u64,
    pub at: TimeMs,
    what: What,
}

#[derive(Clone, Debug)]
enum What {
    CounterAdded { counter: String, by: u64, value: u64 },
    WindowPut { window: String, shape: WindowShape },
    WindowHit { window: String, pane: u64, by: u64 },
    SalePut { sale_no: SaleNo, sale: String, terms: SaleTerms },
    SaleArchived { sale_no: SaleNo, sale: String },
    Reserved { taken: Taken, expires_at: Option<TimeMs> },
    Confirmed(Taken),
    Released { taken: Taken, was_held: bool },
    Expired(Taken),
}

#[derive(Clone, Debug)]
struct Taken {
    no: ReservationNo,
    sale: String,
    customer: String,
    lines: Vec<(StockNo, String, u16)>,
    details: String,
    idempotency_key: String,
}

impl StoryEvent {
    /// The event as a target gets it.
    pub fn lend<R>(&self, take: impl FnOnce(&SinkEvent<'_>) -> R) -> R {
        let mut lines = Vec::new();
        let mut stock_nos = Vec::new();
        let change = match &self.what {
            What::CounterAdded { counter, by, value } => {
                Change::CounterAdded { counter, by: *by, value: *value }
            }
            What::WindowPut { window, shape } => Change::WindowPut { window, shape: *shape },
            What::WindowHit { window, pane, by } => Change::WindowHit { window, pane: *pane, by: *by },
            What::SalePut { sale_no, sale, terms } => {
                stock_nos.extend((0..terms.stocks.len()).map(stock_no));
                Change::SalePut { sale_no: *sale_no, sale, terms, stock_nos: &stock_nos }
            }
            What::SaleArchived { sale_no, sale } => Change::SaleArchived { sale_no: *sale_no, sale },
            What::Reserved { taken, expires_at } => Change::Reserved {
                subject: taken.subject(),
                claim: taken.claim(&mut lines),
                expires_at: *expires_at,
            },
            What::Confirmed(taken) => {
                Change::Confirmed { subject: taken.subject(), claim: taken.claim(&mut lines) }
            }
            What::Released { taken, was_held } => {
                let claim = taken.claim(&mut lines);
                Change::Released { subject: taken.subject(), claim: was_held.then_some(claim) }
            }
            What::Expired(taken) => {
                Change::Expired { subject: taken.subject(), claim: taken.claim(&mut lines) }
            }
        };
        take(&SinkEvent { offset: self.offset, incarnation: Incarnation::FIRST, at: self.at, change })
    }

    /// As somebody who reads the target sees it.
    pub fn seen(&self) -> Seen {
        self.lend(|event| {
            let mut body = Vec::new();
            write_event_data(&mut body, event);
            Seen {
                offset: event.offset,
                key: event.key().to_owned(),
                kind: event.kind().name().to_owned(),
                body: serde_json::from_slice(&body).expect("events are JSON"),
            }
        })
    }

    /// The same place in the log with another content.
    pub fn changed(&self) -> Self {
        let shape = WindowShape { span_ms: 77_000, precision_ms: 7_000 };
        Self { what: What::WindowPut { window: "another".into(), shape }, ..self.clone() }
    }
}

impl Taken {
    fn subject(&self) -> ReservationSubject<'_> {
        let mut reservation = [b'0'; RESERVATION_ID_BYTES];
        let text = format!("{:08}x{:08}", self.no.sale.0, self.no.seq);
        reservation[..text.len()].copy_from_slice(text.as_bytes());
        ReservationSubject { reservation_no: self.no, reservation, sale: &self.sale }
    }

    fn claim<'a>(&'a self, lines: &'a mut Vec<SinkLine<'a>>) -> Claim<'a> {
        lines.extend(self.lines.iter().map(|(stock_no, stock, quantity)| SinkLine {
            stock_no: *stock_no,
            stock,
            quantity: *quantity,
        }));
        Claim {
            customer: &self.customer,
            lines,
            details: self.details.as_bytes(),
            idempotency_key: &self.idempotency_key,
        }
    }
}

impl Story {
    /// So many events.
    pub fn new(seed: u64, event_count: usize) -> Self {
        let mut maker = StoryMaker { chance: Chance(seed), ..StoryMaker::default() };
        let (mut offset, mut at) = (maker.chance.below(5) + 1, BEGIN);
        let mut events = Vec::with_capacity(event_count);
        for _ in 0..event_count {
            events.push(StoryEvent { offset, at, what: maker.next(at) });
            offset += 1 + maker.chance.below(3);
            at += maker.chance.below(2_000);
        }
        Self { source: new_source(), events }
    }

    /// The offset after the last event.
    pub fn end(&self) -> u64 {
        self.events.last().map_or(0, |last| last.offset + 1)
    }

    /// Everything as somebody who reads the target sees it.
    pub fn seen(&self) -> Vec<Seen> {
        self.events.iter().map(StoryEvent::seen).collect()
    }
}

/// A log that no other test has.
pub fn new_source() -> Source {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let log_id = format!("{:010}{count:06}conformance", std::process::id())[..26].to_owned();
    Source { log_id, partition: 0, sink: "conformance".into() }
}

/// Numbers that follow from a seed (splitmix64, <https://prng.di.unimi.it/splitmix64.c>).
#[derive(Default)]
pub struct Chance(pub u64);

impl Chance {
    /// Less than `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (bits ^ (bits >> 31)) % end
    }

    fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[usize::try_from(self.below(of.len() as u64)).expect("it is less than a length")]
    }
}

/// What is known while a story is made, so that it could have happened.
#[derive(Default)]
struct StoryMaker {
    chance: Chance,
    counters: [u64; 3],
    windows: [bool; 2],
    sales: Vec<KnownSale>,
    sale_count: u32,
}

struct KnownSale {
    no: SaleNo,
    name: String,
    stocks: Vec<String>,
    seq: u32,
    held: Vec<Taken>,
    confirmed: Vec<Taken>,
}

impl StoryMaker {
    fn next(&mut self, at: TimeMs) -> What {
        if self.sales.is_empty() {
            return self.put_sale();
        }
        match self.chance.below(20) {
            0..4 => {
                let at = usize::try_from(self.chance.below(3)).expect("less than three");
                let by = 1 + self.chance.below(1_000);
                self.counters[at] += by;
                What::CounterAdded { counter: format!("counter-{at}"), by, value: self.counters[at] }
            }
            4..6 => self.hit(at),
            6 if self.sales.len() < 4 => self.put_sale(),
            7 if self.sales.len() > 1 && self.chance.below(3) == 0 => {
                let sale = self.sales.remove(0);
                What::SaleArchived { sale_no: sale.no, sale: sale.name }
            }
            8..14 => self.reserve(at),
            _ => self.end_reservation(at),
        }
    }

    fn hit(&mut self, at: TimeMs) -> What {
        let index = usize::try_from(self.chance.below(2)).expect("less than two");
        let window = format!("window:{index}");
        if self.windows[index] && self.chance.below(10) > 0 {
            return What::WindowHit { window, pane: at / 1_000, by: 1 + self.chance.below(50) };
        }
        self.windows[index] = true;
        What::WindowPut { window, shape: WindowShape { span_ms: 60_000, precision_ms: 1_000 } }
    }

    fn put_sale(&mut self) -> What {
        // Terms of a sale that is there may change, too.
        let again = self.sales.last().filter(|_| self.sale_count.is_multiple_of(3));
        let (no, name) = again.map_or_else(
            || (SaleNo(self.sale_count), format!("sale~{}@x", self.sale_count)),
            |sale| (sale.no, sale.name.clone()),
        );
        let is_new = again.is_none();
        self.sale_count += 1;
        let stocks = ["2021-05-01", "stock.1", "stock.2"].map(str::to_owned).to_vec();
        let terms = SaleTerms {
            title: ["Flash", "Blitz „Verkauf“ – 快闪", "", "O'Neill \\ \"x\""][no.0 as usize % 4].into(),
            opens_at: no.0.is_multiple_of(2).then_some(BEGIN),
            closes_at: no.0.is_multiple_of(3).then_some(BEGIN + 86_400_000),
            per_customer_max: no.0.is_multiple_of(2).then_some(1_000 + self.sale_count),
            hold_ttl_ms: 60_000,
            gate: GateTerms::default(),
            stocks: stocks.iter().map(|stock| stock_terms(stock)).collect(),
        };
        if is_new {
            let (held, confirmed) = (Vec::new(), Vec::new());
            self.sales.push(KnownSale { no, name: name.clone(), stocks, seq: 0, held, confirmed });
        }
        What::SalePut { sale_no: no, sale: name, terms }
    }

    fn reserve(&mut self, at: TimeMs) -> What {
        let chance = &mut self.chance;
        let index = usize::try_from(chance.below(self.sales.len() as u64)).expect("it is less than a length");
        let sale = &mut self.sales[index];
        let line_count = 1 + usize::try_from(chance.below(3)).expect("less than three");
        let line = |(at, stock): (usize, &String)| (stock_no(at), stock.clone(), 1 + stock_no(at).0);
        let mut details = (*chance.pick(&DETAILS)).to_owned();
        if chance.below(20) == 0 {
            details = format!(r#"{{"big":"{}"}}"#, "é".repeat(2_000));
        }
        let taken = Taken {
            no: ReservationNo { sale: sale.no, seq: sale.seq },
            sale: sale.name.clone(),
            customer: format!("customer:{}", chance.below(50)),
            lines: sale.stocks.iter().enumerate().take(line_count).map(line).collect(),
            details,
            idempotency_key: if chance.below(2) == 0 { String::new() } else { format!("key {}!", sale.seq) },
        };
        sale.seq += 1;
        let is_held = chance.below(3) > 0;
        if is_held { &mut sale.held } else { &mut sale.confirmed }.push(taken.clone());
        What::Reserved { taken, expires_at: is_held.then_some(at + 60_000) }
    }

    fn end_reservation(&mut self, at: TimeMs) -> What {
        let chance = &mut self.chance;
        let sale = self.sales.last_mut().expect("there is a sale");
        if sale.held.is_empty() {
            if sale.confirmed.is_empty() {
                return self.reserve(at);
            }
            return What::Released { taken: sale.confirmed.remove(0), was_held: false };
        }
        let taken = sale.held.remove(0);
        match chance.below(3) {
            0 => {
                sale.confirmed.push(taken.clone());
                What::Confirmed(taken)
            }
            1 => What::Released { taken, was_held: true },
            _ => What::Expired(taken),
        }
    }
}

fn stock_terms(stock: &str) -> StockTerms {
    StockTerms {
        stock: stock.to_owned(),
        title: format!("Títle of {stock}"),
        starts_at: None,
        ends_at: None,
        closes_at: None,
        quantity_total: 1_000_000,
    }
}

fn stock_no(at: usize) -> StockNo {
    StockNo(u16::try_from(at).expect("a handful of stocks"))
}
