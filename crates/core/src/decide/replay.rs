//! What became of a claim that was made before.

use super::Answer;
use crate::{
    IdempotencyKey, KEY_BYTES_MAX, Refusal, ReservationStatus, State, TimeMs,
    state::{Record, Sale},
};

/// What became of the first claim with this key, if there was one. A hold that is over counts as expired, though no event
/// has said so yet: whoever is told "held" may go and pay.
pub(super) fn find_replay(
    state: &State,
    sale: &Sale,
    key: IdempotencyKey<'_>,
    now: TimeMs,
) -> Result<Option<Answer>, Refusal> {
    if !(1..=KEY_BYTES_MAX).contains(&key.key.len()) {
        return Err(Refusal::Invalid { field: "idempotency_key", rule: "must be 1 to 128 bytes" });
    }
    let Some((seq, fingerprint)) = sale.reservations.find_key(&state.hash, key.key) else { return Ok(None) };
    if fingerprint != key.fingerprint {
        return Err(Refusal::IdempotencyKeyReused);
    }
    let record = sale.reservations.get(seq).expect("a key belongs to a reservation");
    let is_over = is_over(record, now);
    Ok(Some(Answer::Reserved {
        reservation: sale.reservation_ref(seq),
        status: if is_over { ReservationStatus::Expired } else { record.status() },
        created_at: record.created_at,
        expires_at: record.expires_at().filter(|_| !is_over),
        replayed: true,
    }))
}

/// Whether the reservation is held no longer, though no event has said so yet.
pub(super) fn is_over(record: &Record, now: TimeMs) -> bool {
    record.expires_at().is_some_and(|expires_at| expires_at <= now)
}
