//! SIGTERM and SIGINT ask the program to drain; a second one ends it at once.

use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

use crate::run::{RunError, Stop};

/// The shell's convention for a process ended by SIGINT.
const INTERRUPTED: i32 = 130;

/// Listens for signals on `runtime`.
///
/// # Errors
/// [`RunError::Failed`] if the system allows no handlers.
pub(super) fn ask_on_signal(runtime: &Runtime, stop: &Stop) -> Result<(), RunError> {
    let _inside = runtime.enter();
    let failed = |error: std::io::Error| RunError::Failed(format!("cannot catch signals: {error}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let stop = stop.clone();
    runtime.spawn(async move {
        let mut asked = false;
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if asked {
                tracing::warn!("asked twice: stopping without draining; what was not committed will be read again");
                std::process::exit(INTERRUPTED);
            }
            asked = true;
            tracing::info!("asked to stop: flushing and committing what was read");
            stop.ask();
        }
    });
    Ok(())
}
