//! The catalog in a SQL database, in the tables the original keeps: `tables` and `columns`.
//!
//! Twenty workers may add columns at once. Whoever adds to a table locks its row in `tables` first, so additions to one
//! table follow each other, and `column_id`, which the database counts up, gives the order that all see. Unique
//! constraints stand behind that. Deadlocks and the like are tried again here; an outage is the caller's.
//!
//! A database that the original has filled is used as it is: nothing in it is altered. Only what is missing is made.

mod database;
mod dialect;
mod failure;
mod patience;
mod schema;

use alluvium_target::Table;
use async_trait::async_trait;

use self::database::{Cells, Database, Value, Work};
use self::dialect::Dialect;
use self::failure::Failure;
use self::patience::Patience;
use self::schema::Shape;
use super::memory::now_ms;
use super::names::{TableName, checked};
use super::{Catalog, CatalogError, Column, Columns};
use crate::config::settings::Store;
use crate::table::ColumnType;

/// A catalog in PostgreSQL, MySQL, MariaDB or SQLite.
#[derive(Debug)]
pub struct SqlCatalog {
    database: Database,
    dialect: Dialect,
    shape: Shape,
    /// For messages: where the database is, without user and password.
    place: String,
}

/// One row of the query for a table's columns.
struct Stored {
    table_id: i64,
    project: String,
    collection: String,
    name: String,
    kind: String,
    added_ms: Option<i64>,
}

impl Stored {
    fn read(row: &dyn Cells) -> Result<Self, sqlx::Error> {
        Ok(Self {
            table_id: row.number(0)?.unwrap_or_default(),
            project: row.text(1)?,
            collection: row.text(2)?,
            name: row.text(3)?,
            kind: row.text(4)?,
            added_ms: row.number(5)?,
        })
    }
}

impl SqlCatalog {
    /// Connects, and makes the tables if there are none.
    ///
    /// # Errors
    /// [`CatalogError::Unavailable`] if the database does not answer; [`CatalogError::Misconfigured`] if it refuses, or if what
    /// it holds is not for this program.
    pub async fn open(store: &Store) -> Result<Self, CatalogError> {
        let mut catalog = Self {
            database: Database::new(store),
            dialect: Dialect::of(&store.address),
            shape: Shape::default(),
            place: store.address.to_string(),
        };
        let mut patience = Patience::new(&catalog.place);
        catalog.shape = loop {
            let attempt = schema::prepare(&catalog.database, &catalog.dialect);
            match patience.within(attempt).await {
                Ok(shape) => break shape,
                Err(failure) => patience.pass(failure).await?,
            }
        };
        Ok(catalog)
    }

    /// Whether this is a database of another program: one that Alluvium did not make.
    pub fn is_foreign(&self) -> bool {
        self.shape.version.is_none()
    }

    fn columns_query(&self) -> String {
        let (text, number) = (
            |name: &str| self.dialect.text(name),
            |name: &str| self.dialect.number(name),
        );
        let added = match self.shape.column_times {
            true => number("c.create_time"),
            false => number("NULL"),
        };
        format!(
            "SELECT {}, {}, {}, {}, {}, {added} FROM {{tables}} t JOIN {{columns}} c ON t.table_id = c.table_id \
             WHERE t.schema_name = ? AND t.table_name = ? ORDER BY c.column_id",
            number("t.table_id"),
            text("t.schema_name"),
            text("t.table_name"),
            text("c.column_name"),
            text("c.data_type"),
        )
    }

    async fn read(&self, table: &TableName) -> Result<Columns, Failure> {
        let values = [Value::Text(&table.project), Value::Text(&table.collection)];
        let query = self.columns_query();
        let rows = self
            .database
            .rows(&self.dialect, &query, &values, Stored::read);
        match rows.await.map_err(Failure::from) {
            Ok(rows) => columns(table, rows),
            // A name that it cannot even compare with its own.
            Err(Failure::TooMuch(_)) => Ok(Columns::new(Vec::new())),
            Err(failure) => Err(failure),
        }
    }

