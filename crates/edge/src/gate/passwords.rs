//! Passwords are hashed and checked on threads of their own, at the lowest priority: a storm of log-ins makes log-ins wait, and
//! neither reservations nor pages.

use std::fmt;
use std::io;

use onrush_gate::password::{PasswordHasher, SALT_BYTES};
use zeroize::Zeroizing;

use super::worker_pool::{PoolTerms, WorkerPool};
use crate::problem::Problem;

const TERMS: PoolTerms = PoolTerms { name: "passwords", waiting_max: 64, niceness: 19 };

/// A password as somebody typed it. It shows in no text, and is cleared from memory when it was used; the body that it came in is not.
pub(crate) struct Password(Zeroizing<String>);

impl Password {
    pub(crate) fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    pub(crate) fn char_count(&self) -> usize {
        self.0.chars().count()
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// The threads that hash.
pub struct PasswordPool(WorkerPool<PasswordHasher>);

impl PasswordPool {
    /// Starts the threads, each with memory for one hash. They end when the pool is dropped.
    ///
    /// # Errors
    /// The system starts no thread.
    pub fn start() -> io::Result<Self> {
        WorkerPool::start(TERMS, PasswordHasher::new).map(Self)
    }

    /// What is kept of a new password.
    ///
    /// # Errors
    /// Too many wait, or the system has no random numbers.
    pub(crate) async fn hash(&self, password: Password) -> Result<Box<[u8]>, Problem> {
        let mut salt = [0; SALT_BYTES];
        getrandom::fill(&mut salt).map_err(|_| Problem::overloaded())?;
        self.0.run(move |hasher| hasher.hash(password.0.as_bytes(), &salt).into()).await
    }

    /// Whether the password is the one of which `kept` was kept. It takes as long if there is none.
    ///
    /// # Errors
    /// Too many wait.
    pub(crate) async fn verify(&self, password: Password, kept: Option<Box<[u8]>>) -> Result<bool, Problem> {
        let verified =
            self.0.run(move |hasher| hasher.verify(password.0.as_bytes(), kept.as_deref())).await?;
        Ok(verified.unwrap_or_else(|error| {
            tracing::error!(%error, "a password cannot be checked");
            false
        }))
    }
}

impl fmt::Debug for PasswordPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordPool(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(text: &str) -> Password {
        Password::new(text.to_owned())
    }

    #[tokio::test]
    async fn a_password_is_kept_and_checked() {
        let pool = PasswordPool::start().unwrap();
        let kept = pool.hash(password("correct horse")).await.unwrap();
        assert_ne!(kept, pool.hash(password("correct horse")).await.unwrap(), "each has a salt of its own");
        assert!(pool.verify(password("correct horse"), Some(kept.clone())).await.unwrap());
        assert!(!pool.verify(password("correct hors"), Some(kept)).await.unwrap());
        assert!(!pool.verify(password("correct horse"), None).await.unwrap());
        assert!(!pool.verify(password("correct horse"), Some([2; 49].into())).await.unwrap());
    }
}
