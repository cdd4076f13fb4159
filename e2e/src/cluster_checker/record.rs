//! Records of a shared log, read by the table at the top of `crates/log/src/shared/record.rs` and by nothing of that crate.

use anyhow::{Result, bail, ensure};

use super::bytes::Bytes;

/// Bytes before the payload.
const HEADER_BYTES: usize = 84;

/// What a record is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Claim,
    Batch,
    Mark,
    Resignation,
    Note,
}

/// A record as it stands in the topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) kind: Kind,
    /// How the payload of a batch is written.
    pub(super) format: u8,
    pub(super) log_id: u128,
    pub(super) partition: u32,
    pub(super) node: u32,
    /// The epoch of its writer; in a claim the newest that it has seen. `None` is none.
    pub(super) epoch: Option<u64>,
    pub(super) sequence: u64,
    pub(super) base_offset: u64,
    pub(super) time_ms: u64,
    pub(super) told_ms: u64,
    pub(super) event_count: u32,
    pub(super) payload: Vec<u8>,
}

/// Reads the bytes of one message; `None` if nobody wrote them as a record.
///
/// # Errors
/// Somebody did, but not as the table says.
pub(super) fn read(bytes: &[u8]) -> Result<Option<Record>> {
    if bytes.len() < HEADER_BYTES || !bytes.starts_with(b"oSHR") {
        return Ok(None);
    }
    let (header, payload) = bytes.split_at(HEADER_BYTES);
    let mut rest = Bytes(&header[4..]);
    let version = u16::from_le_bytes(rest.array()?);
    let [kind, format] = rest.array()?;
    let log_id = u128::from_le_bytes(rest.array()?);
    let partition = u32::from_le_bytes(rest.array()?);
    let node = u32::from_le_bytes(rest.array()?);
    let epoch = u64::from_le_bytes(rest.array()?);
    let sequence = u64::from_le_bytes(rest.array()?);
    let base_offset = u64::from_le_bytes(rest.array()?);
    let time_ms = u64::from_le_bytes(rest.array()?);
    let told_ms = u64::from_le_bytes(rest.array()?);
    let event_count = u32::from_le_bytes(rest.array()?);
    let payload_bytes = u32::from_le_bytes(rest.array()?);
    if u32::from_le_bytes(rest.array()?) != checksum(header[..HEADER_BYTES - 4].iter().chain(payload)) {
        return Ok(None);
    }
    ensure!(matches!(version, 1 | 2), "a record of version {version}");
    ensure!(usize::try_from(payload_bytes)? == payload.len(), "{payload_bytes} are not {}", payload.len());
    let kind = match kind {
        1 => Kind::Claim,
        2 => Kind::Batch,
        3 => Kind::Mark,
        4 => Kind::Resignation,
        5 => Kind::Note,
        _ => bail!("a record of kind {kind}"),
    };
    ensure!((kind == Kind::Batch) == (event_count > 0), "a {kind:?} of {event_count} events");
    ensure!(time_ms <= told_ms, "a {kind:?} of {time_ms} ms that tells of {told_ms} ms");
    let epoch = (epoch != u64::MAX).then_some(epoch);
    ensure!(kind == Kind::Claim || epoch.is_some(), "a {kind:?} of no epoch");
    let begins_log_with_events = kind == Kind::Claim && epoch.is_none() && base_offset > 0;
    ensure!(version == 1 || begins_log_with_events, "a {kind:?} of version {version}");
    let payload = payload.to_vec();
    Ok(Some(Record {
        kind,
        format,
        log_id,
        partition,
        node,
        epoch,
        sequence,
        base_offset,
        time_ms,
        told_ms,
        event_count,
        payload,
    }))
}

/// Whether these bytes are a batch that some node wrote.
pub(crate) fn is_batch(bytes: &[u8]) -> bool {
    matches!(read(bytes), Ok(Some(record)) if record.kind == Kind::Batch)
}

/// The batch of these bytes, at the place of another record.
pub(super) fn moved(batch: &[u8], to: &Record) -> Vec<u8> {
    let mut bytes = batch.to_vec();
    let epoch = to.epoch.unwrap_or(u64::MAX);
    let places = [epoch, to.sequence, to.base_offset, to.time_ms, to.told_ms];
    for (at, number) in (32..).step_by(8).zip(places) {
        bytes[at..at + 8].copy_from_slice(&number.to_le_bytes());
    }
    let (header, payload) = bytes.split_at(HEADER_BYTES);
    let sum = checksum(header[..HEADER_BYTES - 4].iter().chain(payload)).to_le_bytes();
    bytes[HEADER_BYTES - 4..HEADER_BYTES].copy_from_slice(&sum);
    bytes
}

/// CRC32C (RFC 3720), bit by bit.
pub(super) fn checksum<'a>(bytes: impl Iterator<Item = &'a u8>) -> u32 {
    let mut sum = u32::MAX;
    for byte in bytes {
        sum ^= u32::from(*byte);
        for _ in 0..8 {
            sum = if sum & 1 == 1 { sum >> 1 ^ 0x82f6_3b78 } else { sum >> 1 };
        }
    }
    !sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster_checker::written::{batch, claim, encoded};

    #[test]
    fn the_checksum_is_that_of_the_standard() {
        assert_eq!(checksum(b"123456789".iter()), 0xe306_9283);
        assert_eq!(checksum([0_u8; 32].iter()), 0x8a91_36aa);
    }

    #[test]
    fn a_record_is_read_as_it_was_written_and_junk_is_none() {
        for record in [claim(1, None, 0), batch(3, 4, 5, vec![1, 2, 3])] {
            let bytes = encoded(&record);
            assert_eq!(read(&bytes).expect("a record"), Some(record));
            for at in 0..bytes.len() {
                let mut damaged = bytes.clone();
                damaged[at] ^= 4;
                assert_eq!(read(&damaged).expect("junk"), None, "damaged at {at}");
            }
            assert_eq!(read(&bytes[..bytes.len() - 1]).expect("junk"), None);
        }
    }

    #[test]
    fn a_batch_is_moved_with_all_that_it_says() {
        let (batch, to) = (batch(3, 4, 5, vec![1, 2, 3]), batch(9, 6, 12, vec![1, 2, 3]));
        let bytes = moved(&encoded(&batch), &to);
        assert_eq!((is_batch(&bytes), read(&bytes).expect("a record")), (true, Some(to)));
    }

    #[test]
    fn what_another_program_may_know_is_an_error() {
        let mut later = encoded(&claim(1, None, 0));
        later[4] = 2;
        let sum = checksum(later[..HEADER_BYTES - 4].iter()).to_le_bytes();
        later[HEADER_BYTES - 4..].copy_from_slice(&sum);
        assert!(read(&later).is_err());
    }
}