    async fn read_within(&self, work: &mut Work, table: &TableName) -> Result<Columns, Failure> {
        let values = [Value::Text(&table.project), Value::Text(&table.collection)];
        let query = self.columns_query();
        let rows = work.rows(&self.dialect, &query, &values, Stored::read);
        columns(table, rows.await?)
    }

    async fn add(
        &self,
        table: &TableName,
        wanted: &[(String, ColumnType)],
    ) -> Result<Columns, Failure> {
        let known = self.read(table).await?;
        if missing(&known, wanted).next().is_none() {
            return Ok(known);
        }
        self.shape.check_writable()?;
        if known.is_empty() {
            // By itself, since in MySQL two transactions that look for the same missing row and then insert it are a deadlock.
            self.make_table(table).await?;
        }
        let mut work = self.database.begin().await?;
        let id = self.lock_table(&mut work, table).await?;
        let known = self.read_within(&mut work, table).await?;
        // One time for all: they are one change.
        let now = now_ms();
        for (name, kind) in missing(&known, wanted) {
            let inserted = self.insert_column(&mut work, id, (name, kind), now).await;
            inserted.map_err(|failure| match failure {
                Failure::TooMuch(why) => table.refuse(name, why).into(),
                Failure::Taken(_) => Failure::Taken(name.clone()),
                other => other,
            })?;
        }
        let all = self.read_within(&mut work, table).await?;
        // A database that is not strict cuts what is too long.
        for (name, kind) in missing(&known, wanted) {
            if all.named(name).is_none_or(|stored| stored.kind != *kind) {
                let why = format!("the database does not give its name and type {kind} back");
                return Err(table.refuse(name, why).into());
            }
        }
        work.commit().await?;
        Ok(all)
    }

    async fn make_table(&self, table: &TableName) -> Result<(), Failure> {
        let mut names = vec!["schema_name", "table_name"];
        let mut values = vec![Value::Text(&table.project), Value::Text(&table.collection)];
        if self.shape.table_versions {
            names.push("table_version");
            values.push(Value::Number(1));
        }
        if self.shape.table_times {
            names.push("create_time");
            values.push(Value::Number(now_ms()));
        }
        let insert = format!(
            "INSERT INTO {{tables}} ({}) VALUES ({}){}",
            names.join(", "),
            vec!["?"; names.len()].join(", "),
            self.dialect.unless_there("table_id"),
        );
        let made = self.database.execute(&self.dialect, &insert, &values);
        made.await.map_err(|error| match error.into() {
            Failure::TooMuch(why) => table.refuse("", why).into(),
            other => other,
        })
    }

    async fn lock_table(&self, work: &mut Work, table: &TableName) -> Result<i64, Failure> {
        let query = format!(
            "SELECT {}, {}, {} FROM {{tables}} WHERE schema_name = ? AND table_name = ?{}",
            self.dialect.number("table_id"),
            self.dialect.text("schema_name"),
            self.dialect.text("table_name"),
            self.dialect.lock(),
        );
        let values = [Value::Text(&table.project), Value::Text(&table.collection)];
        let read = |row: &dyn Cells| Ok((row.number(0)?, row.text(1)?, row.text(2)?));
        let rows = work.rows(&self.dialect, &query, &values, read).await?;
        let same = |(_, project, collection): &(_, String, String)| {
            *project == table.project && *collection == table.collection
        };
        match rows.into_iter().find(same) {
            Some((Some(id), _, _)) => Ok(id),
            _ => Err(table.refuse("", SAME_NAME).into()),
        }
    }

    async fn insert_column(
        &self,
        work: &mut Work,
        table_id: i64,
        (name, kind): (&str, &ColumnType),
        added_ms: i64,
    ) -> Result<(), Failure> {
        let kind = kind.to_string();
        let mut names = vec!["table_id", "column_name", "data_type"];
        let mut values = vec![
            Value::Number(table_id),
            Value::Text(name),
            Value::Text(&kind),
        ];
        if self.shape.column_times {
            names.push("create_time");
            values.push(Value::Number(added_ms));
        }
        let insert = format!(
            "INSERT INTO {{columns}} ({}) VALUES ({})",
            names.join(", "),
            vec!["?"; names.len()].join(", "),
        );
        Ok(work.execute(&self.dialect, &insert, &values).await?)
    }

