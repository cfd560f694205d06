//! One round: services, records, trouble, and the count at the end.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use crate::Size;
use crate::brokers::Brokers;
use crate::feed::Feed;
use crate::fleet::Slot;
use crate::history::History;
use crate::judge::{Judge, Sent};
use crate::records::{DAYS, Records};
use crate::schedule::Schedule;
use crate::support::config::Config;
use crate::support::objects::{self, Client};
use crate::support::program::{Program, alluvium, stderr};
use crate::support::proxy::{Proxy, shown};
use crate::support::random::Random;
use crate::support::service::{Bucket, Kafka, S3};
use crate::support::{broker, seconds, setting, unique};

const PARTITIONS: usize = 12;
const SLOTS: usize = 3;
const LATE_PARTITIONS: i32 = 3;

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) faults: u64,
    pub(crate) records: u64,
}

/// Only a program built with the feature can kill itself; one that is given is taken to be.
pub(crate) fn has_failpoints(history: &History) -> bool {
    let has = cfg!(feature = "failpoints") || std::env::var_os("CHAOS_PROGRAM").is_some();
    if !has {
        history.note("no failpoints: built without the feature `failpoints`");
    }
    has
}

/// Where a process remembers events.
const REMEMBERED: &str = "committer.duplicate-handler-rocksdb-directory";

/// Half of all rounds have late records, and half have repeats.
fn records(seed: u64) -> Records {
    let mut random = Random::new(seed);
    let (late, repeats) = (random.below(2), random.below(2));
    Records {
        seed,
        late: setting("CHAOS_LATE", late) == 1,
        repeats: setting("CHAOS_REPEATS", repeats) == 1,
    }
}

pub(crate) fn play(seed: u64, size: Size) -> Outcome {
    let mut kafka = Kafka::start(3);
    let s3 = S3::start();
    let proxy = Proxy::new(&s3.bucket().endpoint, seed);
    let directory = tempfile::Builder::new()
        .prefix(&format!("chaos-{seed}-"))
        .tempdir_in(env!("CARGO_TARGET_TMPDIR"))
        .unwrap();
    let topic = unique("chaos");
    let bootstrap = kafka.bootstrap();
    broker::create_topic(&bootstrap, &topic, PARTITIONS as i32);
    let records = records(seed);
    eprintln!("{records:?}");
    let historical = records.late.then(|| format!("{topic}-historical"));
    let mut config = Config::new(directory.path(), &bootstrap, &topic)
        .set("kafka.session.timeout.ms", "6000")
        .set("middleware.max-flush-duration", "2s")
        .set("memory.max-size", "128MB")
        .without("target.file.directory");
    if let Some(historical) = &historical {
        broker::create_topic(&bootstrap, historical, LATE_PARTITIONS);
        config = config
            .set("kafka.historical-data-topic", historical)
            .set("outdated.day.index", DAYS);
    }
    // Each process remembers what it has written itself, on a disk of its own.
    let of_machine = |name: &str| match records.repeats {
        true => {
            let place = directory.path().join(format!("events-{name}"));
            let place = place.display().to_string();
            config.clone().set(REMEMBERED, &place)
        }
        false => config.clone(),
    };

    let history = History::new();
    let feed = Feed::new(&bootstrap, &topic, PARTITIONS, records);
    let slots = (0..SLOTS)
        .map(|slot| Slot::new(&of_machine(&slot.to_string()), &proxy, s3.bucket()))
        .collect();
    let mut brokers = Brokers::new(&mut kafka);
    let mut schedule = Schedule::new(
        seed,
        &history,
        slots,
        &mut brokers,
        &proxy,
        has_failpoints(&history),
    );
    let sent = while_fed(|stop| feed.run(size.rate, stop), || schedule.run(size));
    let mut offences = std::mem::take(&mut schedule.offences);
    drop(schedule);

    let last = of_machine("last").s3(s3.bucket());
    let end = End {
        bootstrap: &bootstrap,
        topic: &topic,
        historical: historical.as_deref(),
        bucket: s3.bucket(),
    };
    offences.extend(catch_up(&last, &history, size));
    offences.extend(end.offsets(&sent));
    offences.extend(end.objects(records, sent.clone()));
    offences.extend(verify(&last));

    let total = sent.iter().map(|sent| sent.count).sum();
    eprintln!("faults: {}", shown(&history.by_kind()));
    eprintln!("requests to S3: {}", shown(&proxy.counts()));
    if !offences.is_empty() {
        fail(seed, directory, &history, &offences);
    }
    Outcome {
        faults: history.faults(),
        records: total,
    }
}

