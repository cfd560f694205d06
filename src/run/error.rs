//! Why a run ends, whatever has failed.

use alluvium_target::TargetError;

use crate::catalog::CatalogError;
use crate::config::memory::MemoryUnknown;
use crate::schemas::SchemaError;
use crate::source::SourceError;
use crate::worker::WorkerError;

/// Why the program could not do its work, named by its exit code.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Something that a person must change before it can start: exit code 2.
    #[error("{0}")]
    Configuration(String),
    /// It failed while running: exit code 1.
    #[error("{0}")]
    Failed(String),
}

impl From<TargetError> for RunError {
    fn from(error: TargetError) -> Self {
        match error {
            TargetError::Unavailable(_) => Self::Failed(error.to_string()),
            _ => Self::Configuration(error.to_string()),
        }
    }
}

impl From<SchemaError> for RunError {
    fn from(error: SchemaError) -> Self {
        match error {
            SchemaError::Unavailable(_) => Self::Failed(error.to_string()),
            _ => Self::Configuration(error.to_string()),
        }
    }
}

impl From<CatalogError> for RunError {
    fn from(error: CatalogError) -> Self {
        match error {
            CatalogError::Unavailable(_) => Self::Failed(error.to_string()),
            _ => Self::Configuration(error.to_string()),
        }
    }
}

impl From<SourceError> for RunError {
    fn from(error: SourceError) -> Self {
        match error {
            SourceError::Unavailable(_) => Self::Failed(error.to_string()),
            SourceError::Misconfigured(_) => Self::Configuration(error.to_string()),
        }
    }
}

impl From<MemoryUnknown> for RunError {
    fn from(error: MemoryUnknown) -> Self {
        Self::Configuration(error.to_string())
    }
}

impl From<WorkerError> for RunError {
    fn from(error: WorkerError) -> Self {
        Self::Failed(error.to_string())
    }
}
