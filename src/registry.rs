//! The targets there are, by the name `target` has in the configuration.
//!
//! The only module that knows target crates. A program of one's own adds targets here.

use std::collections::BTreeMap;
use std::sync::Arc;

use alluvium_objects::{Compression, KeyTemplate, ObjectTarget, Store};
use alluvium_target::{Target, TargetError};
use alluvium_target_file::FileStore;
use alluvium_target_s3::{S3Settings, S3Store, StaticKeys};

use crate::config::settings::{self, Settings};

/// Where objects are, and what they are called.
#[derive(Clone, Debug)]
pub struct Place {
    /// The bucket or directory.
    pub store: Arc<dyn Store>,
    /// How objects are named.
    pub key: KeyTemplate,
    /// How they are compressed.
    pub compression: Compression,
}

/// Makes a target from its `target.<name>.…` keys, given by their full names.
type Make = dyn Fn(&BTreeMap<String, String>) -> Result<Arc<dyn Target>, TargetError> + Send + Sync;

/// Targets by name: `s3`, `file`, and those a program adds.
#[derive(Clone, Default)]
pub struct Targets {
    custom: BTreeMap<String, Arc<Make>>,
}

impl Targets {
    /// `s3` and `file`.
    pub fn standard() -> Self {
        Self::default()
    }

    /// Adds a target under a new name. `make` gets the keys `target.<name>.…` by their full names.
    #[must_use]
    pub fn with(
        mut self,
        name: &str,
        make: impl Fn(&BTreeMap<String, String>) -> Result<Arc<dyn Target>, TargetError>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        self.custom.insert(name.to_owned(), Arc::new(make));
        self
    }

    /// The names added with [`Targets::with`].
    pub fn custom_names(&self) -> Vec<&str> {
        self.custom.keys().map(String::as_str).collect()
    }

    /// Where the configured target keeps its objects.
    ///
    /// # Errors
    /// [`TargetError::Misconfigured`] if its settings cannot work, or it is a target of the program's own: what that keeps, only it
    /// knows.
    pub async fn place(&self, settings: &Settings) -> Result<Place, TargetError> {
        let store: Arc<dyn Store> = match &settings.target {
            settings::Target::File { directory } => Arc::new(FileStore::new(directory)),
            settings::Target::S3(s3) => Arc::new(S3Store::connect(s3_settings(s3)).await?),
            settings::Target::Custom { name, .. } => {
                return Err(TargetError::Misconfigured(format!(
                    "target {name} is not one of objects that could be looked at"
                )));
            }
        };
        Ok(Place {
            store,
            key: settings.output.key.clone(),
            compression: settings.output.compression,
        })
    }

    /// As [`Targets::open`], but replaces what is damaged. Targets of the program's own are opened as always.
    ///
    /// # Errors
    /// As [`Targets::open`].
    pub async fn open_repairing(
        &self,
        settings: &Settings,
    ) -> Result<Arc<dyn Target>, TargetError> {
        self.make(settings, true).await
    }

    /// Makes the configured target. Does not ask it whether it works.
    ///
    /// # Errors
    /// [`TargetError::Misconfigured`] if its settings cannot work.
    pub async fn open(&self, settings: &Settings) -> Result<Arc<dyn Target>, TargetError> {
        self.make(settings, false).await
    }

    async fn make(
        &self,
        settings: &Settings,
        repairs: bool,
    ) -> Result<Arc<dyn Target>, TargetError> {
        match &settings.target {
            settings::Target::File { directory } => {
                objects(FileStore::new(directory), settings, repairs)
            }
            settings::Target::S3(s3) => {
                let store = S3Store::connect(s3_settings(s3)).await?;
                objects(store, settings, repairs)
            }
            settings::Target::Custom { name, settings } => {
                let make = self.custom.get(name).ok_or_else(|| {
                    TargetError::Misconfigured(format!("this program has no target '{name}'"))
                })?;
                let keys = settings
                    .iter()
                    .map(|(key, value)| (format!("target.{name}.{key}"), value.expose().to_owned()))
                    .collect();
                make(&keys)
            }
        }
    }
}

fn objects<S: Store>(
    store: S,
    settings: &Settings,
    repairs: bool,
) -> Result<Arc<dyn Target>, TargetError> {
    let target = ObjectTarget::new(store, settings.output.clone())
        .map_err(|error| TargetError::Misconfigured(format!("target.key: {error}")))?;
    // What repeats an event depends on what else this machine has seen; whether an empty list has a column, on what was decided
    // since.
    let varies = settings.routing.duplicates.is_some() || settings.store.is_some();
    Ok(match (repairs, varies) {
        (true, _) => Arc::new(target.repairing()),
        (false, true) => Arc::new(target.accepting()),
        (false, false) => Arc::new(target),
    })
}

fn s3_settings(s3: &settings::S3) -> S3Settings {
    let mut to = S3Settings::new(&s3.bucket);
    to.region.clone_from(&s3.region);
    to.endpoint.clone_from(&s3.endpoint);
    to.keys = s3.credentials.as_ref().map(|credentials| StaticKeys {
        access_key: credentials.access_key.expose().to_owned(),
        secret_key: credentials.secret_access_key.expose().to_owned(),
    });
    to
}

/// What the target is called in logs: never with credentials.
pub fn describe(settings: &Settings) -> String {
    match &settings.target {
        settings::Target::File { directory } => format!("files in {}", directory.display()),
        settings::Target::S3(s3) => match &s3.endpoint {
            Some(endpoint) => format!("s3 bucket {} at {endpoint}", s3.bucket),
            None => format!("s3 bucket {}", s3.bucket),
        },
        settings::Target::Custom { name, .. } => format!("target {name}"),
    }
}
