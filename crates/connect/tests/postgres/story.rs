//! Events that own what they say, one after the other as a log has them, and a random but valid sequence of them.

use onrush_core::{
    GateTerms, Incarnation, ReservationNo, SaleNo, SaleTerms, StockNo, StockTerms, TimeMs, WindowShape,
};
use onrush_sinks::{Change, Claim, ReservationSubject, SinkEvent, SinkLine, Target, TargetError};

/// What happened, as [`Change`] with owned parts.
#[derive(Clone, Debug)]
pub(crate) enum What {
    Added { counter: String, by: u64, value: u64 },
    WindowPut { window: String, shape: WindowShape },
    WindowHit { window: String, pane: u64, by: u64 },
    SalePut { no: u32, sale: String, terms: SaleTerms, stock_nos: Vec<u16> },
    Archived { no: u32, sale: String },
    Reserved { claim: Claimed, expires_at: Option<TimeMs> },
    Confirmed { claim: Claimed },
    Released { claim: Claimed, was_held: bool },
    Expired { claim: Claimed },
}

#[derive(Clone, Debug)]
pub(crate) struct Claimed {
    pub(crate) sale_no: u32,
    pub(crate) seq: u32,
    pub(crate) sale: String,
    pub(crate) customer: String,
    pub(crate) lines: Vec<(u16, String, u16)>,
    pub(crate) details: String,
    pub(crate) key: String,
}

impl Claimed {
    pub(crate) fn new(sale_no: u32, seq: u32) -> Self {
        Self {
            sale_no,
            seq,
            sale: format!("sale-{sale_no}"),
            customer: format!("customer-{seq}"),
            lines: vec![(0, "stock-0".to_owned(), 1)],
            details: String::new(),
            key: String::new(),
        }
    }

    /// 26 characters, as ids have.
    pub(crate) fn id(&self) -> String {
        format!("r{:012}x{:012}", self.sale_no, self.seq)
    }
}

#[derive(Clone, Debug)]
pub(crate) struct StoryEvent {
    pub(crate) offset: u64,
    pub(crate) at: TimeMs,
    pub(crate) what: What,
}

impl StoryEvent {
    pub(crate) fn with_event<R>(&self, then: impl FnOnce(&SinkEvent<'_>) -> R) -> R {
        let claimed = match &self.what {
            What::Reserved { claim, .. }
            | What::Confirmed { claim }
            | What::Released { claim, .. }
            | What::Expired { claim } => claim.clone(),
            _ => Claimed::new(0, 0),
        };
        let lines: Vec<SinkLine<'_>> = claimed
            .lines
            .iter()
            .map(|(no, stock, quantity)| SinkLine { stock_no: StockNo(*no), stock, quantity: *quantity })
            .collect();
        let claim = Claim {
            customer: &claimed.customer,
            lines: &lines,
            details: claimed.details.as_bytes(),
            idempotency_key: &claimed.key,
        };
        let subject = ReservationSubject {
            reservation_no: ReservationNo { sale: SaleNo(claimed.sale_no), seq: claimed.seq },
            reservation: claimed.id().as_bytes().try_into().unwrap(),
            sale: &claimed.sale,
        };
        let numbers: Vec<StockNo> = match &self.what {
            What::SalePut { stock_nos, .. } => stock_nos.iter().copied().map(StockNo).collect(),
            _ => Vec::new(),
        };
        let change = match &self.what {
            What::Added { counter, by, value } => Change::CounterAdded { counter, by: *by, value: *value },
            What::WindowPut { window, shape } => Change::WindowPut { window, shape: *shape },
            What::WindowHit { window, pane, by } => Change::WindowHit { window, pane: *pane, by: *by },
            What::SalePut { no, sale, terms, .. } => {
                Change::SalePut { sale_no: SaleNo(*no), sale, terms, stock_nos: &numbers }
            }
            What::Archived { no, sale } => Change::SaleArchived { sale_no: SaleNo(*no), sale },
            What::Reserved { expires_at, .. } => Change::Reserved { subject, claim, expires_at: *expires_at },
            What::Confirmed { .. } => Change::Confirmed { subject, claim },
            What::Released { was_held, .. } => Change::Released { subject, claim: was_held.then_some(claim) },
            What::Expired { .. } => Change::Expired { subject, claim },
        };
        then(&SinkEvent { offset: self.offset, incarnation: Incarnation::FIRST, at: self.at, change })
    }
}

/// A sequence of events as a log has it: offsets grow, not gapless; times do not shrink.
#[derive(Clone, Debug, Default)]
pub(crate) struct Story {
    pub(crate) events: Vec<StoryEvent>,
}

pub(crate) const START: TimeMs = 1_790_000_000_000;

impl Story {
    pub(crate) fn add(&mut self, what: What) {
        let at = START + self.events.len() as u64;
        self.events.push(StoryEvent { offset: self.end() + 1, at, what });
    }

