//! What every catalog must do, whatever keeps it: one suite for all.

use std::sync::Arc;

use alluvium::catalog::{Catalog, CatalogError, Columns, SqlCatalog};
use alluvium::config::settings::Store;
use alluvium::table::ColumnType;

use super::config::Config;
use super::program::{alluvium, stderr};

/// A catalog in which nothing is yet. Called again, it gives another view of the same: as another process has it.
pub type Open<'a> = &'a dyn Fn() -> Arc<dyn Catalog>;

pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

/// Opens a database, in a test that runs on [`runtime`].
pub fn opened(store: &Store) -> Result<SqlCatalog, CatalogError> {
    let handle = tokio::runtime::Handle::current();
    tokio::task::block_in_place(|| handle.block_on(SqlCatalog::open(store)))
}

pub fn wanted(columns: &[(&str, ColumnType)]) -> Vec<(String, ColumnType)> {
    let owned = |(name, kind): &(&str, ColumnType)| ((*name).to_owned(), kind.clone());
    columns.iter().map(owned).collect()
}

pub fn shown(columns: &Columns) -> Vec<String> {
    columns
        .iter()
        .map(|column| format!("{} {} {}", column.id, column.name, column.kind))
        .collect()
}

/// What `alluvium catalog` prints of a table.
pub fn listing(config: &Config, table: &str) -> String {
    let file = config.write().display().to_string();
    let output = alluvium(&["catalog", "--config", &file, "--table", table]);
    assert!(output.status.success(), "{}", stderr(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// The columns in a [`listing`]: name, and type up to its first space.
pub fn listed(listing: &str) -> Vec<(String, String)> {
    let column = |line: &str| {
        let mut words = line.split_whitespace();
        words.next()?.parse::<u32>().ok()?;
        Some((words.next()?.to_owned(), words.next()?.to_owned()))
    };
    listing.lines().filter_map(column).collect()
}

/// The whole suite.
pub async fn conforms(open: Open<'_>) {
    nothing_is_there_at_first(open).await;
    columns_stay_as_they_were_decided(open).await;
    every_type_comes_back(open).await;
    names_are_lower_case_and_otherwise_exact(open).await;
    what_cannot_be_had_is_refused_whole(open).await;
    twenty_writers_agree(open).await;
}

async fn nothing_is_there_at_first(open: Open<'_>) {
    let catalog = open();
    assert_eq!(catalog.tables().await, Ok(vec![]));
    assert_eq!(catalog.table("p", "c").await, Ok(None));
    let none = catalog.add_columns("p", "c", &[]).await.unwrap();
    assert!(none.is_empty());
    assert_eq!(catalog.tables().await, Ok(vec![]), "no column, no table");
}

async fn columns_stay_as_they_were_decided(open: Open<'_>) {
    let (one, other) = (open(), open());
    let first = wanted(&[("b", ColumnType::String), ("a", ColumnType::Double)]);
    let added = one.add_columns("shop", "click", &first).await.unwrap();
    assert_eq!(shown(&added), ["1 b varchar", "2 a double"]);
    assert_eq!(
        other.table("shop", "click").await.unwrap(),
        Some(added.clone())
    );
    let more = wanted(&[
        ("a", ColumnType::Boolean),
        ("d", ColumnType::Bigint),
        ("b", ColumnType::Date),
        ("c", ColumnType::Array(ColumnType::Bigint.into())),
        ("d", ColumnType::String),
    ]);
    let all = other.add_columns("shop", "click", &more).await.unwrap();
    let expected = [
        "1 b varchar",
        "2 a double",
        "3 d bigint",
        "4 c array(bigint)",
    ];
    assert_eq!(shown(&all), expected);
    assert_eq!(all[..2], added[..], "what was there is as it was");
    assert_eq!(open().table("shop", "click").await.unwrap(), Some(all));
    let again = one.add_columns("shop", "click", &first).await.unwrap();
    assert_eq!(shown(&again)[..2], expected[..2]);
    // Another table's columns are its own.
    let same = one.add_columns("shop", "buy", &more[..1]).await.unwrap();
    assert_eq!(shown(&same), ["1 a boolean"]);
    let names: Vec<_> = one.tables().await.unwrap();
    let names: Vec<_> = names.iter().map(ToString::to_string).collect();
    assert_eq!(names, ["shop.buy", "shop.click"]);
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis() as i64;
    for column in again.iter() {
        let added = column.added_ms.expect("when it was added");
        assert!((now - 600_000..=now).contains(&added), "{added}");
    }
}

async fn every_type_comes_back(open: Open<'_>) {
    let array = |kind: &ColumnType| ColumnType::Array(Box::new(kind.clone()));
    let map = |kind: &ColumnType| ColumnType::Map(Box::new(kind.clone()));
    let decimal = ColumnType::Decimal {
        precision: 38,
        scale: 9,
    };
    let mut kinds = vec![
        ColumnType::Boolean,
        ColumnType::Integer,
        ColumnType::Bigint,
        ColumnType::Double,
        decimal,
        ColumnType::String,
        ColumnType::Binary,
        ColumnType::Date,
        ColumnType::Time,
        ColumnType::Timestamp,
        ColumnType::TimestampMicros,
    ];
    let plain = kinds.clone();
    kinds.extend(plain.iter().map(array));
    kinds.extend(plain.iter().map(map));
    // Longer than what the original's `data_type` holds.
    let fields = (0..40).map(|n| {
        (
            format!("Feld \"{n}\" é"),
            map(&array(&plain[n % plain.len()])),
        )
    });
    kinds.push(ColumnType::Struct(fields.collect()));
    let columns: Vec<_> = kinds
        .into_iter()
        .enumerate()
        .map(|(n, kind)| (format!("c{n}"), kind))
        .collect();
    open().add_columns("all", "types", &columns).await.unwrap();
    let stored = open().table("all", "types").await.unwrap().unwrap();
    let together = stored.iter().all(|c| c.added_ms == stored[0].added_ms);
    assert!(together, "added together, at one time: {stored:?}");
    let stored: Vec<_> = stored
        .iter()
        .map(|column| (column.name.clone(), column.kind.clone()))
        .collect();
    assert_eq!(stored, columns);
}

async fn names_are_lower_case_and_otherwise_exact(open: Open<'_>) {
    let catalog = open();
    let long = "ü".repeat(255);
    let names = [
        "cafe",
        "café",
        "cafe\u{301}",
        "Größe",
        "with space",
        "'; DROP TABLE columns; --",
        "\"",
        "{x}?$1",
        "😀",
        "a\tb\nc",
        "%",
        "_",
        &long,
    ];
    let columns: Vec<_> = names
        .iter()
        .map(|name| (*name, ColumnType::String))
        .collect();
    for (project, collection) in [("names", "Of.Columns"), ("Café", "😀 '"), ("cafe", "😀 '")]
    {
        let wanted = wanted(&columns);
        let added = catalog.add_columns(project, collection, &wanted).await;
        let added = added.unwrap_or_else(|error| panic!("{project}.{collection}: {error}"));
        let expected: Vec<_> = names.iter().map(|name| name.to_lowercase()).collect();
        let stored: Vec<_> = added.iter().map(|column| column.name.clone()).collect();
        assert_eq!(stored, expected);
        let upper = (project.to_uppercase(), collection.to_uppercase());
        let found = open().table(&upper.0, &upper.1).await.unwrap();
        assert_eq!(found, Some(added), "{project}.{collection}");
        let again = [("CAFÉ".to_owned(), ColumnType::Double)];
        let again = catalog
            .add_columns(project, collection, &again)
            .await
            .unwrap();
        assert_eq!(again.len(), names.len());
    }
    assert_eq!(catalog.table("names", "of columns").await, Ok(None));
    assert_eq!(catalog.table("café", "nothing").await, Ok(None));
}

async fn what_cannot_be_had_is_refused_whole(open: Open<'_>) {
    let catalog = open();
    let good = ("good".to_owned(), ColumnType::String);
    for name in ["", "nul\0", &"x".repeat(256)] {
        let wanted = [good.clone(), (name.to_owned(), ColumnType::String)];
        match catalog.add_columns("refused", "column", &wanted).await {
            Err(CatalogError::Refused { table, column, .. }) => {
                assert_eq!((table.as_str(), column.as_str()), ("refused.column", name));
            }
            other => panic!("{name:?}: {other:?}"),
        }
        let table = catalog.add_columns(name, "column", std::slice::from_ref(&good));
        let refused = matches!(table.await, Err(CatalogError::Refused { .. }));
        assert!(refused, "{name:?}");
        assert_eq!(catalog.table(name, "column").await, Ok(None));
    }
    assert_eq!(catalog.table("refused", "column").await, Ok(None));
}

/// Twenty workers add the same and other columns to the same tables at once, each wanting types of its own. All come to the
/// same order and types, every column is there once, and nobody ever saw one change.
async fn twenty_writers_agree(open: Open<'_>) {
    const WRITERS: usize = 20;
    const STEPS: usize = 6;
    let kinds = [ColumnType::String, ColumnType::Double, ColumnType::Bigint];
    let start = Arc::new(tokio::sync::Barrier::new(WRITERS));
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        let (catalog, start) = (open(), Arc::clone(&start));
        let kind = kinds[writer % kinds.len()].clone();
        writers.spawn(async move {
            start.wait().await;
            let mut seen = Vec::new();
            for step in 0..STEPS {
                let collection = format!("t{}", (writer + step) % 2);
                // Ten names that all share, in an order of one's own, and one that nobody else has.
                let mut wanted: Vec<_> = (0..10)
                    .map(|n| (format!("s{step}_{}", (n * 3 + writer) % 10), kind.clone()))
                    .collect();
                wanted.push((format!("own{writer}_{step}"), kind.clone()));
                let added = catalog.add_columns("race", &collection, &wanted).await;
                let added = added.unwrap_or_else(|error| panic!("writer {writer}: {error}"));
                assert!(wanted.iter().all(|(name, _)| added.named(name).is_some()));
                seen.push((collection, added));
            }
            seen
        });
    }
    let seen: Vec<_> = writers.join_all().await.into_iter().flatten().collect();
    for collection in ["t0", "t1"] {
        let last = open().table("race", collection).await.unwrap().unwrap();
        assert_eq!(last.len(), 10 * STEPS + WRITERS * STEPS / 2);
        let ids: Vec<_> = last.iter().map(|column| column.id as usize).collect();
        assert_eq!(ids, (1..=last.len()).collect::<Vec<_>>());
        for (_, columns) in seen.iter().filter(|(table, _)| table == collection) {
            assert_eq!(columns[..], last[..columns.len()], "a view differs");
        }
    }
}
