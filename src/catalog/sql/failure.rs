//! What a database's refusal means.

use sqlx::error::DatabaseError;
use sqlx::mysql::MySqlDatabaseError;

use super::CatalogError;

/// How an attempt failed, named by what is done about it.
#[derive(Debug)]
pub(super) enum Failure {
    /// Somebody was in the way: make the attempt again, at once.
    Again(String),
    /// A row with the same unique key is there: read again what there is.
    Taken(String),
    /// A value does not fit into the database's column.
    TooMuch(String),
    /// Tell the caller.
    Final(CatalogError),
}

impl From<CatalogError> for Failure {
    fn from(error: CatalogError) -> Self {
        Self::Final(error)
    }
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        let unavailable = |why: String| Self::Final(CatalogError::Unavailable(why));
        let misconfigured = |why: String| Self::Final(CatalogError::Misconfigured(why));
        match &error {
            sqlx::Error::Database(database) => of_database(&**database),
            sqlx::Error::PoolTimedOut => unavailable("no connection within 5 seconds".into()),
            sqlx::Error::Configuration(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::ColumnDecode { .. }
            | sqlx::Error::Decode(_)
            | sqlx::Error::Encode(_) => misconfigured(error.to_string()),
            // What is not understood is held, not given up.
            _ => unavailable(error.to_string()),
        }
    }
}

fn of_database(error: &dyn DatabaseError) -> Failure {
    let text = error.message().to_owned();
    let kind = if let Some(mysql) = error.try_downcast_ref::<MySqlDatabaseError>() {
        of_mysql(mysql.number())
    } else if error
        .try_downcast_ref::<sqlx::sqlite::SqliteError>()
        .is_some()
    {
        let code = error.code().and_then(|code| code.parse().ok());
        of_sqlite(code.unwrap_or_default())
    } else {
        of_postgres(&error.code().unwrap_or_default())
    };
    match kind {
        Kind::Again => Failure::Again(text),
        Kind::Taken => Failure::Taken(text),
        Kind::TooMuch => Failure::TooMuch(text),
        Kind::Unavailable => Failure::Final(CatalogError::Unavailable(text)),
        Kind::Misconfigured => Failure::Final(CatalogError::Misconfigured(text)),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Kind {
    Again,
    Taken,
    TooMuch,
    Unavailable,
    Misconfigured,
}

/// By SQLSTATE: <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
fn of_postgres(state: &str) -> Kind {
    match state {
        "40001" | "40P01" | "55P03" => Kind::Again,
        "23505" => Kind::Taken,
        "22001" | "22021" | "22P05" => Kind::TooMuch,
        // A name or a right is missing, or a column of ours has another form.
        _ if ["22", "23", "28", "3D", "3F", "42"]
            .iter()
            .any(|class| state.starts_with(class)) =>
        {
            Kind::Misconfigured
        }
        _ => Kind::Unavailable,
    }
}

/// By number: <https://mariadb.com/kb/en/mariadb-error-code-reference/>.
fn of_mysql(number: u16) -> Kind {
    match number {
        // Lock wait, deadlock, the row has changed since it was read.
        1020 | 1205 | 1213 => Kind::Again,
        1062 | 1586 => Kind::Taken,
        1267 | 1366 | 1406 | 3988 => Kind::TooMuch,
        // Rights, names, columns that must be given, keys, syntax.
        1044..=1049
        | 1054
        | 1064
        | 1130
        | 1142..=1146
        | 1227
        | 1251
        | 1364
        | 1451
        | 1452
        | 1524
        | 1698
        | 2059 => Kind::Misconfigured,
        _ => Kind::Unavailable,
    }
}

/// By result code: <https://www.sqlite.org/rescode.html>.
fn of_sqlite(code: i32) -> Kind {
    match (code & 0xff, code) {
        (5 | 6, _) => Kind::Again,
        (19, 1555 | 2067) => Kind::Taken,
        (18, _) => Kind::TooMuch,
        // An input or output error, or no room: may pass.
        (7 | 10 | 13, _) => Kind::Unavailable,
        _ => Kind::Misconfigured,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_is_waited_for_and_what_does_not_is_told() {
        for (kind, states) in [
            (Kind::Again, ["40001", "40P01"]),
            (Kind::Unavailable, ["57P01", "53300"]),
            (Kind::Unavailable, ["57P03", "25006"]),
            (Kind::Misconfigured, ["28P01", "3D000"]),
            (Kind::Misconfigured, ["42501", "42P01"]),
        ] {
            for state in states {
                assert_eq!(of_postgres(state), kind, "{state}");
            }
        }
        assert_eq!(of_mysql(1213), Kind::Again);
        assert_eq!(of_mysql(1040), Kind::Unavailable);
        assert_eq!(of_mysql(1045), Kind::Misconfigured);
        assert_eq!(of_sqlite(517), Kind::Again);
        assert_eq!(of_sqlite(2067), Kind::Taken);
        assert_eq!(of_sqlite(14), Kind::Misconfigured);
    }
}
