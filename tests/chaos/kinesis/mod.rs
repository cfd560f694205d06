//! A round with a stream: reshards, aggregates, processes that poll and that are sent to, and a lease table that comes and goes.

mod feed;
mod judge;
mod trouble;

use std::time::{Duration, Instant};

use feed::{Feed, Place};
use judge::Judge;
use tokio::runtime::Builder;
use trouble::Trouble;

use crate::Size;
use crate::fleet::Slot;
use crate::history::History;
use crate::records::Records;
use crate::round::{Outcome, catch_up, fail, has_failpoints, verify, while_fed};
use crate::schedule::Schedule;
use crate::support::config::Config;
use crate::support::kinesis::Kinesis;
use crate::support::objects::{self, Client};
use crate::support::program::{alluvium, stderr};
use crate::support::proxy::{Proxy, shown};
use crate::support::service::{Bucket, DynamoDb, S3};
use crate::support::{seconds, unique};

const PRODUCERS: usize = 8;
const SLOTS: usize = 3;
const SHARDS: i32 = 3;
/// Iterators and subscriptions do not live long.
const LIVES: [(&str, &str); 2] = [
    ("KINESIS_ITERATOR_SECONDS", "3"),
    ("KINESIS_SUBSCRIPTION_MS", "4000"),
];

pub(crate) fn play(seed: u64, size: Size) -> Outcome {
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let (s3, dynamodb) = (S3::start(), DynamoDb::start());
    let kinesis = runtime.block_on(Kinesis::start(&LIVES));
    let stream = unique("chaos");
    runtime.block_on(kinesis.create(&stream, SHARDS));
    let directory = tempfile::Builder::new()
        .prefix(&format!("chaos-{seed}-"))
        .tempdir_in(env!("CARGO_TARGET_TMPDIR"))
        .unwrap();
    let records = Records {
        seed,
        late: false,
        repeats: false,
    };

    let proxy = Proxy::new(&s3.bucket().endpoint, seed);
    let reads = Proxy::new(&kinesis.endpoint, seed ^ 1);
    let leases = Proxy::new(&dynamodb.endpoint, seed ^ 2);
    let (door, table) = (reads.door(), leases.door());
    let last = Config::kinesis(
        directory.path(),
        &kinesis.endpoint,
        &dynamodb.endpoint,
        &stream,
    )
    .set("kinesis.failover-time", "2s")
    .set("middleware.max-flush-duration", "2s")
    .set("memory.max-size", "128MB")
    .without("target.file.directory");
    let config = last
        .clone()
        .set("aws.kinesis-endpoint", &door.endpoint())
        .set("aws.dynamodb-endpoint", &table.endpoint());
    let last = last.s3(s3.bucket());

    let history = History::new();
    let handle = runtime.handle();
    let feed = Feed {
        kinesis: &kinesis,
        runtime: handle,
        stream: &stream,
        records,
        sent: vec![Vec::new(); PRODUCERS],
    };
    let slots = (0..SLOTS).map(|_| Slot::new(&config, &proxy, s3.bucket()));
    let services = [reads.clone(), leases.clone()];
    let away = (size.time / 4).min(seconds(60));
    let mut trouble = Trouble::new(&kinesis, handle, &stream, services, away);
    let failpoints = has_failpoints(&history);
    let slots = slots.collect();
    let mut schedule = Schedule::new(seed, &history, slots, &mut trouble, &proxy, failpoints);
    let sent = while_fed(|stop| feed.run(size.rate, stop), || schedule.run(size));
    let mut offences = std::mem::take(&mut schedule.offences);
    drop(schedule);

    let total = sent.iter().map(|sent| sent.len() as u64).sum();
    offences.extend(catch_up(&last, &history, size));
    offences.extend(objects(s3.bucket(), records, &stream, sent));
    offences.extend(verify(&last));
    offences.extend(open_plans(&last));
    eprintln!("faults: {}", shown(&history.by_kind()));
    for (name, proxy) in [("S3", &proxy), ("Kinesis", &reads), ("DynamoDB", &leases)] {
        eprintln!("requests to {name}: {}", shown(&proxy.counts()));
    }
    if !offences.is_empty() {
        fail(seed, directory, &history, &offences);
    }
    Outcome {
        faults: history.faults(),
        records: total,
    }
}

fn objects(
    bucket: &Bucket,
    records: Records,
    stream: &str,
    sent: Vec<Vec<Place>>,
) -> Option<String> {
    let start = Instant::now();
    let listed = Client::new(bucket).list("");
    let keys: Vec<String> = listed.into_iter().map(|object| object.key).collect();
    let judge = Judge::new(records, stream, sent);
    objects::for_each(bucket, &keys, 3, |key, bytes| judge.object(key, bytes));
    let judged = judge.verdict();
    if let Ok((rows, letters)) = judged {
        let took: Duration = start.elapsed();
        eprintln!(
            "{} objects hold {rows} rows and {letters} dead letters; reading took {took:.1?}",
            keys.len()
        );
    }
    judged.err()
}

/// Nothing may be left to be finished.
fn open_plans(config: &Config) -> Option<String> {
    let file = config.write().display().to_string();
    let output = alluvium(&["recover", "--config", &file]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (text != "no open plans\n").then(|| text + &stderr(&output))
}
