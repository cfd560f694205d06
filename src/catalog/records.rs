//! The catalog's columns as the original's records have them.

use std::sync::Arc;

use super::Tables;
use crate::awaited::NotYet;
use crate::decode::avro::rakam::{Column, ColumnKind, Columns};
use crate::table::ColumnType;

/// Reads the columns that a table's records have from the catalog.
#[derive(Debug)]
pub struct RecordColumns(pub Arc<dyn Tables>);

impl Columns for RecordColumns {
    fn of(
        &self,
        project: &str,
        collection: &str,
        known: usize,
    ) -> Result<Option<Arc<[Column]>>, NotYet> {
        let told = self.0.columns(project, collection, known)?;
        Ok(told.map(|told| {
            let column = |column: &super::Column| Column {
                name: column.name.clone(),
                kind: kind(&column.kind),
            };
            told.columns.iter().map(column).collect()
        }))
    }
}

fn kind(of: &ColumnType) -> ColumnKind {
    match of {
        ColumnType::String => ColumnKind::Text,
        ColumnType::Bigint => ColumnKind::Long,
        ColumnType::Integer => ColumnKind::Int,
        ColumnType::Double => ColumnKind::Double,
        ColumnType::Boolean => ColumnKind::Boolean,
        ColumnType::Date => ColumnKind::Date,
        ColumnType::Time => ColumnKind::Time,
        ColumnType::Timestamp => ColumnKind::Timestamp,
        ColumnType::Binary => ColumnKind::Bytes,
        ColumnType::Array(of) => ColumnKind::Array(kind(of).into()),
        ColumnType::Map(of) => ColumnKind::Map(kind(of).into()),
        ColumnType::Decimal { .. } | ColumnType::TimestampMicros | ColumnType::Struct(_) => {
            ColumnKind::Other(of.to_string())
        }
    }
}
