//! Passwords are hashed and checked on threads of their own, at the lowest priority: a storm of log-ins makes log-ins wait, and
//! neither reservations nor pages.

use std::fmt;
use std::io;
use std::num::NonZero;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use onrush_gate::password::{PasswordHasher, SALT_BYTES};
use tokio::sync::oneshot;
use zeroize::Zeroizing;

use crate::problem::Problem;

/// Passwords that wait at most. Whoever comes then is answered that too many ask at the same moment.
const PASSWORDS_WAITING_MAX: usize = 64;

/// Lowest priority.
const NICENESS: i32 = 19;

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

type Job = Box<dyn FnOnce(&mut PasswordHasher) + Send>;

/// The threads, half as many as the machine has cores, and what waits for them.
pub struct PasswordPool {
    jobs: SyncSender<Job>,
}

impl PasswordPool {
    /// Starts the threads, each with memory for one hash. They end when the pool is dropped.
    ///
    /// # Errors
    /// The system starts no thread.
    pub fn start() -> io::Result<Self> {
        let (jobs, waiting) = sync_channel(PASSWORDS_WAITING_MAX);
        let waiting = Arc::new(Mutex::new(waiting));
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        for _ in 0..cores.div_ceil(2) {
            let waiting = Arc::clone(&waiting);
            thread::Builder::new().name("passwords".to_owned()).spawn(move || work(&waiting))?;
        }
        Ok(Self { jobs })
    }

    /// What is kept of a new password.
    ///
    /// # Errors
    /// Too many wait, or the system has no random numbers.
    pub(crate) async fn hash(&self, password: Password) -> Result<Box<[u8]>, Problem> {
        let mut salt = [0; SALT_BYTES];
        getrandom::fill(&mut salt).map_err(|_| Problem::overloaded())?;
        self.run(move |hasher| hasher.hash(password.0.as_bytes(), &salt).into()).await
    }

    /// Whether the password is the one of which `kept` was kept. It takes as long if there is none.
    ///
    /// # Errors
    /// Too many wait.
    pub(crate) async fn verify(&self, password: Password, kept: Option<Box<[u8]>>) -> Result<bool, Problem> {
        let verified = self.run(move |hasher| hasher.verify(password.0.as_bytes(), kept.as_deref())).await?;
        Ok(verified.unwrap_or_else(|error| {
            tracing::error!(%error, "a password cannot be checked");
            false
        }))
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut PasswordHasher) -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let (sender, receiver) = oneshot::channel();
        let job = move |hasher: &mut PasswordHasher| {
            // A client that has gone wants no answer.
            if !sender.is_closed() {
                drop(sender.send(work(hasher)));
            }
        };
        self.jobs.try_send(Box::new(job)).map_err(|_| Problem::overloaded())?;
        receiver.await.map_err(|_| Problem::overloaded())
    }
}

impl fmt::Debug for PasswordPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordPool(…)")
    }
}

fn work(waiting: &Mutex<Receiver<Job>>) {
    if let Err(error) = rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICENESS) {
        tracing::warn!(%error, "passwords are checked at normal priority");
    }
    let mut hasher = PasswordHasher::new();
    loop {
        let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = next else { return };
        job(&mut hasher);
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

    #[tokio::test]
    async fn so_many_wait_and_no_more() {
        let (jobs, waiting) = sync_channel(2);
        let pool = PasswordPool { jobs };
        let first = pool.run(|_| 1);
        let second = pool.run(|_| 2);
        let third = pool.run(|_| 3);
        let (mut first, mut second) = (Box::pin(first), Box::pin(second));
        assert!(futures_poll(&mut first).is_none() && futures_poll(&mut second).is_none());
        let refused = third.await.unwrap_err();
        assert_eq!(refused.code(), "overloaded");
        // Whoever has gone is passed over, and the other is answered.
        drop(first);
        let waiting = Mutex::new(waiting);
        let worker = thread::spawn(move || work(&waiting));
        assert_eq!(second.await.unwrap(), 2);
        drop(pool);
        worker.join().unwrap();
    }

    fn futures_poll<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
        use std::task::{Context, Poll, Waker};
        match std::pin::Pin::new(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        }
    }
}
