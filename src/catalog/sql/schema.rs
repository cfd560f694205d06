//! The tables in the database: found, or made.

use super::database::{Cells, Database, Value};
use super::dialect::Dialect;
use super::failure::Failure;
use crate::catalog::CatalogError;

/// The version of the tables this program makes.
const VERSION: i64 = 1;
/// PostgreSQL: keeps processes that start at once from making the tables at once. Any number that nobody else uses.
const MAKING: i64 = 0x0041_6c6c_7576_6975;

/// What the tables have, besides what every one must.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Shape {
    /// Of the tables this program has made; none for those of the original.
    pub(super) version: Option<i64>,
    /// `tables.create_time`
    pub(super) table_times: bool,
    /// `tables.table_version`
    pub(super) table_versions: bool,
    /// `columns.create_time`
    pub(super) column_times: bool,
    /// `columns.ordinal_position`: these are Raptor's own.
    raptor: bool,
}

impl Shape {
    /// # Errors
    /// If another program alone may add to these tables.
    pub(super) fn check_writable(&self) -> Result<(), CatalogError> {
        match self.raptor {
            false => Ok(()),
            true => Err(CatalogError::Misconfigured(
                "the tables are those of Presto's Raptor connector, to which only Presto can add columns; \
                 they can be read"
                    .into(),
            )),
        }
    }
}

/// Finds the tables, makes those that are missing, and tells their shape.
pub(super) async fn prepare(database: &Database, dialect: &Dialect) -> Result<Shape, Failure> {
    let found = |name| columns_of(database, dialect, name);
    let (mut tables, mut columns) = (found("tables").await?, found("columns").await?);
    if tables.is_empty() || columns.is_empty() {
        make(database, dialect).await?;
        (tables, columns) = (found("tables").await?, found("columns").await?);
    }
    for (table, has, needed) in [
        (
            "tables",
            &tables,
            &["table_id", "schema_name", "table_name"][..],
        ),
        (
            "columns",
            &columns,
            &["table_id", "column_id", "column_name", "data_type"],
        ),
    ] {
        if let Some(lacks) = needed
            .iter()
            .find(|name| !has.iter().any(|has| has == *name))
        {
            let what = format!("its table `{table}` has no column {lacks}: it is no catalog");
            return Err(CatalogError::Misconfigured(what).into());
        }
    }
    let has = |columns: &[String], name: &str| columns.iter().any(|column| column == name);
    Ok(Shape {
        version: version(database, dialect).await?,
        table_times: has(&tables, "create_time"),
        table_versions: has(&tables, "table_version"),
        column_times: has(&columns, "create_time"),
        raptor: has(&columns, "ordinal_position"),
    })
}

async fn columns_of(
    database: &Database,
    dialect: &Dialect,
    table: &'static str,
) -> Result<Vec<String>, Failure> {
    let query = dialect.columns_of();
    let read = |row: &dyn Cells| Ok(row.text(0)?.to_lowercase());
    Ok(database
        .rows(dialect, &query, &[Value::Text(table)], read)
        .await?)
}

async fn make(database: &Database, dialect: &Dialect) -> Result<(), Failure> {
    // In MySQL each statement commits by itself; each can be said twice, and the last is the mark that all was done.
    let mut work = database.begin().await?;
    if let Dialect::Postgres(_) = dialect {
        let lock = "SELECT pg_advisory_xact_lock(?)";
        work.execute(dialect, lock, &[Value::Number(MAKING)])
            .await?;
    }
    for statement in dialect.creation() {
        work.execute(dialect, &statement, &[]).await?;
    }
    let mark = format!(
        "INSERT INTO {{alluvium_catalog}} (version) VALUES (?){}",
        dialect.unless_there("version")
    );
    work.execute(dialect, &mark, &[Value::Number(VERSION)])
        .await?;
    Ok(work.commit().await?)
}

async fn version(database: &Database, dialect: &Dialect) -> Result<Option<i64>, Failure> {
    if columns_of(database, dialect, "alluvium_catalog")
        .await?
        .is_empty()
    {
        return Ok(None);
    }
    let query = format!(
        "SELECT {} FROM {{alluvium_catalog}}",
        dialect.number("MAX(version)")
    );
    let read = |row: &dyn Cells| row.number(0);
    let found = database.rows(dialect, &query, &[], read).await?;
    let version = found.into_iter().flatten().next();
    match version {
        Some(newer) if newer > VERSION => Err(CatalogError::Misconfigured(format!(
            "its tables are of version {newer}, which a newer alluvium has made; this one knows version {VERSION}"
        ))
        .into()),
        version => Ok(version),
    }
}
