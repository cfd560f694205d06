//! A target that writes objects into a directory.
//!
//! [`FileStore`] owns that a file is whole and durable before it has its name, and that no file takes the
//! place of another unasked. What is in the files and what they are called comes from `alluvium-objects`:
//! the target is `ObjectTarget<FileStore>`.

mod attributes;
mod durable;
mod list;
mod read;

use std::io::{self, ErrorKind};
use std::path::{Component, Path, PathBuf};
use std::time::SystemTime;

use alluvium_objects::{Body, Created, Found, Listed, Object, Store};
use alluvium_target::TargetError;
use async_trait::async_trait;
use attributes::Attributes;
use bytes::Bytes;

/// A directory as a store: keys are paths below it.
///
/// Files are written under a temporary name in the directory's own `.alluvium` folder, which must not be
/// another file system, and moved to their place when they are durable. Metadata is kept in extended
/// attributes `user.alluvium.<name>` where the file system has them; where it has none, a file that stands
/// in the way is compared by reading it.
#[derive(Clone, Debug)]
pub struct FileStore {
    directory: PathBuf,
    keeps_metadata: bool,
}

impl FileStore {
    /// The store in `directory`, which is made by `check` or the first `create` if it is not there.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            keeps_metadata: true,
        }
    }

    /// The same store, setting no extended attributes: as on a file system that has none.
    #[must_use]
    pub fn without_metadata(self) -> Self {
        Self {
            keeps_metadata: false,
            ..self
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

    async fn write<T: Send + 'static>(
        &self,
        key: &str,
        object: &Object,
        write: fn(&Path, &Path, &[Bytes], &Attributes) -> io::Result<T>,
    ) -> Result<T, TargetError> {
        let place = self.place(key)?;
        let (directory, body) = (self.directory.clone(), object.body.clone());
        let attributes = match self.keeps_metadata {
            true => object.description.to_metadata(),
            false => Attributes::new(),
        };
        let write = move || write(&directory, &place, &body, &attributes);
        let written = on_a_blocking_thread(write).await;
        written.map_err(|error| self.unavailable("write", key, &error))
    }

    /// Whatever it is, it may heal: space can be made, rights given back, a disk mounted again.
    fn unavailable(&self, doing: &str, key: &str, error: &io::Error) -> TargetError {
        let place = self.shown();
        TargetError::Unavailable(format!("cannot {doing} `{key}` in {place}: {error}"))
    }

    fn shown(&self) -> String {
        format!("`{}`", self.directory.display())
    }
}

#[async_trait]
impl Store for FileStore {
    async fn create(&self, key: &str, object: &Object) -> Result<Created, TargetError> {
        self.write(key, object, durable::create_at).await
    }

    async fn replace(&self, key: &str, object: &Object) -> Result<(), TargetError> {
        self.write(key, object, durable::replace_at).await
    }

    async fn describe(&self, key: &str) -> Result<Option<Found>, TargetError> {
        let place = self.place(key)?;
        let found = on_a_blocking_thread(move || read::describe(&place)).await;
        found.map_err(|error| self.unavailable("look at", key, &error))
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Vec<Listed>, TargetError> {
        let directory = self.directory.clone();
        let (from, after) = (prefix.to_owned(), after.map(str::to_owned));
        let page = move || list::page(&directory, &from, after.as_deref());
        let listed = on_a_blocking_thread(page).await;
        listed.map_err(|error| self.unavailable("list", prefix, &error))
    }

    async fn read(&self, key: &str) -> Result<Body, TargetError> {
        let place = self.place(key)?;
        let named = format!("cannot read `{key}` in {}", self.shown());
        read::body(place, named).await
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
