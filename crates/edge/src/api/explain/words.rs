//! What each check says, in words for people.

use std::sync::Arc;

use onrush_core::{
    ChallengeTerms, Denial, Refusal, RefusalCode, SaleCheck, SessionTerms, TimeMs, write_rfc3339,
};
use onrush_gate::{Left, Limited};

use crate::gate::{CHALLENGE, CHECKS, DENYLIST, RATE_LIMITS, REPLAY, SESSION};
use crate::problem::Code;

/// One check of an explanation.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) check: &'static str,
    pub(super) verdict: Verdict,
    /// What it refuses with, or would refuse with outside of shadow mode.
    pub(super) code: Option<&'static str>,
    /// A sentence.
    pub(super) detail: String,
}

/// What a check says, as operators read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Passed,
    Refused,
    NotAsked,
}

impl Verdict {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Refused => "refused",
            Self::NotAsked => "not_asked",
        }
    }
}

const NO_CUSTOMER: &str = "No customer was named.";
const SESSIONS_OFF: &str =
    "The sale takes a session, and sessions are off on this server: set gate.jwt_key_file or gate.accounts.";

impl Told {
    fn passed(check: &'static str, detail: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Passed, code: None, detail: detail.into() }
    }

    fn refused(check: &'static str, code: &'static str, detail: String) -> Self {
        Self { check, verdict: Verdict::Refused, code: Some(code), detail }
    }

    fn not_asked(check: &'static str, detail: &str) -> Self {
        Self { check, verdict: Verdict::NotAsked, code: None, detail: detail.to_owned() }
    }
}

/// Of the limits that are on.
pub(super) fn of_rate_limits(limits: &[Left]) -> Told {
    if limits.is_empty() {
        return Told::passed(RATE_LIMITS, "No rate limit of reservations is on.");
    }
    let told: Vec<_> = limits.iter().filter_map(of_rate_limit).collect();
    if told.is_empty() {
        return Told::not_asked(RATE_LIMITS, "The limits are by address or by customer, and none was named.");
    }
    let detail = format!("{}.", told.join("; "));
    if limits.iter().any(|left| left.remaining == Some(0)) {
        return Told::refused(RATE_LIMITS, Code::RateLimited.as_str(), detail);
    }
    Told::passed(RATE_LIMITS, detail)
}

fn of_rate_limit(left: &Left) -> Option<String> {
    let whose = match left.limited {
        Limited::Address => "this address's burst",
        Limited::Route => "the burst of all clients",
        Limited::Customer => "this customer's burst",
    };
    let (remaining, burst) = (grouped(left.remaining?.into()), grouped(left.burst.into()));
    Some(format!("{remaining} of {burst} requests of {whose} are left"))
}

/// Of the denylist, if anybody was named.
pub(super) fn of_denylist(is_asked: bool, denials: &[Arc<Denial>]) -> Told {
    if !is_asked {
        return Told::not_asked(DENYLIST, "Neither a customer nor an address was named.");
    }
    let told: Vec<_> = denials.iter().map(|denial| of_denial(denial)).collect();
    if told.is_empty() {
        return Told::passed(DENYLIST, "The denylist has no entry for them.");
    }
    Told::refused(DENYLIST, Code::Denied.as_str(), told.join(" "))
}

fn of_denial(Denial { kind, value, reason, expires_at }: &Denial) -> String {
    let kind = kind.as_str();
    let until = expires_at.map(|time| format!(" until {}", written(time))).unwrap_or_default();
    let why = if reason.is_empty() { String::new() } else { format!(" (reason: {reason})") };
    format!("The denylist has {kind} {value}{until}{why}.")
}

/// Of the sale's own rules; none if no sale is named.
pub(super) fn of_sale(rules: Option<&[(SaleCheck, onrush_core::Verdict)]>, has_sessions: bool) -> Vec<Told> {
    let Some(rules) = rules else {
        return CHECKS[2..].iter().map(|check| Told::not_asked(check, "No sale was named.")).collect();
    };
    let mut told = Vec::new();
    for (check, verdict) in rules {
        told.push(match (check, verdict) {
            (SaleCheck::Session { asked: SessionTerms::Required }, onrush_core::Verdict::Passed)
                if !has_sessions =>
            {
                Told::refused(SESSION, Code::SessionRequired.as_str(), SESSIONS_OFF.to_owned())
            }
            _ => of_rule(check, verdict),
        });
        if check.as_str() == SESSION {
            let detail = "Of a request with an Idempotency-Key that the sale knows, the first answer is told again here, \
                          whatever comes below.";
            told.push(Told::not_asked(REPLAY, detail));
        }
    }
    told
}

