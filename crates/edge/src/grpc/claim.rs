//! A claim in a message, and where the reservation stands that was made of it.

use std::borrow::Cow;

use onrush_core::ReservationStatus;
use onrush_node::{ChallengeCall, ReserveCall};
use serde_json::value::RawValue;
use smallvec::SmallVec;

use super::generated::onrush::v1::{Claim as ClaimMessage, ReservationStatus as StatusMessage};
use crate::api::reservations::claim::{Claim, ClaimLine};
use crate::api::reservations::key::parse_idempotency_key;
use crate::gate::{Brought, Identity};
use crate::problem::Problem;

/// The call that a claim of `sender` in this sale is. What is empty in the message is not there.
///
/// # Errors
/// As [`Claim::check`], and if the details are no JSON or the key is none.
pub(super) fn read(
    sender: &Identity,
    sale: &str,
    claim: &ClaimMessage,
    read_challenge: impl FnOnce(Brought<'_>) -> ChallengeCall,
) -> Result<Box<ReserveCall>, Problem> {
    let given = |text| Some(text).filter(|text: &&str| !text.is_empty());
    let lines = claim.lines.iter();
    let lines: SmallVec<[ClaimLine<'_>; 2]> =
        lines.map(|line| ClaimLine { stock: Cow::Borrowed(&line.stock), quantity: line.quantity }).collect();
    let key = given(&claim.idempotency_key).map(|key| parse_idempotency_key(key.as_bytes()));
    let details = Some(&*claim.details).filter(|details| !details.is_empty());
    let details = details.map(serde_json::from_slice::<&RawValue>).transpose();
    let claim = Claim {
        sale,
        key: key.transpose()?,
        customer: given(&claim.customer),
        lines: &lines,
        details: details.map_err(|_| Problem::invalid("details", "must be a JSON object"))?,
        challenge: given(&claim.challenge),
    };
    claim.check(sender, read_challenge)
}

/// A status as clients read it.
pub(super) fn status_message(status: ReservationStatus) -> StatusMessage {
    match status {
        ReservationStatus::Held => StatusMessage::Held,
        ReservationStatus::Confirmed => StatusMessage::Confirmed,
        ReservationStatus::Released => StatusMessage::Released,
        ReservationStatus::Expired => StatusMessage::Expired,
    }
}
