//! What a sale asks of a buyer: session, cool-down, holds that were paid, a challenge, and who confirms. A sale in shadow mode refuses
//! nobody for it; [`shadow_refusal`] says whom it would.

use super::Answer;
use super::replay::find_replay;
use super::sales::check_open;
use crate::{
    Asker, BroughtChallenge, ChallengeTerms, Command, ConfirmBy, Now, Refusal, RefusalCode, Reserve,
    SessionTerms, State, TimeMs,
    state::{Record, Sale},
};

/// A claim that was not refused for what comes before its challenge.
pub(super) enum Admitted {
    /// It was answered before.
    Replayed(Answer),
    /// It is new, of a customer whom the sale may know.
    New(Option<u32>),
}

/// Comes before everything else that a claim is asked: its session, whether it was made before, whether the sale is open, and
/// what its customer did before.
pub(super) fn admit(state: &State, sale: &Sale, claim: &Reserve<'_>, now: Now) -> Result<Admitted, Refusal> {
    enforced(sale, || session_refusal(sale, claim.asker, claim.customer))?;
    if let Some(key) = claim.key
        && let Some(answer) = find_replay(state, sale, key, now.partition)?
    {
        return Ok(Admitted::Replayed(answer));
    }
    check_open(sale, now.wall)?;
    let customer = sale.customers.find(&state.hash, claim.customer);
    enforced(sale, || customer_refusal(state, sale, claim.asker, customer, now.partition))?;
    Ok(Admitted::New(customer))
}

/// Comes next.
pub(super) fn check_challenge(sale: &Sale, claim: &Reserve<'_>) -> Result<(), Refusal> {
    enforced(sale, || challenge_refusal(sale, claim))
}

/// Whether deciding about this claim verifies the challenge that it brings, which is used up then, whatever comes of it. To be
/// asked in the state in which the claim is decided.
pub fn verifies_challenge(state: &State, claim: &Reserve<'_>, now: Now) -> bool {
    let now = Now { partition: state.clamp(now.partition), ..now };
    let asks = |sale: &&Sale| asked_challenge(sale, claim.asker) != ChallengeTerms::Off;
    state
        .sales
        .find(&state.hash, claim.sale)
        .filter(asks)
        .is_some_and(|sale| matches!(admit(state, sale, claim, now), Ok(Admitted::New(_))))
}

/// Whether this asker may confirm the reservation, or, where `is_confirm` is false, release it.
pub(super) fn check_change(
    sale: &Sale,
    record: &Record,
    asker: Asker<'_>,
    is_confirm: bool,
) -> Result<(), Refusal> {
    enforced(sale, || change_refusal(sale, record, asker, is_confirm))
}

impl State {
    /// Whether this asker may see what `customer` reserved in the sale; so may everybody if there is no such sale.
    ///
    /// # Errors
    /// It takes a session, or another one.
    pub fn check_reader(&self, sale: &str, customer: &str, asker: Asker<'_>) -> Result<(), Refusal> {
        let Some(sale) = self.sales.find(&self.hash, sale) else { return Ok(()) };
        enforced(sale, || session_refusal(sale, asker, customer))
    }
}

/// The code of what the gate of a sale in shadow mode would have refused this command for, if it would have. It is to be
/// asked in the state in which the command is decided.
pub fn shadow_refusal(state: &State, command: &Command<'_>, now: Now) -> Option<RefusalCode> {
    let found = |sale: &str| state.sales.find(&state.hash, sale).filter(|sale| sale.is_shadow());
    let refused = match *command {
        Command::Reserve(ref claim) => {
            let sale = found(claim.sale)?;
            shadow_of_claim(state, sale, claim, Now { partition: state.clamp(now.partition), ..now })
        }
        Command::Confirm { sale, reservation, asker } => {
            let sale = found(sale)?;
            change_refusal(sale, sale.find(reservation)?, asker, true)
        }
        Command::Release { sale, reservation, asker } => {
            let sale = found(sale)?;
            change_refusal(sale, sale.find(reservation)?, asker, false)
        }
        _ => return None,
    };
    refused.err().map(|refusal| refusal.code())
}

