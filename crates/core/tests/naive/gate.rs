//! What a sale asks of a buyer.

use onrush_core::{
    Asker, BroughtChallenge, ChallengeKind, ChallengeTerms, ConfirmBy, GateMode, Now, Refusal, RefusalCode,
    ReservationStatus, SessionTerms,
};

use super::steps::{Claim, Step};
use super::{Model, Sale, ensure};

impl Sale {
    fn enforces(&self) -> bool {
        self.terms.gate.mode == GateMode::Enforce
    }

    pub(super) fn check_session(&self, asker: Asker<'_>, customer: &str) -> Result<(), Refusal> {
        let is_asked = self.terms.gate.session == SessionTerms::Required;
        if !self.enforces() || !is_asked || asker == Asker::Operator || asker == Asker::Customer(customer) {
            return Ok(());
        }
        Err(match asker {
            Asker::Anyone => Refusal::SessionRequired,
            Asker::Expired => Refusal::SessionExpired,
            _ => Refusal::CustomerMismatch,
        })
    }

    pub(super) fn check_confirms(&self, asker: Asker<'_>) -> Result<(), Refusal> {
        let is_for_operator = self.enforces() && self.terms.gate.confirm_by == ConfirmBy::Operator;
        ensure(!is_for_operator || asker == Asker::Operator, || Refusal::OperatorOnly)
    }

    pub(super) fn check_customer(&self, claim: &Claim, now: u64) -> Result<(), Refusal> {
        if !self.enforces() || claim.asker == Asker::Operator {
            return Ok(());
        }
        let mine = || self.reservations.iter().filter(|one| one.claim.customer == claim.customer);
        let gate = self.terms.gate;
        let over_at = mine().map(|one| one.created_at + u64::from(gate.cooldown_ms)).max().unwrap_or(0);
        let is_cooling = gate.cooldown_ms > 0 && now < over_at;
        ensure(!is_cooling, || Refusal::CoolingDown { left_ms: over_at - now })?;
        if let Some(holds_unpaid_max) = gate.holds_unpaid_max {
            let unpaid = mine().filter(|one| one.status == ReservationStatus::Expired).count();
            ensure(unpaid < holds_unpaid_max as usize, || Refusal::HoldsUnpaid { holds_unpaid_max })?;
        }
        Ok(())
    }

    pub(super) fn check_challenge(&self, claim: &Claim) -> Result<(), Refusal> {
        let challenge = self.terms.gate.challenge;
        if !self.enforces() || claim.asker == Asker::Operator || challenge == ChallengeTerms::Off {
            return Ok(());
        }
        let is_taken = match claim.challenge {
            BroughtChallenge::Missing => false,
            BroughtChallenge::Failed => return Err(Refusal::ChallengeFailed),
            BroughtChallenge::Solved(ChallengeKind::Image) => challenge != ChallengeTerms::ProofOfWork,
            BroughtChallenge::Solved(ChallengeKind::ProofOfWork) => challenge != ChallengeTerms::Image,
        };
        ensure(is_taken, || Refusal::ChallengeRequired { challenge })
    }
}

impl Model {
    /// Whether the challenge of a claim is looked at, and used up then.
    pub(crate) fn verifies_challenge(&self, step: &Step, now: Now) -> bool {
        let Step::Reserve(claim) = step else { return false };
        let Some(sale) = self.sales.get(claim.sale) else { return false };
        let time = now.partition.max(self.time);
        sale.terms.gate.challenge != ChallengeTerms::Off
            && claim.asker != Asker::Operator
            && sale.check_session(claim.asker, claim.customer).is_ok()
            && sale.replay(claim, time) == Ok(None)
            && sale.check_open(now.wall).is_ok()
            && sale.check_customer(claim, time).is_ok()
    }

    /// What the gate of a sale in shadow mode would refuse this step for.
    pub(crate) fn shadow_refusal(&mut self, step: &Step, now: Now) -> Option<RefusalCode> {
        let (Step::Reserve(Claim { sale: name, .. })
        | Step::Confirm { sale: name, .. }
        | Step::Release { sale: name, .. }) = step
        else {
            return None;
        };
        let gate = &mut self.sales.get_mut(name)?.terms.gate;
        if gate.mode == GateMode::Enforce {
            return None;
        }
        gate.mode = GateMode::Enforce;
        let found = self.gate_refusal(step, now);
        self.sales.get_mut(name)?.terms.gate.mode = GateMode::Shadow;
        found.err().map(|refusal| refusal.code())
    }

    fn gate_refusal(&mut self, step: &Step, now: Now) -> Result<(), Refusal> {
        let time = now.partition.max(self.time);
        let (name, pick, asker) = match *step {
            Step::Reserve(ref claim) => {
                let sale = &self.sales[claim.sale];
                sale.check_session(claim.asker, claim.customer)?;
                let is_refused_anyway =
                    sale.replay(claim, time) != Ok(None) || sale.check_open(now.wall).is_err();
                if is_refused_anyway {
                    return Ok(());
                }
                sale.check_customer(claim, time)?;
                return sale.check_challenge(claim);
            }
            Step::Confirm { sale, pick, asker } | Step::Release { sale, pick, asker } => (sale, pick, asker),
            _ => return Ok(()),
        };
        let reservation = self.find(name, pick);
        let Ok(found) = self.reservation(name, reservation) else { return Ok(()) };
        let customer = found.claim.customer;
        let sale = &self.sales[name];
        sale.check_session(asker, customer)?;
        if matches!(step, Step::Confirm { .. }) { sale.check_confirms(asker) } else { Ok(()) }
    }
}
