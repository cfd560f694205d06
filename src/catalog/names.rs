//! What may be the name of a table or a column, the same for every store.
//!
//! A name that one store takes and another does not would make the rows depend on where decisions are kept.

use crate::table::{ColumnType, name_fault as fault};

use super::CatalogError;

/// What MySQL's TEXT holds, in bytes. Deeply nested types have long names.
const LONGEST_TYPE: usize = 65_535;

/// A table, in lower case.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct TableName {
    pub(super) project: String,
    pub(super) collection: String,
}

impl TableName {
    pub(super) fn new(project: &str, collection: &str) -> Self {
        Self {
            project: project.to_lowercase(),
            collection: collection.to_lowercase(),
        }
    }

    /// Whether a store can hold it.
    pub(super) fn is_possible(&self) -> bool {
        fault(&self.project).is_none() && fault(&self.collection).is_none()
    }

    pub(super) fn refuse(&self, column: &str, why: impl Into<String>) -> CatalogError {
        CatalogError::Refused {
            table: self.to_string(),
            column: column.to_owned(),
            why: why.into(),
        }
    }
}

impl std::fmt::Display for TableName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.project, self.collection)
    }
}

/// A table and what is wanted of it, checked: names in lower case, each once.
pub(super) fn checked(
    project: &str,
    collection: &str,
    wanted: &[(String, ColumnType)],
) -> Result<(TableName, Vec<(String, ColumnType)>), CatalogError> {
    let table = TableName::new(project, collection);
    for (what, name) in [
        ("project", &table.project),
        ("collection", &table.collection),
    ] {
        if let Some(fault) = fault(name) {
            return Err(table.refuse("", format!("the name of its {what} {fault}")));
        }
    }
    let mut checked: Vec<(String, ColumnType)> = Vec::with_capacity(wanted.len());
    for (name, kind) in wanted {
        let name = name.to_lowercase();
        if let Some(fault) = fault(&name) {
            return Err(table.refuse(&name, format!("its name {fault}")));
        }
        if kind.to_string().len() > LONGEST_TYPE {
            return Err(table.refuse(&name, "its type is too deeply nested to be written down"));
        }
        if checked.iter().all(|(known, _)| *known != name) {
            checked.push((name, kind.clone()));
        }
    }
    Ok((table, checked))
}
