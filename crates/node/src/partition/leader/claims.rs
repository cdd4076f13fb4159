//! Claims, and the challenges that they bring.

use onrush_core::{Answer, BroughtChallenge, Command, Refusal, ReservationRef, verifies_challenge};

use super::{Leader, refused, unexpected};
use crate::partition::used_challenges::UsedChallenges;
use crate::{Asker, ChallengeCall, Failure, Outcome, Reply, ReserveCall};

impl Leader {
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
