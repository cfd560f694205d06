//! What workers know of the catalog: looked at without I/O, and filled by tasks that ask it.
//!
//! A decision is asked for once, however many workers come to the same new field. What was answered stays: columns are only ever
//! added, so an old answer is one with fewer columns, and whoever misses one asks again. Nothing is ever taken
//! for an answer but an answer: an outage holds.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use super::names::TableName;
use super::{Catalog, CatalogError, Columns};
use crate::awaited::{Asking, NotYet, RETRY};
use crate::table::ColumnType;

/// How long a worker waits for an answer where it stands: a database that works answers sooner, and reading the stream again from
/// there would take longer.
const PATIENCE: Duration = Duration::from_millis(50);
/// That there is no such table, or no more columns, is asked anew after this time.
const DOUBT: Duration = Duration::from_millis(200);
/// More tables than this that do not exist are forgotten.
const MAX_EMPTY: usize = 16_384;

/// What the catalog has said of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Its columns. None if the catalog cannot have the table.
    pub columns: Columns,
    /// The columns that it will never have.
    pub refused: Arc<HashSet<String>>,
}

impl Told {
    /// Whether there is an answer for a column.
    fn settles(&self, name: &str) -> bool {
        self.refused.contains(name) || self.columns.named(name).is_some()
    }
}

#[cfg(test)]
impl Told {
    /// Nothing but these columns.
    pub(crate) fn only(&self, wanted: &[(String, ColumnType)]) -> Self {
        let is_wanted = |name: &str| wanted.iter().any(|(wanted, _)| wanted == name);
        let columns = self.columns.iter().filter(|column| is_wanted(&column.name));
        Self {
            columns: columns.cloned().collect(),
            refused: self.refused.clone(),
        }
    }
}

/// Tells workers which columns tables have. Names are lower case.
pub trait Tables: fmt::Debug + Send + Sync + 'static {
    /// The columns of a table, of which there are more than `known` if it can be: `Ok(None)` if it is certain that there is no
    /// such table.
    ///
    /// # Errors
    /// Why there is no answer yet.
    fn columns(
        &self,
        project: &str,
        collection: &str,
        known: usize,
    ) -> Result<Option<Told>, NotYet>;

    /// The columns of a table after each of `wanted` was decided: added with the type wanted if there was none of its name.
    ///
    /// # Errors
    /// Why there is no answer yet.
    fn decide(
        &self,
        project: &str,
        collection: &str,
        wanted: &[(String, ColumnType)],
    ) -> Result<Told, NotYet>;
}

/// A catalog's tables as far as they are known, shared by all workers of the process.
#[derive(Debug)]
pub struct Binding {
    shared: Arc<Shared>,
    asking: Asking<TableName, Question>,
}

#[derive(Debug, Default)]
struct Shared {
    tables: Mutex<HashMap<TableName, Entry>>,
    answered: Condvar,
}

/// One table.
#[derive(Debug, Default)]
struct Entry {
    told: Option<Told>,
    /// Since when a question about it is under way.
    asked: Option<Instant>,
    /// When the catalog was last asked for what was there already, and had nothing new; and whether somebody has yet to see it, who
    /// was sent away meanwhile.
    nothing_new: Option<(Instant, bool)>,
    trouble: Option<(Instant, NotYet)>,
}

#[derive(Debug)]
enum Question {
    Read,
    Add(Vec<(String, ColumnType)>),
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, HashMap<TableName, Entry>> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn learn(&self, table: TableName, answer: Answer) {
        self.lock().entry(table).or_default().learn(answer);
        self.answered.notify_all();
    }
}

impl Binding {
    /// Asks `catalog` on `runtime`, as long as somebody wants to know.
    pub fn new(catalog: Arc<dyn Catalog>, runtime: &Handle) -> Self {
        let shared = Arc::new(Shared::default());
        let learning = shared.clone();
        let asking = Asking::new(
            runtime,
            move |table, question| ask(catalog.clone(), table, question),
            |why| Err(CatalogError::Unavailable(why)),
            move |table, answer| learning.learn(table, answer),
        );
        Self { shared, asking }
    }

