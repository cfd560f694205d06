//! The command that shows which columns tables have.

use std::path::Path;
use std::time::Duration;

use alluvium_target::Table;

use super::{load, logging, print};
use crate::catalog::{self, Catalog, CatalogError, SqlCatalog};
use crate::registry::Targets;
use crate::run::{self, RunError};

pub(super) fn show(file: &Path, table: Option<&Table>, targets: &Targets) -> Result<(), RunError> {
    let loaded = load(file, targets)?;
    logging::start(&loaded.settings.log)?;
    let Some(store) = &loaded.settings.store else {
        let what = "metadata.store.jdbc.url is not set: there is no catalog that could be shown";
        return Err(RunError::Configuration(what.into()));
    };
    let runtime = run::runtime()?;
    let shown = runtime.block_on(async {
        let catalog = SqlCatalog::open(store).await?;
        match table {
            Some(table) => one(&catalog, table).await,
            None => all(&catalog, &store.address.to_string()).await,
        }
    });
    runtime.shutdown_timeout(Duration::from_secs(1));
    let (text, unreadable) = shown?;
    print(&text)?;
    match unreadable {
        0 => Ok(()),
        count => Err(RunError::Failed(format!(
            "tables that cannot be read: {count}"
        ))),
    }
}

/// A table with its columns and its changes.
async fn one(catalog: &SqlCatalog, table: &Table) -> Result<(String, usize), RunError> {
    let found = catalog.table(table.project(), table.collection()).await?;
    let Some(columns) = found else {
        let what =
            format!("there is no table {table}; `alluvium catalog` without --table lists all");
        return Err(RunError::Failed(what));
    };
    let (listing, changes) = (catalog::listing(&columns), catalog::changes(&columns));
    let text = format!("{table}\n{listing}\nchanges\n{changes}");
    Ok((text, 0))
}

/// All tables with their columns; and how many of them cannot be read.
async fn all(catalog: &SqlCatalog, place: &str) -> Result<(String, usize), RunError> {
    let tables = catalog.tables().await?;
    let mut text = format!("{place}: {} tables\n", tables.len());
    let mut unreadable = 0;
    for table in tables {
        match catalog.table(table.project(), table.collection()).await {
            Ok(columns) => {
                let listing = columns.as_ref().map(catalog::listing);
                text += &format!("\n{table}\n{}", listing.unwrap_or_default());
            }
            // One table that a person must mend should not hide the others.
            Err(CatalogError::Misconfigured(why)) => {
                unreadable += 1;
                text += &format!("\n{table}\n  cannot be read: {why}\n");
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok((text, unreadable))
}

/// `project.collection`, split at the first dot: a collection may hold more.
pub(super) fn table(text: &str) -> Result<Table, String> {
    match text.split_once('.') {
        Some((project, collection)) if !project.is_empty() && !collection.is_empty() => {
            Ok(Table::new(project, collection))
        }
        _ => Err("expected PROJECT.COLLECTION, such as shop.click".into()),
    }
}
