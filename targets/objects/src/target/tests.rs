use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use alluvium_target::{Partition, Position};
use arrow_array::{ArrayRef, Float32Array, Int64Array, StringArray};
use futures_util::stream::{self, StreamExt as _};
use proptest::prelude::*;

use super::write::WRITES_AT_ONCE;
use super::*;
use crate::{Body, ContentHash, Created, Found, Listed};

/// A store in memory that can fail and counts what is under way.
#[derive(Debug, Default)]
struct Shelf {
    objects: Mutex<BTreeMap<String, Object>>,
    /// Keeps no metadata, as some places.
    forgetful: bool,
    puts: Mutex<Vec<String>>,
    failing: Mutex<Vec<String>>,
    running: AtomicUsize,
    most: AtomicUsize,
}

impl Shelf {
    async fn put(&self, key: &str, object: &Object, replace: bool) -> Result<Created, TargetError> {
        let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(running, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(1)).await;
        self.running.fetch_sub(1, Ordering::SeqCst);
        self.puts.lock().unwrap().push(key.to_owned());
        if self
            .failing
            .lock()
            .unwrap()
            .iter()
            .any(|failing| failing == key)
        {
            return Err(TargetError::Unavailable(format!("{key} was told to fail")));
        }
        let mut objects = self.objects.lock().unwrap();
        if !replace && objects.contains_key(key) {
            return Ok(Created::Exists);
        }
        objects.insert(key.to_owned(), object.clone());
        Ok(Created::New)
    }
}

#[async_trait]
impl Store for Shelf {
    async fn create(&self, key: &str, object: &Object) -> Result<Created, TargetError> {
        self.put(key, object, false).await
    }

    async fn replace(&self, key: &str, object: &Object) -> Result<(), TargetError> {
        self.put(key, object, true).await.map(drop)
    }

    async fn describe(&self, key: &str) -> Result<Option<Found>, TargetError> {
        let objects = self.objects.lock().unwrap();
        Ok(objects.get(key).map(|object| {
            let metadata = object.description.to_metadata().into_iter();
            let metadata = metadata.map(|(name, value)| (name.to_owned(), value));
            Found {
                len: object.len(),
                metadata: metadata.filter(|_| !self.forgetful).collect(),
            }
        }))
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Vec<Listed>, TargetError> {
        let objects = self.objects.lock().unwrap();
        let listed = objects.iter().map(|(key, object)| Listed {
            key: key.clone(),
            len: object.len(),
        });
        let wanted = |listed: &Listed| {
            listed.key.starts_with(prefix) && after.is_none_or(|after| *listed.key > *after)
        };
        Ok(listed.filter(wanted).take(2).collect())
    }

    async fn read(&self, key: &str) -> Result<Body, TargetError> {
        let object = self.objects.lock().unwrap().get(key).cloned();
        let object = object.ok_or_else(|| TargetError::Unavailable(format!("no {key}")))?;
        Ok(stream::iter(object.body.into_iter().map(Ok)).boxed())
    }

    async fn check(&self) -> Result<(), TargetError> {
        Ok(())
    }
}

impl Shelf {
    fn scribble(&self, key: &str, text: &'static str) {
        let mut objects = self.objects.lock().unwrap();
        objects.get_mut(key).unwrap().body = vec![text.into()];
    }

    /// Cuts an object short; what it says of itself stays.
    fn damage(&self, key: &str) {
        let mut objects = self.objects.lock().unwrap();
        objects.get_mut(key).unwrap().body.pop();
    }

    fn keys(&self) -> Vec<String> {
        self.objects.lock().unwrap().keys().cloned().collect()
    }

    fn bytes(&self, key: &str) -> Vec<u8> {
        let objects = self.objects.lock().unwrap();
        objects[key]
            .body
            .iter()
            .flat_map(|piece| piece.iter().copied())
            .collect()
    }

