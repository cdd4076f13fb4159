//! The claim of whoever asks for one unit of one stock, for ready-made applications that know nothing else.

use onrush_node::{ChallengeCall, KeyCall, LineCall, Name, ReserveCall};
use smallvec::smallvec;

use super::claim::fingerprint;
use super::key::parse_idempotency_key;
use crate::gate::Identity;
use crate::problem::Problem;

/// One unit of a stock for the customer whose session the request has. With a `key` a retry finds the reservation, as with the
/// `Idempotency-Key` of the API; `read_challenge` says what the customer brings of a challenge.
///
/// # Errors
/// Nothing proves who asks, or the key is none.
pub(crate) fn one_unit(
    sender: &Identity,
    sale: Name,
    stock: Name,
    key: Option<&str>,
    read_challenge: impl FnOnce(&str) -> ChallengeCall,
) -> Result<Box<ReserveCall>, Problem> {
    let customer = Name::from(sender.proof()?.customer.as_str());
    let lines = smallvec![LineCall { stock, quantity: 1 }];
    let key = key.map(|key| parse_idempotency_key(key.as_bytes())).transpose()?;
    let key =
        key.map(|key| KeyCall { key: Name::from(key), fingerprint: fingerprint(&customer, &lines, b"") });
    let (challenge, asker, details) = (read_challenge(&customer), sender.asker(), Box::default());
    Ok(Box::new(ReserveCall { sale, asker, customer, lines, details, challenge, key }))
}
