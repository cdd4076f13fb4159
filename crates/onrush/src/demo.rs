//! Creates what `--demo` promises, where it is missing. What exists is left as it is: no restart resets a figure.

use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use anyhow::{Context, bail};
use onrush_core::WindowShape;
use onrush_node::{Call, Failure, Partition, Reply};

/// Asks for each window and sale of the demonstration and creates those that nobody knows. Waits until they are durable.
pub(crate) fn create_missing(partition: &Arc<Partition>, shape: WindowShape) -> anyhow::Result<()> {
    for creation in onrush_edge::scenarios::demo::calls(shape) {
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
