//! Logs to stderr: for people, or one JSON object a line.

use tracing_subscriber::EnvFilter;

use crate::config::settings::{Log, LogFormat};
use crate::run::RunError;

/// Starts logging. Everything the process says from now on goes through it.
///
/// # Errors
/// [`RunError::Configuration`] if `log.level` cannot be understood.
pub(super) fn start(log: &Log) -> Result<(), RunError> {
    let filter = EnvFilter::try_new(&log.filter)
        .map_err(|error| RunError::Configuration(format!("log.level: {error}")))?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    let started = match log.format {
        LogFormat::Human => {
            let colours = std::io::IsTerminal::is_terminal(&std::io::stderr());
            builder.with_target(false).with_ansi(colours).try_init()
        }
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| RunError::Failed(format!("cannot log: {error}")))
}
