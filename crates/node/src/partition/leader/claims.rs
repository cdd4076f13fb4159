//! Claims, and the challenges that they bring.

use std::hint::black_box;

use onrush_core::{
    Answer, BroughtChallenge, ClaimKeys, Command, Refusal, ReservationRef, verifies_challenge,
};

use super::{Leader, refused, unexpected};
use crate::partition::used_challenges::UsedChallenges;
use crate::{Asker, Call, ChallengeCall, Failure, Outcome, Reply, ReserveCall, Token};

impl Leader {
    /// Reads what the claims among these calls will be decided by, so that deciding waits less for the memory. That of a single
    /// one would only be read twice.
    pub(in crate::partition) fn look_ahead(&self, calls: &[(Token, Call)]) {
        if calls.len() < 2 {
            return;
        }
        let claims = || {
            calls.iter().filter_map(|(_, call)| match call {
                Call::Reserve(claim) => Some(claim),
                _ => None,
            })
        };
        // They were written by another thread, mostly on another processor.
        for claim in claims() {
            black_box(claim.customer.len());
        }
        self.state.look_ahead(claims().map(|claim| ClaimKeys {
            sale: &claim.sale,
            customer: &claim.customer,
            key: claim.key.as_ref().map(|key| key.key.as_bytes()),
        }));
    }

    pub(super) fn reserve(&mut self, call: Box<ReserveCall>, used: &mut UsedChallenges) -> Reply {
        let number = call.challenge.number();
        let brought = brought(call.challenge, used);
        let is_verified = number.is_some()
            && call.with_command(brought, |claim| verifies_challenge(&self.state, &claim, self.now));
        if let Some(number) = number.filter(|_| is_verified) {
            used.use_up(number);
        }
        match call.with_command(brought, |claim| self.decide_and_apply(&Command::Reserve(claim))) {
            Ok(Answer::Reserved { reservation, status, created_at, expires_at, replayed }) => {
                Ok(Outcome::Reserved { reservation, status, created_at, expires_at, replayed, call })
            }
            Ok(other) => unexpected(Ok(other)),
            Err(refusal) => Err(Failure::Refused { refusal, call: Some(call) }),
        }
    }

    pub(super) fn confirm(&mut self, sale: &str, reservation: ReservationRef, asker: &Asker) -> Reply {
        let confirm = Command::Confirm { sale, reservation, asker: asker.as_core() };
        self.decide_and_apply(&confirm).map_err(refused)?;
        self.reservation(sale, reservation)
    }

    pub(super) fn reclaim(&mut self, sale: &str, reservation: ReservationRef) -> Reply {
        self.decide_and_apply(&Command::Reclaim { sale, reservation }).map_err(refused)?;
        self.reservation(sale, reservation)
    }

    /// Looks at a challenge, which is used up by that, for whoever brings none with a claim.
    pub(super) fn verify_challenge(
        &self,
        sale: &str,
        challenge: ChallengeCall,
        used: &mut UsedChallenges,
    ) -> Reply {
        if !self.state.has_sale(sale) {
            return Err(refused(Refusal::SaleNotFound));
        }
        let brought = brought(challenge, used);
        if let Some(number) = challenge.number() {
            used.use_up(number);
        }
        match brought {
            BroughtChallenge::Solved(_) => Ok(Outcome::ChallengeVerified),
            BroughtChallenge::Missing | BroughtChallenge::Failed => Err(refused(Refusal::ChallengeFailed)),
        }
    }
}

fn brought(challenge: ChallengeCall, used: &UsedChallenges) -> BroughtChallenge {
    match challenge {
        ChallengeCall::Missing => BroughtChallenge::Missing,
        ChallengeCall::Answered { number, kind, is_solved: true } if used.is_unused(number) => {
            BroughtChallenge::Solved(kind)
        }
        ChallengeCall::Unreadable | ChallengeCall::Answered { .. } => BroughtChallenge::Failed,
    }
}
