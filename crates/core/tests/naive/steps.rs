//! Random steps over few names and few times, so that they meet each other often.

use onrush_core::{
    Asker, BroughtChallenge, ChallengeKind, ChallengeTerms, Command, ConfirmBy, DenialKind, GateField,
    GateMode, GateTerms, IdempotencyKey, Incarnation, Limits, LineRequest, PasswordHash, Precondition,
    ReservationNo, ReservationRef, Reserve, RowLine, SaleNo, SaleTerms, SessionTerms, StockTerms, TermsField,
    WindowShape,
};
use proptest::{
    collection::vec,
    option,
    prelude::{Just, Strategy, any, prop_oneof},
    sample::select,
};

use super::denials::{Denial, DenialStep};
use super::seen::Condition;

#[derive(Clone, Debug)]
pub(crate) enum Step {
    CreatePartition,
    Begin(Incarnation),
    Add {
        counter: &'static str,
        by: u32,
    },
    Hit {
        window: &'static str,
        shape: WindowShape,
    },
    PutWindow {
        window: &'static str,
        shape: WindowShape,
    },
    PutSale {
        sale: &'static str,
        terms: SaleTerms,
        left_out: Vec<TermsField>,
        condition: Condition,
    },
    Archive {
        sale: &'static str,
        condition: Condition,
    },
    /// Ends the holds of a closed sale.
    EndHolds {
        sale: &'static str,
        condition: Condition,
    },
    Reserve(Claim),
    Confirm {
        sale: &'static str,
        pick: Pick,
        asker: Asker<'static>,
    },
    /// Takes the units of a hold that expired again.
    Reclaim {
        sale: &'static str,
        pick: Pick,
    },
    Release {
        sale: &'static str,
        pick: Pick,
        asker: Asker<'static>,
    },
    ChangeDenylist(DenialStep),
    CreateAccount {
        customer: &'static str,
        password: &'static [u8],
    },
    PutRows {
        collection: &'static str,
        rows: Vec<(&'static str, &'static [u8])>,
    },
    DeleteRow {
        collection: &'static str,
        key: &'static str,
    },
    /// Moves the clock by so many milliseconds.
    Clock(i64),
    /// Steps the wall clock alone, by so many milliseconds.
    Wall(i64),
    EndBatch,
    /// A restart from the log alone.
    Replay,
    /// A restart from a snapshot.
    Restore,
}

/// Which reservation to confirm or release.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pick {
    /// One that the sale has, so many before the newest, if it has so many.
    Newest(u32),
    Named(ReservationRef),
}

