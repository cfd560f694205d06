//! Connections to the three kinds of database, and one way to say a statement to each.

use std::time::Duration;

use sqlx::mysql::{MySqlConnectOptions, MySqlPool, MySqlRow, MySqlSslMode};
use sqlx::pool::PoolOptions;
use sqlx::postgres::{PgConnectOptions, PgPool, PgRow, PgSslMode};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool, SqliteRow};
use sqlx::{AssertSqlSafe, ConnectOptions, MySql, Postgres, Row, Sqlite, Transaction};

use super::dialect::Dialect;
use crate::config::settings::{Server, Store, StoreAddress, Tls, TlsMode};

/// How long a connection is waited for.
const CONNECT: Duration = Duration::from_secs(5);
/// How long another process may keep the SQLite file locked.
const BUSY: Duration = Duration::from_secs(10);

/// A pool of connections.
#[derive(Debug)]
pub(super) enum Database {
    Postgres(PgPool),
    MySql(MySqlPool),
    Sqlite(SqlitePool),
}

/// A transaction; dropped, it is rolled back.
pub(super) enum Work {
    Postgres(Transaction<'static, Postgres>),
    MySql(Transaction<'static, MySql>),
    Sqlite(Transaction<'static, Sqlite>),
}

/// What stands for a `?` of a statement.
#[derive(Clone, Copy)]
pub(super) enum Value<'a> {
    Text(&'a str),
    Number(i64),
}

/// A row of an answer.
pub(super) trait Cells {
    fn text(&self, index: usize) -> Result<String, sqlx::Error>;
    fn number(&self, index: usize) -> Result<Option<i64>, sqlx::Error>;
}

macro_rules! cells {
    ($($row:ty),*) => {$(
        impl Cells for $row {
            fn text(&self, index: usize) -> Result<String, sqlx::Error> {
                self.try_get(index)
            }

            fn number(&self, index: usize) -> Result<Option<i64>, sqlx::Error> {
                self.try_get(index)
            }
        }
    )*};
}
cells!(PgRow, MySqlRow, SqliteRow);

/// A query with its values. Never kept prepared: a pooler between may give each transaction another connection.
macro_rules! query {
    ($statement:expr, $values:expr) => {{
        let mut query = sqlx::query(AssertSqlSafe($statement)).persistent(false);
        for value in $values {
            query = match *value {
                Value::Text(text) => query.bind(text.to_owned()),
                Value::Number(number) => query.bind(number),
            };
        }
        query
    }};
}

macro_rules! done {
    ($on:expr, $statement:expr, $values:expr) => {{
        query!($statement, $values).execute($on).await?;
    }};
}

macro_rules! rows {
    ($on:expr, $statement:expr, $values:expr, $read:expr) => {{
        let rows = query!($statement, $values).fetch_all($on).await?;
        rows.iter().map(|row| $read(row)).collect()
    }};
}

impl Database {
    /// Connects nowhere yet.
    pub(super) fn new(store: &Store) -> Self {
        match &store.address {
            StoreAddress::Postgres { server, .. } => {
                let options = pool(store).connect_lazy_with(postgres(store, server));
                Self::Postgres(options)
            }
            StoreAddress::MySql { server } => {
                Self::MySql(pool(store).connect_lazy_with(mysql(store, server)))
            }
            StoreAddress::Sqlite { file } => {
                let options = SqliteConnectOptions::new()
                    .filename(file)
                    .create_if_missing(true)
                    .busy_timeout(BUSY)
                    .disable_statement_logging();
                // Two connections of one process would only wait for each other.
                let pool = pool(store).max_connections(1);
                Self::Sqlite(pool.connect_lazy_with(options))
            }
        }
    }

    /// Runs one statement by itself.
    pub(super) async fn execute(
        &self,
        dialect: &Dialect,
        statement: &str,
        values: &[Value<'_>],
    ) -> Result<(), sqlx::Error> {
        let statement = dialect.statement(statement);
        match self {
            Self::Postgres(pool) => done!(pool, statement, values),
            Self::MySql(pool) => done!(pool, statement, values),
            Self::Sqlite(pool) => done!(pool, statement, values),
        }
        Ok(())
    }

    /// The rows of one statement by itself.
    pub(super) async fn rows<T>(
        &self,
        dialect: &Dialect,
        statement: &str,
        values: &[Value<'_>],
        read: fn(&dyn Cells) -> Result<T, sqlx::Error>,
    ) -> Result<Vec<T>, sqlx::Error> {
        let statement = dialect.statement(statement);
        match self {
            Self::Postgres(pool) => rows!(pool, statement, values, read),
            Self::MySql(pool) => rows!(pool, statement, values, read),
            Self::Sqlite(pool) => rows!(pool, statement, values, read),
        }
    }

    /// Begins a transaction in which a read sees what is committed at its time. SQLite's may write from the start: one that only
    /// asks to later can be refused without waiting.
    pub(super) async fn begin(&self) -> Result<Work, sqlx::Error> {
        Ok(match self {
            Self::Postgres(pool) => Work::Postgres(
                pool.begin_with("BEGIN ISOLATION LEVEL READ COMMITTED")
                    .await?,
            ),
            // Its reads see what was committed when the first of them began, which is after the lock.
            Self::MySql(pool) => Work::MySql(pool.begin().await?),
            Self::Sqlite(pool) => Work::Sqlite(pool.begin_with("BEGIN IMMEDIATE").await?),
        })
    }
}

impl Work {
    pub(super) async fn execute(
        &mut self,
        dialect: &Dialect,
        statement: &str,
        values: &[Value<'_>],
    ) -> Result<(), sqlx::Error> {
        let statement = dialect.statement(statement);
        match self {
            Self::Postgres(work) => done!(&mut **work, statement, values),
            Self::MySql(work) => done!(&mut **work, statement, values),
            Self::Sqlite(work) => done!(&mut **work, statement, values),
        }
        Ok(())
    }

    pub(super) async fn rows<T>(
        &mut self,
        dialect: &Dialect,
        statement: &str,
        values: &[Value<'_>],
        read: fn(&dyn Cells) -> Result<T, sqlx::Error>,
    ) -> Result<Vec<T>, sqlx::Error> {
        let statement = dialect.statement(statement);
        match self {
            Self::Postgres(work) => rows!(&mut **work, statement, values, read),
            Self::MySql(work) => rows!(&mut **work, statement, values, read),
            Self::Sqlite(work) => rows!(&mut **work, statement, values, read),
        }
    }

    pub(super) async fn commit(self) -> Result<(), sqlx::Error> {
        match self {
            Self::Postgres(work) => work.commit().await,
            Self::MySql(work) => work.commit().await,
            Self::Sqlite(work) => work.commit().await,
        }
    }
}

fn pool<D: sqlx::Database>(store: &Store) -> PoolOptions<D> {
    let mut pool = PoolOptions::new()
        .max_connections(store.max_connections)
        .acquire_timeout(CONNECT)
        .max_lifetime(store.max_life)
        .idle_timeout(store.max_idle);
    if !store.pooled {
        pool = pool.after_release(|_, _| Box::pin(async { Ok(false) }));
    }
    pool
}

fn postgres(store: &Store, server: &Server) -> PgConnectOptions {
    let mut options = PgConnectOptions::new_without_pgpass()
        .host(&server.host)
        .port(server.port)
        .database(&server.database)
        .username(&store.username)
        .password(store.password.expose())
        .application_name("alluvium")
        // Poolers do not know it.
        .extra_float_digits(None)
        .statement_cache_capacity(0)
        .ssl_mode(match server.tls.mode {
            TlsMode::Disable => PgSslMode::Disable,
            TlsMode::Prefer => PgSslMode::Prefer,
            TlsMode::Require => PgSslMode::Require,
            TlsMode::VerifyCa => PgSslMode::VerifyCa,
            TlsMode::VerifyFull => PgSslMode::VerifyFull,
        });
    if let Tls { ca: Some(ca), .. } = &server.tls {
        options = options.ssl_root_cert(ca);
    }
    options.disable_statement_logging()
}

fn mysql(store: &Store, server: &Server) -> MySqlConnectOptions {
    let mut options = MySqlConnectOptions::new()
        .host(&server.host)
        .port(server.port)
        .database(&server.database)
        .username(&store.username)
        .password(store.password.expose())
        .ssl_mode(match server.tls.mode {
            TlsMode::Disable => MySqlSslMode::Disabled,
            TlsMode::Prefer => MySqlSslMode::Preferred,
            TlsMode::Require => MySqlSslMode::Required,
            TlsMode::VerifyCa => MySqlSslMode::VerifyCa,
            TlsMode::VerifyFull => MySqlSslMode::VerifyIdentity,
        });
    if let Tls { ca: Some(ca), .. } = &server.tls {
        options = options.ssl_ca(ca);
    }
    options.disable_statement_logging()
}
