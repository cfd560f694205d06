use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use alluvium_target::Table;
use async_trait::async_trait;
use tokio::runtime::Runtime;

use super::*;
use crate::catalog::MemoryCatalog;

/// Counts what it is asked, takes its time, and fails when told to.
#[derive(Debug, Default)]
struct Behind {
    memory: MemoryCatalog,
    reads: AtomicUsize,
    adds: AtomicUsize,
    millis: AtomicU64,
    error: Mutex<Option<CatalogError>>,
}

impl Behind {
    async fn answer(&self, count: &AtomicUsize) -> Result<(), CatalogError> {
        count.fetch_add(1, Ordering::Relaxed);
        let millis = self.millis.load(Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(millis)).await;
        self.error.lock().unwrap().clone().map_or(Ok(()), Err)
    }

    fn asked(&self) -> (usize, usize) {
        let of = |count: &AtomicUsize| count.load(Ordering::Relaxed);
        (of(&self.reads), of(&self.adds))
    }

    fn fail(&self, error: Option<CatalogError>) {
        *self.error.lock().unwrap() = error;
    }
}

#[async_trait]
impl Catalog for Behind {
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

/// The tests stand where workers do: on threads of their own.
struct Bench {
    behind: Arc<Behind>,
    binding: Binding,
    runtime: Runtime,
}

impl Bench {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let behind = Arc::new(Behind::default());
        let binding = Binding::new(behind.clone(), runtime.handle());
        Self {
            behind,
            binding,
            runtime,
        }
    }

    /// Another process adds a column.
    fn elsewhere(&self, name: &str) {
        let wanted = wanted(&[name]);
        let added = self.behind.memory.add_columns("p", "c", &wanted);
        self.runtime.block_on(added).unwrap();
    }
}

fn wanted(names: &[&str]) -> Vec<(String, ColumnType)> {
    let column = |name: &&str| ((*name).to_owned(), ColumnType::String);
    names.iter().map(column).collect()
}

fn names(told: &Told) -> Vec<&str> {
    let columns = told.columns.iter();
    columns.map(|column| column.name.as_str()).collect()
}

/// What is answered in a minute, if the question is repeated.
fn until<T>(mut ready: impl FnMut() -> Option<T>) -> T {
    for _ in 0..6000 {
        if let Some(value) = ready() {
            return value;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("not within a minute");
}

/// Whether it is so one time of ten: what has a limit of milliseconds may be late on a busy machine, but not always.
fn once_in_ten(is_so: impl FnMut(usize) -> bool) -> bool {
    (0..10).any(is_so)
}

#[test]
fn workers_who_meet_a_new_field_at_once_ask_once() {
    let bench = Bench::new();
    bench.behind.millis.store(20, Ordering::Relaxed);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let told = until(|| bench.binding.decide("P", "c", &wanted(&["a", "b"])).ok());
                assert_eq!(names(&told), ["a", "b"]);
            });
        }
    });
    assert_eq!(bench.behind.asked(), (0, 1));
    bench.binding.decide("p", "C", &wanted(&["b"])).unwrap();
    assert_eq!(bench.behind.asked(), (0, 1));
}

#[test]
fn an_answer_that_comes_soon_is_waited_for_and_no_other() {
    let bench = Bench::new();
    assert!(once_in_ten(|time| {
        let column = format!("a{time}");
        bench
            .binding
            .decide("p", "c", &wanted(&[column.as_str()]))
            .is_ok()
    }));
    bench.behind.millis.store(600_000, Ordering::Relaxed);
    let before = Instant::now();
    let hung = bench.binding.decide("p", "c", &wanted(&["b"]));
    assert_eq!(hung, Err(NotYet::Asked));
    assert!(
        before.elapsed() < Duration::from_secs(60),
        "{:?}",
        before.elapsed()
    );
}

