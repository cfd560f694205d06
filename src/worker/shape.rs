//! Everything that shapes the names and the rows of outputs, with its fingerprint.
//!
//! A plan names the shape it was made under. Whoever finishes the plan must do it under the same shape, or would write other
//! outputs beside those that may be visible already.

use std::fmt::Debug;
use std::sync::Arc;

use alluvium_target::Target;

use super::routing::Routing;
use crate::catalog::Tables;
use crate::decode::DecoderSettings;
use crate::deliver::Print;
use crate::table::ColumnSettings;

/// Counts the changes of this program after which the same records make other rows. `rows_are_what_they_were` in
/// `worker/tests/revision.rs` fails when it has to be raised.
const ROWS_REVISION: u32 = 2;

/// How records become outputs.
#[derive(Clone, Debug)]
pub struct Shape {
    /// Stands for all of it.
    pub(super) print: Print,
    /// The settings it was made of, as plans keep them: a line for each, `key=value`.
    pub(super) settings: Arc<str>,
    pub(super) target: Arc<dyn Target>,
    pub(super) columns: Arc<ColumnSettings>,
    pub(super) decoder: DecoderSettings,
    pub(super) routing: Arc<Routing>,
    pub(super) tables: Option<Arc<dyn Tables>>,
}

impl Shape {
    /// The shape that `settings` stand for: lines of `key=value`, without secrets.
    pub fn new(
        settings: &str,
        target: Arc<dyn Target>,
        columns: ColumnSettings,
        decoder: impl Into<DecoderSettings>,
    ) -> Self {
        let decoder = decoder.into();
        let all = format!(
            "{ROWS_REVISION}\n{}\n{}{settings}",
            target.shape(),
            decoder.shape()
        );
        Self {
            print: Print::of(&all),
            settings: settings.into(),
            target,
            columns: Arc::new(columns),
            decoder,
            routing: Arc::default(),
            tables: None,
        }
    }

    /// The same, but not all rows go to the target. What `routing` is made of must be in the settings.
    #[must_use]
    pub fn routed(self, routing: Routing) -> Self {
        Self {
            routing: Arc::new(routing),
            ..self
        }
    }

    /// The same, but `tables` decides which columns tables have. That is no part of what the shape stands for: what a catalog has decided
    /// holds for whoever reads a span again.
    #[must_use]
    pub fn bound(self, tables: Option<Arc<dyn Tables>>) -> Self {
        Self { tables, ..self }
    }

    /// What decides about the columns of tables, if it is not their rows.
    pub fn tables(&self) -> Option<Arc<dyn Tables>> {
        self.tables.clone()
    }

    /// Where outputs go.
    pub fn target(&self) -> Arc<dyn Target> {
        self.target.clone()
    }

    /// Stands for all of it.
    pub fn print(&self) -> Print {
        self.print
    }
}

/// Makes a shape of the settings that a plan has kept, or says why it cannot.
pub type Reshape = dyn Fn(&str) -> Result<Shape, String> + Send + Sync;
