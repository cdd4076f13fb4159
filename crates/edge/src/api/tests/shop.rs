//! A stand-in for a partition whose answers follow from the names in a call.

use std::sync::Arc;

use onrush_core::{
    Ceiling, Denial, DenialKind, DenialsPage, Incarnation, Precondition, Refusal, RefusalCode, ReservationNo,
    ReservationRef, ReservationStatus, ReservationView, Row, RowCollection, RowLine, SaleCheck, SaleNo,
    SaleStatus, SaleVersion, SaleView, SalesPage, SessionTerms, StockView, TermsVersion, TimeMs, UnitTotals,
    Unmet, Verdict, WindowShape,
};
use onrush_node::{
    Asker, Call, Failure, Histogram, MetricsSnapshot, Name, Outcome, Readiness, Reply, ReservationIds,
    ReserveCall,
};

use crate::api::app::{Backend, Done};
use crate::catalog::{CatalogSettings, RowSource};
use crate::gate::Denylist;

/// 2021-05-16T00:00:00Z
const NOW_MS: TimeMs = 1_621_123_200_000;

/// Of every sale.
const VERSION: SaleVersion =
    SaleVersion { number: 9, incarnation: Incarnation::FIRST, terms: TermsVersion(0x5eed) };

const SHAPE: WindowShape = WindowShape { span_ms: 60_000, precision_ms: 100 };

pub(super) struct Shop {
    readiness: Readiness,
    snapshot_offset: Option<u64>,
    ids: ReservationIds,
}

impl Default for Shop {
    fn default() -> Self {
        Self::that_is(Readiness::Ready)
    }
}

impl Shop {
    pub(super) fn that_is(readiness: Readiness) -> Self {
        Self { readiness, snapshot_offset: None, ids: ReservationIds::new(0, [7; 16]) }
    }

    /// With a snapshot.
    pub(super) fn with_snapshot() -> Self {
        Self { snapshot_offset: Some(5), ..Self::default() }
    }

    /// The id of reservation number `seq` of sale 1.
    pub(super) fn id(&self, seq: u32) -> String {
        let id = self.ids.write(ReservationNo { sale: SaleNo(1), seq }.into());
        String::from_utf8(id.to_vec()).expect("ids are ASCII")
    }
}

impl Backend for Shop {
    fn call(&self, call: Call, done: Done) {
        let lost = match &call {
            Call::AddToCounter { counter, .. } => counter == "lost",
            Call::Reserve(call) => call.customer == "lost",
            _ => false,
        };
        if !lost {
            done(match guard(&call) {
                Some(refusal) => refuse(refusal),
                None => answer(call),
            });
        }
    }

    fn readiness(&self) -> Readiness {
        self.readiness
    }

    fn metrics(&self) -> MetricsSnapshot {
        let mut refusals = RefusalCode::ALL.map(|code| (code, 0));
        for (at, refusal) in refusals.iter_mut().enumerate() {
            refusal.1 = at as u64;
        }
        MetricsSnapshot {
            done_count: 1,
            refusals,
            shadow_refusals: RefusalCode::ALL.map(|code| (code, 0)),
            overloaded_count: 0,
            log_unavailable_count: 0,
            waiting_count: 0,
            batch_count: 0,
            event_count: 0,
            batch_bytes: 0,
            batch_replies: Histogram { counts: [0; 12], above: 0, sum: 0 },
            sync_us: Histogram { counts: [1; 14], above: 2, sum: 3_000_050 },
            reopened_count: 0,
            durable_offset: 0,
            snapshot_offset: self.snapshot_offset,
            room_bytes: 0,
            clock_offset_ms: -1_500,
            available: true,
            units: UnitTotals { total: 10, held: 1, confirmed: 2 },
            counter_count: 0,
            window_count: 0,
            sale_count: 0,
            reservation_count: 0,
            denial_count: 0,
            account_count: 0,
            row_count: 0,
            denied_counts: [0; DenialKind::ALL.len()],
            state_bytes: 1_000,
            state_bytes_max: 4 << 30,
        }
    }

    fn ids(&self, _: &str) -> &ReservationIds {
        &self.ids
    }

    fn now_ms(&self) -> TimeMs {
        NOW_MS
    }
}

impl Denylist for Shop {
    fn denies_address(&self, address: std::net::IpAddr, _: TimeMs) -> bool {
        address == std::net::IpAddr::from([192, 0, 2, 66])
    }

    fn denies_customer(&self, customer: &str, _: TimeMs) -> bool {
        customer == "denied"
    }

