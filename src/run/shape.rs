//! How records become outputs, for these settings and for those that earlier plans were made with.

use std::sync::Arc;

use alluvium_target::Target;
use tokio::runtime::Handle;

use super::{RunError, budget, kinesis, wire};
use crate::awaited::Objects;
use crate::catalog::{Binding, SqlCatalog, Tables};
use crate::config::Recipe;
use crate::config::settings::Settings;
use crate::registry::Targets;
use crate::worker::{Reshape, Shape};

/// What records are read with that others keep.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lookups {
    /// Which columns tables have, if a catalog decides that.
    pub(crate) tables: Option<Arc<dyn Tables>>,
    /// The objects that records point to, if there is a bucket of them.
    pub(crate) objects: Option<Arc<dyn Objects>>,
}

impl Lookups {
    /// Opens the catalog, if one is configured, and the bucket of bulk objects likewise.
    ///
    /// # Errors
    /// As [`SqlCatalog::open`]; and [`RunError::Configuration`] if nobody knows where the bucket is.
    pub(crate) async fn open(settings: &Settings) -> Result<Self, RunError> {
        let objects = match settings.stream.kinesis() {
            Some(stream) => {
                let held = kinesis::held(stream, budget(settings)?);
                kinesis::objects(stream, held).await?
            }
            None => None,
        };
        let tables: Option<Arc<dyn Tables>> = match &settings.store {
            Some(store) => {
                let catalog = Arc::new(SqlCatalog::open(store).await?);
                Some(Arc::new(Binding::new(catalog, &Handle::current())))
            }
            None => None,
        };
        Ok(Self { tables, objects })
    }
}

/// How these settings turn records into outputs. `shaping` says it as plans keep it.
///
/// # Errors
/// [`RunError::Configuration`] if the settings of the target or of the records' schemas cannot work.
pub(crate) async fn shape(
    settings: &Settings,
    shaping: &str,
    targets: &Targets,
    lookups: &Lookups,
) -> Result<Shape, RunError> {
    let target = targets.open(settings).await?;
    shape_for(settings, shaping, target, lookups)
}

/// As [`shape`], for a target that is open already.
///
/// # Errors
/// [`RunError::Configuration`] if the settings of the records' schemas cannot work.
pub(crate) fn shape_for(
    settings: &Settings,
    shaping: &str,
    target: Arc<dyn Target>,
    lookups: &Lookups,
) -> Result<Shape, RunError> {
    let columns = wire::column_settings(settings);
    let decoder = wire::decoder_settings(settings, &Handle::current(), lookups)?;
    let shape = Shape::new(shaping, target, columns, decoder);
    Ok(shape
        .routed(wire::routing(settings))
        .bound(lookups.tables.clone()))
}

/// Makes the shapes of plans that were made with other settings. Called on a worker's thread, rarely: it opens the target anew.
pub(super) fn reshape(recipe: Recipe, targets: Targets, lookups: Lookups) -> Arc<Reshape> {
    let runtime = Handle::current();
    Arc::new(move |recorded| {
        let settings = recipe.with(recorded)?;
        let shape = runtime.block_on(shape(&settings, recorded, &targets, &lookups));
        shape.map_err(|error| error.to_string())
    })
}