#[test]
fn an_outage_hides_nothing_that_is_known_and_decides_nothing() {
    let bench = Bench::new();
    until(|| bench.binding.decide("p", "c", &wanted(&["a"])).ok());
    bench
        .behind
        .fail(Some(CatalogError::Unavailable("down".into())));
    let failed = |answer: Result<(), NotYet>| answer == Err(NotYet::Failed("down".into()));
    until(|| failed(bench.binding.decide("p", "c", &wanted(&["b"])).map(drop)).then_some(()));
    until(|| failed(bench.binding.columns("p", "other", 0).map(drop)).then_some(()));
    bench.binding.decide("p", "c", &wanted(&["a"])).unwrap();
    let known = bench.binding.columns("p", "c", 0).unwrap();
    assert_eq!(names(&known.unwrap()), ["a"]);
    bench.behind.fail(None);
    let told = until(|| bench.binding.decide("p", "c", &wanted(&["b"])).ok());
    assert_eq!(names(&told), ["a", "b"]);
}

#[test]
fn what_needs_a_person_is_told_as_such() {
    let bench = Bench::new();
    bench
        .behind
        .fail(Some(CatalogError::Misconfigured("no such user".into())));
    let why = until(|| match bench.binding.decide("p", "c", &wanted(&["a"])) {
        Err(NotYet::Refused(why)) => Some(why),
        _ => None,
    });
    assert!(why.contains("no such user"), "{why}");
}

#[test]
fn a_column_that_is_refused_does_not_keep_the_others_from_being_added() {
    let bench = Bench::new();
    let bad = "n\0";
    let told = until(|| {
        bench
            .binding
            .decide("p", "c", &wanted(&["a", bad, "b"]))
            .ok()
    });
    assert_eq!(names(&told), ["a", "b"]);
    assert!(told.refused.contains(bad));
    let asked = bench.behind.asked();
    bench.binding.decide("p", "c", &wanted(&[bad])).unwrap();
    assert_eq!(bench.behind.asked(), asked, "it is not asked for again");
    let table = "x".repeat(300);
    let told = until(|| bench.binding.decide("p", &table, &wanted(&["a"])).ok());
    assert_eq!(names(&told), [""; 0]);
    assert!(told.refused.contains("a"));
}

#[test]
fn whoever_has_not_enough_columns_sees_those_that_others_have_added() {
    let bench = Bench::new();
    assert_eq!(until(|| bench.binding.columns("p", "c", 0).ok()), None);
    bench.elsewhere("a");
    let told = until(|| bench.binding.columns("p", "c", 0).ok().flatten());
    assert_eq!(names(&told), ["a"]);
    let asked = bench.behind.asked();
    for _ in 0..100 {
        bench.binding.columns("p", "c", 0).unwrap();
    }
    assert_eq!(bench.behind.asked(), asked);
    bench.elsewhere("b");
    let told = until(|| {
        let told = bench.binding.columns("p", "c", 1).ok().flatten()?;
        (told.columns.len() > 1).then_some(told)
    });
    assert_eq!(names(&told), ["a", "b"]);
    // There is nothing new: the answer is what there is, and the database is not asked for each record.
    let asked = bench.behind.asked().0;
    for _ in 0..100 {
        let told = until(|| bench.binding.columns("p", "c", 2).ok().flatten());
        assert_eq!(names(&told), ["a", "b"]);
    }
    assert!(bench.behind.asked().0 <= asked + 20);
}

/// A database that takes longer than anybody waits for it: whoever comes again has an answer, however many tables there are, and no
/// worker stands still for all of them.
#[test]
fn a_slow_catalog_answers_all_who_come_again_and_holds_nobody_up() {
    // Once for each question, and there are eight.
    let soon = Duration::from_millis(8 * 50 + 400);
    assert!(once_in_ten(|_| stood_at_a_slow_catalog() < soon));
}

/// How long a worker stands still in all until eight questions are answered.
fn stood_at_a_slow_catalog() -> Duration {
    let bench = Bench::new();
    bench.elsewhere("a");
    bench.behind.millis.store(120, Ordering::Relaxed);
    let mut open: Vec<_> = (0..8).map(|table| format!("none{table}")).collect();
    let (mut rounds, mut stood) = (0, Duration::ZERO);
    while !open.is_empty() {
        assert!(rounds < 100, "{open:?} never have an answer");
        rounds += 1;
        let before = Instant::now();
        open.retain(|table| bench.binding.columns("p", table, 0) != Ok(None));
        stood += before.elapsed();
        // Longer than an answer that says no is good for others.
        std::thread::sleep(Duration::from_millis(250));
    }
    assert_eq!(bench.behind.asked().0, 8);
    stood
}
