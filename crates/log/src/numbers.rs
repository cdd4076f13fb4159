//! Numbers as they stand in headers: little-endian, at a fixed place.

/// The number in the four bytes from `start` on.
pub(crate) fn u32_at(bytes: &[u8], start: usize) -> u32 {
    u32::from_le_bytes(bytes[start..start + 4].try_into().expect("four bytes"))
}

/// The number in the eight bytes from `start` on.
pub(crate) fn u64_at(bytes: &[u8], start: usize) -> u64 {
    u64::from_le_bytes(bytes[start..start + 8].try_into().expect("eight bytes"))
}
