//! The commands that look at a target and mend it.

use std::path::Path;
use std::time::Duration;

use tokio::runtime::Runtime;

use super::{load, logging, metrics, print, signals};
use crate::audit;
use crate::config::Loaded;
use crate::recover::{self, Wanted};
use crate::registry::Targets;
use crate::replay::{self, Part};
use crate::run::{self, RunError, Stop};

pub(super) fn verify(file: &Path, deep: bool, targets: &Targets) -> Result<(), RunError> {
    let (loaded, runtime) = begin(file, targets)?;
    let report = runtime.block_on(audit::verify(&loaded, targets, deep));
    runtime.shutdown_timeout(Duration::from_secs(1));
    let report = report?;
    print(&report.to_string())?;
    match report.violations.len() {
        0 => Ok(()),
        count => Err(RunError::Failed(format!("{count} violations"))),
    }
}

pub(super) fn replay(file: &Path, part: Part, targets: &Targets) -> Result<(), RunError> {
    let (loaded, runtime) = begin(file, targets)?;
    let stop = Stop::default();
    signals::ask_on_signal(&runtime, &stop)?;
    let replay = replay::replay(&loaded, targets, part, metrics()?, stop);
    let done = runtime.block_on(replay);
    runtime.shutdown_timeout(Duration::from_secs(1));
    print(&done?)
}

pub(super) fn recover(file: &Path, wanted: Wanted, targets: &Targets) -> Result<(), RunError> {
    let (loaded, runtime) = begin(file, targets)?;
    let shown = runtime.block_on(recover::recover(&loaded, targets, wanted));
    runtime.shutdown_timeout(Duration::from_secs(1));
    print(&shown?)
}

fn begin(file: &Path, targets: &Targets) -> Result<(Loaded, Runtime), RunError> {
    let loaded = load(file, targets)?;
    logging::start(&loaded.settings.log)?;
    Ok((loaded, run::runtime()?))
}
