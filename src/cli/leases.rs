//! The command that shows who reads which shard, and how far.

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use super::{load, logging, print};
use crate::registry::Targets;
use crate::run::{self, Opened, RunError};
use crate::source::kinesis::lease::{self, LeaseStore, Listing};
use crate::source::kinesis::of_table;

pub(super) fn show(file: &Path, targets: &Targets) -> Result<(), RunError> {
    let loaded = load(file, targets)?;
    logging::start(&loaded.settings.log)?;
    let runtime = run::runtime()?;
    let shown = runtime.block_on(async {
        let Opened::Kinesis(opened) = Opened::open(&loaded.settings).await? else {
            let what = "stream.source is kafka, which keeps no leases: its consumer group tells who reads what";
            return Err(RunError::Configuration(what.into()));
        };
        let kinesis = opened.settings();
        // A living worker renews three times in this.
        let (earlier, now) = look(&**opened.leases(), kinesis.failover).await?;
        let text = text(&kinesis.table, &earlier, &now);
        Ok((text, now.unreadable.len()))
    });
    runtime.shutdown_timeout(Duration::from_secs(1));
    let (text, unreadable) = shown?;
    print(&text)?;
    match unreadable {
        0 => Ok(()),
        count => Err(RunError::Failed(format!(
            "rows that cannot be read: {count}"
        ))),
    }
}

/// The table twice, with so much time between.
async fn look(leases: &dyn LeaseStore, failover: Duration) -> Result<(Listing, Listing), RunError> {
    let scan = async || {
        let listing = leases.scan().await;
        listing.map_err(|error| RunError::from(of_table(&error)))
    };
    let earlier = scan().await?;
    if earlier.leases.iter().any(|lease| lease.owner.is_some()) {
        tokio::time::sleep(failover).await;
    }
    Ok((earlier, scan().await?))
}

fn text(table: &str, earlier: &Listing, now: &Listing) -> String {
    let finished = now.leases.iter().filter(|lease| lease.is_finished());
    let mut text = format!(
        "{table}: {} leases, {} of them read to their end\n",
        now.leases.len(),
        finished.count()
    );
    text += &lease::table(&now.leases, &earlier.leases);
    for (key, why) in &now.unreadable {
        let _ = writeln!(text, "{key}  cannot be read: {why}");
    }
    if now.coordinator.as_ref().is_some_and(|found| found.assigns) {
        text += "A fleet of KCL 3.x assigns these leases: Alluvium takes none of them while any of its workers lives.\n";
    }
    text
}