    /// The offset after the last event.
    pub(crate) fn end(&self) -> u64 {
        self.events.last().map_or(0, |event| event.offset + 1)
    }

    /// A sale with some stocks, numbered from 0.
    pub(crate) fn put_sale(&mut self, no: u32, stocks: u16) {
        self.add(What::SalePut {
            no,
            sale: format!("sale-{no}"),
            terms: terms((0..stocks).map(|stock| format!("stock-{stock}"))),
            stock_nos: (0..stocks).collect(),
        });
    }

    /// Additions to one counter, of 1, 2, 3, ….
    pub(crate) fn count(&mut self, times: u64) {
        let mut value = 0;
        for by in 1..=times {
            value += by;
            self.add(What::Added { counter: "web-counter".to_owned(), by, value });
        }
    }

    /// Hands the events from an offset on to an open target, `batch` at a time, and waits for them.
    pub(crate) fn write(&self, target: &mut dyn Target, from: u64, batch: usize) -> Result<u64, TargetError> {
        let rest: Vec<&StoryEvent> = self.events.iter().filter(|event| event.offset >= from).collect();
        for batch in rest.chunks(batch) {
            for event in batch {
                event.with_event(|event| target.push(event))?;
            }
            target.send(batch.last().unwrap().offset + 1)?;
        }
        target.wait_until_durable()
    }
}

pub(crate) fn terms(stocks: impl Iterator<Item = String>) -> SaleTerms {
    let stock = |name: String| StockTerms {
        title: format!("title of {name}"),
        stock: name,
        starts_at: None,
        ends_at: Some(START + 5),
        closes_at: Some(START + 4),
        quantity_total: 1_000,
    };
    SaleTerms {
        title: "a sale".to_owned(),
        opens_at: Some(START),
        closes_at: None,
        per_customer_max: Some(4),
        hold_ttl_ms: 60_000,
        gate: GateTerms::default(),
        stocks: stocks.map(stock).collect(),
    }
}

/// A small random number generator (xorshift64*), so that a seed tells a whole story.
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % bound
    }
}

/// What a random story knows about a sale.
struct Known {
    no: u32,
    name: String,
    stocks: Vec<(u16, String)>,
    stocks_ever: u16,
    reserved: Vec<u16>,
    /// With status: held, confirmed, or neither.
    claims: Vec<(Claimed, Option<bool>)>,
    /// Places of claims that expired.
    expired: Vec<usize>,
}

/// A random story that a log could have.
pub(crate) fn random(seed: u64, length: usize) -> Story {
    let mut chance = Chance::new(seed);
    let mut story = Story::default();
    let mut sales: Vec<Known> = Vec::new();
    let (mut sales_ever, mut totals) = (0, [0_u64; 2]);
    while story.events.len() < length {
        match chance.below(20) {
            0 | 1 => {
                let which = chance.below(2);
                let by = 1 + chance.below(5);
                let total = &mut totals[usize::try_from(which).unwrap()];
                *total += by;
                let counter = ["web-counter", "other"][usize::try_from(which).unwrap()].to_owned();
                story.add(What::Added { counter, by, value: *total });
            }
            2 => story.add(What::WindowPut {
                window: format!("window-{}", chance.below(2)),
                shape: WindowShape {
                    span_ms: 1_000,
                    precision_ms: 1 + u32::try_from(chance.below(9)).unwrap(),
                },
            }),
            3 => story.add(What::WindowHit { window: "window-0".to_owned(), pane: chance.below(9), by: 2 }),
            4 if sales.len() < 3 => {
                let name = format!("sale-{}", chance.below(4));
                if sales.iter().all(|sale| sale.name != name) {
                    let (no, stocks) = (sales_ever, Vec::new());
                    let (reserved, claims, expired) = (Vec::new(), Vec::new(), Vec::new());
                    sales.push(Known { no, name, stocks, stocks_ever: 0, reserved, claims, expired });
                    sales_ever += 1;
                    put(&mut story, sales.last_mut().unwrap(), &mut chance);
                }
            }
            5 if !sales.is_empty() => {
                let at = usize::try_from(chance.below(sales.len() as u64)).unwrap();
                if chance.below(4) == 0 {
                    let sale = sales.swap_remove(at);
                    story.add(What::Archived { no: sale.no, sale: sale.name });
                } else {
                    put(&mut story, &mut sales[at], &mut chance);
                }
            }
            6..=12 if !sales.is_empty() => {
                let at = usize::try_from(chance.below(sales.len() as u64)).unwrap();
                reserve(&mut story, &mut sales[at], &mut chance);
            }
            13..=19 if !sales.is_empty() => {
                let at = usize::try_from(chance.below(sales.len() as u64)).unwrap();
                end_reservation(&mut story, &mut sales[at], &mut chance);
            }
            _ => {}
        }
    }
    story
}

