use std::collections::BTreeMap;
use std::io::Read as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use proptest::prelude::*;
use tokio::runtime::Runtime;

use super::*;
use crate::awaited::NotYet;

/// A bucket in memory that fails when it is told to, and counts.
#[derive(Debug, Default)]
struct Memory {
    objects: Mutex<BTreeMap<String, (Vec<u8>, u64)>>,
    /// What the next requests fail with.
    failures: Mutex<Vec<BucketError>>,
    /// Every n-th request fails.
    fails_each: u64,
    down: std::sync::atomic::AtomicBool,
    requests: AtomicU64,
    largest: AtomicU64,
}

impl Memory {
    fn put(&self, key: &str, bytes: Vec<u8>) {
        let mut objects = self.objects.lock().unwrap();
        let version = objects.get(key).map_or(0, |(_, version)| version + 1);
        objects.insert(key.into(), (bytes, version));
    }

    fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl Bucket for Memory {
    async fn get(
        &self,
        key: &str,
        part: Range<u64>,
        version: Option<&str>,
    ) -> Result<Piece, BucketError> {
        tokio::task::yield_now().await;
        let request = self.requests.fetch_add(1, Ordering::Relaxed) + 1;
        self.largest
            .fetch_max(part.end - part.start, Ordering::Relaxed);
        if let Some(failure) = self.failures.lock().unwrap().pop() {
            return Err(failure);
        }
        if self.down.load(Ordering::Relaxed)
            || self.fails_each > 0 && request.is_multiple_of(self.fails_each)
        {
            return Err(BucketError::Unavailable("the line is cut".into()));
        }
        let objects = self.objects.lock().unwrap();
        let Some((bytes, current)) = objects.get(key) else {
            return Err(BucketError::Missing(key.into()));
        };
        let current = current.to_string();
        if version.is_some_and(|version| version != current) {
            return Err(BucketError::Changed(key.into()));
        }
        let (start, end) = (part.start as usize, bytes.len().min(part.end as usize));
        Ok(Piece {
            bytes: Bytes::copy_from_slice(&bytes[start..end]),
            total: bytes.len() as u64,
            version: Some(current),
        })
    }
}

struct Bench {
    runtime: Runtime,
    bucket: Arc<Memory>,
    fetcher: Fetcher,
}

/// 64 KiB in all, so objects up to 32 KiB are held as a whole; 4 KiB a request.
fn settings() -> Settings {
    Settings {
        piece: 4 << 10,
        patience: Duration::from_secs(60),
        ..Settings::new(64 << 10)
    }
}

fn bench_of(bucket: Memory, settings: Settings) -> Bench {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .unwrap();
    let bucket = Arc::new(bucket);
    let fetcher = Fetcher::new(bucket.clone(), settings, runtime.handle().clone());
    Bench {
        runtime,
        bucket,
        fetcher,
    }
}

fn bench() -> Bench {
    bench_of(Memory::default(), settings())
}

impl Bench {
    /// Asks until it is not told to ask again.
    fn open(&self, key: &str, size: u64) -> Result<Box<dyn ReadObject>, Arc<str>> {
        let since = Instant::now();
        loop {
            match self.fetcher.open(key, size) {
                Ok(object) => return Ok(object),
                Err(Unopened::Missing(who)) => return Err(who),
                Err(Unopened::NotYet(why)) => {
                    assert!(since.elapsed() < Duration::from_secs(120), "{key}: {why:?}");
                    thread::sleep(Duration::from_millis(2));
                }
            }
        }
    }

    fn read(&self, key: &str, size: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.open(key, size)
            .unwrap()
            .read_to_end(&mut bytes)
            .unwrap();
        bytes
    }

    fn until(&self, what: &str, is: impl Fn(&Self) -> bool) {
        let since = Instant::now();
        while !is(self) {
            assert!(
                since.elapsed() < Duration::from_secs(120),
                "never came true: {what}"
            );
            thread::sleep(Duration::from_millis(2));
        }
    }
}

fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 31 + at / 251) as u8).collect()
}