    fn ends_session(&self, customer: &str, _: TimeMs) -> bool {
        customer == "ended"
    }

    fn sessions_ended_at(&self, customer: &str) -> Option<TimeMs> {
        (customer == "ended").then_some(NOW_MS)
    }

    fn denial_of_address(&self, address: std::net::IpAddr, now: TimeMs) -> Option<Arc<Denial>> {
        self.denies_address(address, now).then(|| denial(DenialKind::Address, "192.0.2.64/26"))
    }

    fn denial_of_customer(&self, customer: &str, now: TimeMs) -> Option<Arc<Denial>> {
        self.denies_customer(customer, now).then(|| denial(DenialKind::Customer, customer))
    }
}

/// The collections `products` and `product_inventory` have one row, and the latter has another that is no product.
impl RowSource for Shop {
    fn read_collection(&self, collection: &str, read: &mut dyn FnMut(Option<&RowCollection>)) {
        let row = Row::new(RowLine { key: "1", json: br#"{"name":"chair"}"# });
        let no_product = Row::new(RowLine { key: "-7", json: br#"{"warehouses":1}"# });
        let has_both = collection == "product_inventory";
        let found = RowCollection::of(7, [row].into_iter().chain(has_both.then_some(no_product)));
        read(collection.starts_with("product").then_some(&found));
    }
}

/// The collections `products`, `product_inventory` and `empty`, and those of sources.
pub(super) fn catalog() -> CatalogSettings {
    let embedded = ["products", "product_inventory", "empty"].map(Name::from).to_vec();
    CatalogSettings { embedded, sources: super::sourced::sources(), ..CatalogSettings::default() }
}

/// In the sale `guarded` everything is for the operator.
fn guard(call: &Call) -> Option<Refusal> {
    let (sale, asker) = match call {
        Call::Reserve(call) => (&call.sale, &call.asker),
        Call::Confirm { sale, asker, .. }
        | Call::Release { sale, asker, .. }
        | Call::ReadReservation { sale, asker, .. }
        | Call::ReadCustomer { sale, asker, .. } => (sale, asker),
        _ => return None,
    };
    let is_refused = sale == "guarded" && *asker != Asker::Operator;
    let refusal =
        if matches!(call, Call::Confirm { .. }) { Refusal::OperatorOnly } else { Refusal::SessionRequired };
    is_refused.then_some(refusal)
}

fn answer(call: Call) -> Reply {
    if sale_name(&call) == "missing" {
        let call = if let Call::Reserve(call) = call { Some(call) } else { None };
        return Err(Failure::Refused { refusal: Refusal::SaleNotFound, call });
    }
    if let Some(unmet) = unmet(&call) {
        return refuse(Refusal::PreconditionFailed(unmet));
    }
    match call {
        Call::AddToCounter { counter, by } => match counter.as_str() {
            "overloaded" => Err(Failure::Overloaded),
            "failing" => Err(Failure::LogUnavailable),
            "draining" => Err(Failure::Draining),
            "full" => refuse(Refusal::CeilingReached(Ceiling::Counters)),
            _ => Ok(Outcome::Counter { value: u64::from(by) }),
        },
        Call::ReadCounter { counter } if counter == "missing" => refuse(Refusal::CounterNotFound),
        Call::ReadCounter { .. } => Ok(Outcome::Counter { value: 7 }),
        Call::HitWindow { .. } => Ok(Outcome::Window { count: 4, shape: SHAPE }),
        Call::ReadWindow { window } if window == "missing" => refuse(Refusal::WindowNotFound),
        Call::ReadWindow { .. } => Ok(Outcome::Window { count: 3, shape: SHAPE }),
        Call::PutWindow { shape, .. } => Ok(Outcome::WindowPut { created: false, shape }),
        Call::PutSale { sale, .. } if sale == "below" => {
            let stock = "a".into();
            refuse(Refusal::QuantityBelowReserved { stock, quantity_held: 1, quantity_confirmed: 2 })
        }
        Call::PutSale { sale, .. } if sale == "used" => {
            refuse(Refusal::StockInUse { stock: "a".into(), quantity_held: 0, quantity_confirmed: 0 })
        }
        Call::PutSale { sale, .. } if sale == "full" => refuse(Refusal::CeilingReached(Ceiling::Sales)),
        Call::PutSale { sale, .. } => {
            Ok(Outcome::SalePut { created: sale == "new", sale: Box::new(sale_view(&sale)) })
        }
        Call::ChangeSale { sale, .. } => {
            Ok(Outcome::SalePut { created: false, sale: Box::new(sale_view(&sale)) })
        }
        Call::ArchiveSale { sale, .. } | Call::EndHolds { sale, .. } if sale == "open" => {
            refuse(Refusal::SaleOpen)
        }
        // Two calls come to the end of its holds.
        Call::EndHolds { sale, from, .. } if sale == "held" && from < 2 => {
            Ok(Outcome::HoldsEnded { next: Some(from + 1) })
        }
        Call::EndHolds { .. } => Ok(Outcome::HoldsEnded { next: None }),
        Call::ArchiveSale { sale, .. } if sale == "held" => {
            refuse(Refusal::HoldsPending { quantity_held: 3, held_count: 2, held_until: NOW_MS + 600_000 })
        }
        Call::ArchiveSale { .. } => Ok(Outcome::SaleArchived),
        Call::ReadSale { sale } => Ok(Outcome::Sale(Box::new(sale_view(&sale)))),
        Call::ListSales { after, count_max } => Ok(Outcome::Sales(page(after.as_ref(), count_max))),
        Call::Reserve(call) => reserve(call),
        Call::Confirm { sale, .. } if sale == "expired" => refuse(Refusal::HoldExpired),
        Call::Confirm { sale, .. } | Call::Reclaim { sale, .. } if sale == "released" => {
            refuse(Refusal::ReservationNotHeld)
        }
        Call::Confirm { sale, reservation, .. }
        | Call::Reclaim { sale, reservation }
        | Call::ReadReservation { sale, reservation, .. } => Ok(Outcome::Reservation(Box::new(
            reservation_view(&sale, reservation, ReservationStatus::Confirmed),
        ))),
        Call::Release { sale, reservation, .. } => Ok(Outcome::Reservation(Box::new(reservation_view(
            &sale,
            reservation,
            ReservationStatus::Released,
        )))),
        Call::ReadCustomer { customer, .. } if customer == "nobody" => Ok(Outcome::Reservations(Vec::new())),
        Call::ReadCustomer { sale, .. } | Call::ListReservations { sale, .. } => {
            let reservation = ReservationNo { sale: SaleNo(1), seq: 7 }.into();
            Ok(Outcome::Reservations(vec![reservation_view(&sale, reservation, ReservationStatus::Held)]))
        }
        call => answer_of_gate(call),
    }
}

/// Whoever is named has reached the limit.
fn explain(has_customer: bool) -> Vec<(SaleCheck, Verdict)> {
    let limit = SaleCheck::CustomerLimit { quantity_taken: 1, per_customer_max: Some(1) };
    let reached = Refusal::CustomerLimitReached { per_customer_max: 1, quantity_taken: 1 };
    let verdict = if has_customer { Verdict::Refused(reached) } else { Verdict::NotAsked };
    vec![(SaleCheck::Session { asked: SessionTerms::Off }, Verdict::Passed), (limit, verdict)]
}

fn reserve(call: Box<ReserveCall>) -> Reply {
    let refusal = match (call.customer.as_str(), call.key.as_ref().map(|key| key.key.as_str())) {
        (_, Some("other")) => Some(Refusal::IdempotencyKeyReused),
        ("limited", _) => Some(Refusal::CustomerLimitReached { per_customer_max: 1, quantity_taken: 1 }),
        ("late", _) => Some(Refusal::InsufficientStock { line: 0, quantity_available: 1 }),
        ("early", _) => Some(Refusal::SaleNotOpen { opens_at: NOW_MS + 90_000 }),
        ("behind", _) => Some(Refusal::StockClosed { line: 0, closes_at: NOW_MS }),
        ("closed", _) => Some(Refusal::SaleClosed { closes_at: NOW_MS }),
        _ => None,
    };
    if let Some(refusal) = refusal {
        return Err(Failure::Refused { refusal, call: Some(call) });
    }
    let replayed = call.key.as_ref().is_some_and(|key| key.key == "again");
    let is_held = call.customer == "holder";
    Ok(Outcome::Reserved {
        reservation: ReservationNo { sale: SaleNo(1), seq: 7 }.into(),
        status: match (is_held, replayed) {
            (true, _) => ReservationStatus::Held,
            (false, true) => ReservationStatus::Expired,
            (false, false) => ReservationStatus::Confirmed,
        },
        created_at: NOW_MS,
        expires_at: is_held.then_some(NOW_MS + 600_000),
        replayed,
        call,
    })
}

/// The sale that has to be there for a call.
fn sale_name(call: &Call) -> &str {
    match call {
        Call::ReadSale { sale }
        | Call::EndHolds { sale, .. }
        | Call::ArchiveSale { sale, .. }
        | Call::ChangeSale { sale, .. }
        | Call::Confirm { sale, .. }
        | Call::Release { sale, .. }
        | Call::ReadReservation { sale, .. }
        | Call::Explain { sale, .. }
        | Call::ReadCustomer { sale, .. } => sale.as_str(),
        Call::Reserve(call) => call.sale.as_str(),
        _ => "",
    }
}

fn unmet(call: &Call) -> Option<Unmet> {
    let (only_if, exists) = match call {
        Call::PutSale { sale, only_if, .. } => (only_if, sale != "new"),
        Call::ChangeSale { only_if, .. }
        | Call::EndHolds { only_if, .. }
        | Call::ArchiveSale { only_if, .. } => (only_if, true),
        _ => return None,
    };
    match only_if {
        Precondition::IsNew => exists.then_some(Unmet::Exists),
        Precondition::Exists | Precondition::TermsAre(_) if !exists => Some(Unmet::Missing),
        Precondition::None | Precondition::Exists => None,
        Precondition::TermsAre(versions) => {
            (!versions.contains(&VERSION.terms)).then_some(Unmet::TermsDiffer)
        }
    }
}

fn refuse(refusal: Refusal) -> Reply {
    Err(Failure::Refused { refusal, call: None })
}

fn page(after: Option<&Name>, count_max: u16) -> SalesPage {
    let mut names =
        ["a", "b", "c", "d", "e"].into_iter().filter(|name| after.is_none_or(|after| *name > after.as_str()));
    let sales = names.by_ref().take(count_max.into()).map(sale_view).collect();
    SalesPage { sales, has_more: names.next().is_some() }
}

fn sale_view(name: &str) -> SaleView {
    SaleView {
        sale_no: SaleNo(1),
        sale: name.into(),
        version: VERSION,
        title: "Town \"hall\"".into(),
        opens_at: None,
        closes_at: Some(NOW_MS + 86_400_000),
        per_customer_max: Some(1),
        hold_ttl_ms: 0,
        gate: onrush_core::GateTerms::default(),
        status: SaleStatus::Open,
        stocks: vec![StockView {
            stock: if name == "PWTC" { "2021-05-16" } else { "standing" }.into(),
            title: String::new(),
            starts_at: Some(NOW_MS),
            ends_at: None,
            closes_at: None,
            is_closed: false,
            quantity_total: 10,
            quantity_held: 1,
            quantity_confirmed: 2,
        }],
    }
}

fn reservation_view(sale: &str, reservation: ReservationRef, status: ReservationStatus) -> ReservationView {
    ReservationView {
        reservation,
        sale: sale.into(),
        customer: "ann".into(),
        status,
        lines: vec![("2021-05-16".into(), 2)],
        details: br#"{"first_name":"Ann"}"#.to_vec(),
        created_at: NOW_MS,
        expires_at: (status == ReservationStatus::Held).then_some(NOW_MS + 600_000),
    }
}

fn answer_of_gate(call: Call) -> Reply {
    match call {
        Call::Explain { customer, .. } => Ok(Outcome::Explanation(explain(customer.is_some()))),
        Call::Deny(denial) => {
            Ok(Outcome::DenialPut { created: &*denial.value == "new", denial: Arc::new(*denial) })
        }
        Call::Undeny { value, .. } | Call::ReadDenial { value, .. } if value == "missing" => {
            refuse(Refusal::DenialNotFound)
        }
        Call::Undeny { .. } => Ok(Outcome::DenialRemoved),
        Call::ReadDenial { kind, value } => Ok(Outcome::Denial(denial(kind, &value))),
        Call::CheckLead => Ok(Outcome::Leads),
        Call::ListDenials { after, count_max } => {
            let begun = after.is_none() && count_max == 1;
            let next_after = begun.then(|| (DenialKind::Customer, "ada".into()));
            let denials = vec![denial(DenialKind::Customer, "ada")];
            Ok(Outcome::Denials(DenialsPage { denials, next_after }))
        }
        other => unreachable!("{other:?} is not about the gate"),
    }
}

fn denial(kind: DenialKind, value: &str) -> Arc<Denial> {
    let expires_at = Some(NOW_MS);
    Arc::new(Denial { kind, value: value.into(), reason: "a \"bot\"".into(), expires_at })
}
