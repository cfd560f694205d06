//! A target that writes objects into a directory.
//!
//! [`FileStore`] owns that a file is whole and durable before it has its name. What is in the files and
//! what they are called comes from `alluvium-objects`: the target is `ObjectTarget<FileStore>`.

mod durable;

use std::io::{self, ErrorKind};
use std::path::{Component, Path, PathBuf};
use std::time::SystemTime;

use alluvium_objects::{Object, Store};
use alluvium_target::TargetError;
use async_trait::async_trait;

/// A directory as a store: keys are paths below it.
///
/// Files are written under a temporary name in the directory's own `.alluvium` folder, which must not be
/// another file system, and moved to their place when they are durable.
#[derive(Clone, Debug)]
pub struct FileStore {
    directory: PathBuf,
}

impl FileStore {
    /// The store in `directory`, which is made by `check` or the first `put` if it is not there.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
        }
    }

    /// The directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The place of `key`, which must stay below the directory.
    fn place(&self, key: &str) -> Result<PathBuf, TargetError> {
        let relative = Path::new(key);
        let inside = relative
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        if key.is_empty() || !inside {
            let why = format!("key {key:?} does not name a file below {}", self.shown());
            return Err(TargetError::Misconfigured(why));
        }
        Ok(self.directory.join(relative))
    }

    fn shown(&self) -> String {
        format!("`{}`", self.directory.display())
    }
}

#[async_trait]
impl Store for FileStore {
    async fn put(&self, key: &str, object: &Object) -> Result<(), TargetError> {
        let place = self.place(key)?;
        let (directory, body) = (self.directory.clone(), object.body.clone());
        let written = on_a_blocking_thread(move || durable::write(&directory, &place, &body)).await;
        // Whatever it is, it may heal: space can be made, rights given back, a disk mounted again.
        written.map_err(|error| {
            TargetError::Unavailable(format!("cannot write `{key}` in {}: {error}", self.shown()))
        })
    }

    /// Makes the directory, proves it writable and removes what crashed programs left unfinished.
    async fn check(&self) -> Result<(), TargetError> {
        let directory = self.directory.clone();
        let now = SystemTime::now();
        let checked = on_a_blocking_thread(move || durable::probe(&directory, now)).await;
        checked.map_err(|error| {
            let why = format!("cannot write in {}: {error}", self.shown());
            match error.kind() {
                ErrorKind::PermissionDenied
                | ErrorKind::ReadOnlyFilesystem
                | ErrorKind::NotADirectory
                | ErrorKind::AlreadyExists
                | ErrorKind::CrossesDevices
                | ErrorKind::InvalidInput => {
                    TargetError::Misconfigured(why + "; name a directory this user may write in")
                }
                _ => TargetError::Unavailable(why),
            }
        })
    }
}

async fn on_a_blocking_thread<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(io::Error::other)?
}