#[test]
fn an_object_comes_in_pieces_and_is_held_until_it_is_done() {
    let bench = bench();
    let object = bytes(30 << 10);
    bench.bucket.put("k", object.clone());
    assert_eq!(
        bench.fetcher.open("k", 30 << 10).unwrap_err(),
        Unopened::NotYet(NotYet::Asked)
    );
    assert_eq!(bench.read("k", 30 << 10), object);
    assert_eq!(bench.bucket.requests(), 8);
    assert!(bench.bucket.largest.load(Ordering::Relaxed) <= 4 << 10);
    // Offered again, for whatever reason: nobody is asked.
    assert_eq!(bench.read("k", 30 << 10), object);
    assert_eq!(
        (bench.bucket.requests(), bench.fetcher.held()),
        (8, 30 << 10)
    );
    bench.fetcher.done("k");
    bench.until("nothing held", |bench| bench.fetcher.held() == 0);
}

#[test]
fn an_empty_object_is_one() {
    let bench = bench();
    bench.bucket.put("k", Vec::new());
    assert_eq!(bench.read("k", 0), Vec::<u8>::new());
}

#[test]
fn what_a_pointer_says_of_the_size_is_not_believed() {
    let bench = bench();
    bench.bucket.put("k", bytes(20 << 10));
    for size in [0, 1, 19 << 10, 20 << 10, 30 << 10, u64::MAX] {
        assert_eq!(bench.read("k", size), bytes(20 << 10), "{size}");
        assert_eq!(bench.fetcher.held(), 20 << 10, "{size}");
        bench.fetcher.done("k");
        bench.until("nothing held", |bench| bench.fetcher.held() == 0);
    }
}

#[test]
fn a_large_object_is_read_while_it_comes_as_often_as_it_is_asked_for() {
    let bench = bench();
    let object = bytes(1 << 20);
    bench.bucket.put("k", object.clone());
    for _ in 0..3 {
        let mut reader = bench.open("k", 1 << 20).unwrap();
        let mut read = Vec::new();
        let mut some = [0; 1000];
        loop {
            let len = reader.read(&mut some).unwrap();
            read.extend_from_slice(&some[..len]);
            assert!(bench.fetcher.held() <= 32 << 10);
            if len == 0 {
                break;
            }
        }
        assert!(read == object);
        drop(reader);
        // At once: who has read it all reads it once more, and is not sent away.
        assert!(bench.fetcher.open("k", 1 << 20).is_ok());
    }
    bench.fetcher.done("k");
    bench.until("nothing held", |bench| bench.fetcher.held() == 0);
}

#[test]
fn one_reader_of_a_large_object_at_a_time() {
    let bench = bench();
    bench.bucket.put("k", bytes(100 << 10));
    let reader = bench.open("k", 0).unwrap();
    assert_eq!(
        bench.fetcher.open("k", 0).unwrap_err(),
        Unopened::NotYet(NotYet::Asked)
    );
    drop(reader);
    assert!(bench.read("k", 0) == bytes(100 << 10));
}

#[test]
fn a_missing_object_is_missing_when_it_was_twice() {
    let bench = bench();
    assert_eq!(bench.open("k", 9).unwrap_err().as_ref(), "k");
    assert_eq!(bench.bucket.requests(), 2);
    assert_eq!(bench.open("k", 9).unwrap_err().as_ref(), "k");
    bench.until("nothing held", |bench| bench.fetcher.held() == 0);
    bench.fetcher.done("k");
    // It comes a little late.
    bench.bucket.put("late", bytes(5));
    bench
        .bucket
        .failures
        .lock()
        .unwrap()
        .push(BucketError::Missing("late".into()));
    assert_eq!(bench.read("late", 5), bytes(5));
}

#[test]
fn a_bucket_that_is_down_or_forbidden_is_waited_for() {
    let bench = bench();
    bench.bucket.put("k", bytes(9000));
    bench.bucket.down.store(true, Ordering::Relaxed);
    let is = |state: NotYet| {
        move |bench: &Bench| {
            bench
                .fetcher
                .open("k", 9000)
                .is_err_and(|is| is == Unopened::NotYet(state.clone()))
        }
    };
    bench.until("says why", is(NotYet::Failed("the line is cut".into())));
    bench.bucket.down.store(false, Ordering::Relaxed);
    assert_eq!(bench.read("k", 9000), bytes(9000));
    bench.bucket.put("f", bytes(9000));
    *bench.bucket.failures.lock().unwrap() = vec![BucketError::Misconfigured("no right".into()); 2];
    bench.until("says why", |bench| {
        bench
            .fetcher
            .open("f", 9000)
            .is_err_and(|is| is == Unopened::NotYet(NotYet::Refused("no right".into())))
    });
    assert_eq!(bench.read("f", 9000), bytes(9000));
}

