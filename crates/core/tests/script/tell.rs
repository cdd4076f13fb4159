//! What came of a script line, in words.

use onrush_core::{Answer, Denial, Refusal, ReservationView, SaleStatus, SaleView, State};

pub(crate) fn answer(answer: &Answer, is_new: bool) -> String {
    let again = |text: &str| if is_new { text.to_owned() } else { format!("{text} already") };
    match *answer {
        Answer::PartitionCreated => "partition_created".into(),
        Answer::IncarnationBegun => again("begun"),
        Answer::Counter { value } => value.to_string(),
        Answer::Window { count, .. } => count.to_string(),
        Answer::WindowPut { .. } | Answer::SalePut { .. } | Answer::Denied { .. } if !is_new => {
            "unchanged".into()
        }
        Answer::WindowPut { created, .. } | Answer::SalePut { created } => {
            if created { "created" } else { "changed" }.into()
        }
        Answer::SaleArchived => "archived".into(),
        Answer::Reserved { status, created_at, expires_at, replayed, .. } => {
            let prefix = if replayed { "replay: " } else { "" };
            let made = if replayed { format!(" at={}", time(created_at)) } else { String::new() };
            let until = expires_at.map_or(String::new(), |until| format!(" until={}", time(until)));
            format!("{prefix}{}{made}{until}", format!("{status:?}").to_lowercase())
        }
        Answer::Confirmed { .. } => again("confirmed"),
        Answer::Released { .. } => again("released"),
        Answer::Denied { created } => if created { "denied" } else { "changed" }.into(),
        Answer::Undenied => "undenied".into(),
        Answer::AccountCreated => "created".into(),
        Answer::RowsPut { version } if !is_new => format!("unchanged v{version}"),
        Answer::RowsPut { version } | Answer::RowDeleted { version } => format!("v{version}"),
    }
}

pub(crate) fn refusal(refusal: &Refusal) -> String {
    let what = match refusal {
        Refusal::InvalidName { field } => format!("invalid_name {field}"),
        Refusal::InvalidTerms(terms) => format!("invalid {} {}", terms.field, terms.rule),
        Refusal::Invalid { field, rule } => format!("invalid {field} {rule}"),
        Refusal::CounterNotFound => "counter_not_found".into(),
        Refusal::WindowNotFound => "window_not_found".into(),
        Refusal::SaleNotFound => "sale_not_found".into(),
        Refusal::StockNotFound { line } => format!("stock_not_found line={line}"),
        Refusal::ReservationNotFound => "reservation_not_found".into(),
        Refusal::InsufficientStock { line, quantity_available } => {
            format!("insufficient_stock line={line} available={quantity_available}")
        }
        Refusal::CustomerLimitReached { per_customer_max, quantity_taken } => {
            format!("customer_limit_reached max={per_customer_max} taken={quantity_taken}")
        }
        Refusal::SaleNotOpen { opens_at } => format!("sale_not_open opens={}", time(*opens_at)),
        Refusal::SaleClosed { closes_at } => format!("sale_closed since={}", time(*closes_at)),
        Refusal::StockClosed { line, closes_at } => {
            format!("stock_closed line={line} since={}", time(*closes_at))
        }
        Refusal::SessionRequired => "session_required".into(),
        Refusal::SessionExpired => "session_expired".into(),
        Refusal::CustomerMismatch => "customer_mismatch".into(),
        Refusal::CoolingDown { left_ms } => format!("cooling_down left={}", time(*left_ms)),
        Refusal::HoldsUnpaid { holds_unpaid_max } => format!("holds_unpaid max={holds_unpaid_max}"),
        Refusal::ChallengeRequired { challenge } => format!("challenge_required {}", challenge.as_str()),
        Refusal::ChallengeFailed => "challenge_failed".into(),
        Refusal::OperatorOnly => "operator_only".into(),
        Refusal::ReservationNotHeld => "reservation_not_held".into(),
        Refusal::HoldExpired => "hold_expired".into(),
        Refusal::QuantityBelowReserved { stock, quantity_held, quantity_confirmed } => {
            format!("quantity_below_reserved {stock} held={quantity_held} confirmed={quantity_confirmed}")
        }
        Refusal::StockInUse { stock, quantity_held, quantity_confirmed } => {
            format!("stock_in_use {stock} held={quantity_held} confirmed={quantity_confirmed}")
        }
        Refusal::PreconditionFailed(_) => "precondition_failed".into(),
        Refusal::SaleOpen => "sale_open".into(),
        Refusal::HoldsPending { quantity_held, held_count, held_until } => {
            format!("holds_pending units={quantity_held} count={held_count} until={}", time(*held_until))
        }
        Refusal::CustomerExists => "customer_exists".into(),
        Refusal::RowNotFound => "row_not_found".into(),
        Refusal::DenialNotFound => "denial_not_found".into(),
        Refusal::IdempotencyKeyReused => "idempotency_key_reused".into(),
        Refusal::CeilingReached(ceiling) => format!("ceiling {ceiling:?}"),
        Refusal::PartitionExists => "partition_exists".into(),
    };
    format!("no: {what}")
}

/// `open a=10/2/3`: the status, then each stock's total, held and confirmed.
pub(crate) fn sale(view: &SaleView) -> String {
    let figures = |stock: &onrush_core::StockView| {
        format!(
            " {}={}/{}/{}",
            stock.stock, stock.quantity_total, stock.quantity_held, stock.quantity_confirmed
        )
    };
    let stocks: String = view.stocks.iter().map(figures).collect();
    let status = match view.status {
        SaleStatus::Scheduled => "scheduled",
        SaleStatus::Open => "open",
        SaleStatus::SoldOut => "sold_out",
        SaleStatus::Closed => "closed",
    };
    format!("{status}{stocks}")
}

/// `held c a*2,b*1 details=3 at=0s until=60s`
pub(crate) fn reservation(view: &ReservationView) -> String {
    let lines: Vec<_> = view.lines.iter().map(|(stock, quantity)| format!("{stock}*{quantity}")).collect();
    let status = format!("{:?}", view.status).to_lowercase();
    let details =
        if view.details.is_empty() { String::new() } else { format!(" details={}", view.details.len()) };
    let until = view.expires_at.map_or(String::new(), |until| format!(" until={}", time(until)));
    format!("{status} {} {}{details} at={}{until}", view.customer, lines.join(","), time(view.created_at))
}

/// `a reason until=60s`
pub(crate) fn denial(denial: &Denial) -> String {
    let until = denial.expires_at.map(|until| format!("until={}", time(until)));
    let words = Some(denial.reason.to_string()).filter(|reason| !reason.is_empty()).into_iter().chain(until);
    words.collect::<Vec<_>>().join(" ")
}

pub(crate) fn totals(state: &State) -> String {
    let totals = state.unit_totals();
    format!("{}/{}/{}", totals.total, totals.held, totals.confirmed)
}

pub(crate) fn counts(state: &State) -> String {
    let denials = match state.denial_count() {
        0 => String::new(),
        count => format!(" denials={count}"),
    };
    format!(
        "counters={} windows={} sales={} stocks={} reservations={} held={} details_bytes={}{denials}",
        state.counter_count(),
        state.window_count(),
        state.sale_count(),
        state.stock_count(),
        state.reservation_count(),
        state.held_count(),
        state.details_bytes(),
    )
}

pub(crate) fn time(ms: u64) -> String {
    if ms.is_multiple_of(1_000) { format!("{}s", ms / 1_000) } else { format!("{ms}ms") }
}
