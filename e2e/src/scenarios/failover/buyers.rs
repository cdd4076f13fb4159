//! Buyers who go on whatever happens to the database, and what has to be there of what they bought.

use anyhow::{Context as _, Result, anyhow, ensure};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::activity;
use crate::api::Reservation;
use crate::targets::postgres::Database;

/// Reservations of one turn, and the pause behind it.
const TURN: usize = 5;
const PAUSE: Duration = Duration::from_millis(5);

/// Sets the flag when it is dropped, so that whoever waits for it does not wait for ever after a panic.
struct SetAtEnd<'a>(&'a AtomicBool);

impl Drop for SetAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Everything that was bought so far.
#[derive(Debug, Default)]
pub(super) struct Buyers {
    bought: Vec<Reservation>,
}

impl Buyers {
    /// Buys a little.
    pub(super) fn go_on(&mut self, public: SocketAddr) -> Result<()> {
        self.bought.extend(activity::go_on(public, TURN)?);
        Ok(())
    }

    /// Buys, without one failure, until `action` has ended.
    pub(super) fn during<T>(&mut self, public: SocketAddr, action: impl FnOnce() -> Result<T>) -> Result<T> {
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            let buying = scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    self.go_on(public)?;
                    thread::sleep(PAUSE);
                }
                Ok::<_, anyhow::Error>(())
            });
            let at_end = SetAtEnd(&is_over);
            let done = action();
            drop(at_end);
            let bought = buying.join().map_err(|_| anyhow!("a buyer panicked"))?;
            bought.context("buying while the database fails over")?;
            done
        })
    }

    /// What was bought is in the database, each reservation once, and nothing else is.
    pub(super) fn check(&self, database: &Database) -> Result<()> {
        let bought = self.bought.iter().map(|one| (&one.reservation, &one.customer)).collect::<BTreeSet<_>>();
        let rows = database.reservations(false)?;
        let stored = rows.iter().map(|row| (&row.reservation, &row.customer)).collect::<BTreeSet<_>>();
        ensure!(stored.len() == rows.len(), "of {} rows only {} are different", rows.len(), stored.len());
        let missing = bought.difference(&stored).next();
        ensure!(missing.is_none(), "{missing:?} was bought and is not in {database:?}");
        let invented = stored.difference(&bought).next();
        ensure!(invented.is_none(), "{invented:?} is in {database:?} and was not bought");
        Ok(())
    }

    pub(super) fn bought_count(&self) -> usize {
        self.bought.len()
    }
}
