//! A catalog's answers, kept for a while.
//!
//! Columns are only ever added, so what was read once stays true: it may be served after its time when the catalog behind does not
//! answer, and an older answer is one with fewer columns. Tables that do not exist are not remembered, since their names
//! come from records and there is no end of them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use alluvium_target::Table;
use async_trait::async_trait;
use tokio::time::Instant;

use super::names::{TableName, checked};
use super::{Catalog, CatalogError, Columns};
use crate::table::ColumnType;

/// A catalog in front of another: answers from memory, asks again after an interval.
#[derive(Debug)]
pub struct Cached<C> {
    behind: C,
    interval: Duration,
    entries: Mutex<HashMap<TableName, Arc<Entry>>>,
}

/// One table.
#[derive(Debug, Default)]
struct Entry {
    known: Mutex<Option<Known>>,
    /// Held while the catalog behind is asked: those who wait for it find the answer.
    asking: tokio::sync::Mutex<()>,
}

impl Entry {
    fn known(&self) -> Option<Known> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.clone()
    }

    /// What was learnt less than `interval` ago.
    fn fresh(&self, interval: Duration) -> Option<Columns> {
        let known = self.known()?;
        (known.asked.elapsed() < interval).then_some(known.columns)
    }

    /// Takes an answer of just now; gives it, or what was known if that was more.
    fn learn(&self, columns: Columns) -> Columns {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let before = known.take().map(|known| known.columns);
        let columns = before
            .filter(|before| before.len() > columns.len())
            .unwrap_or(columns);
        *known = (!columns.is_empty()).then(|| Known {
            columns: columns.clone(),
            asked: Instant::now(),
        });
        columns
    }
}

#[derive(Clone, Debug)]
struct Known {
    columns: Columns,
    asked: Instant,
}

impl<C: Catalog> Cached<C> {
    /// Answers for `behind`, and asks it at most once per `interval` for a table that is known.
    pub fn new(behind: C, interval: Duration) -> Self {
        Self {
            behind,
            interval,
            entries: Mutex::default(),
        }
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<TableName, Arc<Entry>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn entry(&self, table: &TableName) -> Arc<Entry> {
        let mut entries = self.entries();
        if let Some(entry) = entries.get(table) {
            return Arc::clone(entry);
        }
        Arc::clone(entries.entry(table.clone()).or_default())
    }

    /// Forgets an entry that holds nothing, unless somebody else waits for it.
    fn leave(&self, table: &TableName, entry: &Arc<Entry>) {
        let mut entries = self.entries();
        // One count is the map's, one the caller's.
        let alone = Arc::strong_count(entry) <= 2;
        let mapped = entries.get(table).is_some_and(|at| Arc::ptr_eq(at, entry));
        if alone && mapped && entry.known().is_none() {
            entries.remove(table);
        }
    }

    async fn ask(&self, entry: &Entry, table: &TableName) -> Result<Option<Columns>, CatalogError> {
        if let Some(columns) = entry.fresh(self.interval) {
            return Ok(Some(columns));
        }
        let _asking = entry.asking.lock().await;
        if let Some(columns) = entry.fresh(self.interval) {
            return Ok(Some(columns));
        }
        let answer = self.behind.table(&table.project, &table.collection).await;
        let known = entry.known().map(|known| known.columns);
        match (answer, known) {
            (Ok(Some(columns)), _) => Ok(Some(entry.learn(columns))),
            (Err(CatalogError::Unavailable(why)), Some(known)) => {
                tracing::warn!(%table, "{why}; going on with the columns read before");
                Ok(Some(entry.learn(known)))
            }
            // Somebody removed a table by hand: what was decided for it still binds this process.
            (Ok(None), Some(known)) => Ok(Some(entry.learn(known))),
            (other, _) => other,
        }
    }

    async fn add(
        &self,
        entry: &Entry,
        table: &TableName,
        wanted: &[(String, ColumnType)],
    ) -> Result<Columns, CatalogError> {
        let decided = || {
            let columns = entry.known()?.columns;
            let has = |(name, _): &(String, _)| columns.named(name).is_some();
            wanted.iter().all(has).then_some(columns)
        };
        if let Some(columns) = decided() {
            return Ok(columns);
        }
        // Workers that meet a new field at the same time ask once.
        let _asking = entry.asking.lock().await;
        if let Some(columns) = decided() {
            return Ok(columns);
        }
        let (project, collection) = (&table.project, &table.collection);
        let added = self.behind.add_columns(project, collection, wanted).await?;
        Ok(entry.learn(added))
    }
}

#[async_trait]
impl<C: Catalog> Catalog for Cached<C> {
    async fn table(
        &self,
        project: &str,
        collection: &str,
    ) -> Result<Option<Columns>, CatalogError> {
        let table = TableName::new(project, collection);
        let entry = self.entry(&table);
        let answer = self.ask(&entry, &table).await;
        self.leave(&table, &entry);
        answer
    }

    async fn add_columns(
        &self,
        project: &str,
        collection: &str,
        wanted: &[(String, ColumnType)],
    ) -> Result<Columns, CatalogError> {
        let (table, wanted) = checked(project, collection, wanted)?;
        let entry = self.entry(&table);
        let answer = self.add(&entry, &table, &wanted).await;
        self.leave(&table, &entry);
        answer
    }

