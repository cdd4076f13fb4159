//! Bytes taken from the front, as the documents of the formats say: fixed numbers, integers of any length, strings, groups.

use anyhow::{Context as _, Result, ensure};

/// What is left of some bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bytes<'a>(pub(super) &'a [u8]);

impl<'a> Bytes<'a> {
    pub(super) fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count).context("the bytes end too early")?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn array<const COUNT: usize>(&mut self) -> Result<[u8; COUNT]> {
        Ok(self.take(COUNT)?.try_into().expect("so many were taken"))
    }

    /// Unsigned LEB128 of at most 64 bits.
    pub(super) fn integer(&mut self) -> Result<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let [byte] = self.array()?;
            let bits = u64::from(byte & 0x7f);
            ensure!(bits << shift >> shift == bits, "an integer of more than 64 bits");
            value |= bits << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        anyhow::bail!("an integer of more than 64 bits")
    }

    /// 0 for none, else the number plus 1.
    pub(super) fn optional(&mut self) -> Result<Option<u64>> {
        Ok(self.integer()?.checked_sub(1))
    }

    /// A length, and so many bytes.
    pub(super) fn group(&mut self) -> Result<Self> {
        let count = usize::try_from(self.integer()?)?;
        self.take(count).map(Self)
    }

    pub(super) fn text(&mut self) -> Result<String> {
        String::from_utf8(self.group()?.0.to_vec()).context("a string that is not UTF-8")
    }
}
