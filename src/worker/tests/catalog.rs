//! Rows whose columns a catalog decides.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;

use super::*;
use crate::awaited::NotYet;
use crate::catalog::{Column, Tables, Told};
use crate::table::ColumnType;

/// A catalog that answers when it is told to, and sees what it was asked.
#[derive(Debug, Default)]
struct Slow {
    columns: Mutex<Vec<(String, ColumnType)>>,
    silent: AtomicBool,
    refuses: AtomicBool,
    asked: Mutex<Vec<String>>,
}

impl Slow {
    fn told(&self) -> Told {
        let columns = self.columns.lock().unwrap();
        let columns = columns.iter().zip(1..);
        let column = |((name, kind), id): (&(String, ColumnType), u32)| Column {
            id,
            name: name.clone(),
            kind: kind.clone(),
            added_ms: None,
        };
        Told {
            columns: columns.map(column).collect(),
            refused: Arc::default(),
        }
    }
}

impl Tables for Slow {
    fn columns(&self, _: &str, _: &str, _: usize) -> Result<Option<Told>, NotYet> {
        Ok(Some(self.told()))
    }

    fn decide(
        &self,
        project: &str,
        collection: &str,
        wanted: &[(String, ColumnType)],
    ) -> Result<Told, NotYet> {
        assert_eq!((project, collection), ("p", "a"));
        if self.refuses.load(Ordering::Relaxed) {
            return Err(NotYet::Refused("the password is wrong".into()));
        }
        if self.silent.load(Ordering::Relaxed) {
            return Err(NotYet::Asked);
        }
        let mut columns = self.columns.lock().unwrap();
        for (name, kind) in wanted {
            if columns.iter().all(|(known, _)| known != name) {
                columns.push((name.clone(), kind.clone()));
                self.asked.lock().unwrap().push(name.clone());
            }
        }
        drop(columns);
        Ok(self.told())
    }
}

fn bench_at(target: MemoryTarget, tables: &Arc<Slow>) -> Bench {
    let shape = shape(&target, "the usual").bound(Some(tables.clone() as Arc<dyn Tables>));
    Bench::shaped(target, shape, policy(), 1 << 30, None)
}

fn batches(bench: &Bench) -> Vec<RecordBatch> {
    let written = bench.target.batches(&Table::new("p", "a"));
    written
        .into_iter()
        .flat_map(|(_, batches)| batches)
        .collect()
}

fn columns(batch: &RecordBatch) -> Vec<String> {
    let schema = batch.schema();
    let fields = schema.fields().iter();
    fields.map(|field| field.name().clone()).collect()
}

fn written(bench: &mut Bench, until: i64) {
    bench.turn().unwrap();
    bench.clock.advance(Duration::from_secs(60));
    bench.turn_until("checkpoint", |bench| {
        bench.source.checkpoint(0) == Some(until)
    });
}