    /// Looks until `enough` finds what it needs, asking `question` if it does not; waits a little for the answer.
    fn look<T>(
        &self,
        project: &str,
        collection: &str,
        question: impl Fn() -> Question,
        enough: impl Fn(&mut Entry) -> Option<T>,
    ) -> Result<T, NotYet> {
        let table = TableName::new(project, collection);
        let mut tables = self.shared.lock();
        if tables.len() >= MAX_EMPTY && !tables.contains_key(&table) {
            tables.retain(|_, entry| entry.told.is_some() || entry.asked.is_some());
        }
        loop {
            let entry = tables.entry(table.clone()).or_default();
            if let Some(found) = enough(entry) {
                return Ok(found);
            }
            let trouble = match &entry.trouble {
                Some((at, why)) if at.elapsed() < RETRY => return Err(why.clone()),
                Some((_, why)) => Some(why.clone()),
                None => None,
            };
            let asked = match entry.asked {
                Some(asked) => asked,
                None => {
                    let now = Instant::now();
                    if !self.asking.ask(table.clone(), question()) {
                        return Err(trouble.unwrap_or(NotYet::Asked));
                    }
                    *entry.asked.insert(now)
                }
            };
            // Once for each question, and not where there was trouble: other partitions must not wait for it.
            let left = (asked + PATIENCE).saturating_duration_since(Instant::now());
            if let (Some(_), _) | (None, Duration::ZERO) = (&trouble, left) {
                return Err(trouble.unwrap_or(NotYet::Asked));
            }
            let waited = self.shared.answered.wait_timeout(tables, left);
            tables = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Tables for Binding {
    fn columns(
        &self,
        project: &str,
        collection: &str,
        known: usize,
    ) -> Result<Option<Told>, NotYet> {
        self.look(
            project,
            collection,
            || Question::Read,
            |entry| match &entry.told {
                Some(told) if told.columns.len() > known => Some(Some(told.clone())),
                told => {
                    let (at, unseen) = entry.nothing_new?;
                    let told = told.clone();
                    entry.nothing_new = Some((at, false));
                    (unseen || at.elapsed() < DOUBT).then_some(told)
                }
            },
        )
    }

    fn decide(
        &self,
        project: &str,
        collection: &str,
        wanted: &[(String, ColumnType)],
    ) -> Result<Told, NotYet> {
        let settled = |entry: &mut Entry| {
            let told = entry.told.as_ref()?;
            let all = wanted.iter().all(|(name, _)| told.settles(name));
            all.then(|| told.clone())
        };
        let question = || Question::Add(wanted.to_vec());
        self.look(project, collection, question, settled)
    }
}

/// The columns of a table and those it will never have, or that there is no such table.
type Answer = Result<Option<(Columns, HashSet<String>)>, CatalogError>;

async fn ask(catalog: Arc<dyn Catalog>, table: TableName, question: Question) -> Answer {
    match question {
        Question::Read => read(&*catalog, &table).await,
        Question::Add(wanted) => add(&*catalog, &table, wanted).await.map(Some),
    }
}

async fn read(catalog: &dyn Catalog, table: &TableName) -> Answer {
    let columns = catalog.table(&table.project, &table.collection).await?;
    Ok(columns.map(|columns| (columns, HashSet::new())))
}

/// Adds what the catalog takes. Gives all columns of the table, and those it refused.
async fn add(
    catalog: &dyn Catalog,
    table: &TableName,
    mut wanted: Vec<(String, ColumnType)>,
) -> Result<(Columns, HashSet<String>), CatalogError> {
    let mut refused = HashSet::new();
    loop {
        let (project, collection) = (&table.project, &table.collection);
        let (column, why) = match catalog.add_columns(project, collection, &wanted).await {
            Ok(columns) => return Ok((columns, refused)),
            Err(CatalogError::Refused { column, why, .. }) => (column, why),
            Err(other) => return Err(other),
        };
        tracing::warn!(
            %table, column, why,
            "the catalog cannot have it: what belongs there is kept in _misfit"
        );
        let before = wanted.len();
        wanted.retain(|(name, _)| {
            // The whole table, if it does not say which.
            let goes = column.is_empty() || *name == column;
            goes.then(|| refused.insert(name.clone()));
            !goes
        });
        if wanted.is_empty() || wanted.len() == before {
            refused.extend(wanted.into_iter().map(|(name, _)| name));
            let columns = match column.is_empty() {
                true => Columns::default(),
                false => catalog
                    .table(project, collection)
                    .await?
                    .unwrap_or_default(),
            };
            return Ok((columns, refused));
        }
    }
}

impl Entry {
    fn learn(&mut self, answer: Answer) {
        self.asked = None;
        let (columns, refused) = match answer {
            Ok(Some(answer)) => answer,
            // Somebody removed a table by hand: what was decided for it still binds this process.
            Ok(None) => (Columns::default(), HashSet::new()),
            Err(CatalogError::Unavailable(why)) => {
                self.trouble = Some((Instant::now(), NotYet::Failed(why.into())));
                return;
            }
            Err(error) => {
                let why = error.to_string().into();
                self.trouble = Some((Instant::now(), NotYet::Refused(why)));
                return;
            }
        };
        self.trouble = None;
        let known = self.told.as_ref().map_or(0, |told| told.columns.len());
        if columns.len() <= known {
            self.nothing_new = Some((Instant::now(), true));
        }
        if columns.is_empty() && refused.is_empty() {
            return;
        }
        let told = self.told.get_or_insert_default();
        if columns.len() > known {
            told.columns = columns;
        }
        if !refused.is_empty() {
            Arc::make_mut(&mut told.refused).extend(refused);
        }
    }
}

#[cfg(test)]
mod tests;
