//! The account of a customer: the hash by which a password is checked. The core keeps it and does not know how it was made.

use std::fmt;

/// What a password is checked against, as whoever made it wrote it: 1 to [`crate::PASSWORD_HASH_BYTES_MAX`] bytes. It shows in no
/// text: neither logs nor messages may have it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PasswordHash<'a>(pub &'a [u8]);

impl fmt::Debug for PasswordHash<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}
