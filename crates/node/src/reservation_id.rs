//! Reservation ids as clients see them: 26 letters and digits that tell neither how many were sold nor the next one.
//!
//! The number of a reservation (sale, ordinal, 64 zero bits) is encrypted as one AES-128 block (FIPS 197) under the
//! partition's own secret, and written in Crockford's base 32, lower case. The 64 zero bits must come back when an id is
//! read, so a guess hits with a chance of 2^-64. No table of ids is needed.

use aes::Aes128;
use aes::cipher::{BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use onrush_core::{ReservationNo, SaleNo};

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Characters of an id.
pub const RESERVATION_ID_BYTES: usize = 26;

/// Writes and reads the ids of one partition.
#[derive(Clone)]
pub struct ReservationIds {
    cipher: Aes128,
}

impl ReservationIds {
    /// Ids under this secret.
    pub fn new(id_key: [u8; 16]) -> Self {
        Self { cipher: Aes128::new(&id_key.into()) }
    }

    /// The id of a reservation, in ASCII.
    pub fn write(&self, reservation: ReservationNo) -> [u8; RESERVATION_ID_BYTES] {
        let number = (u128::from(reservation.sale.0) << 96) | (u128::from(reservation.seq) << 64);
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

    /// The reservation that an id stands for, if this partition can have written it.
    pub fn read(&self, id: &str) -> Option<ReservationNo> {
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
        if number & u128::from(u64::MAX) != 0 {
            return None;
        }
        #[allow(clippy::cast_possible_truncation, reason = "32 bits each, by the shifts")]
        Some(ReservationNo { sale: SaleNo((number >> 96) as u32), seq: (number >> 64) as u32 })
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

    fn number(sale: u32, seq: u32) -> ReservationNo {
        ReservationNo { sale: SaleNo(sale), seq }
    }

    #[test]
    fn an_id_reads_back_as_its_number() {
        let ids = ReservationIds::new([7; 16]);
        for reservation in [number(0, 0), number(0, 1), number(3, 4_000_000), number(u32::MAX, u32::MAX)] {
            let id = ids.write(reservation);
            assert_eq!(ids.read(std::str::from_utf8(&id).unwrap()), Some(reservation));
        }
    }

    #[test]
    fn neighbours_share_no_prefix_worth_the_name() {
        let ids = ReservationIds::new([7; 16]);
        let (a, b) = (ids.write(number(0, 1)), ids.write(number(0, 2)));
        assert!(a.iter().zip(&b).filter(|(x, y)| x == y).count() < 8);
    }

    #[test]
    fn what_was_not_written_here_is_not_read() {
        let ids = ReservationIds::new([7; 16]);
        let foreign = ReservationIds::new([8; 16]).write(number(0, 1));
        let foreign = std::str::from_utf8(&foreign).unwrap();
        for id in ["", "0", foreign, &"z".repeat(26), &"0".repeat(26), &"0".repeat(27), &"é".repeat(13)] {
            assert_eq!(ids.read(id), None, "{id}");
        }
    }
}
