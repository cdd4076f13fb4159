//! How large a request may be, whichever protocol it comes by.

use crate::limits::{HEAD_BYTES_MAX, HEADERS_MAX, TARGET_BYTES_MAX};
use crate::problem::Problem;

/// The part of a request that is too large.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TooLarge {
    /// 414
    Target,
    /// 431
    Head,
    /// 413
    Body,
}

impl TooLarge {
    /// What the client is told, on a listener that takes bodies of `body_bytes_max`.
    pub(crate) fn problem(self, body_bytes_max: usize) -> Problem {
        match self {
            Self::Target => Problem::target_too_long(TARGET_BYTES_MAX),
            Self::Head => Problem::headers_too_large(HEAD_BYTES_MAX),
            Self::Body => Problem::body_too_large(body_bytes_max),
        }
    }
}

/// Looks at everything before the body: bytes of the target, bytes of the whole head, and the number of its fields.
pub(crate) fn check_head(target_bytes: usize, head_bytes: usize, field_count: usize) -> Result<(), TooLarge> {
    if target_bytes > TARGET_BYTES_MAX {
        Err(TooLarge::Target)
    } else if head_bytes > HEAD_BYTES_MAX || field_count > HEADERS_MAX {
        Err(TooLarge::Head)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bounds_belong_to_what_is_taken() {
        for (target, head, count, expected) in [
            (TARGET_BYTES_MAX, HEAD_BYTES_MAX, HEADERS_MAX, Ok(())),
            (TARGET_BYTES_MAX + 1, HEAD_BYTES_MAX + 1, 0, Err(TooLarge::Target)),
            (0, HEAD_BYTES_MAX + 1, 0, Err(TooLarge::Head)),
            (0, 0, HEADERS_MAX + 1, Err(TooLarge::Head)),
        ] {
            assert_eq!(check_head(target, head, count), expected);
        }
    }
}
