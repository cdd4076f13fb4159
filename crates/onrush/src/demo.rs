//! Creates what `--demo` promises, once in the life of a log. No restart resets a figure or brings back what an operator
//! archived: a counter remembers that it was done.

use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use anyhow::{Context, bail};
use onrush_core::WindowShape;
use onrush_edge::scenarios::demo::{PRODUCT_COUNT, calls, products};
use onrush_edge::scenarios::product_inventory;
use onrush_node::{Call, Failure, Partition, Reply};

/// Counts how often the demonstration was created: once.
const MARKER: &str = "onrush.demo";

/// Counts how often all products were put: once.
const PRODUCTS_MARKER: &str = "onrush.demo.products";

/// Counts how often somebody began to put them.
const PRODUCTS_BEGUN_MARKER: &str = "onrush.demo.products.begun";

/// Unless it was done before, asks for each window and sale of the demonstration and creates those that nobody knows. Waits until
/// they are durable.
pub(crate) fn create_missing(partition: &Arc<Partition>, shape: WindowShape) -> anyhow::Result<()> {
    let marker = Call::ReadCounter { counter: MARKER.into() };
    if ask(partition, marker)?.is_ok() {
        return Ok(());
    }
    for creation in calls(shape) {
        let question = match &creation {
            Call::PutWindow { window, .. } => Call::ReadWindow { window: window.clone() },
            Call::PutSale { sale, .. } => Call::ReadSale { sale: sale.clone() },
            other => bail!("the demonstration has no question for {other:?}"),
        };
        let named = format!("{question:?}");
        match ask(partition, question)? {
            Ok(_) => {}
            Err(Failure::Refused { .. }) => {
                if let Err(failure) = ask(partition, creation)? {
                    bail!("create what the demonstration shows: {named} was answered by {failure:?}");
                }
            }
            Err(failure) => {
                bail!("look for what the demonstration shows: {named} was answered by {failure:?}")
            }
        }
    }
    match ask(partition, Call::AddToCounter { counter: MARKER.into(), by: 1 })? {
        Ok(_) => Ok(()),
        Err(failure) => bail!("note that the demonstration was created: {failure:?}"),
    }
}

/// Puts the products into their collection, if nobody else has put anything there. A start that was cut off begins again.
pub(crate) fn create_products(partition: &Arc<Partition>) -> anyhow::Result<()> {
    let was_done = |marker: &str| ask(partition, Call::ReadCounter { counter: marker.into() });
    if was_done(PRODUCTS_MARKER)?.is_ok() {
        return Ok(());
    }
    let has_rows = partition.read_collection(product_inventory::COLLECTION, |found| found.is_some());
    if has_rows && was_done(PRODUCTS_BEGUN_MARKER)?.is_err() {
        return Ok(());
    }
    tracing::info!(products = PRODUCT_COUNT, "putting the products of the demonstration into the catalogue");
    let note = |marker: &str| Call::AddToCounter { counter: marker.into(), by: 1 };
    for creation in [note(PRODUCTS_BEGUN_MARKER)].into_iter().chain(products()).chain([note(PRODUCTS_MARKER)])
    {
        match ask(partition, creation)? {
            Ok(_) => {}
            Err(Failure::Refused { .. }) => {
                tracing::warn!(
                    "there is no room for all products of the demonstration; limits.state_bytes_max and \
                     limits.counters_max bound what is in memory"
                );
                return Ok(());
            }
            Err(failure) => bail!("put the products of the demonstration into the catalogue: {failure:?}"),
        }
    }
    Ok(())
}

fn ask(partition: &Arc<Partition>, call: Call) -> anyhow::Result<Reply> {
    let (sender, receiver) = sync_channel(1);
    partition.call(call, move |reply| {
        // The receiver waits below for as long as it takes.
        let _ = sender.send(reply);
    });
    receiver.recv().context("wait for the partition")
}
