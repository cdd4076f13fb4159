//! A client of onrush over gRPC: reservations, counters and rows of the catalogue.
//!
//! ```no_run
//! # async fn buy() -> Result<(), onrush_client::Error> {
//! use onrush_client::{Claim, Client};
//!
//! let client = Client::connect("http://127.0.0.1:8080").await?;
//! let claim = Claim::of("ann").line("unit", 1).key("order-1");
//! let made = client.reserve("open", claim).await?;
//! println!("{} is {:?}", made.reservation, made.status);
//! # Ok(())
//! # }
//! ```
//!
//! What the server promises of each answer is in `docs/grpc.md` of its repository: what is answered is durable.

mod batches;
mod claim;
mod client;
mod error;
mod generated;

pub use batches::{Answers, Batches};
pub use claim::{Claim, Line, Made, Reservation, ReservationStatus};
pub use client::{Client, Row, Rows};
pub use error::{Error, Refusal};