/// What is done and looked at when the trouble is over.
struct End<'a> {
    bootstrap: &'a str,
    topic: &'a str,
    historical: Option<&'a str>,
    bucket: &'a Bucket,
}

impl End<'_> {
    fn offsets(&self, sent: &[Sent]) -> Option<String> {
        let partitions = PARTITIONS as i32;
        let mut ends = broker::ends(self.bootstrap, self.topic, partitions);
        ends.retain(|_, end| *end > 0);
        let committed = broker::committed(self.bootstrap, self.topic, self.topic, partitions);
        if committed != ends {
            return Some(format!("committed {committed:?}\nends      {ends:?}"));
        }
        let complete = sent.iter().all(|sent| sent.unacknowledged.is_empty());
        let counts: Vec<_> = sent
            .iter()
            .map(|sent| sent.count as i64)
            .filter(|count| *count > 0)
            .collect();
        let other = complete && !ends.values().eq(&counts);
        other.then(|| format!("the brokers have {ends:?} of {counts:?} records"))
    }

    fn objects(&self, records: Records, sent: Vec<Sent>) -> Option<String> {
        let start = Instant::now();
        let listed = Client::new(self.bucket).list("");
        let keys: Vec<String> = listed.into_iter().map(|object| object.key).collect();
        let judge = Judge::new(records, self.topic, sent);
        objects::for_each(self.bucket, &keys, 3, |key, bytes| judge.object(key, bytes));
        if let Some(historical) = self.historical {
            let kept = broker::read_all(self.bootstrap, historical, LATE_PARTITIONS);
            kept.iter().for_each(|kept| judge.late(kept));
        }
        match judge.verdict(&keys) {
            Ok((rows, letters)) => {
                let (late, dropped) = judge.late_and_dropped();
                eprintln!(
                    "{} objects hold {rows} rows and {letters} dead letters, the historical topic {late} records; {dropped} repeats \
                     were dropped; reading took {:.1?}",
                    keys.len(),
                    start.elapsed()
                );
                let idle = records.repeats && dropped == 0;
                idle.then(|| "no repeat was dropped".into())
            }
            Err(verdict) => Some(verdict.text),
        }
    }
}

/// Makes trouble while records are sent; gives what was sent.
pub(crate) fn while_fed<T: Send>(
    feed: impl FnOnce(&AtomicBool) -> T + Send,
    trouble: impl FnOnce(),
) -> T {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let feeder = scope.spawn(|| feed(&stop));
        // A panic must not leave the feeder running, and us waiting for it.
        let trouble = std::panic::catch_unwind(std::panic::AssertUnwindSafe(trouble));
        stop.store(true, Ordering::Relaxed);
        let sent = feeder.join().unwrap();
        trouble.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        sent
    })
}

/// Reads what is left.
pub(crate) fn catch_up(config: &Config, history: &History, size: Size) -> Option<String> {
    let start = Instant::now();
    let mut program = Program::start_in(config, &["--until-end"], &[]);
    let code = program.wait(seconds(180) + size.time);
    history.note(&format!("run --until-end took {:.1?}", start.elapsed()));
    (code != 0).then(|| format!("run --until-end ended with {code}"))
}

/// The program's own look at what it has written.
pub(crate) fn verify(config: &Config) -> Option<String> {
    let file = config.write().display().to_string();
    let output = alluvium(&["verify", "--config", &file, "--deep"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &stderr(&output);
    (!output.status.success()).then(|| format!("alluvium verify --deep: {}\n{text}", output.status))
}

pub(crate) fn fail(
    seed: u64,
    directory: tempfile::TempDir,
    history: &History,
    offences: &[String],
) -> ! {
    let kept: PathBuf = directory.keep();
    let text = format!("{}\n\n{}\n", history.text(), offences.join("\n"));
    let _ = std::fs::write(Path::new(&kept).join("history.txt"), &text);
    panic!(
        "CHAOS_SEED={seed}\n{text}\nlogs of the processes: {}",
        kept.display()
    );
}
