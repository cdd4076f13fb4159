//! Snapshots in a log of their own beside the shared one, so that a new node need not read everything that ever happened, and the
//! shared log can be trimmed.
//!
//! ```text
//!   copy of some node: snapshot at S, entries S … E ──▶ Sender ──▶ piece 0, piece 1, …, manifest ──▶ fetch ──▶ copy of a new node
//!                                                                                 │
//!   shared log: ╌╌ trimmed ╌╌│ older manifest's place ── newest manifest's place ─┴─ what a new node reads on from there ──▶
//! ```
//!
//! What is sent is the content of a copy up to a place of the shared log: the newest snapshot that no sink is behind, and all entries
//! from there up to that place. So there is something to send at any time, and a new node goes on at the place as if it had kept the
//! copy itself. Two are kept, and the shared log from the place of the older one on.

mod content;
mod fetching;
mod keeper;
mod manifest;
mod piece;
mod sending;

pub(crate) use fetching::{FetchError, fetch, has_record, log_id_of, newest_manifests};
pub(crate) use keeper::{Keeper, KeeperParts};
pub(crate) use manifest::Manifest;
pub(crate) use sending::{Handing, SendError, Sender, Sending};

#[cfg(test)]
mod tests;