fn shadow_of_claim(state: &State, sale: &Sale, claim: &Reserve<'_>, now: Now) -> Result<(), Refusal> {
    session_refusal(sale, claim.asker, claim.customer)?;
    let is_refused_anyway = match claim.key.map(|key| find_replay(state, sale, key, now.partition)) {
        Some(Ok(None)) | None => check_open(sale, now.wall).is_err(),
        Some(_) => true,
    };
    if is_refused_anyway {
        return Ok(());
    }
    let customer = sale.customers.find(&state.hash, claim.customer);
    customer_refusal(state, sale, claim.asker, customer, now.partition)?;
    challenge_refusal(sale, claim)
}

fn enforced(sale: &Sale, check: impl FnOnce() -> Result<(), Refusal>) -> Result<(), Refusal> {
    if sale.is_shadow() { Ok(()) } else { check() }
}

pub(super) fn session_refusal(sale: &Sale, asker: Asker<'_>, customer: &str) -> Result<(), Refusal> {
    match sale.terms.gate.session {
        SessionTerms::Off | SessionTerms::Optional => Ok(()),
        SessionTerms::Required => asker.check_is(customer),
    }
}

fn customer_refusal(
    state: &State,
    sale: &Sale,
    asker: Asker<'_>,
    customer: Option<u32>,
    now: TimeMs,
) -> Result<(), Refusal> {
    let customer = customer.filter(|_| asker != Asker::Operator);
    cooldown_refusal(sale, customer, state.clamp(now))?;
    unpaid_refusal(sale, customer)
}

/// `now` is the partition's time.
pub(super) fn cooldown_refusal(sale: &Sale, customer: Option<u32>, now: TimeMs) -> Result<(), Refusal> {
    let cooldown_ms = sale.terms.gate.cooldown_ms;
    let Some(customer) = customer.filter(|_| cooldown_ms > 0) else { return Ok(()) };
    // Only what became a reservation begins a cool-down, so it is known after a restart as well.
    let last = sale.customers.last_reservation(customer);
    let last = sale.reservations.get(last).expect("a customer has made a reservation");
    match (last.created_at + u64::from(cooldown_ms)).checked_sub(now) {
        Some(left_ms @ 1..) => Err(Refusal::CoolingDown { left_ms }),
        _ => Ok(()),
    }
}

pub(super) fn unpaid_refusal(sale: &Sale, customer: Option<u32>) -> Result<(), Refusal> {
    let Some(customer) = customer else { return Ok(()) };
    match sale.terms.gate.holds_unpaid_max {
        Some(holds_unpaid_max) if sale.unpaid_count(customer) >= holds_unpaid_max => {
            Err(Refusal::HoldsUnpaid { holds_unpaid_max })
        }
        _ => Ok(()),
    }
}

fn challenge_refusal(sale: &Sale, claim: &Reserve<'_>) -> Result<(), Refusal> {
    let challenge = asked_challenge(sale, claim.asker);
    if challenge == ChallengeTerms::Off {
        return Ok(());
    }
    match claim.challenge {
        BroughtChallenge::Solved(kind) if challenge.kinds().contains(&kind) => Ok(()),
        BroughtChallenge::Failed => Err(Refusal::ChallengeFailed),
        BroughtChallenge::Missing | BroughtChallenge::Solved(_) => {
            Err(Refusal::ChallengeRequired { challenge })
        }
    }
}

/// Which challenge the sale asks of this asker.
fn asked_challenge(sale: &Sale, asker: Asker<'_>) -> ChallengeTerms {
    if asker == Asker::Operator { ChallengeTerms::Off } else { sale.terms.gate.challenge }
}

fn change_refusal(sale: &Sale, record: &Record, asker: Asker<'_>, is_confirm: bool) -> Result<(), Refusal> {
    session_refusal(sale, asker, sale.customers.name(record.customer))?;
    if is_confirm && sale.terms.gate.confirm_by == ConfirmBy::Operator && asker != Asker::Operator {
        return Err(Refusal::OperatorOnly);
    }
    Ok(())
}
