//! Sessions. Nothing is kept of them: a token says whose it is and until when, encrypted and authenticated under a key of the
//! server, so that any thread of any process with the key can tell.

mod key;
mod key_file;
mod keys;
mod token;

#[cfg(test)]
#[path = "attack_tests.rs"]
mod attacks;

use arrayvec::ArrayString;
use onrush_core::{NAME_BYTES_MAX, SESSION_MS_MAX, TimeMs, is_new_name};

pub use self::key::{Cipher, KeyId, NONCE_BYTES, Nonce, SessionKey, UnusableKey};
pub use self::key_file::KeyFileError;
pub use self::keys::{NoRotation, SessionKeys};
pub use self::token::{TOKEN_CHARS_MAX, Token, TokenRefused};

/// How far the clock may have been set back since a session began, in milliseconds: 5 minutes. A token from further in the
/// future is as good as one that has expired, or a clock that was wrong once would make sessions that last longer than they say.
pub const CLOCK_STEP_MS_MAX: u64 = 5 * 60 * 1_000;

/// The name of a customer, as a session holds it.
pub type Customer = ArrayString<NAME_BYTES_MAX>;

/// Whose requests these are, and how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    customer: Customer,
    issued_at: TimeMs,
    expires_at: TimeMs,
}

impl Session {
    /// Nothing if no customer can have that name, or if it would last no time or longer than [`SESSION_MS_MAX`].
    pub fn new(customer: &str, issued_at: TimeMs, expires_at: TimeMs) -> Option<Self> {
        let ttl_ms = expires_at.checked_sub(issued_at)?;
        let is_sound = is_new_name(customer) && (1..=SESSION_MS_MAX).contains(&ttl_ms);
        let customer = Customer::from(customer).ok().filter(|_| is_sound)?;
        Some(Self { customer, issued_at, expires_at })
    }

    /// Whose it is.
    pub fn customer(&self) -> &str {
        &self.customer
    }

    /// The same as a name that can be kept.
    pub const fn name(&self) -> &Customer {
        &self.customer
    }

    /// When it began, by the clock of the server that began it.
    pub const fn issued_at(&self) -> TimeMs {
        self.issued_at
    }

    /// From this time on it is none.
    pub const fn expires_at(&self) -> TimeMs {
        self.expires_at
    }

    /// Whether it lasts at `now`.
    pub const fn lasts_at(&self, now: TimeMs) -> bool {
        now < self.expires_at && self.issued_at <= now.saturating_add(CLOCK_STEP_MS_MAX)
    }
}
