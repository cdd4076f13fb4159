//! Changes of rows, one after the other.

use anyhow::Result;
use std::thread;

use super::client::Client;
use super::waits::WAITED_FOR;
use crate::followed::{Key, Traffic, Written};
use crate::random::Random;

/// Rows that are changed: all but those that statements wait for.
const KEY_COUNT: Key = WAITED_FOR.start;

/// Makes, changes, replaces, renames and deletes rows.
#[derive(Debug)]
pub(super) struct Changer {
    random: Random,
    count: u64,
    /// Which of the rows are there.
    is_there: Vec<bool>,
}

/// What a statement leaves of a row: its key, the number of the change, and whether there is no row.
type Left = (Key, u64, bool);

impl Changer {
    /// All rows are there.
    pub(super) fn new(random: Random) -> Self {
        let is_there = (0..KEY_COUNT).map(|_| true).collect();
        Self { random, count: 0, is_there }
    }

    /// Changes rows until it is told to end.
    pub(super) fn run(&mut self, client: &mut Client, traffic: &Traffic<'_>) -> Result<Vec<Written>> {
        let mut written = Vec::new();
        while !traffic.has_ended() {
            let (statement, left) = self.statement();
            let begun_ns = traffic.clock.now_ns();
            client.execute(&statement)?;
            let done_ns = Some(traffic.clock.now_ns());
            written.extend(left.into_iter().map(|(key, count, is_deletion)| Written {
                key,
                count,
                is_deletion,
                begun_ns,
                done_ns,
            }));
            thread::sleep(self.random.span_ms(0, 2));
        }
        Ok(written)
    }

    /// A statement that is good whatever rows there are, and what it leaves.
    fn statement(&mut self) -> (String, Vec<Left>) {
        let first = self.count + 1;
        let count = first + 1;
        self.count = count;
        let [key, other] = [(); 2].map(|()| self.key());
        let [is_there, is_other] = [key, other].map(|key| self.is_there[key as usize]);
        let made = (key, count, false);
        // Whether it is told in between that the row is gone is up to the database.
        let anew = if is_there { vec![(key, first, true), made] } else { vec![made] };
        let (statement, left) = match self.random.below(10) {
            0..5 => {
                let statement = format!("UPDATE items SET changes = {count} WHERE id = {key}");
                (statement, if is_there { vec![made] } else { Vec::new() })
            }
            5 => {
                let gone = if is_there { vec![(key, count, true)] } else { Vec::new() };
                (format!("DELETE FROM items WHERE id = {key}"), gone)
            }
            6 => {
                let left = match (is_there, is_other) {
                    (true, _) if key == other => vec![made],
                    (true, false) => vec![(key, first, true), (other, count, false)],
                    _ => Vec::new(),
                };
                let renamed =
                    format!("UPDATE IGNORE items SET id = {other}, changes = {count} WHERE id = {key}");
                (renamed, left)
            }
            7 => (format!("REPLACE INTO items VALUES ({key}, {count}, 'replaced')"), anew),
            8 => {
                let change = format!("ON DUPLICATE KEY UPDATE changes = {count}");
                (format!("INSERT INTO items VALUES ({key}, {count}, 'made') {change}"), vec![made])
            }
            _ => {
                let inserted = format!("INSERT INTO items VALUES ({key}, {count}, 'anew')");
                (format!("BEGIN; DELETE FROM items WHERE id = {key}; {inserted}; COMMIT"), anew)
            }
        };
        for (key, _, is_deletion) in &left {
            self.is_there[*key as usize] = !is_deletion;
        }
        (statement, left)
    }

    fn key(&mut self) -> Key {
        Key::try_from(self.random.below(KEY_COUNT.into())).unwrap_or_default()
    }
}