/// Leaves stocks without reservations out by chance, and adds new ones, under old names too.
fn put(story: &mut Story, sale: &mut Known, chance: &mut Chance) {
    let reserved = sale.reserved.clone();
    sale.stocks.retain(|(no, _)| reserved.contains(no) || chance.below(3) > 0);
    for name in ["a", "b", "c", "d"] {
        let is_new = sale.stocks.iter().all(|(_, known)| known != name);
        if is_new && (sale.stocks.is_empty() || chance.below(2) == 0) {
            sale.stocks.push((sale.stocks_ever, name.to_owned()));
            sale.stocks_ever += 1;
        }
    }
    let mut terms = terms(sale.stocks.iter().map(|(_, name)| name.clone()));
    terms.title = format!("title {}", chance.below(100));
    terms.closes_at = (chance.below(2) == 0).then_some(START + 1 + chance.below(1_000));
    let stock_nos = sale.stocks.iter().map(|(no, _)| *no).collect();
    story.add(What::SalePut { no: sale.no, sale: sale.name.clone(), terms, stock_nos });
}

fn reserve(story: &mut Story, sale: &mut Known, chance: &mut Chance) {
    let mut claim = Claimed::new(sale.no, u32::try_from(sale.claims.len()).unwrap());
    claim.sale.clone_from(&sale.name);
    claim.lines = sale
        .stocks
        .iter()
        .filter(|_| chance.below(2) == 0)
        .map(|(no, name)| (*no, name.clone(), 1))
        .collect();
    if claim.lines.is_empty() {
        let (no, name) = &sale.stocks[0];
        claim.lines = vec![(*no, name.clone(), 3)];
    }
    if chance.below(3) == 0 {
        claim.details = format!(r#"{{"seat": {}, "note":"ä\"\u00e9"}}"#, chance.below(100));
        claim.key = format!("key {}", chance.below(100));
    }
    sale.reserved.extend(claim.lines.iter().map(|(no, ..)| *no));
    let is_held = chance.below(3) > 0;
    let expires_at = is_held.then_some(START + 60_000);
    sale.claims.push((claim.clone(), Some(is_held)));
    story.add(What::Reserved { claim, expires_at });
}

fn end_reservation(story: &mut Story, sale: &mut Known, chance: &mut Chance) {
    if chance.below(6) == 0
        && let Some(at) = sale.expired.pop()
    {
        // Its payment came late.
        let (claim, status) = &mut sale.claims[at];
        *status = Some(false);
        story.add(What::Confirmed { claim: claim.clone() });
        return;
    }
    let live: Vec<usize> = (0..sale.claims.len()).filter(|&at| sale.claims[at].1.is_some()).collect();
    if live.is_empty() {
        return;
    }
    let at = live[usize::try_from(chance.below(live.len() as u64)).unwrap()];
    let (claim, status) = &mut sale.claims[at];
    let claim = claim.clone();
    match (*status == Some(true), chance.below(3)) {
        (true, 0) => {
            *status = None;
            sale.expired.push(at);
            story.add(What::Expired { claim });
        }
        (true, 1) => {
            *status = Some(false);
            story.add(What::Confirmed { claim });
        }
        (was_held, _) => {
            *status = None;
            story.add(What::Released { claim, was_held });
        }
    }
}