    fn text(&self, key: &str) -> String {
        let bytes = self.bytes(key);
        let mut text = String::new();
        flate2::read::MultiGzDecoder::new(&bytes[..])
            .read_to_string(&mut text)
            .unwrap();
        text
    }
}

fn settings(template: &str, layout: LineLayout, compression: Compression) -> ObjectSettings {
    ObjectSettings {
        key: KeyTemplate::parse(template).unwrap(),
        layout,
        compression,
        level: 1,
        time_field: "_time".into(),
        user_field: "_user".into(),
    }
}

fn default_target() -> ObjectTarget<Shelf> {
    let template = KeyTemplate::default_text(Compression::Gzip);
    let settings = settings(template, LineLayout::Flat, Compression::Gzip);
    ObjectTarget::new(Shelf::default(), settings).unwrap()
}

fn span() -> Span {
    Span {
        partition: Partition::new("ev", 1),
        from: Position::at(5),
        to: Position::at(9),
    }
}

fn start() -> SpanStart {
    SpanStart {
        partition: span().partition,
        from: span().from,
        opened: SystemTime::UNIX_EPOCH + Duration::from_millis(1_234),
    }
}

fn begin(target: &ObjectTarget<Shelf>) -> Box<dyn Inserter> {
    target.begin(&start()).unwrap()
}

fn rows(ids: std::ops::Range<i64>, filler: usize) -> RecordBatch {
    let text: StringArray = ids
        .clone()
        .map(|id| Some(format!("{:x}", id.wrapping_mul(0x1E37_79B9_7F4A_7C15)).repeat(filler)))
        .collect();
    let ids: Int64Array = ids.map(Some).collect();
    let columns: [(&str, ArrayRef); 2] = [("id", Arc::new(ids)), ("text", Arc::new(text))];
    RecordBatch::try_from_iter(columns).unwrap()
}

#[tokio::test]
async fn conforms() {
    use alluvium_target::conformance::{self, Harness, Output, Place};

    struct Shelves;
    struct OneShelf(Arc<ObjectTarget<Shelf>>);

    #[async_trait]
    impl Harness for Shelves {
        async fn fresh(&self) -> Box<dyn Place> {
            let template = "{project}/{topic}-{partition}-{from}-{to}.gz";
            let settings = settings(template, LineLayout::Rakam, Compression::Gzip);
            Box::new(OneShelf(
                ObjectTarget::new(Shelf::default(), settings)
                    .unwrap()
                    .into(),
            ))
        }
    }

    #[async_trait]
    impl Place for OneShelf {
        fn target(&self) -> Arc<dyn Target> {
            self.0.clone()
        }

        async fn visible(&self) -> Vec<Output> {
            let shelf = self.0.store();
            let read = |key: &String| crate::conformance::read(key, &shelf.bytes(key)).unwrap();
            shelf.keys().iter().flat_map(read).collect()
        }
    }

    conformance::run(&Shelves).await;
    crate::conformance::check_store(&Shelf::default(), "").await;
    let forgetful = Shelf {
        forgetful: true,
        ..Shelf::default()
    };
    crate::conformance::check_store(&forgetful, "").await;
}

#[tokio::test]
async fn tables_share_an_object_if_the_template_says_so() {
    let template = "{project}/{topic}-{partition}-{from}-{to}.ndjson";
    let settings = settings(template, LineLayout::Rakam, Compression::None);
    let target = ObjectTarget::new(Shelf::default(), settings).unwrap();
    let mut inserter = begin(&target);
    for (project, collection) in [("a", "x"), ("b", "x"), ("a", "y")] {
        inserter
            .add(&Table::new(project, collection), &rows(1..2, 1))
            .unwrap();
    }
    inserter.seal(&span()).unwrap();
    let committed = inserter.commit(&span()).await.unwrap();
    assert_eq!((committed.outputs, committed.rows), (2, 3));
    assert_eq!(
        target.store().keys(),
        ["a/ev-1-5-9.ndjson", "b/ev-1-5-9.ndjson"]
    );
    let text = String::from_utf8(target.store().bytes("a/ev-1-5-9.ndjson")).unwrap();
    let tables: Vec<_> = text
        .lines()
        .map(|line| line.split('"').nth(9).unwrap())
        .collect();
    assert_eq!(tables, ["x", "y"]);
    let objects = target.store().objects.lock().unwrap();
    let object = &objects["a/ev-1-5-9.ndjson"];
    assert_eq!(
        (object.content_type, object.content_encoding),
        ("application/x-ndjson", None)
    );
    let expected = Description {
        span: span(),
        opened_ms: 1_234,
        rows: 2,
        uncompressed_bytes: text.len() as u64,
        content: ContentHash::of(text.lines().map(str::as_bytes)),
        span_objects: 2,
        span_rows: 3,
    };
    assert_eq!(object.description, expected);
}

/// Commits some rows, in batches of `size`, of two tables in turns.
async fn commit_rows(
    target: &ObjectTarget<Shelf>,
    count: i64,
    size: usize,
) -> Result<Committed, TargetError> {
    let mut inserter = begin(target);
    for from in (0..count).step_by(size) {
        let batch = rows(from..(from + size as i64).min(count), 1);
        inserter.add(&Table::new("p", "a"), &batch).unwrap();
        inserter.add(&Table::new("p", "b"), &batch).unwrap();
    }
    inserter.seal(&span()).unwrap();
    inserter.commit(&span()).await
}

fn shared_key_target(forgetful: bool, compression: Compression) -> ObjectTarget<Shelf> {
    let template = "{project}/{topic}-{partition}-{from}-{to}";
    let shelf = Shelf {
        forgetful,
        ..Shelf::default()
    };
    ObjectTarget::new(shelf, settings(template, LineLayout::Rakam, compression)).unwrap()
}

#[tokio::test]
async fn what_stands_there_is_success_if_it_is_the_same_and_else_a_conflict() {
    for compression in [Compression::Gzip, Compression::None] {
        for forgetful in [false, true] {
            let target = shared_key_target(forgetful, compression);
            let first = commit_rows(&target, 10, 10).await.unwrap();
            let bytes = target.store().bytes("p/ev-1-5-9");
            // Other batches give other bytes of the same lines.
            let again = commit_rows(&target, 10, 3).await.unwrap();
            assert_eq!((first.rows, again.rows), (20, 20));
            for other in [9, 11] {
                let refused = commit_rows(&target, other, 10).await;
                let Err(TargetError::Conflict(why)) = refused else {
                    panic!("{refused:?}")
                };
                let counts = ["20 rows".to_owned(), format!("{} rows", 2 * other)];
                for part in counts.iter().map(String::as_str).chain(["`p/ev-1-5-9`"]) {
                    assert!(why.contains(part), "{part} is not in {why}");
                }
            }
            assert_eq!(target.store().bytes("p/ev-1-5-9"), bytes);
            // Repair does not replace what is whole either, only what is not what it says.
            let target = target.repairing();
            let refused = commit_rows(&target, 11, 10).await;
            assert!(
                matches!(refused, Err(TargetError::Conflict(_))),
                "{refused:?}"
            );
            if !forgetful {
                target.store().damage("p/ev-1-5-9");
            }
            assert_eq!(commit_rows(&target, 10, 10).await.unwrap().rows, 20);
            assert_eq!(target.store().bytes("p/ev-1-5-9"), bytes);
        }
    }
}

#[tokio::test]
async fn an_object_of_the_same_span_is_as_good_if_told_so_and_no_other_is() {
    let accepting = |mut target: ObjectTarget<Shelf>| {
        target = target.accepting();
        target
    };
    let target = accepting(shared_key_target(false, Compression::Gzip));
    commit_rows(&target, 10, 10).await.unwrap();
    let bytes = target.store().bytes("p/ev-1-5-9");
    commit_rows(&target, 9, 10).await.unwrap();
    assert_eq!(target.store().bytes("p/ev-1-5-9"), bytes);
    // Of the same positions, but another plan.
    let mut other = start();
    other.opened += Duration::from_millis(1);
    let mut inserter = target.begin(&other).unwrap();
    inserter.add(&Table::new("p", "a"), &rows(0..3, 1)).unwrap();
    inserter.seal(&span()).unwrap();
    let refused = inserter.commit(&span()).await;
    assert!(
        matches!(refused, Err(TargetError::Conflict(_))),
        "{refused:?}"
    );
    // What does not say which span it is of must hold the same rows.
    let target = accepting(shared_key_target(true, Compression::Gzip));
    commit_rows(&target, 10, 10).await.unwrap();
    commit_rows(&target, 10, 3).await.unwrap();
    let refused = commit_rows(&target, 9, 10).await;
    assert!(
        matches!(refused, Err(TargetError::Conflict(_))),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_strangers_object_is_a_conflict() {
    let target = shared_key_target(true, Compression::Gzip);
    commit_rows(&target, 1, 1).await.unwrap();
    target.store().scribble("p/ev-1-5-9", "somebody else's");
    let refused = commit_rows(&target, 1, 1).await;
    let Err(TargetError::Conflict(why)) = refused else {
        panic!("{refused:?}")
    };
    for part in [
        "`p/ev-1-5-9`",
        "15 bytes",
        "no gzip",
        "`topic`",
        "Move that object",
    ] {
        assert!(why.contains(part), "{part} is not in {why}");
    }
}

#[test]
fn the_shape_is_what_shapes_names_and_lines() {
    let of = |change: fn(&mut ObjectSettings)| {
        let template = "{project}/{collection}/{topic}-{partition}-{from}-{to}";
        let mut settings = settings(template, LineLayout::Rakam, Compression::Gzip);
        change(&mut settings);
        ObjectTarget::new(Shelf::default(), settings)
            .unwrap()
            .shape()
    };
    let usual = of(|_| {});
    assert_eq!(
        usual,
        "objects/1 key=\"{project}/{collection}/{topic}-{partition}-{from}-{to}\" layout=rakam \
         compression=gzip time=\"_time\" user=\"_user\""
    );
    assert_eq!(of(|settings| settings.level = 9), usual);
    let changes: [fn(&mut ObjectSettings); 5] = [
        |settings| settings.layout = LineLayout::Flat,
        |settings| settings.compression = Compression::None,
        |settings| settings.time_field = "t".into(),
        |settings| settings.user_field = "u".into(),
        |settings| {
            let text = "x/{project}/{collection}/{topic}-{partition}-{from}-{to}";
            settings.key = KeyTemplate::parse(text).unwrap();
        },
    ];
    for change in changes {
        assert_ne!(of(change), usual);
    }
}

#[tokio::test]
async fn a_repeated_commit_puts_only_what_is_missing() {
    let target = default_target();
    let mut inserter = begin(&target);
    for n in 0..20 {
        inserter
            .add(&Table::new("p", format!("c{n:02}")), &rows(0..3, 1))
            .unwrap();
    }
    inserter.seal(&span()).unwrap();
    let full = inserter.staged().memory;
    let failing = "p/c07/ev-1-5-9.ndjson.gz".to_owned();
    target.store().failing.lock().unwrap().push(failing.clone());
    for _ in 0..3 {
        let failed = inserter.commit(&span()).await;
        assert!(
            matches!(failed, Err(TargetError::Unavailable(_))),
            "{failed:?}"
        );
    }
    assert!(inserter.staged().memory < full);
    target.store().failing.lock().unwrap().clear();
    let committed = inserter.commit(&span()).await.unwrap();
    assert_eq!((committed.outputs, committed.rows), (20, 60));
    assert_eq!(inserter.staged().memory, 0);

    let puts = target.store().puts.lock().unwrap().clone();
    assert_eq!(puts.iter().filter(|key| **key == failing).count(), 4);
    assert_eq!(puts.len(), 19 + 4);
    assert_eq!(target.store().keys().len(), 20);
    let most = target.store().most.load(Ordering::SeqCst);
    assert_eq!(most, WRITES_AT_ONCE);

    assert_eq!(inserter.commit(&span()).await.unwrap(), committed);
    assert_eq!(target.store().puts.lock().unwrap().len(), puts.len());
}

#[tokio::test]
async fn refuses_column_types_without_taking_any_row() {
    let target = default_target();
    let mut inserter = begin(&target);
    let odd: ArrayRef = Arc::new(Float32Array::from(vec![1.0]));
    let batch = RecordBatch::try_from_iter([("odd", odd)]).unwrap();
    let refused = inserter.add(&Table::new("p", "c"), &batch).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "target rejects rows of p.c: column `odd` of type Float32 has no JSON form"
    );
    inserter.seal(&span()).unwrap();
    assert_eq!(
        inserter.commit(&span()).await.unwrap(),
        Committed::default()
    );
    assert!(matches!(
        inserter.add(&Table::new("p", "c"), &rows(0..1, 1)),
        Err(TargetError::Misconfigured(_))
    ));
}

#[test]
fn refuses_settings_that_contradict_each_other() {
    let good = || {
        let template = "{project}/{collection}/{topic}-{partition}-{from}-{to}";
        settings(template, LineLayout::Flat, Compression::Gzip)
    };
    let why = |settings| {
        ObjectTarget::new(Shelf::default(), settings)
            .map(|_| ())
            .unwrap_err()
            .to_string()
    };
    assert!(ObjectTarget::new(Shelf::default(), good()).is_ok());
    let without = KeyTemplate::parse("{project}/{topic}-{partition}-{from}-{to}").unwrap();
    assert!(
        why(ObjectSettings {
            key: without,
            ..good()
        })
        .contains("`{collection}` is missing")
    );
    assert!(
        why(ObjectSettings {
            level: 10,
            ..good()
        })
        .contains("no level 10")
    );
    assert!(
        why(ObjectSettings {
            user_field: "_time".into(),
            ..good()
        })
        .contains("both")
    );
    assert!(
        why(ObjectSettings {
            time_field: "$table".into(),
            ..good()
        })
        .contains("`$table`")
    );
}

#[tokio::test]
async fn other_programs_read_the_gzip_to_the_last_byte() {
    let target = default_target();
    let mut inserter = begin(&target);
    for first in (0..9_000).step_by(3_000) {
        inserter
            .add(&Table::new("p", "c"), &rows(first..first + 3_000, 2))
            .unwrap();
        inserter.shrink().unwrap();
    }
    inserter.commit(&span()).await.unwrap();
    let key = "p/c/ev-1-5-9.ndjson.gz";
    let (bytes, text) = (target.store().bytes(key), target.store().text(key));
    assert_eq!(text.lines().count(), 9_000);
    let python =
        "import gzip,sys; sys.stdout.buffer.write(gzip.decompress(sys.stdin.buffer.read()))";
    for command in [&["gunzip", "-c"][..], &["python3", "-c", python]] {
        assert!(
            piped(command, &bytes) == text.as_bytes(),
            "{command:?} reads something else"
        );
    }
}

fn piped(command: &[&str], input: &[u8]) -> Vec<u8> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(input).unwrap();
    std::io::Seek::rewind(&mut file).unwrap();
    let output = Command::new(command[0])
        .args(&command[1..])
        .stdin(Stdio::from(file))
        .stderr(Stdio::inherit())
        .output()
        .unwrap_or_else(|error| panic!("these tests need {}: {error}", command[0]));
    assert!(output.status.success(), "{command:?}: {}", output.status);
    output.stdout
}

#[test]
fn shrinking_gives_memory_back_and_totals_stay_true() {
    let target = default_target();
    let mut inserter = begin(&target);
    assert_eq!(inserter.staged(), Staged::default());
    for n in 0..50 {
        inserter
            .add(&Table::new("p", format!("c{n}")), &rows(0..500, 4))
            .unwrap();
    }
    let before = inserter.staged();
    assert!(before.memory > 50 * 500 * 70, "{before:?}");
    inserter.shrink().unwrap();
    let after = inserter.staged();
    assert!(after.memory * 2 < before.memory, "{before:?} {after:?}");
    inserter.seal(&span()).unwrap();
    let sealed = inserter.staged();
    // What is new are the descriptions.
    let described = 50 * size_of::<Description>();
    assert!(
        sealed.memory <= after.memory + described,
        "{after:?} {sealed:?}"
    );
    assert!(
        sealed.memory as u64 > 50 * sealed.largest_output * 9 / 10,
        "{sealed:?}"
    );
}

#[test]
fn ten_thousand_small_outputs_stay_small() {
    let target = default_target();
    let mut inserter = begin(&target);
    for n in 0..10_000 {
        inserter
            .add(&Table::new("p", format!("c{n}")), &rows(0..2, 4))
            .unwrap();
    }
    inserter.shrink().unwrap();
    let memory = inserter.staged().memory;
    assert!(
        memory < 10_000 * 1_200,
        "{memory} bytes for 10,000 outputs of 2 rows"
    );
}

/// What the running total must come to.
fn counted(inserter: &ObjectInserter<Shelf>) -> usize {
    let outputs = inserter.outputs.iter().map(Output::memory);
    let tables = inserter
        .of_table
        .keys()
        .chain(inserter.of_key.keys())
        .map(entry_cost);
    outputs.chain(tables).sum()
}

/// What a worker may do between two batches.
#[derive(Clone, Copy, Debug)]
enum Step {
    Rows(i64, usize),
    Shrink,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn batches_and_shrinking_never_change_the_text(
        steps in prop::collection::vec(prop_oneof![
            (0..200_i64, 1..40_usize).prop_map(|(count, filler)| Step::Rows(count, filler)),
            Just(Step::Shrink),
        ], 1..12),
        cut in 1..100_i64,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let mut written = Vec::new();
        for (shrinks, piecewise) in [(false, false), (true, false), (true, true)] {
            let target = default_target();
            let mut inserter = target.inserter(&start());
            let mut next = 0;
            for step in &steps {
                match *step {
                    Step::Shrink if shrinks => inserter.shrink().unwrap(),
                    Step::Shrink => {}
                    Step::Rows(count, filler) => {
                        let size = if piecewise { cut } else { count.max(1) };
                        for from in (next..next + count).step_by(size as usize) {
                            let to = (from + size).min(next + count);
                            inserter.add(&Table::new("p", "c"), &rows(from..to, filler)).unwrap();
                        }
                        next += count;
                    }
                }
                prop_assert_eq!(inserter.staged().memory, counted(&inserter));
            }
            let committed = runtime.block_on(inserter.commit(&span())).unwrap();
            prop_assert_eq!(committed.rows, next as u64);
            let keys = target.store().keys();
            written.push(keys.iter().map(|key| target.store().text(key)).collect::<String>());
        }
        prop_assert!(written[0] == written[1] && written[0] == written[2]);
    }
}