#[derive(Clone, Debug)]
pub(crate) struct Claim {
    pub(crate) sale: &'static str,
    pub(crate) asker: Asker<'static>,
    pub(crate) customer: &'static str,
    pub(crate) lines: Vec<(&'static str, u32)>,
    pub(crate) details: Vec<u8>,
    pub(crate) challenge: BroughtChallenge,
    pub(crate) key: Option<(&'static str, u64)>,
}

pub(crate) const COUNTERS: [&str; 4] = ["home", "a", "aa", ""];
pub(crate) const WINDOWS: [&str; 3] = ["requests", "w", "a b"];
pub(crate) const SALES: [&str; 4] = ["s", "t", "u", "s/t"];
pub(crate) const CUSTOMERS: [&str; 4] = ["900127015527", "c", "d", ""];
pub(crate) const DENIED: [&str; 4] = ["c", "192.0.2.7", "2001:db8::/32", "a b"];
pub(crate) const COLLECTIONS: [&str; 3] = ["products", "p", "a b"];
pub(crate) const ROW_KEYS: [&str; 4] = ["1", "2", "a/b é", ""];
const STOCKS: [&str; 4] = ["red", "green", "blue", "2021-05-16"];

impl Step {
    /// Asks the step of a state. `find` tells which reservation of a sale is meant, `require` what a condition is. `None` for steps
    /// that are no commands.
    pub(crate) fn with_command<'a, T>(
        &'a self,
        find: impl FnOnce(&str, Pick) -> ReservationRef,
        require: impl FnOnce(&str, Condition) -> Precondition,
        ask: impl FnOnce(&Command<'a>) -> T,
    ) -> Option<T> {
        Some(match self {
            Self::CreatePartition => ask(&Command::CreatePartition { id_key: [7; 16] }),
            Self::Begin(incarnation) => ask(&Command::BeginIncarnation { incarnation: *incarnation }),
            Self::Add { counter, by } => ask(&Command::AddToCounter { counter, by: *by }),
            Self::Hit { window, shape } => ask(&Command::HitWindow { window, default_shape: *shape }),
            Self::PutWindow { window, shape } => ask(&Command::PutWindow { window, shape: *shape }),
            // A command's precondition lives as long as its names, as its lines do below.
            Self::PutSale { sale, terms, left_out, condition } => {
                let only_if = Box::leak(Box::new(require(sale, *condition)));
                ask(&Command::PutSale { sale, terms, left_out, only_if })
            }
            Self::Archive { sale, condition } => {
                let only_if = Box::leak(Box::new(require(sale, *condition)));
                ask(&Command::ArchiveSale { sale, only_if })
            }
            Self::Confirm { sale, pick, asker } => {
                ask(&Command::Confirm { sale, reservation: find(sale, *pick), asker: *asker })
            }
            Self::Reclaim { sale, pick } => ask(&Command::Reclaim { sale, reservation: find(sale, *pick) }),
            Self::Release { sale, pick, asker } => {
                ask(&Command::Release { sale, reservation: find(sale, *pick), asker: *asker })
            }
            Self::Reserve(claim) => {
                let line = |&(stock, quantity): &(&'static str, u32)| LineRequest { stock, quantity };
                let lines: Vec<_> = claim.lines.iter().map(line).collect();
                let key =
                    claim.key.map(|(key, fingerprint)| IdempotencyKey { key: key.as_bytes(), fingerprint });
                let Claim { sale, asker, customer, details, challenge, .. } = claim;
                // The lines of a command are read while it is decided and never kept, but they have to live as long.
                ask(&Command::Reserve(Reserve {
                    sale,
                    asker: *asker,
                    customer,
                    lines: lines.leak(),
                    details,
                    challenge: *challenge,
                    key,
                }))
            }
            Self::ChangeDenylist(DenialStep { kind, value, denial: Some(Denial { reason, expires_at }) }) => {
                ask(&Command::Deny { kind: *kind, value, reason, expires_at: *expires_at })
            }
            Self::CreateAccount { customer, password } => {
                ask(&Command::CreateAccount { customer, password: PasswordHash(password) })
            }
            Self::PutRows { collection, rows } => {
                let lines: Vec<_> = rows.iter().map(|&(key, json)| RowLine { key, json }).collect();
                // As the lines of a claim.
                ask(&Command::PutRows { collection, rows: lines.leak() })
            }
            Self::DeleteRow { collection, key } => ask(&Command::DeleteRow { collection, key }),
            Self::ChangeDenylist(DenialStep { kind, value, denial: None }) => {
                ask(&Command::Undeny { kind: *kind, value })
            }
            Self::EndHolds { .. }
            | Self::Clock(_)
            | Self::Wall(_)
            | Self::EndBatch
            | Self::Replay
            | Self::Restore => return None,
        })
    }
}

pub(crate) fn limits() -> impl Strategy<Value = Limits> {
    let few = Limits {
        counters_max: 2,
        windows_max: 1,
        sales_max: 2,
        stocks_max: 6,
        reservations_max: 10,
        details_bytes_max: 30,
        denials_max: 2,
        accounts_max: 1,
        ..Limits::default()
    };
    prop_oneof![3 => Just(Limits::default()), 1 => Just(few)]
}

pub(crate) fn step() -> impl Strategy<Value = Step> {
    let sale = || prop_oneof![24 => Just("s"), 8 => Just("t"), 2 => select(SALES.as_slice())];
    let by = prop_oneof![8 => 1..4u32, 1 => Just(1_000_000), 1 => prop_oneof![Just(0), any::<u32>()]];
    prop_oneof![
        1 => Just(Step::CreatePartition),
        2 => incarnation().prop_map(Step::Begin),
        6 => (select(COUNTERS.as_slice()), by).prop_map(|(counter, by)| Step::Add { counter, by }),
        8 => (select(WINDOWS.as_slice()), shape()).prop_map(|(window, shape)| Step::Hit { window, shape }),
        1 => (select(WINDOWS.as_slice()), shape()).prop_map(|(window, shape)| Step::PutWindow { window, shape }),
        6 => (sale(), terms(), condition()).prop_map(|(sale, terms, condition)| {
            Step::PutSale { sale, terms, left_out: Vec::new(), condition }
        }),
        2 => (sale(), terms(), condition()).prop_map(|(sale, terms, condition)| {
            let left_out = left_out_of(&terms);
            Step::PutSale { sale, terms, left_out, condition }
        }),
        2 => (sale(), condition()).prop_map(|(sale, condition)| Step::Archive { sale, condition }),
        1 => (sale(), condition()).prop_map(|(sale, condition)| Step::EndHolds { sale, condition }),
        36 => claim(sale()).prop_map(Step::Reserve),
        10 => (sale(), pick(), asker()).prop_map(|(sale, pick, asker)| Step::Confirm { sale, pick, asker }),
        6 => (sale(), pick()).prop_map(|(sale, pick)| Step::Reclaim { sale, pick }),
        10 => (sale(), pick(), asker()).prop_map(|(sale, pick, asker)| Step::Release { sale, pick, asker }),
        3 => (select(CUSTOMERS.as_slice()), select(PASSWORDS.as_slice()))
            .prop_map(|(customer, password)| Step::CreateAccount { customer, password }),
        6 => denial_step().prop_map(Step::ChangeDenylist),
        6 => (collection(), rows()).prop_map(|(collection, rows)| Step::PutRows { collection, rows }),
        3 => (collection(), select(ROW_KEYS.as_slice()))
            .prop_map(|(collection, key)| Step::DeleteRow { collection, key }),
        12 => prop_oneof![0..5i64, 0..50i64, 0..2_000i64].prop_map(Step::Clock),
        2 => prop_oneof![-5..0i64, -2_000..0i64].prop_map(Step::Clock),
        2 => (-2_000..2_000i64).prop_map(Step::Wall),
        12 => Just(Step::EndBatch),
        1 => Just(Step::Replay),
        1 => Just(Step::Restore),
    ]
}

fn denial_step() -> impl Strategy<Value = DenialStep> {
    let expires_at = prop_oneof![Just(None), (0..6_000u64).prop_map(Some)];
    let denial = (select(["", "a bot", LONG_REASON].as_slice()), expires_at)
        .prop_map(|(reason, expires_at)| Denial { reason, expires_at });
    (select(DenialKind::ALL.as_slice()), select(DENIED.as_slice()), option::weighted(0.8, denial))
        .prop_map(|(kind, value, denial)| DenialStep { kind, value, denial })
}

fn collection() -> impl Strategy<Value = &'static str> {
    prop_oneof![12 => select(&COLLECTIONS[..2]), 1 => select(COLLECTIONS.as_slice())]
}

/// Rows of one change, few of them with a key or bytes that no row may have.
fn rows() -> impl Strategy<Value = Vec<(&'static str, &'static [u8])>> {
    const JSON: [&[u8]; 5] = [b"{}", br#"{"a":1}"#, br#"{"a":2}"#, b"", &[b' '; 16_385]];
    let key = prop_oneof![20 => select(&ROW_KEYS[..3]), 1 => Just("")];
    let json = prop_oneof![20 => select(&JSON[..3]), 1 => select(JSON.as_slice())];
    vec((key, json), 0..4)
}

/// What passwords are checked against; the last two cannot be.
const PASSWORDS: [&[u8]; 4] = [b"hash", b"another", b"", &[b'h'; 129]];

/// Longer than a reason may be.
const LONG_REASON: &str = match std::str::from_utf8(&[b'r'; 257]) {
    Ok(reason) => reason,
    Err(_) => unreachable!(),
};

fn condition() -> impl Strategy<Value = Condition> {
    prop_oneof![
        12 => Just(Condition::None),
        1 => Just(Condition::Exists),
        1 => Just(Condition::IsNew),
        4 => (0..3_usize).prop_map(Condition::Terms),
    ]
}

fn shape() -> impl Strategy<Value = WindowShape> {
    const SHAPES: &[(u32, u32)] = &[(10, 1), (10, 3), (1_000, 100), (1_000, 1_000), (0, 1), (20_001, 2)];
    let shape = |(span_ms, precision_ms)| WindowShape { span_ms, precision_ms };
    prop_oneof![9 => select(&SHAPES[..4]), 1 => select(SHAPES)].prop_map(shape)
}

fn terms() -> impl Strategy<Value = SaleTerms> {
    let opens_at = prop_oneof![16 => Just(None), 1 => (0..3_000u64).prop_map(Some)];
    let closes_at = prop_oneof![10 => Just(None), 1 => (0..6_000u64).prop_map(Some)];
    let per_customer_max = prop_oneof![2 => Just(None), 3 => (1..12u32).prop_map(Some), 1 => prop_oneof![4 => Just(None), 1 => Just(Some(0))]];
    let hold_ttl_ms = select([0, 5, 60, 1_500].as_slice());
    let quantity_total = prop_oneof![40 => 0..12u32, 20 => 500..3_000u32, 1 => Just(1_000_000_001)];
    let stock_closes_at = prop_oneof![30 => Just(None), 1 => (0..6_000u64).prop_map(Some)];
    let stock = (select(STOCKS.as_slice()), quantity_total, option::of(0..3u64), stock_closes_at);
    (
        opens_at,
        closes_at,
        per_customer_max,
        hold_ttl_ms,
        gate(),
        prop_oneof![1 => vec(stock.clone(), 1..5), 3 => vec(stock, 5..12)],
    )
        .prop_map(|(opens_at, closes_at, per_customer_max, hold_ttl_ms, gate, mut stocks)| {
            // Most repeats of a name are taken out, as they only ever lead to one refusal.
            if stocks.len() != 4 {
                stocks.sort_unstable();
                stocks.dedup_by_key(|stock| stock.0);
                stocks.reverse();
            }
            let stock = |(stock, quantity_total, starts_at, closes_at): (&str, _, _, _)| StockTerms {
                stock: stock.into(),
                title: String::new(),
                starts_at,
                ends_at: None,
                closes_at,
                quantity_total,
            };
            let stocks = stocks.into_iter().map(stock).collect();
            SaleTerms {
                title: "title".into(),
                opens_at,
                closes_at,
                per_customer_max,
                hold_ttl_ms,
                gate,
                stocks,
            }
        })
}

/// Every field that is at its default.
fn left_out_of(terms: &SaleTerms) -> Vec<TermsField> {
    let mut left_out = Vec::new();
    left_out.extend(terms.opens_at.is_none().then_some(TermsField::OpensAt));
    left_out.extend(terms.closes_at.is_none().then_some(TermsField::ClosesAt));
    left_out.extend(terms.per_customer_max.is_none().then_some(TermsField::PerCustomerMax));
    left_out.extend((terms.hold_ttl_ms == 0).then_some(TermsField::HoldTtlMs));
    let (gate, default) = (terms.gate, GateTerms::default());
    left_out.extend((gate.session == default.session).then_some(TermsField::Gate(GateField::Session)));
    left_out.extend((gate.challenge == default.challenge).then_some(TermsField::Gate(GateField::Challenge)));
    left_out.extend((gate.cooldown_ms == 0).then_some(TermsField::Gate(GateField::CooldownMs)));
    left_out.extend(gate.holds_unpaid_max.is_none().then_some(TermsField::Gate(GateField::HoldsUnpaidMax)));
    left_out
        .extend((gate.confirm_by == default.confirm_by).then_some(TermsField::Gate(GateField::ConfirmBy)));
    left_out.extend((gate.mode == default.mode).then_some(TermsField::Gate(GateField::Mode)));
    for (at, stock) in terms.stocks.iter().enumerate() {
        left_out.extend(stock.starts_at.is_none().then_some(TermsField::StockStartsAt(at)));
        left_out.extend(stock.closes_at.is_none().then_some(TermsField::StockClosesAt(at)));
    }
    left_out
}

/// What most sales ask of nobody, and some of everybody.
fn gate() -> impl Strategy<Value = GateTerms> {
    let asked = (
        select([SessionTerms::Off, SessionTerms::Optional, SessionTerms::Required].as_slice()),
        prop_oneof![1 => Just(ChallengeTerms::Off), 1 => select(ChallengeTerms::ALL.as_slice())],
        select([0, 4, 70].as_slice()),
        prop_oneof![4 => Just(None), 4 => (1..3u32).prop_map(Some), 1 => select([0, 101].as_slice()).prop_map(Some)],
        select([ConfirmBy::Anyone, ConfirmBy::Operator].as_slice()),
        prop_oneof![3 => Just(GateMode::Enforce), 1 => Just(GateMode::Shadow)],
    );
    let asked = asked.prop_map(|(session, challenge, cooldown_ms, holds_unpaid_max, confirm_by, mode)| {
        GateTerms { session, challenge, cooldown_ms, holds_unpaid_max, confirm_by, mode }
    });
    prop_oneof![3 => Just(GateTerms::default()), 2 => asked]
}

fn asker() -> impl Strategy<Value = Asker<'static>> {
    let customer = select(&CUSTOMERS[..3]).prop_map(Asker::Customer);
    prop_oneof![3 => Just(Asker::Anyone), 1 => Just(Asker::Expired), 3 => customer, 2 => Just(Asker::Operator)]
}

fn claim(sale: impl Strategy<Value = &'static str>) -> impl Strategy<Value = Claim> {
    let customer = prop_oneof![24 => select(&CUSTOMERS[..3]), 1 => Just("")];
    let quantity =
        prop_oneof![20 => 1..4u32, 4 => 4..1_001u32, 1 => prop_oneof![Just(0), Just(1_001), any::<u32>()]];
    let line = (prop_oneof![19 => select(&STOCKS[..3]), 1 => select(STOCKS.as_slice())], quantity);
    let lines =
        prop_oneof![6 => vec(line.clone(), 1..2), 4 => vec(line.clone(), 2..4), 1 => vec(line, 0..18)];
    let details = prop_oneof![3 => Just(Vec::new()), 1 => vec(any::<u8>(), 0..20)];
    let key = prop_oneof![2 => Just(None), 1 => (select(["k", "l", "m", "n", ""].as_slice()), 0..2u64).prop_map(Some)];
    let asker = prop_oneof![1 => Just(None), 1 => asker().prop_map(Some)];
    (sale, asker, customer, lines, details, challenge(), key).prop_map(
        |(sale, asker, customer, lines, details, challenge, key)| Claim {
            sale,
            // The customer's own session is the one that is asked for.
            asker: asker.unwrap_or(Asker::Customer(customer)),
            customer,
            lines,
            details,
            challenge,
            key,
        },
    )
}

fn challenge() -> impl Strategy<Value = BroughtChallenge> {
    let kind = select([ChallengeKind::Image, ChallengeKind::ProofOfWork].as_slice());
    prop_oneof![
        1 => Just(BroughtChallenge::Missing),
        1 => Just(BroughtChallenge::Failed),
        4 => kind.prop_map(BroughtChallenge::Solved),
    ]
}

fn pick() -> impl Strategy<Value = Pick> {
    let no = (0..4u32, 0..20u32).prop_map(|(sale, seq)| ReservationNo { sale: SaleNo(sale), seq });
    let named = (no, incarnation()).prop_map(|(no, incarnation)| ReservationRef { no, incarnation });
    prop_oneof![9 => (0..12u32).prop_map(Pick::Newest), 2 => named.prop_map(Pick::Named)]
}

fn incarnation() -> impl Strategy<Value = Incarnation> {
    select([0, 1, u32::MAX].as_slice()).prop_map(Incarnation)
}