    async fn tables(&self) -> Result<Vec<Table>, CatalogError> {
        self.behind.tables().await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use super::*;
    use crate::catalog::MemoryCatalog;

    const INTERVAL: Duration = Duration::from_secs(30);

    /// Counts what it is asked, takes its time, and fails when told to.
    #[derive(Debug, Default)]
    struct Slow {
        memory: MemoryCatalog,
        reads: AtomicUsize,
        adds: AtomicUsize,
        down: AtomicBool,
    }

    impl Slow {
        async fn answer(&self, count: &AtomicUsize) -> Result<(), CatalogError> {
            count.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_secs(1)).await;
            match self.down.load(Ordering::Relaxed) {
                true => Err(CatalogError::Unavailable("down".into())),
                false => Ok(()),
            }
        }

        fn asked(&self) -> (usize, usize) {
            let of = |count: &AtomicUsize| count.load(Ordering::Relaxed);
            (of(&self.reads), of(&self.adds))
        }
    }

    #[async_trait]
    impl Catalog for Arc<Slow> {
        async fn table(
            &self,
            project: &str,
            collection: &str,
        ) -> Result<Option<Columns>, CatalogError> {
            self.answer(&self.reads).await?;
            self.memory.table(project, collection).await
        }

        async fn add_columns(
            &self,
            project: &str,
            collection: &str,
            wanted: &[(String, ColumnType)],
        ) -> Result<Columns, CatalogError> {
            self.answer(&self.adds).await?;
            self.memory.add_columns(project, collection, wanted).await
        }

        async fn tables(&self) -> Result<Vec<Table>, CatalogError> {
            self.memory.tables().await
        }
    }

    fn wanted(names: &[&str]) -> Vec<(String, ColumnType)> {
        let column = |name: &&str| ((*name).to_owned(), ColumnType::String);
        names.iter().map(column).collect()
    }

    fn new() -> (Arc<Slow>, Arc<Cached<Arc<Slow>>>) {
        let slow = Arc::new(Slow::default());
        let cached = Cached::new(Arc::clone(&slow), INTERVAL);
        (slow, Arc::new(cached))
    }

    async fn columns(cached: &Cached<Arc<Slow>>) -> usize {
        let found = cached.table("p", "c").await.unwrap();
        found.map_or(0, |columns| columns.len())
    }

    #[tokio::test(start_paused = true)]
    async fn a_known_table_is_asked_for_once_per_interval() {
        let (slow, cached) = new();
        slow.memory
            .add_columns("p", "c", &wanted(&["a"]))
            .await
            .unwrap();
        for _ in 0..100 {
            assert_eq!(columns(&cached).await, 1);
        }
        assert_eq!(slow.asked(), (1, 0));
        // What another process adds is seen after the interval.
        slow.memory
            .add_columns("p", "c", &wanted(&["b"]))
            .await
            .unwrap();
        assert_eq!(columns(&cached).await, 1);
        tokio::time::advance(INTERVAL).await;
        assert_eq!(columns(&cached).await, 2);
        assert_eq!(slow.asked(), (2, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_miss_at_the_same_time_ask_once() {
        let (slow, cached) = new();
        slow.memory
            .add_columns("p", "c", &wanted(&["a"]))
            .await
            .unwrap();
        let all = (0..20).map(|_| columns(&cached));
        assert_eq!(futures_util::future::join_all(all).await, [1; 20]);
        let more = wanted(&["A", "b"]);
        let all = (0..20).map(|_| cached.add_columns("P", "c", &more));
        for added in futures_util::future::join_all(all).await {
            assert_eq!(added.unwrap().len(), 2);
        }
        assert_eq!(slow.asked(), (1, 1));
        assert_eq!(columns(&cached).await, 2, "known after an addition");
        assert_eq!(slow.asked(), (1, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn an_outage_hides_nothing_that_is_known_and_decides_nothing() {
        let (slow, cached) = new();
        cached.add_columns("p", "c", &wanted(&["a"])).await.unwrap();
        slow.down.store(true, Ordering::Relaxed);
        tokio::time::advance(INTERVAL).await;
        assert_eq!(columns(&cached).await, 1);
        let known = cached.add_columns("p", "c", &wanted(&["a"])).await;
        assert_eq!(known.unwrap().len(), 1);
        let unavailable = |answer: Result<(), CatalogError>| {
            assert!(
                matches!(answer, Err(CatalogError::Unavailable(_))),
                "{answer:?}"
            );
        };
        let new = wanted(&["b"]);
        unavailable(cached.add_columns("p", "c", &new).await.map(drop));
        unavailable(cached.table("p", "other").await.map(drop));
        assert_eq!(columns(&cached).await, 1);
        slow.down.store(false, Ordering::Relaxed);
        assert_eq!(cached.add_columns("p", "c", &new).await.unwrap().len(), 2);
    }

    /// A reader does not wait for somebody who waits for the database.
    #[tokio::test(start_paused = true)]
    async fn what_is_known_is_served_while_others_ask() {
        let (slow, cached) = new();
        cached.add_columns("p", "c", &wanted(&["a"])).await.unwrap();
        let adding = Arc::clone(&cached);
        let adding =
            tokio::spawn(async move { adding.add_columns("p", "c", &wanted(&["b"])).await });
        tokio::task::yield_now().await;
        assert_eq!(slow.asked().1, 2);
        assert_eq!(columns(&cached).await, 1);
        assert!(!adding.is_finished());
        assert_eq!(adding.await.unwrap().unwrap().len(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn tables_that_do_not_exist_are_not_remembered() {
        let (_, cached) = new();
        for number in 0..100 {
            let name = number.to_string();
            assert_eq!(cached.table("p", &name).await, Ok(None));
        }
        assert!(cached.entries().is_empty());
    }
}
