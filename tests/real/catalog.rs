//! The catalog in real databases: PostgreSQL and MariaDB.

use std::sync::Arc;

use alluvium::awaited::NotYet;
use alluvium::catalog::{Binding, Catalog, CatalogError, SqlCatalog, Tables};
use alluvium::config::settings::Store;
use alluvium::table::ColumnType;

use crate::support::catalog::{conforms, opened, runtime, shown, wanted};
use crate::support::config::Config;
use crate::support::output::scratch;
use crate::support::seconds;
use crate::support::service::{Database, DatabaseKind};

const KINDS: [DatabaseKind; 2] = [DatabaseKind::Postgres, DatabaseKind::MariaDb];

/// What a configuration with this URL means.
fn store(url: &str) -> Store {
    let (_scratch, directory) = scratch();
    let config =
        Config::new(&directory, "127.0.0.1:9", "events").set("metadata.store.jdbc.url", url);
    let loaded = alluvium::config::load(&config.write(), [], &[]).unwrap();
    assert_eq!(loaded.warnings, []);
    loaded.settings.store.unwrap()
}

/// A new database of the server that tests share.
async fn fresh(kind: DatabaseKind, statements: &[&'static str]) -> Store {
    let server = Database::shared(kind);
    let name = server.create().await;
    server.execute(&name, statements).await;
    store(&server.url(&name))
}

#[test]
fn postgres_conforms() {
    runtime().block_on(async {
        let store = fresh(DatabaseKind::Postgres, &[]).await;
        conforms(&|| Arc::new(opened(&store).unwrap())).await;
    });
}

#[test]
fn mariadb_conforms() {
    runtime().block_on(async {
        let store = fresh(DatabaseKind::MariaDb, &[]).await;
        conforms(&|| Arc::new(opened(&store).unwrap())).await;
    });
}

#[test]
fn twenty_that_start_at_once_make_one_catalog() {
    runtime().block_on(async {
        for kind in KINDS {
            let store = fresh(kind, &[]).await;
            let mut starts = tokio::task::JoinSet::new();
            for number in 0..20 {
                let store = store.clone();
                starts.spawn(async move {
                    let catalog = SqlCatalog::open(&store).await.unwrap();
                    let wanted = wanted(&[("a", ColumnType::Double)]);
                    let name = format!("t{}", number % 3);
                    let added = catalog.add_columns("p", &name, &wanted).await.unwrap();
                    shown(&added)
                });
            }
            for added in starts.join_all().await {
                assert_eq!(added, ["1 a double"], "{kind:?}");
            }
            let again = SqlCatalog::open(&store).await.unwrap();
            assert!(!again.is_foreign());
            assert_eq!(again.tables().await.unwrap().len(), 3);
        }
    });
}

/// What rakam-api makes and fills (`SchemaDao`, `MetadataDao`), word for word in MySQL.
#[test]
fn a_database_of_the_original_is_used_as_it_is() {
    let fill = [
        "INSERT INTO tables (schema_name, table_name, table_version, create_time) VALUES ('shop', 'click', 1, 1500000000000)",
        "INSERT INTO tables (schema_name, table_name, table_version, create_time) VALUES ('shop', 'buy', 1, 1500000000000)",
        "INSERT INTO columns (table_id, column_name, data_type, create_time) VALUES ((SELECT table_id FROM tables WHERE schema_name = 'shop' AND table_name = 'click'), '_shard_time', 'timestamp', 1500000000000)",
        "INSERT INTO columns (table_id, column_name, data_type, create_time) VALUES ((SELECT table_id FROM tables WHERE schema_name = 'shop' AND table_name = 'buy'), 'other', 'bigint', 1500000000000)",
        "INSERT INTO columns (table_id, column_name, data_type, create_time) VALUES ((SELECT table_id FROM tables WHERE schema_name = 'shop' AND table_name = 'click'), 'tags', 'map(varchar,double)', 1500000000001)",
    ];
    let mysql = [
        "CREATE TABLE IF NOT EXISTS tables (table_id BIGINT PRIMARY KEY AUTO_INCREMENT, schema_name VARCHAR(255) NOT NULL, table_name VARCHAR(255) NOT NULL, create_time BIGINT NOT NULL, table_version BIGINT NOT NULL, UNIQUE (schema_name, table_name))",
        "CREATE TABLE IF NOT EXISTS columns (table_id BIGINT NOT NULL, column_id BIGINT PRIMARY KEY AUTO_INCREMENT, column_name VARCHAR(255) NOT NULL, create_time BIGINT NOT NULL, data_type VARCHAR(255) NOT NULL, UNIQUE (table_id, column_name), FOREIGN KEY (table_id) REFERENCES tables (table_id))",
    ];
    let postgres = [
        "CREATE TABLE tables (table_id BIGSERIAL PRIMARY KEY, schema_name VARCHAR(255) NOT NULL, table_name VARCHAR(255) NOT NULL, create_time BIGINT NOT NULL, table_version BIGINT NOT NULL, UNIQUE (schema_name, table_name))",
        "CREATE TABLE columns (table_id BIGINT NOT NULL REFERENCES tables (table_id), column_id BIGSERIAL PRIMARY KEY, column_name VARCHAR(255) NOT NULL, create_time BIGINT NOT NULL, data_type VARCHAR(255) NOT NULL, UNIQUE (table_id, column_name))",
    ];
    runtime().block_on(async {
        for (kind, make) in KINDS.into_iter().zip([postgres, mysql]) {
            let store = fresh(kind, &[&make[..], &fill[..]].concat()).await;
            let catalog = SqlCatalog::open(&store).await.unwrap();
            assert!(catalog.is_foreign());
            let columns = catalog.table("shop", "click").await.unwrap().unwrap();
            let before = ["1 _shard_time timestamp", "2 tags map(varchar,double)"];
            assert_eq!(shown(&columns), before, "{kind:?}");
            assert_eq!(columns[1].added_ms, Some(1_500_000_000_001));
            let new = wanted(&[("x", ColumnType::Double), ("tags", ColumnType::String)]);
            let all = catalog.add_columns("shop", "click", &new).await.unwrap();
            assert_eq!(shown(&all)[2..], ["3 x double"], "{kind:?}");
            // Longer than the original's column: refused, not cut, and nothing else is added with it.
            let fields = (0..40).map(|n| (format!("field {n}"), ColumnType::Double));
            let long = [
                ("y".to_owned(), ColumnType::Double),
                ("long".to_owned(), ColumnType::Struct(fields.collect())),
            ];
            let refused = catalog.add_columns("shop", "click", &long).await;
            assert!(
                matches!(&refused, Err(CatalogError::Refused { column, .. }) if column == "long"),
                "{kind:?}: {refused:?}"
            );
            assert_eq!(catalog.table("shop", "click").await.unwrap(), Some(all));
        }
    });
}

/// MySQL's usual collations take `cafe` and `café` for the same: that is told, never taken for the other column.
#[test]
fn names_that_the_database_does_not_tell_apart_are_refused() {
    let make = [
        "CREATE TABLE tables (table_id BIGINT PRIMARY KEY AUTO_INCREMENT, schema_name VARCHAR(255) NOT NULL, table_name VARCHAR(255) NOT NULL, UNIQUE (schema_name, table_name)) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci",
        "CREATE TABLE columns (table_id BIGINT NOT NULL, column_id BIGINT PRIMARY KEY AUTO_INCREMENT, column_name VARCHAR(255) NOT NULL, data_type VARCHAR(255) NOT NULL, UNIQUE (table_id, column_name)) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci",
    ];
    runtime().block_on(async {
        let store = fresh(DatabaseKind::MariaDb, &make).await;
        let catalog = SqlCatalog::open(&store).await.unwrap();
        let column = |name: &str| wanted(&[(name, ColumnType::Double)]);
        catalog
            .add_columns("cafe", "c", &column("cafe"))
            .await
            .unwrap();
        for (project, name) in [("cafe", "café"), ("café", "x")] {
            let answer = catalog.add_columns(project, "c", &column(name)).await;
            assert!(
                matches!(&answer, Err(CatalogError::Refused { why, .. }) if why.contains("collation")),
                "{answer:?}"
            );
        }
        assert_eq!(catalog.table("café", "c").await, Ok(None));
    });
}

#[test]
fn what_a_person_must_change_is_told_at_once_and_without_the_password() {
    runtime().block_on(async {
        for kind in KINDS {
            let server = Database::shared(kind);
            let name = server.create().await;
            let url = server.url(&name);
            let wrong = url.replace("alluvium-secret", "hunter2");
            let nowhere = server.url("no_such_database");
            for url in [wrong, nowhere] {
                let start = std::time::Instant::now();
                let error = SqlCatalog::open(&store(&url)).await.unwrap_err();
                let text = format!("{error} {error:?} {:?}", store(&url));
                assert!(matches!(error, CatalogError::Misconfigured(_)), "{text}");
                assert!(!text.contains("hunter2") && !text.contains("alluvium-secret"));
                assert!(start.elapsed() < seconds(20));
            }
        }
    });
}

/// The database is killed under twenty writers and comes back: until then they are told to wait, and afterwards everything that
/// was answered before is there, as it was.
#[test]
fn an_outage_holds_and_changes_nothing() {
    runtime().block_on(async {
        for kind in KINDS {
            let mut server = Database::start(kind);
            let name = server.create().await;
            let store = store(&server.url(&name));
            let catalog = Arc::new(SqlCatalog::open(&store).await.unwrap());
            let behind = Arc::new(SqlCatalog::open(&store).await.unwrap());
            let workers = Binding::new(behind, &tokio::runtime::Handle::current());
            let decide = |name: &str| {
                let column = wanted(&[(name, ColumnType::Double)]);
                tokio::task::block_in_place(|| workers.decide("p", "c", &column))
            };
            let known = loop {
                if let Ok(known) = decide("first") {
                    break known;
                }
            };

            let mut writers = tokio::task::JoinSet::new();
            let answered = Arc::new(tokio::sync::Notify::new());
            for writer in 0..20 {
                let (catalog, answered) = (Arc::clone(&catalog), Arc::clone(&answered));
                writers.spawn(async move {
                    let mut answers = Vec::new();
                    for step in 0..10_000 {
                        let column = [(format!("w{writer}_{step}"), ColumnType::Bigint)];
                        match catalog.add_columns("p", "c", &column).await {
                            Ok(columns) => {
                                answers.push(columns);
                                answered.notify_one();
                            }
                            Err(CatalogError::Unavailable(_)) => return answers,
                            Err(error) => panic!("{error}"),
                        }
                    }
                    panic!("no outage was noticed");
                });
            }
            answered.notified().await;
            tokio::time::sleep(seconds(2)).await;
            tokio::task::block_in_place(|| server.kill());
            let answers: Vec<_> = writers.join_all().await.into_iter().flatten().collect();
            assert!(!answers.is_empty());
            let down = catalog.table("p", "c").await;
            assert!(
                matches!(down, Err(CatalogError::Unavailable(_))),
                "{kind:?}: {down:?}"
            );
            let opened = SqlCatalog::open(&store).await;
            assert!(
                matches!(opened, Err(CatalogError::Unavailable(_))),
                "{kind:?}: {opened:?}"
            );
            assert_eq!(decide("first"), Ok(known), "what is known is served");
            while !matches!(decide("second"), Err(NotYet::Failed(_))) {}

            tokio::task::block_in_place(|| server.restart());
            let after = catalog.table("p", "c").await.unwrap().unwrap();
            for columns in &answers {
                assert_eq!(columns[..], after[..columns.len()], "{kind:?}");
            }
            let more = wanted(&[("last", ColumnType::Date)]);
            let last = catalog.add_columns("p", "c", &more).await.unwrap();
            assert_eq!(last.len(), after.len() + 1);
            while decide("second").is_err() {}
        }
    });
}
