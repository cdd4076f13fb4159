//! All keys for session tokens: new ones are under the newest, and those under older keys can still be opened.

use std::fmt;

use onrush_core::{SESSION_MS_MAX, TimeMs};

use super::key::{KeyId, SessionKey};

/// The most keys that are kept. A key is kept for [`SESSION_MS_MAX`] after it was replaced, so that it may be replaced
/// twice a day. More often is refused until the oldest has had its time.
pub(super) const KEYS_MAX: usize = 64;

/// Keys in the order in which they were made: one at least, each with an id of its own.
pub struct SessionKeys(Vec<SessionKey>);

/// Why there is no new key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoRotation {
    /// All older keys are still needed.
    #[error(
        "there are {0} keys already, and sessions under each of them may still last; nothing was changed"
    )]
    TooManyKeys(usize),
    /// An older key has the id of the new one.
    #[error("another key has this id; nothing was changed, try again")]
    SameId,
}

impl SessionKeys {
    /// One key.
    pub fn one(key: SessionKey) -> Self {
        Self(vec![key])
    }

    /// Nothing if there are none, too many, or two of one id.
    pub(super) fn new(keys: Vec<SessionKey>) -> Option<Self> {
        let has_twin = |at: usize| keys[..at].iter().any(|earlier| earlier.id() == keys[at].id());
        let is_sound = (1..=KEYS_MAX).contains(&keys.len()) && !(0..keys.len()).any(has_twin);
        is_sound.then_some(Self(keys))
    }

    /// The key for new tokens.
    ///
    /// # Panics
    /// Never: there is one at least.
    pub fn current(&self) -> &SessionKey {
        self.0.last().expect("there is a key")
    }

    /// All of them, the oldest first.
    pub fn as_slice(&self) -> &[SessionKey] {
        &self.0
    }

    pub(super) fn find(&self, id: KeyId) -> Option<&SessionKey> {
        self.0.iter().rev().find(|key| key.id() == id)
    }

    /// The same with `key` for new tokens. Keys whose tokens have all expired are left out: those that were replaced
    /// [`SESSION_MS_MAX`] before the new key was made.
    ///
    /// # Errors
    /// There is no room for another key yet, or one has this id already.
    pub fn rotated(self, key: SessionKey) -> Result<Self, NoRotation> {
        let now = key.made_at();
        let replaced_at: Vec<TimeMs> = self.0.iter().skip(1).map(SessionKey::made_at).chain([now]).collect();
        let is_needed = |replaced: TimeMs| replaced.saturating_add(SESSION_MS_MAX) > now;
        let kept = self.0.into_iter().zip(replaced_at).filter(|(_, replaced)| is_needed(*replaced));
        let keys: Vec<_> = kept.map(|(key, _)| key).chain([key]).collect();
        if keys.len() > KEYS_MAX {
            return Err(NoRotation::TooManyKeys(KEYS_MAX));
        }
        Self::new(keys).ok_or(NoRotation::SameId)
    }
}

impl fmt::Debug for SessionKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.0).finish()
    }
}
