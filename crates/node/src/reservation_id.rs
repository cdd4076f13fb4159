//! Reservation ids as clients see them: 26 letters and digits that tell neither how many were sold nor the next one.
//!
//! What names a reservation for ever is encrypted as one AES-128 block (FIPS 197) under the partition's own secret, and
//! written in Crockford's base 32, lower case. The block is, from the highest bit: 32 bits of the number of the sale, 32 of
//! the ordinal in the sale, 16 of the partition, 32 of the incarnation, 16 zeros. The partition and the zeros must come
//! back when an id is read, and the state compares the incarnation, so a guess hits with a chance of 2^-64. No table of ids
//! is needed.
//!
//! Ids that were written before there were partitions and incarnations have zeros in their places, as those of partition
//! 0 and of [`Incarnation::FIRST`] still have.

use aes::Aes128;
use aes::cipher::{BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use onrush_core::{Incarnation, ReservationNo, ReservationRef, SaleNo};

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Characters of an id.
pub const RESERVATION_ID_BYTES: usize = 26;

/// Writes and reads the ids of one partition.
#[derive(Clone)]
pub struct ReservationIds {
    cipher: Aes128,
    partition: u16,
}

impl ReservationIds {
    /// Ids of this partition, under its secret.
    pub fn new(partition: u16, id_key: [u8; 16]) -> Self {
        Self { cipher: Aes128::new(&id_key.into()), partition }
    }

    /// The number of the partition.
    pub fn partition(&self) -> u16 {
        self.partition
    }

    /// The id of a reservation, in ASCII.
    pub fn write(&self, reservation: ReservationRef) -> [u8; RESERVATION_ID_BYTES] {
        let ReservationRef { no: ReservationNo { sale, seq }, incarnation } = reservation;
        let number = (u128::from(sale.0) << 96)
            | (u128::from(seq) << 64)
            | (u128::from(self.partition) << 48)
            | (u128::from(incarnation.0) << 16);
        let mut block = number.to_be_bytes().into();
        self.cipher.encrypt_block(&mut block);
        let mut bits = u128::from_be_bytes(block.into());
        let mut id = [0; RESERVATION_ID_BYTES];
        for letter in id.iter_mut().rev() {
            *letter = ALPHABET[(bits & 31) as usize];
            bits >>= 5;
        }
        id
    }

    /// Tells this partition's log, in this incarnation, from every other, and tells nothing of the secret.
    pub fn log_mark(&self, incarnation: Incarnation) -> u64 {
        // The last bits of every reservation's block are zeros, so this is no reservation's.
        let number = (u128::from(self.partition) << 48) | (u128::from(incarnation.0) << 16) | 1;
        let mut block = number.to_be_bytes().into();
        self.cipher.encrypt_block(&mut block);
        #[allow(clippy::cast_possible_truncation, reason = "half of it is enough")]
        let mark = u128::from_be_bytes(block.into()) as u64;
        mark
    }

    /// The reservation that an id stands for, if this partition can have written it. Whether it has, and in this incarnation,
    /// the state knows.
    pub fn read(&self, id: &str) -> Option<ReservationRef> {
        let id: &[u8; RESERVATION_ID_BYTES] = id.as_bytes().try_into().ok()?;
        let mut bits = 0_u128;
        for (at, letter) in id.iter().enumerate() {
            let value = ALPHABET.iter().position(|known| known == letter)?;
            // 26 letters have 130 bits; the first may only use three of its five.
            if at == 0 && value > 7 {
                return None;
            }
            bits = (bits << 5) | value as u128;
        }
        let mut block = bits.to_be_bytes().into();
        self.cipher.decrypt_block(&mut block);
        let number = u128::from_be_bytes(block.into());
        #[allow(clippy::cast_possible_truncation, reason = "the parts are as wide as their types")]
        let (sale, seq, partition, incarnation, zeros) = (
            SaleNo((number >> 96) as u32),
            (number >> 64) as u32,
            (number >> 48) as u16,
            Incarnation((number >> 16) as u32),
            number as u16,
        );
        let is_of_here = partition == self.partition && zeros == 0;
        is_of_here.then_some(ReservationRef { no: ReservationNo { sale, seq }, incarnation })
    }
}

impl std::fmt::Debug for ReservationIds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ReservationIds(secret)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(sale: u32, seq: u32) -> ReservationRef {
        ReservationNo { sale: SaleNo(sale), seq }.into()
    }

    fn text(id: &[u8; RESERVATION_ID_BYTES]) -> &str {
        std::str::from_utf8(id).unwrap()
    }

    #[test]
    fn ids_are_what_they_were() {
        let ids = ReservationIds::new(0, *b"0123456789abcdef");
        assert_eq!(text(&ids.write(number(0, 0))), "0bkcaxmjt4m3tha7efrk01yden");
        assert_eq!(text(&ids.write(number(3, 4_000_000))), "2x9zm3q74zgpeqwhcvnt6xpadf");
        let later = ReservationRef { incarnation: Incarnation(0xfedc_ba98), ..number(3, 4_000_000) };
        assert_eq!(text(&ids.write(later)), "55vbyd3110nqesw5vcapxh312t");
        let other = ReservationIds::new(7, *b"0123456789abcdef");
        assert_eq!(text(&other.write(later)), "4kwff8zew2cnwfz7w6qwaab2jp");
    }

    #[test]
    fn the_same_number_has_another_id_in_another_partition_and_incarnation() {
        let later = ReservationRef { incarnation: Incarnation(u32::MAX), ..number(1, 2) };
        let (ids, other) = (ReservationIds::new(0, [7; 16]), ReservationIds::new(u16::MAX, [7; 16]));
        assert_ne!(ids.write(later), ids.write(number(1, 2)));
        for reservation in [number(1, 2), later] {
            assert_eq!(ids.read(text(&ids.write(reservation))), Some(reservation));
            assert_eq!(other.read(text(&other.write(reservation))), Some(reservation));
            assert_eq!(ids.read(text(&other.write(reservation))), None);
            assert_eq!(other.read(text(&ids.write(reservation))), None);
        }
    }

    #[test]
    fn an_id_reads_back_as_its_number() {
        let ids = ReservationIds::new(0, [7; 16]);
        for reservation in [number(0, 0), number(0, 1), number(3, 4_000_000), number(u32::MAX, u32::MAX)] {
            let id = ids.write(reservation);
            assert_eq!(ids.read(std::str::from_utf8(&id).unwrap()), Some(reservation));
        }
    }

    #[test]
    fn a_log_is_told_from_others_and_from_its_other_incarnations() {
        let mark = |partition, key, incarnation| {
            ReservationIds::new(partition, [key; 16]).log_mark(Incarnation(incarnation))
        };
        let all = [mark(0, 7, 0), mark(0, 7, 1), mark(0, 8, 0), mark(1, 7, 0)];
        for (at, one) in all.iter().enumerate() {
            assert!(!all[..at].contains(one), "{all:?}");
        }
        assert_eq!(all[0], mark(0, 7, 0));
    }

    #[test]
    fn neighbours_share_no_prefix_worth_the_name() {
        let ids = ReservationIds::new(0, [7; 16]);
        let (a, b) = (ids.write(number(0, 1)), ids.write(number(0, 2)));
        assert!(a.iter().zip(&b).filter(|(x, y)| x == y).count() < 8);
    }

    #[test]
    fn what_was_not_written_here_is_not_read() {
        let ids = ReservationIds::new(0, [7; 16]);
        let foreign = ReservationIds::new(0, [8; 16]).write(number(0, 1));
        let foreign = std::str::from_utf8(&foreign).unwrap();
        for id in ["", "0", foreign, &"z".repeat(26), &"0".repeat(26), &"0".repeat(27), &"é".repeat(13)] {
            assert_eq!(ids.read(id), None, "{id}");
        }
    }
}
