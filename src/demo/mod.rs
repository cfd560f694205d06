//! The whole path on one machine, with nothing but this program: librdkafka's in-process broker, a generated
//! stream, the real pipeline, files in a directory.

mod events;
mod report;

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use tokio::runtime::Runtime;

use self::events::Events;
use crate::config;
use crate::metrics::Metrics;
use crate::registry::Targets;
use crate::run::{self, Options, RunError, Stop};

const TOPIC: &str = "events";
const PARTITIONS: i32 = 4;
/// The in-process broker keeps 5 MiB a partition and drops the oldest beyond that. Even if all records that
/// were not read yet were in one partition, they fit.
const MAX_UNREAD_BYTES: u64 = 4 << 20;

/// Streams `records` events into files under `directory`, and returns what there is to show.
///
/// # Errors
/// If the directory cannot be written, or the pipeline fails.
pub fn run(
    runtime: &Runtime,
    records: u64,
    directory: &Path,
    metrics: &Arc<Metrics>,
    stop: &Stop,
) -> Result<String, RunError> {
    let failed = |error: KafkaError| RunError::Failed(format!("in-process broker: {error}"));
    let directory = fresh(directory)?;
    let cluster = MockCluster::new(1).map_err(failed)?;
    cluster.create_topic(TOPIC, PARTITIONS, 1).map_err(failed)?;
    let brokers = cluster.bootstrap_servers();
    let properties = properties(&brokers, &directory);
    let loaded = config::from_text("demo", properties.as_bytes(), std::iter::empty(), &[])
        .map_err(|problems| RunError::Configuration(problems.to_string()))?;

    let started = Instant::now();
    let produced = Arc::new(AtomicU64::new(0));
    let targets = Targets::standard();
    let pipeline = run::run(
        &loaded,
        &targets,
        metrics.clone(),
        Options {
            until_end: false,
            stop: stop.clone(),
        },
    );
    let producing = {
        let (metrics, stop, produced) = (metrics.clone(), stop.clone(), produced.clone());
        move || produce(&brokers, records, &metrics, &stop, &produced)
    };
    let result = runtime.block_on(async {
        let producing = tokio::task::spawn_blocking(producing);
        let showing = async {
            show_progress(records, metrics, &produced, stop).await;
            // Everything is read: what is left to do is to flush and commit it, as on SIGTERM.
            stop.ask();
        };
        let (result, ()) = tokio::join!(pipeline, showing);
        stop.ask();
        let sent = producing
            .await
            .map_err(|error| RunError::Failed(error.to_string()))?;
        sent.map_err(failed)?;
        result
    });
    clear_progress();
    result?;
    report::report(&directory, metrics, started.elapsed())
}

/// The directory, or one beside it if it holds something: files of two demos would be counted together.
fn fresh(directory: &Path) -> Result<PathBuf, RunError> {
    let mut candidate = directory.to_owned();
    for number in 2.. {
        match std::fs::read_dir(&candidate).map(|mut entries| entries.next().is_none()) {
            Ok(true) => break,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => break,
            Err(error) => {
                let path = candidate.display();
                return Err(RunError::Configuration(format!("--dir {path}: {error}")));
            }
            Ok(false) => {}
        }
        let mut name = directory.as_os_str().to_owned();
        name.push(format!("-{number}"));
        candidate = name.into();
    }
    Ok(candidate)
}

fn properties(brokers: &str, directory: &Path) -> String {
    // A backslash begins an escape in a properties file.
    let directory = directory.display().to_string().replace('\\', "\\\\");
    format!(
        "stream.source=kafka\nkafka.nodes={brokers}\nkafka.topic={TOPIC}\nkafka.offset=earliest\n\
         kafka.group.id=alluvium-demo\nsource.data-format=JSON\nsource.data-format.json.layout=RAKAM\n\
         middleware.max-flush-duration=5s\ntarget=file\ntarget.file.directory={directory}\n\
         memory.max-size=512MB\nadmin.listen=off\n"
    )
}

/// Sends the stream, never further ahead of the reader than the broker keeps.
fn produce(
    brokers: &str,
    records: u64,
    metrics: &Metrics,
    stop: &Stop,
    produced: &AtomicU64,
) -> Result<(), KafkaError> {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("linger.ms", "5")
        .set("queue.buffering.max.messages", "100000")
        .create()?;
    let mut events = Events::new(2026);
    let (mut payload, mut sent_bytes) = (String::new(), 0);
    for number in 0..records {
        let user = events.next(&mut payload).to_string();
        while sent_bytes - metrics.bytes.get().min(sent_bytes) > MAX_UNREAD_BYTES {
            if stop.asked() {
                return Ok(());
            }
            producer.poll(Duration::from_millis(1));
        }
        let mut record = BaseRecord::to(TOPIC).key(&user).payload(&payload);
        while let Err((error, back)) = producer.send(record) {
            if error.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull) {
                return Err(error);
            }
            record = back;
            producer.poll(Duration::from_millis(1));
        }
        sent_bytes += (user.len() + payload.len()) as u64;
        produced.store(number + 1, Ordering::Relaxed);
        if number % 1000 == 0 {
            producer.poll(Duration::ZERO);
        }
    }
    producer.flush(Duration::from_secs(30))
}

async fn show_progress(records: u64, metrics: &Metrics, produced: &AtomicU64, stop: &Stop) {
    let started = Instant::now();
    let mut line = Instant::now();
    let terminal = std::io::stderr().is_terminal();
    while metrics.records.get() < records && !stop.asked() {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let pause = Duration::from_millis(if terminal { 200 } else { 2000 });
        if line.elapsed() >= pause {
            line = Instant::now();
            let read = metrics.records.get();
            let rate = read * 1000
                / u64::try_from(started.elapsed().as_millis())
                    .unwrap_or(1)
                    .max(1);
            let text = format!(
                "produced {} · read {read} of {records} · {rate}/s · files {} · dead letters {}",
                produced.load(Ordering::Relaxed),
                metrics.outputs.get(),
                Metrics::sum(&metrics.dead_letters),
            );
            // Progress is a courtesy: nothing depends on its being seen.
            let end = if terminal { "\r" } else { "\n" };
            let _ = write!(std::io::stderr(), "{text}   {end}");
        }
    }
}

fn clear_progress() {
    if std::io::stderr().is_terminal() {
        let _ = writeln!(std::io::stderr());
    }
}
