//! What is changed in the tables is told.

use anyhow::{Context as _, Result, anyhow, ensure};
use rustix::process::Signal;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::Run;
use super::shop::{Kept, PRODUCT_COUNT, ask_line, await_now, compare};

/// Transactions of one burst.
const BURST_COUNT: i64 = 5_000;

/// Starts during which products are changed.
const START_COUNT: i64 = 3;

/// A product that was read is told with its new units, each time they change.
pub(super) fn a_change_reaches_a_product_that_was_read_before(run: &mut Run<'_>) -> Result<()> {
    let Run { all, client, .. } = run;
    for units in [5, 0, 70] {
        ensure!(ask_line(all.public(), 1)?.status == 200, "the product is not there");
        client.execute(
            "UPDATE tala_warehouse_stock_item SET qty_salable = $1 WHERE product_id = 1 AND warehouse_id = 1",
            &[&units],
        )?;
        await_now(all, client)?;
        let line = ask_line(all.public(), 1)?.text();
        let expected = format!("{{1 SKU-1 Lamp 1 {}}}", 2_001 + units);
        ensure!(line == expected, "after a change the line is {line}, not {expected}");
        compare(all, client, &[1])?;
    }
    Ok(())
}

/// Codes and units of one, two and no warehouses are whole, also of a product that nobody had read when it was changed.
pub(super) fn several_warehouses_keep_their_codes_and_units(run: &mut Run<'_>) -> Result<()> {
    let Run { all, asked, client, .. } = run;
    client.batch_execute(
        "DELETE FROM tala_warehouse_stock_item WHERE product_id = 11 AND warehouse_id = 2; \
         DELETE FROM tala_warehouse_stock_item WHERE product_id = 12; \
         UPDATE tala_warehouse_stock_item SET qty_salable = qty_salable + 1 WHERE product_id IN (10, 11)",
    )?;
    for server in [all, asked] {
        compare(server, client, &[12, 11, 10])?;
    }
    Ok(())
}

/// The second and the third change of a warehouse are told as the first, and so is its new code.
pub(super) fn a_warehouse_that_was_seen_before_is_found_again(run: &mut Run<'_>) -> Result<()> {
    let Run { all, client, .. } = run;
    for code in ["HN", "HN", "HN-2", "{\"HN\",3}"] {
        client.execute("UPDATE ors_warehouse SET code = $1 WHERE id = 1", &[&code])?;
        client.batch_execute(
            "UPDATE tala_warehouse_stock_item SET qty_salable = qty_salable + 1 WHERE product_id = 20",
        )?;
        compare(all, client, &[20, 21])?;
    }
    client.batch_execute("UPDATE ors_warehouse SET code = 'HN' WHERE id = 1")?;
    Ok(())
}

/// Each change of a burst is a transaction of its own.
pub(super) fn none_of_thousands_of_changes_is_lost(run: &mut Run<'_>) -> Result<()> {
    let Run { all, client, .. } = run;
    client.batch_execute(&format!(
        "DO $$ BEGIN FOR n IN 1..{BURST_COUNT} LOOP \
         UPDATE tala_warehouse_stock_item SET qty_salable = 100000 + n \
         WHERE product_id = 1 + n % {PRODUCT_COUNT} AND warehouse_id = 1 + n % 2; COMMIT; END LOOP; END $$"
    ))?;
    let ids = (1..=PRODUCT_COUNT).collect::<Vec<_>>();
    compare(all, client, &ids).context("after a burst")?;
    Ok(())
}

/// Changes go on while a server starts; once it is there, it has all of them.
pub(super) fn changes_while_the_server_starts_are_told(run: &mut Run<'_>) -> Result<()> {
    let launch = run.launch("starting", Kept::All, run.shop.address().port(), "")?;
    run.shop.prepare(&launch, "starting")?;
    let ids = (1..=PRODUCT_COUNT).filter(|id| id % 50 == 7).collect::<Vec<_>>();
    for start in 1..=START_COUNT {
        let has_started = AtomicBool::new(false);
        let writer = &mut run.client;
        let server = thread::scope(|scope| {
            let writing = scope.spawn(|| -> Result<()> {
                for units in 0.. {
                    if has_started.load(Ordering::Relaxed) {
                        break;
                    }
                    let changes =
                        "UPDATE tala_warehouse_stock_item SET qty_salable = $1 WHERE product_id % 50 = 7";
                    writer.execute(changes, &[&units])?;
                }
                Ok(())
            });
            let server = launch.start();
            has_started.store(true, Ordering::Relaxed);
            writing.join().map_err(|_| anyhow!("a writer panicked"))??;
            server
        })?;
        compare(&server, &mut run.client, &ids).with_context(|| format!("start {start}"))?;
        server.stop(Signal::TERM)?;
    }
    Ok(())
}

/// Deletions, new products and warehouses, and whether a warehouse is active.
pub(super) fn everything_that_a_product_is_made_of_is_followed(run: &mut Run<'_>) -> Result<()> {
    let Run { all, client, .. } = run;
    let ids = [30, 31, 32, PRODUCT_COUNT + 1];
    for statements in [
        "DELETE FROM tala_warehouse_stock_item WHERE product_id = 30",
        "DELETE FROM product WHERE product_id = 31",
        "INSERT INTO ors_warehouse VALUES (4, 'HUE', 1)",
        "INSERT INTO tala_warehouse_stock_item SELECT product_id, 4, 9 FROM product WHERE product_id IN (30, 32)",
        "UPDATE ors_warehouse SET is_active = 1 WHERE id = 3",
        "UPDATE ors_warehouse SET is_active = 0 WHERE id = 2",
        "UPDATE tala_warehouse_stock_item SET product_id = 30 WHERE product_id = 32 AND warehouse_id = 1",
        "DELETE FROM ors_warehouse WHERE id = 4",
        "INSERT INTO product VALUES (401, 'SKU-401', 'Lamp 401'), (31, 'SKU-31', 'Lamp 31')",
        "INSERT INTO tala_warehouse_stock_item VALUES (401, 1, 1)",
        "UPDATE ors_warehouse SET is_active = 1 - is_active WHERE id IN (2, 3)",
    ] {
        client.batch_execute(statements)?;
        compare(all, client, &ids).with_context(|| format!("after {statements}"))?;
    }
    Ok(())
}
