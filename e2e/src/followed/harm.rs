//! What can be done to any source of rows, and to the way to it.

use anyhow::Result;
use onrush_proxy::{Mode, Proxy};
use std::thread;

use crate::random::Random;
use crate::services::Services;
use crate::source_database::SourceDatabase;

/// Kills a server of the source, and starts it again.
pub(crate) fn kill(services: &Services, name: &str, random: &mut Random) -> Result<()> {
    services.kill(name)?;
    thread::sleep(random.span_ms(0, 500));
    services.start(name)
}

/// Cuts every connection after some more bytes, again and again.
pub(crate) fn cut(proxy: &Proxy, random: &mut Random) {
    for _ in 0..3 {
        proxy.set(Mode::CutFrom(random.below(20_000)));
        thread::sleep(random.span_ms(50, 300));
    }
    proxy.set(Mode::Pass);
}

/// Nothing gets through for a while, and nobody is told.
pub(crate) fn silence(proxy: &Proxy, random: &mut Random) {
    proxy.set(Mode::Silent);
    thread::sleep(random.span_ms(500, 5_000));
    proxy.cut();
    proxy.set(Mode::Pass);
}

/// Adds a column to the table and removes it.
pub(crate) fn alter(database: &SourceDatabase, random: &mut Random) -> Result<()> {
    let mut client = database.client()?;
    client.batch_execute("ALTER TABLE products ADD COLUMN note text NOT NULL DEFAULT 'none'")?;
    thread::sleep(random.span_ms(0, 500));
    Ok(client.batch_execute("ALTER TABLE products DROP COLUMN note")?)
}