#[test]
fn a_record_waits_for_its_columns_and_those_before_it_stay() {
    let tables = Arc::new(Slow::default());
    let mut bench = bench_at(MemoryTarget::new(), &tables);
    bench
        .source
        .produce(0, [r#"{"c":"a","x":1}"#, r#"{"c":"a","x":2}"#]);
    bench.source.assign(0, 0);
    bench.turn().unwrap();
    tables.silent.store(true, Ordering::Relaxed);
    bench
        .source
        .produce(0, [r#"{"c":"a","x":3,"y":"new"}"#, r#"{"c":"a","x":4}"#]);
    bench.turn().unwrap();
    // Silence decides nothing: what came before is written, the record and those behind it wait.
    bench.clock.advance(Duration::from_secs(60));
    bench.turn_until("the first", |bench| bench.source.checkpoint(0) == Some(2));
    bench.turn().unwrap();
    assert_eq!(bench.rows("a"), 2);
    tables.silent.store(false, Ordering::Relaxed);
    written(&mut bench, 4);
    assert_eq!(bench.rows("a"), 4);
    assert_eq!(
        *tables.asked.lock().unwrap(),
        ["_shard_time", "_time", "_user", "c", "x", "y"]
    );
    let batches = batches(&bench);
    assert_eq!(
        columns(batches.last().unwrap()),
        ["_shard_time", "_time", "_user", "c", "x", "y"]
    );
}

/// Expectation 4: two new fields, which the catalog has in the other order by the time it answers.
#[test]
fn expectation_4_the_order_and_the_types_are_the_catalogs() {
    let tables = Arc::new(Slow::default());
    *tables.columns.lock().unwrap() = vec![
        ("_time".into(), ColumnType::Timestamp),
        ("newcolumn2".into(), ColumnType::String),
        ("_shard_time".into(), ColumnType::Timestamp),
        ("newcolumn1".into(), ColumnType::Double),
        ("_user".into(), ColumnType::String),
    ];
    let mut bench = bench_at(MemoryTarget::new(), &tables);
    let record = r#"{"c":"a","newcolumn1":1,"newcolumn2":2,"newcolumn3":"x"}"#;
    bench.source.produce(0, vec![record; 3]);
    bench.source.assign(0, 0);
    written(&mut bench, 3);
    let batches = batches(&bench);
    let batch = &batches[0];
    assert_eq!(
        columns(batch),
        [
            "_time",
            "newcolumn2",
            "_shard_time",
            "newcolumn1",
            "_user",
            "c",
            "newcolumn3"
        ]
    );
    let text = batch.column_by_name("newcolumn2").unwrap();
    assert_eq!(text.as_string::<i32>().value(2), "2");
    let number = batch.column_by_name("newcolumn1").unwrap();
    assert!((number.as_primitive::<Float64Type>().value(2) - 1.0).abs() < f64::EPSILON);
    assert_eq!(*tables.asked.lock().unwrap(), ["c", "newcolumn3"]);
}

/// What another process has decided meanwhile binds whoever reads a span again: of a number that came first here, the column
/// stays a number, though now a text comes first.
#[test]
fn a_span_that_is_read_again_has_the_types_it_had() {
    let tables = Arc::new(Slow::default());
    let target = MemoryTarget::new();
    let mut first = bench_at(target.clone(), &tables);
    first.source.produce(0, [r#"{"c":"a","x":1.5}"#]);
    first.source.assign(0, 0);
    first.turn().unwrap();
    drop(first);
    let mut second = bench_at(target, &tables);
    second
        .source
        .produce(0, [r#"{"c":"a","x":"text"}"#, r#"{"c":"a","x":1.5}"#]);
    second.source.assign(0, 0);
    written(&mut second, 2);
    let batches = batches(&second);
    let column = batches[0].column_by_name("x").unwrap();
    assert_eq!(column.data_type(), &arrow_schema::DataType::Float64);
    assert!(columns(&batches[0]).contains(&"_misfit".to_owned()));
}

#[test]
fn a_catalog_that_refuses_ends_the_worker_and_moves_nothing() {
    let tables = Arc::new(Slow::default());
    tables.refuses.store(true, Ordering::Relaxed);
    let mut bench = bench_at(MemoryTarget::new(), &tables);
    bench.source.produce(0, events("a", 3));
    bench.source.assign(0, 0);
    let error = bench.turn().unwrap_err().to_string();
    assert!(
        error.contains("t-0") && error.contains("p.a") && error.contains("the password is wrong"),
        "{error}"
    );
    assert_eq!(bench.source.checkpoint(0), None);
}

/// Rows that go nowhere are nobody's reason to ask.
#[test]
fn nothing_is_asked_for_rows_that_are_dropped() {
    let tables = Arc::new(Slow::default());
    let target = MemoryTarget::new();
    let wanted = Routing {
        collections: Some(["a".to_owned()].into()),
        ..Routing::default()
    };
    let shape = shape(&target, "the usual").routed(wanted);
    let shape = shape.bound(Some(tables.clone() as Arc<dyn Tables>));
    let mut bench = Bench::shaped(target, shape, policy(), 1 << 30, None);
    bench.source.produce(0, events("other", 3));
    bench.source.assign(0, 0);
    written(&mut bench, 3);
    assert!(tables.asked.lock().unwrap().is_empty());
}