#[test]
fn a_large_object_whose_next_piece_does_not_come_is_opened_again() {
    let patience = Duration::from_secs(2);
    let bench = bench_of(
        Memory::default(),
        Settings {
            patience,
            ..settings()
        },
    );
    bench.bucket.put("k", bytes(100 << 10));
    let mut reader = bench.open("k", 0).unwrap();
    bench.bucket.down.store(true, Ordering::Relaxed);
    let error = reader.read_to_end(&mut Vec::new()).unwrap_err();
    assert!(error.to_string().contains("the line is cut"), "{error}");
    drop(reader);
    assert!(matches!(
        bench.fetcher.open("k", 0),
        Err(Unopened::NotYet(_))
    ));
    bench.bucket.down.store(false, Ordering::Relaxed);
    assert!(bench.read("k", 0) == bytes(100 << 10));
}

#[test]
fn an_object_that_is_replaced_is_never_mixed() {
    let bench = bench();
    for len in [20 << 10, 100 << 10] {
        bench.bucket.put("k", bytes(len));
        let first = bench.open("k", 0);
        bench.bucket.put("k", vec![7; len]);
        let mut read = Vec::new();
        let result = first.unwrap().read_to_end(&mut read);
        // What was held as a whole is whole.
        assert_eq!(result.is_ok(), len < 32 << 10);
        if result.is_err() {
            assert!(bench.read("k", 0) == vec![7; len]);
        }
        bench.fetcher.done("k");
    }
    // Deleted meanwhile: the same, and then it is missing.
    let mut reader = {
        bench.bucket.put("d", bytes(100 << 10));
        bench.open("d", 0).unwrap()
    };
    bench.bucket.objects.lock().unwrap().clear();
    assert!(reader.read_to_end(&mut Vec::new()).is_err());
    drop(reader);
    assert_eq!(bench.open("d", 0).unwrap_err().as_ref(), "d");
}

#[test]
fn what_nobody_asks_for_any_more_is_forgotten() {
    let idle = Duration::from_millis(50);
    let bench = bench_of(Memory::default(), Settings { idle, ..settings() });
    bench.bucket.put("k", bytes(9000));
    // Again and again: it may be forgotten before we look.
    bench.until("held", |bench| {
        bench.fetcher.object("k", 9000);
        bench.fetcher.held() > 0
    });
    bench.until("forgotten", |bench| bench.fetcher.held() == 0);
    assert!(bench.fetcher.0.asked().is_empty());
    bench.bucket.down.store(true, Ordering::Relaxed);
    bench.fetcher.object("down", 9);
    bench.until("forgotten, too", |bench| bench.fetcher.0.asked().is_empty());
    // And with the fetcher itself.
    let Bench {
        runtime,
        bucket,
        fetcher,
    } = bench;
    drop(fetcher);
    let since = Instant::now();
    while Arc::strong_count(&bucket) > 1 {
        assert!(since.elapsed() < Duration::from_secs(120));
        thread::sleep(Duration::from_millis(2));
    }
    drop(runtime);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, ..ProptestConfig::default() })]

    /// Many workers, many objects, little room, a bad line: each gets what is in the bucket, and never is more held than may be.
    #[test]
    fn everybody_gets_what_is_there(sizes in proptest::collection::vec((0..80_000usize, 0..200_000u64), 1..9), fails_each in 7..20u64) {
        let bench = bench_of(Memory { fails_each, ..Memory::default() }, settings());
        for (at, (len, _)) in sizes.iter().enumerate() {
            bench.bucket.put(&at.to_string(), bytes(*len));
        }
        thread::scope(|scope| {
            for worker in 0..3 {
                let (bench, sizes) = (&bench, &sizes);
                scope.spawn(move || {
                    for (at, (len, said)) in sizes.iter().enumerate().skip(worker).step_by(3) {
                        assert!(bench.read(&at.to_string(), *said) == bytes(*len));
                        assert!(bench.fetcher.held() <= 64 << 10);
                        bench.fetcher.done(&at.to_string());
                    }
                });
            }
        });
        bench.until("nothing held", |bench| bench.fetcher.held() == 0);
    }
}
