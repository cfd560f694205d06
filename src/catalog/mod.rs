//! The catalog: which columns a table has, of which types, in which order.
//!
//! Owns a decision that all workers of all processes share. The first to ask for a column decides its type, and what was
//! decided stays: columns are added behind the others, never changed, moved or removed. A decision is visible to
//! others only when it has been committed, and what a call returns has been committed.
//!
//! It refuses to guess. A database that does not answer is [`CatalogError::Unavailable`]: the caller holds its
//! records and asks again. A stored type that cannot be read is never replaced by another.
//!
//! * [`MemoryCatalog`]: for one process, as long as it lives;
//! * [`SqlCatalog`]: shared, in PostgreSQL, MySQL, MariaDB or SQLite, in the tables of the original;
//!
//! Workers do not ask it themselves: they look at [`Tables`], which [`Binding`] fills.

mod binding;
mod memory;
mod names;
mod records;
mod report;
mod sql;

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use alluvium_target::Table;
use async_trait::async_trait;

pub use binding::{Binding, Tables, Told};
pub use memory::MemoryCatalog;
pub use records::RecordColumns;
pub use report::{changes, listing};
pub use sql::SqlCatalog;

use crate::table::ColumnType;

/// Knows the columns of tables, and takes new ones.
///
/// Names are lower case: they are asked for and stored so, however they are given.
#[async_trait]
pub trait Catalog: fmt::Debug + Send + Sync + 'static {
    /// The columns of `project.collection` in their order, or nothing if there is no such table. A table without
    /// columns is none.
    async fn table(&self, project: &str, collection: &str)
    -> Result<Option<Columns>, CatalogError>;

    /// Adds those of `wanted` that the table does not have, in this order, and makes the table if there is none; all of it or
    /// nothing. Of a column that is there, the stored type stands, whatever was wanted. Gives all columns
    /// of the table.
    async fn add_columns(
        &self,
        project: &str,
        collection: &str,
        wanted: &[(String, ColumnType)],
    ) -> Result<Columns, CatalogError>;

    /// All tables, sorted by name.
    async fn tables(&self) -> Result<Vec<Table>, CatalogError>;
}

/// Why the catalog did not answer, named by what the caller does about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CatalogError {
    /// Hold everything, and ask again: nothing was decided, or it is not known what.
    #[error("the catalog does not answer: {0}")]
    Unavailable(String),
    /// Stop: a person must change something first.
    #[error("the catalog cannot be used: {0}")]
    Misconfigured(String),
    /// Do without this column: it will never be taken, and none of the others that came with it was.
    #[error("the catalog cannot have a column {column:?} in {table}: {why}")]
    Refused {
        /// The table, as `project.collection`.
        table: String,
        /// The column; empty if it is the table that cannot be had.
        column: String,
        /// Why not.
        why: String,
    },
}

/// A column of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its place in the table: 1, 2, 3 and so on. It never changes.
    pub id: u32,
    /// Its name, in lower case.
    pub name: String,
    /// Its type.
    pub kind: ColumnType,
    /// When it was added, in milliseconds since the epoch, if the store knows.
    pub added_ms: Option<i64>,
}

/// The columns of a table in their order. Cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Columns(Arc<[Column]>);

impl Columns {
    fn new(columns: Vec<Column>) -> Self {
        Self(columns.into())
    }

    /// The column of this name.
    pub fn named(&self, name: &str) -> Option<&Column> {
        self.0.iter().find(|column| column.name == name)
    }
}

impl FromIterator<Column> for Columns {
    fn from_iter<I: IntoIterator<Item = Column>>(columns: I) -> Self {
        Self(columns.into_iter().collect())
    }
}

impl Deref for Columns {
    type Target = [Column];

    fn deref(&self) -> &[Column] {
        &self.0
    }
}