    async fn all_tables(&self) -> Result<Vec<Table>, Failure> {
        let query = format!(
            "SELECT DISTINCT {}, {} FROM {{tables}} t JOIN {{columns}} c ON t.table_id = c.table_id",
            self.dialect.text("t.schema_name"),
            self.dialect.text("t.table_name"),
        );
        let read = |row: &dyn Cells| Ok(Table::new(row.text(0)?, row.text(1)?));
        let mut tables = self.database.rows(&self.dialect, &query, &[], read).await?;
        tables.sort();
        Ok(tables)
    }
}

const SAME_NAME: &str =
    "the database takes its name for another one's: the collation there does not tell them apart";

/// Those of `wanted` that are not `known`.
fn missing<'a>(
    known: &'a Columns,
    wanted: &'a [(String, ColumnType)],
) -> impl Iterator<Item = &'a (String, ColumnType)> {
    wanted
        .iter()
        .filter(|(name, _)| known.named(name).is_none())
}

/// The columns that rows in order stand for.
fn columns(table: &TableName, rows: Vec<Stored>) -> Result<Columns, Failure> {
    let misconfigured =
        |what: String| Failure::Final(CatalogError::Misconfigured(format!("{table}: {what}")));
    let mut columns: Vec<Column> = Vec::with_capacity(rows.len());
    let mut ids = None;
    // A collation may find more than was asked for.
    let same = |row: &Stored| row.project == table.project && row.collection == table.collection;
    for (row, id) in rows.into_iter().filter(same).zip(1_u32..) {
        if *ids.get_or_insert(row.table_id) != row.table_id {
            return Err(misconfigured("the table is there twice".into()));
        }
        let name = row.name.to_lowercase();
        if columns.iter().any(|column| column.name == name) {
            return Err(misconfigured(format!("column {name:?} is there twice")));
        }
        let kind = row
            .kind
            .parse()
            .map_err(|error| misconfigured(format!("column {name:?}: {error}")))?;
        columns.push(Column {
            id,
            name,
            kind,
            added_ms: row.added_ms,
        });
    }
    Ok(Columns::new(columns))
}

#[async_trait]
impl Catalog for SqlCatalog {
    async fn table(
        &self,
        project: &str,
        collection: &str,
    ) -> Result<Option<Columns>, CatalogError> {
        let table = TableName::new(project, collection);
        if !table.is_possible() {
            return Ok(None);
        }
        let mut patience = Patience::new(&self.place);
        loop {
            match patience.within(self.read(&table)).await {
                Ok(columns) => return Ok(Some(columns).filter(|columns| !columns.is_empty())),
                Err(failure) => patience.pass(failure).await?,
            }
        }
    }

    async fn add_columns(
        &self,
        project: &str,
        collection: &str,
        wanted: &[(String, ColumnType)],
    ) -> Result<Columns, CatalogError> {
        let (table, wanted) = checked(project, collection, wanted)?;
        let mut patience = Patience::new(&self.place);
        loop {
            match patience.within(self.add(&table, &wanted)).await {
                Ok(columns) => return Ok(columns),
                Err(Failure::Taken(column)) if patience.is_at_end() => {
                    return Err(table.refuse(&column, SAME_NAME));
                }
                Err(failure) => patience.pass(failure).await?,
            }
        }
    }

    async fn tables(&self) -> Result<Vec<Table>, CatalogError> {
        let mut patience = Patience::new(&self.place);
        loop {
            match patience.within(self.all_tables()).await {
                Ok(tables) => return Ok(tables),
                Err(failure) => patience.pass(failure).await?,
            }
        }
    }
}
