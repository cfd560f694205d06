use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use async_trait::async_trait;
use tokio::runtime::Handle;

use super::*;

fn metrics() -> Arc<KclMetrics> {
    Arc::new(KclMetrics::new(IntCounter::new("dropped", "-").unwrap()))
}

/// A set of statistics as a line of text.
fn line(datum: &Datum) -> String {
    let dimensions = datum
        .dimensions()
        .map(|(name, value)| format!("{name}={value}"));
    let dimensions = dimensions.collect::<Vec<_>>().join(" ");
    let Statistics {
        samples,
        sum,
        minimum,
        maximum,
    } = datum.statistics;
    let (name, unit) = (datum.metric.name(), datum.metric.unit());
    format!("{dimensions} {name} {samples} {sum} {minimum} {maximum} {unit:?}")
}

fn lines(metrics: &KclMetrics) -> Vec<String> {
    metrics.take().iter().map(line).collect()
}

#[test]
fn measurements_become_sets_of_statistics_by_a_kcls_names() {
    let metrics = metrics();
    let batch = |records, behind_ms, success| Batch {
        records,
        bytes: records * 100,
        behind_ms,
        took: Duration::from_millis(records),
        success,
    };
    metrics.batch("shardId-000000000000", &batch(7, Some(500), true));
    metrics.batch("shardId-000000000000", &batch(0, None, false));
    metrics.batch("shardId-000000000001", &batch(3, Some(100), true));
    metrics.expired_iterator("shardId-000000000001");
    let expected = [
        "Operation=ApplicationTracker MillisBehindLatest 2 600 100 500 Milliseconds",
        "Operation=ProcessTask ShardId=shardId-000000000000 DataBytesProcessed 2 700 0 700 Bytes",
        "Operation=ProcessTask ShardId=shardId-000000000000 MillisBehindLatest 1 500 500 500 Milliseconds",
        "Operation=ProcessTask ShardId=shardId-000000000000 RecordsProcessed 2 7 0 7 Count",
        "Operation=ProcessTask ShardId=shardId-000000000000 Success 2 1 0 1 Count",
        "Operation=ProcessTask ShardId=shardId-000000000000 Time 2 7 0 7 Milliseconds",
        "Operation=ProcessTask ShardId=shardId-000000000001 DataBytesProcessed 1 300 300 300 Bytes",
        "Operation=ProcessTask ShardId=shardId-000000000001 ExpiredIterator 1 1 1 1 Count",
        "Operation=ProcessTask ShardId=shardId-000000000001 MillisBehindLatest 1 100 100 100 Milliseconds",
        "Operation=ProcessTask ShardId=shardId-000000000001 RecordsProcessed 1 3 3 3 Count",
        "Operation=ProcessTask ShardId=shardId-000000000001 Success 1 1 1 1 Count",
        "Operation=ProcessTask ShardId=shardId-000000000001 Time 1 3 3 3 Milliseconds",
    ];
    assert_eq!(lines(&metrics), expected);
    assert_eq!(lines(&metrics), [""; 0]);
}

#[test]
fn rounds_of_leases_have_their_worker() {
    let metrics = metrics();
    let took = Duration::from_millis(5);
    metrics.renewal(
        "w",
        &Renewal {
            current: 4,
            lost: 1,
            took,
            success: true,
        },
    );
    metrics.look(
        "w",
        &Look {
            total: 8,
            expired: 2,
            workers: 2,
            wanted: 2,
            taken: 1,
            untaken: 1,
            took,
            success: true,
            ..Look::default()
        },
    );
    metrics.audit(&Audit {
        holes: true,
        took,
        success: true,
    });
    let lines = lines(&metrics).join("\n");
    for expected in [
        "Operation=PeriodicShardSyncManager NumStreamsWithPartialLeases 1 1 1 1 Count",
        "Operation=RenewAllLeases WorkerIdentifier=w CurrentLeases 1 4 4 4 Count",
        "Operation=RenewAllLeases WorkerIdentifier=w LostLeases 1 1 1 1 Count",
        "Operation=RenewAllLeases WorkerIdentifier=w Time 1 5 5 5 Milliseconds",
        "Operation=TakeLeases WorkerIdentifier=w NumWorkers 1 2 2 2 Count",
        "Operation=TakeLeases WorkerIdentifier=w TakenLeases 1 1 1 1 Count",
        "Operation=TakeLeases WorkerIdentifier=w TotalLeases 1 8 8 8 Count",
    ] {
        assert!(lines.contains(expected), "{expected}\n{lines}");
    }
    assert_eq!(lines.lines().count(), 3 + 4 + 10);
}

