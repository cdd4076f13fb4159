//! Passwords are hashed and checked on threads of their own, while a core has nothing else to do: a storm of log-ins makes log-ins
//! wait, and neither reservations nor pages.

use std::fmt;
use std::io;

use onrush_gate::password::{PasswordHasher, SALT_BYTES};
use zeroize::Zeroizing;

use super::worker_pool::{Place, PoolTerms, Priority, WorkerPool};
use crate::problem::Problem;

const TERMS: PoolTerms = PoolTerms {
    name: "passwords",
    aide_name: "passwords-aide",
    waiting_max: 64,
    priority: Priority::WhenIdle,
};

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

/// Room for one password among those that wait.
pub(crate) struct PasswordPlace(Place);

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

    /// Room for one password among those that wait.
    ///
    /// # Errors
    /// Too many wait.
    pub(crate) fn place(&self) -> Result<PasswordPlace, Problem> {
        self.0.place().map(PasswordPlace)
    }

    /// What is kept of a new password.
    ///
    /// # Errors
    /// The system has no random numbers, or the threads have ended.
    pub(crate) async fn hash(&self, place: PasswordPlace, password: Password) -> Result<Box<[u8]>, Problem> {
        let mut salt = [0; SALT_BYTES];
        getrandom::fill(&mut salt).map_err(|_| Problem::overloaded())?;
        self.0.run(place.0, move |hasher| hasher.hash(password.0.as_bytes(), &salt).into()).await
    }

    /// Whether the password is the one of which `kept` was kept. It takes as long if there is none.
    ///
    /// # Errors
    /// The threads have ended.
    pub(crate) async fn verify(
        &self,
        place: PasswordPlace,
        password: Password,
        kept: Option<Box<[u8]>>,
    ) -> Result<bool, Problem> {
        let verify = move |hasher: &mut PasswordHasher| hasher.verify(password.0.as_bytes(), kept.as_deref());
        let verified = self.0.run(place.0, verify).await?;
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
        let hash = async |text| pool.hash(pool.place().unwrap(), password(text)).await.unwrap();
        let verify =
            async |text, kept| pool.verify(pool.place().unwrap(), password(text), kept).await.unwrap();
        let kept = hash("correct horse").await;
        assert_ne!(kept, hash("correct horse").await, "each has a salt of its own");
        assert!(verify("correct horse", Some(kept.clone())).await);
        assert!(!verify("correct hors", Some(kept)).await);
        assert!(!verify("correct horse", None).await);
        assert!(!verify("correct horse", Some([2; 49].into())).await);
    }
}
