//! What clients ask, and what they are told. The rules are those of the core.

use onrush_core::{
    Answer, Asker, BroughtChallenge, Command, Event, GateTerms, IdempotencyKey, LineRequest, Now,
    Precondition, Refusal, ReservationRef, ReservationStatus, Reserve, SaleTerms, State, StockTerms, TimeMs,
    UnitTotals, decide,
};

/// The one sale.
pub(crate) const SALE: &str = "sale";
const STOCKS: [&str; 2] = ["stalls", "circle"];
const STOCK_UNITS: [u32; 2] = [4, 2];
const CUSTOMERS: [&str; 3] = ["ann", "bob", "cem"];
const COUNTERS: [&str; 2] = ["hits", "likes"];
const PER_CUSTOMER_MAX: u32 = 3;
const HOLD_TTL_MS: u32 = 80;

/// What a client asks.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Question {
    /// To reserve so many units of a stock, with a key.
    Reserve { customer: usize, stock: usize, quantity: u32, key: u32 },
    /// To confirm a reservation.
    Confirm(ReservationRef),
    /// To release one.
    Release(ReservationRef),
    /// To add to a counter.
    Add { counter: usize, by: u32 },
    /// What a counter has.
    ReadCounter { counter: usize },
    /// How a reservation stands.
    ReadReservation(ReservationRef),
    /// How many units there are, held and confirmed.
    ReadUnits,
}

/// What a client is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Told {
    Answer(Answer),
    Refused(Refusal),
    Counter(Option<u64>),
    Reservation(Option<ReservationStatus>),
    Units(UnitTotals),
}

impl Question {
    /// One that a client may ask. `known` are reservations of which clients were told, and `unanswered` is a claim of which
    /// nobody knows what became: it may be asked again.
    pub(crate) fn draw(
        random: &mut fastrand::Rng,
        number: u32,
        known: &[ReservationRef],
        unanswered: Option<Self>,
    ) -> Self {
        let some_known = |random: &mut fastrand::Rng| known[random.usize(0..known.len())];
        match random.u32(0..100) {
            0..8 if unanswered.is_some() => unanswered.expect("it is there"),
            8..18 if !known.is_empty() => Self::Confirm(some_known(random)),
            18..28 if !known.is_empty() => Self::Release(some_known(random)),
            28..34 if !known.is_empty() => Self::ReadReservation(some_known(random)),
            34..46 => Self::Add { counter: random.usize(0..COUNTERS.len()), by: random.u32(1..4) },
            46..54 => Self::ReadCounter { counter: random.usize(0..COUNTERS.len()) },
            54..62 => Self::ReadUnits,
            _ => Self::Reserve {
                customer: random.usize(0..CUSTOMERS.len()),
                stock: random.usize(0..STOCKS.len()),
                quantity: random.u32(1..3),
                key: number,
            },
        }
    }

    /// Asks a state; `then` is given the event, if there is one to record.
    pub(crate) fn ask(self, state: &State, at: TimeMs, then: impl FnOnce(&Event<'_>)) -> Told {
        let run = |command: &Command<'_>| match decide(state, command, Now::both(at)) {
            Ok(decision) => {
                if let Some(event) = &decision.event {
                    then(event);
                }
                Told::Answer(decision.answer)
            }
            Err(refusal) => Told::Refused(refusal),
        };
        match self {
            Self::Reserve { customer, stock, quantity, key } => run(&Command::Reserve(Reserve {
                sale: SALE,
                asker: Asker::Anyone,
                customer: CUSTOMERS[customer],
                lines: &[LineRequest { stock: STOCKS[stock], quantity }],
                details: b"",
                challenge: BroughtChallenge::Missing,
                key: Some(IdempotencyKey { key: &key.to_le_bytes(), fingerprint: u64::from(quantity) }),
            })),
            Self::Confirm(reservation) => {
                run(&Command::Confirm { sale: SALE, reservation, asker: Asker::Anyone })
            }
            Self::Release(reservation) => {
                run(&Command::Release { sale: SALE, reservation, asker: Asker::Anyone })
            }
            Self::Add { counter, by } => run(&Command::AddToCounter { counter: COUNTERS[counter], by }),
            Self::ReadCounter { counter } => Told::Counter(state.counter(COUNTERS[counter])),
            Self::ReadReservation(reservation) => {
                Told::Reservation(state.reservation(SALE, reservation).map(|found| found.status))
            }
            Self::ReadUnits => Told::Units(state.unit_totals()),
        }
    }
}

/// Puts the sale into a state that has none; `then` is given the event.
pub(crate) fn put_sale(state: &State, at: TimeMs, then: impl FnOnce(&Event<'_>)) {
    let stocks = STOCKS.iter().zip(STOCK_UNITS).map(|(stock, quantity_total)| StockTerms {
        stock: (*stock).to_owned(),
        title: String::new(),
        starts_at: None,
        ends_at: None,
        closes_at: None,
        quantity_total,
    });
    let terms = SaleTerms {
        title: String::new(),
        opens_at: None,
        closes_at: None,
        per_customer_max: Some(PER_CUSTOMER_MAX),
        hold_ttl_ms: HOLD_TTL_MS,
        gate: GateTerms::default(),
        stocks: stocks.collect(),
    };
    let command = Command::PutSale { sale: SALE, terms: &terms, left_out: &[], only_if: &Precondition::None };
    let decision = decide(state, &command, Now::both(at)).expect("the terms are in order");
    then(&decision.event.expect("a new sale is an event"));
}
