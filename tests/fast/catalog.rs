//! Catalogs that need no service, and the command that shows one.

use std::path::Path;
use std::sync::Arc;

use alluvium::catalog::{Catalog, CatalogError, MemoryCatalog, SqlCatalog};
use alluvium::config::settings::Store;
use alluvium::table::ColumnType;

use crate::support::catalog::{conforms, opened, runtime, shown, wanted};
use crate::support::config::Config;
use crate::support::output::scratch;
use crate::support::program::{alluvium, stderr};

fn store(file: &Path) -> Store {
    let (_scratch, directory) = scratch();
    let config = Config::new(&directory, "127.0.0.1:9", "events").set(
        "metadata.store.jdbc.url",
        &format!("jdbc:sqlite:{}", file.display()),
    );
    let loaded = alluvium::config::load(&config.write(), [], &[]).unwrap();
    loaded.settings.store.unwrap()
}

fn open(store: &Store) -> Result<Arc<dyn Catalog>, CatalogError> {
    Ok(Arc::new(opened(store)?))
}

/// A file as another program makes it.
async fn sqlite(file: &Path, statements: &[&'static str]) {
    use sqlx::ConnectOptions;
    let options = sqlx::sqlite::SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(true);
    let mut connection = options.connect().await.unwrap();
    for statement in statements {
        sqlx::query(*statement)
            .execute(&mut connection)
            .await
            .unwrap();
    }
}

#[test]
fn memory_conforms() {
    let catalog = Arc::new(MemoryCatalog::default());
    runtime().block_on(conforms(&|| catalog.clone()));
}

#[test]
fn sqlite_conforms() {
    let (_scratch, directory) = scratch();
    let store = store(&directory.join("catalog.db"));
    runtime().block_on(conforms(&|| open(&store).unwrap()));
}

#[test]
fn twenty_that_start_at_once_make_one_catalog() {
    let (_scratch, directory) = scratch();
    let store = store(&directory.join("catalog.db"));
    runtime().block_on(async {
        let mut starts = tokio::task::JoinSet::new();
        for _ in 0..20 {
            let store = store.clone();
            starts.spawn(async move { SqlCatalog::open(&store).await.unwrap().is_foreign() });
        }
        assert_eq!(starts.join_all().await, [false; 20]);
    });
}

#[test]
fn what_is_no_catalog_is_told_and_left_alone() {
    let (_scratch, directory) = scratch();
    let refused = |name: &str, statements: &[&'static str], why: &str| {
        let file = directory.join(name);
        runtime().block_on(async {
            sqlite(&file, statements).await;
            match open(&store(&file)) {
                Err(CatalogError::Misconfigured(text)) => {
                    assert!(text.contains(why) && text.contains(name), "{text}");
                }
                other => panic!("{name}: {other:?}"),
            }
        });
    };
    refused(
        "other.db",
        &[
            "CREATE TABLE tables (legs INTEGER)",
            "CREATE TABLE columns (table_id BIGINT)",
        ],
        "has no column table_id",
    );
    refused(
        "newer.db",
        &[
            "CREATE TABLE tables (table_id INTEGER PRIMARY KEY, schema_name TEXT, table_name TEXT)",
            "CREATE TABLE columns (table_id BIGINT, column_id INTEGER PRIMARY KEY, column_name TEXT, data_type TEXT)",
            "CREATE TABLE alluvium_catalog (version BIGINT)",
            "INSERT INTO alluvium_catalog VALUES (1), (2)",
        ],
        "version 2",
    );
    let nowhere = runtime().block_on(async { open(&store(&directory.join("no/such/c.db"))) });
    assert!(
        matches!(nowhere, Err(CatalogError::Misconfigured(_))),
        "{nowhere:?}"
    );
    std::fs::write(
        directory.join("text.db"),
        "this is no database, and long enough to be none",
    )
    .unwrap();
    let text = runtime().block_on(async { open(&store(&directory.join("text.db"))) });
    assert!(
        matches!(text, Err(CatalogError::Misconfigured(_))),
        "{text:?}"
    );
}

/// The least that the original reads: no times, no versions, no constraint but the keys.
#[test]
fn a_type_that_cannot_be_read_is_told_and_never_replaced() {
    let (_scratch, directory) = scratch();
    let file = directory.join("foreign.db");
    runtime().block_on(async {
        sqlite(
            &file,
            &[
                "CREATE TABLE tables (table_id INTEGER PRIMARY KEY, schema_name TEXT, table_name TEXT, UNIQUE (schema_name, table_name))",
                "CREATE TABLE columns (table_id BIGINT, column_id INTEGER PRIMARY KEY, column_name TEXT, data_type TEXT, UNIQUE (table_id, column_name))",
                "INSERT INTO tables VALUES (7, 'shop', 'good'), (8, 'shop', 'bad')",
                "INSERT INTO columns VALUES (7, 3, 'Ok', 'VARCHAR(20)'), (8, 4, 'sketch', 'HyperLogLog')",
            ],
        )
        .await;
        let catalog = open(&store(&file)).unwrap();
        let more = wanted(&[("sketch", ColumnType::String), ("new", ColumnType::String)]);
        for error in [
            catalog.table("shop", "bad").await.unwrap_err(),
            catalog.add_columns("shop", "bad", &more).await.unwrap_err(),
        ] {
            let text = error.to_string();
            assert!(matches!(error, CatalogError::Misconfigured(_)), "{text}");
            for part in ["shop.bad", "\"sketch\"", "HyperLogLog", "foreign.db"] {
                assert!(text.contains(part), "{part}: {text}");
            }
        }
        let all = catalog.add_columns("shop", "good", &more[1..]).await.unwrap();
        assert_eq!(shown(&all), ["1 ok varchar", "2 new varchar"]);
        assert_eq!(all[0].added_ms, None);
    });
    let config = Config::new(&directory, "127.0.0.1:9", "events").set(
        "metadata.store.jdbc.url",
        &format!("sqlite:{}", file.display()),
    );
    let output = alluvium(&["catalog", "--config", &config.write().display().to_string()]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}{}", stderr(&output));
    assert!(text.contains("shop.good\n     1  ok"), "{text}");
    assert!(text.contains("shop.bad\n  cannot be read: "), "{text}");
}

#[test]
fn the_command_shows_tables_and_what_changed() {
    let (_scratch, directory) = scratch();
    let file = directory.join("catalog.db");
    let config = Config::new(&directory, "127.0.0.1:9", "events")
        .set(
            "metadata.store.jdbc.url",
            &format!("jdbc:sqlite:{}", file.display()),
        )
        .set("metadata.store.jdbc.password", "hunter2");
    let path = config.write().display().to_string();
    let show = |arguments: &[&str]| {
        let output = alluvium(&[&["catalog", "--config", &path], arguments].concat());
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(!text.contains("hunter2") && !stderr(&output).contains("hunter2"));
        (output.status.code(), text, stderr(&output))
    };
    let (code, text, errors) = show(&[]);
    assert_eq!(code, Some(0), "{errors}");
    assert!(text.ends_with("catalog.db: 0 tables\n"), "{text}");
    runtime().block_on(async {
        let catalog = open(&store(&file)).unwrap();
        let first = wanted(&[
            ("_time", ColumnType::Timestamp),
            ("_user", ColumnType::String),
        ]);
        catalog.add_columns("shop", "click", &first).await.unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        let more = wanted(&[("tags", ColumnType::Map(ColumnType::Double.into()))]);
        catalog.add_columns("shop", "click", &more).await.unwrap();
        catalog.add_columns("shop", "buy", &first).await.unwrap();
    });
    let (code, text, errors) = show(&[]);
    assert_eq!(code, Some(0), "{errors}");
    assert!(text.contains("catalog.db: 2 tables"), "{text}");
    assert!(
        text.contains("\nshop.click\n     1  _time  timestamp            20"),
        "{text}"
    );
    assert!(
        text.contains("     3  tags   map(varchar,double)  20"),
        "{text}"
    );
    assert!(!text.contains("changes"), "{text}");
    let (code, text, errors) = show(&["--table", "Shop.click"]);
    assert_eq!(code, Some(0), "{errors}");
    let changes: Vec<_> = text.split_once("changes\n").unwrap().1.lines().collect();
    assert_eq!(changes.len(), 2, "{text}");
    assert!(
        changes[0].ends_with("Z  made with _time timestamp, _user varchar"),
        "{text}"
    );
    assert!(
        changes[1].ends_with("Z  added tags map(varchar,double)"),
        "{text}"
    );
    let (code, _, errors) = show(&["--table", "shop.nothing"]);
    assert_eq!(code, Some(1));
    assert!(errors.contains("no table shop.nothing"), "{errors}");
    assert_eq!(show(&["--table", "shop"]).0, Some(2));
}

#[test]
fn without_a_database_there_is_no_catalog_to_show() {
    let (_scratch, directory) = scratch();
    let config = Config::new(&directory, "127.0.0.1:9", "events");
    let output = alluvium(&["catalog", "--config", &config.write().display().to_string()]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("metadata.store.jdbc.url"),
        "{}",
        stderr(&output)
    );
}
