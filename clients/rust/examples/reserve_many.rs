//! Reserves one unit each for many customers over one stream, while the answers are read:
//! `cargo run -p onrush-client --example reserve_many -- http://127.0.0.1:8080 open unit 1000`.

use std::env::args;

use onrush_client::{Claim, Client, Error};

/// Customers of one batch.
const BATCH: u32 = 100;

#[tokio::main(flavor = "current_thread")]
#[allow(clippy::print_stdout, reason = "it is what the example is for")]
async fn main() -> Result<(), Error> {
    let given: Vec<_> = args().skip(1).collect();
    let [address, sale, stock, customer_count] = &given[..] else {
        return Err(Error::Unsendable("usage: reserve_many ADDRESS SALE STOCK CUSTOMERS"));
    };
    let customer_count = customer_count.parse().map_err(|_| Error::Unsendable("CUSTOMERS is a number"))?;
    let (made_count, refused_count) = reserve_all(address, sale, stock, customer_count).await?;
    println!("{made_count} reservations were made, {refused_count} claims were refused");
    Ok(())
}

/// How many reservations were made, and how many claims refused.
pub(crate) async fn reserve_all(
    address: &str,
    sale: &str,
    stock: &str,
    customer_count: u32,
) -> Result<(usize, usize), Error> {
    let client = Client::connect(address).await?;
    let (batches, mut answers) = client.reserve_many(sale).await?;
    let claims = (0..customer_count).map(|number| {
        // Whoever asks again with the same key finds the same reservation.
        Claim::of(format!("customer-{number}")).line(stock, 1).key(format!("order-{number}"))
    });
    let claims: Vec<_> = claims.collect();
    let sending = async {
        for some in claims.chunks(BATCH as usize) {
            batches.send(some.to_vec()).await?;
        }
        // The server is told that no more come.
        drop(batches);
        Ok::<_, Error>(())
    };
    let reading = async {
        let (mut made_count, mut refused_count) = (0, 0);
        while let Some(ends) = answers.next().await? {
            made_count += ends.iter().filter(|end| end.is_ok()).count();
            refused_count += ends.iter().filter(|end| end.is_err()).count();
        }
        Ok((made_count, refused_count))
    };
    tokio::try_join!(sending, reading).map(|((), counts)| counts)
}
