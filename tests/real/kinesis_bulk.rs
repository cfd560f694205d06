//! Objects that records of a stream point to, from a real S3 server.

use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, Instant};

use alluvium::awaited::{NotYet, Objects, ReadObject, Unopened};
use alluvium::source::kinesis::bulk::{Bucket, BucketError, Fetcher, S3Bucket, Settings};
use alluvium::source::kinesis::sdk::{Access, Keys};
use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use tokio::runtime::Runtime;

use crate::support::service;

/// The shared server, and a bucket of it.
struct Bench {
    runtime: Runtime,
    access: Access,
    bucket: String,
    client: Client,
    /// What stands before the keys of this test.
    prefix: String,
}

impl Bench {
    fn new(name: &str) -> Self {
        let shared = service::Bucket::shared();
        let access = Access {
            endpoint: Some(shared.endpoint.clone()),
            keys: Some(Keys {
                access_key: shared.access_key.clone(),
                secret_key: shared.secret_key.clone(),
            }),
            ..Access::default()
        };
        let runtime = Runtime::new().unwrap();
        let config = runtime.block_on(access.load()).unwrap();
        let config = aws_sdk_s3::config::Builder::from(&config)
            .force_path_style(true)
            .build();
        let since = std::time::UNIX_EPOCH.elapsed().unwrap();
        Self {
            runtime,
            access,
            bucket: shared.name,
            client: Client::from_conf(config),
            prefix: format!("bulk-{name}-{}", since.as_nanos()),
        }
    }

    fn key(&self, name: &str) -> String {
        format!("{}/{name} é+", self.prefix)
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        let body = ByteStream::from(bytes.to_vec());
        let request = self
            .client
            .put_object()
            .bucket(&self.bucket)
            .key(self.key(name))
            .body(body);
        self.runtime.block_on(request.send()).unwrap();
    }

    fn bucket(&self, access: &Access, name: &str) -> S3Bucket {
        S3Bucket::new(&self.runtime.block_on(access.load()).unwrap(), name)
    }

    fn fetcher(&self, access: &Access, bucket: &str, hold: u64) -> Fetcher {
        let bucket = Arc::new(self.bucket(access, bucket));
        Fetcher::new(bucket, Settings::new(hold), self.runtime.handle().clone())
    }

    fn usual(&self, hold: u64) -> Fetcher {
        self.fetcher(&self.access, &self.bucket, hold)
    }

    /// Asks until it is at hand, is known to be missing, or has waited for something else than an answer.
    fn open(&self, fetcher: &Fetcher, name: &str) -> Result<Box<dyn ReadObject>, Unopened> {
        let since = Instant::now();
        loop {
            match fetcher.open(&self.key(name), 9) {
                Err(Unopened::NotYet(NotYet::Asked)) => {
                    assert!(
                        since.elapsed() < Duration::from_secs(60),
                        "{name} does not come"
                    );
                    std::thread::sleep(Duration::from_millis(10));
                }
                other => return other,
            }
        }
    }

    fn read(&self, fetcher: &Fetcher, name: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.open(fetcher, name)
            .unwrap()
            .read_to_end(&mut bytes)
            .unwrap();
        bytes
    }
}

fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 31 + at / 251) as u8).collect()
}

#[test]
fn objects_come_as_they_were_put() {
    let bench = Bench::new("whole");
    let large = bytes(3_000_001);
    for (name, object) in [("small", &large[..77]), ("empty", &[]), ("large", &large)] {
        bench.put(name, object);
        // As a whole, and while it comes.
        for hold in [16 << 20, 1 << 20] {
            let fetcher = bench.usual(hold);
            assert!(bench.read(&fetcher, name) == object, "{name}");
            assert!(fetcher.held() <= hold);
            fetcher.done(&bench.key(name));
        }
    }
}

#[test]
fn a_missing_object_is_told_from_whatever_else_is_wrong() {
    let bench = Bench::new("wrong");
    bench.put("k", b"bytes");
    let missing = bench.open(&bench.usual(1 << 20), "missing").unwrap_err();
    assert!(
        matches!(&missing, Unopened::Missing(who) if who.contains("missing")),
        "{missing:?}"
    );
    let refused = |access: &Access, bucket: &str, what: &str| {
        let failure = bench
            .open(&bench.fetcher(access, bucket, 1 << 20), "k")
            .unwrap_err();
        let Unopened::NotYet(NotYet::Refused(why)) = &failure else {
            panic!("{failure:?}");
        };
        assert!(
            why.contains(what) && why.contains("aws.s3-bulk-bucket"),
            "{why}"
        );
    };
    refused(&bench.access, "no-such-bucket-here", "NoSuchBucket");
    let wrong = Access {
        keys: Some(Keys {
            access_key: "alluvium".into(),
            secret_key: "wrong".into(),
        }),
        ..bench.access.clone()
    };
    refused(&wrong, &bench.bucket, "SignatureDoesNotMatch");
    let nowhere = Access {
        endpoint: Some("http://127.0.0.1:9".into()),
        ..bench.access.clone()
    };
    let down = bench
        .open(&bench.fetcher(&nowhere, &bench.bucket, 1 << 20), "k")
        .unwrap_err();
    assert!(
        matches!(&down, Unopened::NotYet(NotYet::Failed(_))),
        "{down:?}"
    );
}

#[test]
fn a_part_is_of_the_version_that_was_asked_for() {
    let bench = Bench::new("version");
    bench.put("k", &bytes(5000));
    let bucket = bench.bucket(&bench.access, &bench.bucket);
    let key = bench.key("k");
    let get = |part, version: Option<String>| {
        bench
            .runtime
            .block_on(bucket.get(&key, part, version.as_deref()))
    };
    let first = get(0..2000, None).unwrap();
    assert_eq!((first.bytes.len(), first.total), (2000, 5000));
    let second = get(2000..6000, first.version.clone()).unwrap();
    assert_eq!([&first.bytes[..], &second.bytes].concat(), bytes(5000));
    bench.put("k", &[7; 5000]);
    assert!(matches!(
        get(2000..4000, first.version),
        Err(BucketError::Changed(_))
    ));
    bench.put("k", &[7; 10]);
    assert!(matches!(
        get(2000..4000, None),
        Err(BucketError::Changed(_))
    ));
}