fn of_rule(check: &SaleCheck, verdict: &onrush_core::Verdict) -> Told {
    let name = check.as_str();
    match verdict {
        onrush_core::Verdict::Passed => Told::passed(name, figures(check)),
        onrush_core::Verdict::Refused(refusal) => {
            Told::refused(name, refusal.code().as_str(), refused(check, refusal))
        }
        onrush_core::Verdict::RefusedInShadow(refusal) => {
            let detail =
                format!("{} The sale is in shadow mode and refuses nobody for it.", refused(check, refusal));
            Told { code: Some(refusal.code().as_str()), ..Told::passed(name, detail) }
        }
        onrush_core::Verdict::NotAsked if name == CHALLENGE => Told::not_asked(name, &figures(check)),
        onrush_core::Verdict::NotAsked => Told::not_asked(name, NO_CUSTOMER),
    }
}

/// The figures that a check goes by.
fn figures(check: &SaleCheck) -> String {
    match *check {
        SaleCheck::Session { asked: SessionTerms::Off | SessionTerms::Optional } => {
            "The sale asks for no session.".to_owned()
        }
        SaleCheck::Session { asked: SessionTerms::Required } => {
            let code = RefusalCode::SessionRequired.as_str();
            format!(
                "The sale asks for a session of the customer. A request without one is refused with {code}."
            )
        }
        SaleCheck::SaleOpen { closes_at: Some(time), .. } => {
            format!("The sale is open until {}.", written(time))
        }
        SaleCheck::SaleOpen { .. } => "The sale is open.".to_owned(),
        SaleCheck::Cooldown { cooldown_ms: 0 } => "The sale has no cool-down.".to_owned(),
        SaleCheck::Cooldown { .. } => "The customer's cool-down is over, or has not begun.".to_owned(),
        SaleCheck::Challenge { asked: ChallengeTerms::Off } => "The sale asks for no challenge.".to_owned(),
        SaleCheck::Challenge { .. } => {
            "The sale asks for a challenge, which a request brings. Whether it is solved is not known here."
                .to_owned()
        }
        SaleCheck::StockOpen { stock_count, open_count } => {
            format!("{} of {} stocks are open.", grouped(open_count.into()), grouped(stock_count.into()))
        }
        SaleCheck::HoldsUnpaid { unpaid_count, holds_unpaid_max: Some(max) } => format!(
            "{} holds of the customer ran out unpaid; at {} nothing more is reserved.",
            grouped(unpaid_count.into()),
            grouped(max.into())
        ),
        SaleCheck::HoldsUnpaid { holds_unpaid_max: None, .. } => {
            "The sale has no limit of holds that run out unpaid.".to_owned()
        }
        SaleCheck::CustomerLimit { quantity_taken, per_customer_max: Some(max) } => {
            format!("The customer has {} of {} units.", grouped(quantity_taken), grouped(max.into()))
        }
        SaleCheck::CustomerLimit { per_customer_max: None, .. } => {
            "The sale has no limit for each customer.".to_owned()
        }
        SaleCheck::Stock { quantity_available } => {
            format!("{} units are left in stocks that are open.", grouped(quantity_available))
        }
    }
}

fn refused(check: &SaleCheck, refusal: &Refusal) -> String {
    match *refusal {
        Refusal::SaleNotOpen { opens_at } => format!("The sale opens at {}.", written(opens_at)),
        Refusal::SaleClosed { closes_at } => format!("The sale closed at {}.", written(closes_at)),
        Refusal::CoolingDown { left_ms } => {
            let tenths = left_ms.div_ceil(100);
            format!("The customer's cool-down ends in {}.{} s.", grouped(tenths / 10), tenths % 10)
        }
        Refusal::StockClosed { .. } => "Every stock of the sale has closed.".to_owned(),
        _ => figures(check),
    }
}

fn written(time: TimeMs) -> String {
    let mut text = Vec::new();
    write_rfc3339(&mut text, time);
    String::from_utf8_lossy(&text).into_owned()
}

/// A number with a comma before each three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
#[path = "words_tests.rs"]
mod tests;