#[test]
fn what_waits_has_a_bound_and_the_rest_is_counted() {
    let metrics = metrics();
    for shard in 0..MAX_WAITING {
        metrics.expired_iterator(&shard.to_string());
    }
    // Known ones are still added to.
    metrics.expired_iterator("0");
    metrics.expired_iterator("one more");
    assert_eq!(metrics.dropped.get(), 1);
    assert_eq!(metrics.take().len(), MAX_WAITING);
    metrics.expired_iterator("one more");
    assert_eq!(metrics.dropped.get(), 1);
}

/// Takes down what it gets; may refuse, or never answer.
#[derive(Debug)]
struct Notebook {
    requests: Arc<Mutex<Vec<usize>>>,
    answer: Arc<Mutex<Answer>>,
}

#[derive(Clone, Copy, Debug)]
enum Answer {
    Yes,
    No,
    Never,
}

#[async_trait]
impl Sink for Notebook {
    async fn put(&self, data: &[Datum], _: SystemTime) -> Result<(), String> {
        let answer = *self.answer.lock().unwrap();
        match answer {
            Answer::Yes => {
                self.requests.lock().unwrap().push(data.len());
                Ok(())
            }
            Answer::No => Err("refused".into()),
            Answer::Never => std::future::pending().await,
        }
    }
}

struct Stage {
    metrics: Arc<KclMetrics>,
    requests: Arc<Mutex<Vec<usize>>>,
    answer: Arc<Mutex<Answer>>,
    publishing: Publishing,
}

fn stage() -> Stage {
    let (metrics, requests) = (metrics(), Arc::default());
    let answer = Arc::new(Mutex::new(Answer::Yes));
    let sink = Notebook {
        requests: Arc::clone(&requests),
        answer: answer.clone(),
    };
    Stage {
        publishing: start(metrics.clone(), Box::new(sink), &Handle::current()),
        metrics,
        requests,
        answer,
    }
}

async fn seconds(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn every_ten_seconds_what_is_new_is_sent_in_requests_of_a_size() {
    let stage = stage();
    for shard in 0..1201 {
        stage.metrics.expired_iterator(&shard.to_string());
    }
    seconds(9).await;
    assert_eq!(*stage.requests.lock().unwrap(), [0; 0]);
    seconds(2).await;
    assert_eq!(*stage.requests.lock().unwrap(), [500, 500, 201]);
    seconds(20).await;
    assert_eq!(
        stage.requests.lock().unwrap().len(),
        3,
        "nothing is no request"
    );
    stage.metrics.expired_iterator("s");
    stage.publishing.finish().await;
    assert_eq!(*stage.requests.lock().unwrap(), [500, 500, 201, 1]);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_taken_is_dropped_and_counted() {
    let stage = stage();
    for answer in [Answer::No, Answer::Never] {
        *stage.answer.lock().unwrap() = answer;
        let before = stage.metrics.dropped.get();
        for shard in 0..600 {
            stage.metrics.expired_iterator(&shard.to_string());
        }
        seconds(20).await;
        assert_eq!(stage.metrics.dropped.get() - before, 600, "{answer:?}");
    }
    *stage.answer.lock().unwrap() = Answer::Yes;
    stage.metrics.expired_iterator("s");
    seconds(11).await;
    assert_eq!(*stage.requests.lock().unwrap(), [1]);
}

#[tokio::test(start_paused = true)]
async fn an_end_waits_for_nobody_for_long() {
    let stage = stage();
    *stage.answer.lock().unwrap() = Answer::Never;
    stage.metrics.expired_iterator("s");
    let begun = tokio::time::Instant::now();
    stage.publishing.finish().await;
    assert!(
        begun.elapsed() < Duration::from_secs(6),
        "{:?}",
        begun.elapsed()
    );
}
