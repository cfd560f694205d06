//! Decisions of one process, kept as long as it lives.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use alluvium_target::Table;
use async_trait::async_trait;

use super::names::{TableName, checked};
use super::{Catalog, CatalogError, Column, Columns};
use crate::table::ColumnType;

/// A catalog that other processes do not see.
#[derive(Debug, Default)]
pub struct MemoryCatalog(Mutex<BTreeMap<TableName, Columns>>);

#[async_trait]
impl Catalog for MemoryCatalog {
    async fn table(
        &self,
        project: &str,
        collection: &str,
    ) -> Result<Option<Columns>, CatalogError> {
        let tables = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(tables.get(&TableName::new(project, collection)).cloned())
    }

    async fn add_columns(
        &self,
        project: &str,
        collection: &str,
        wanted: &[(String, ColumnType)],
    ) -> Result<Columns, CatalogError> {
        let (table, wanted) = checked(project, collection, wanted)?;
        let now = now_ms();
        let mut tables = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut columns = tables
            .get(&table)
            .map_or_else(Vec::new, |known| known.to_vec());
        for (name, kind) in wanted {
            if columns.iter().all(|column| column.name != name) {
                columns.push(Column {
                    id: u32::try_from(columns.len() + 1).unwrap_or(u32::MAX),
                    name,
                    kind,
                    added_ms: Some(now),
                });
            }
        }
        let columns = Columns::new(columns);
        if !columns.is_empty() {
            tables.insert(table, columns.clone());
        }
        Ok(columns)
    }

    async fn tables(&self) -> Result<Vec<Table>, CatalogError> {
        let tables = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let table = |name: &TableName| Table::new(&*name.project, &*name.collection);
        Ok(tables.keys().map(table).collect())
    }
}

/// This machine's time in milliseconds since the epoch.
pub(super) fn now_ms() -> i64 {
    let since = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
