//! The load: a process of its own that sends more and more records, drops to none, and begins again.
//!
//! Record `n` goes to partition `n` modulo the partitions, so that a position tells when its record was sent.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::cases::Case;
use crate::datasets::PARTITIONS;
use crate::support::broker::Sender;

/// Different records; they are sent again and again, at distances that no compressor sees.
const POOL: usize = 50_000;

/// Milliseconds of the clock, and how many records were sent by then.
type Moment = (u64, u64);

pub(super) fn now() -> u64 {
    std::time::UNIX_EPOCH
        .elapsed()
        .expect("a clock")
        .as_millis() as u64
}

/// The child's part: sends to a topic, and says ten times a second how much.
pub(crate) fn child(arguments: &[String]) {
    let [kafka, topic, numbers @ ..] = arguments else {
        panic!("not a load: {arguments:?}");
    };
    let numbers: Vec<u64> = numbers
        .iter()
        .map(|number| number.parse().expect("a number"))
        .collect();
    let [peak, period, time] = numbers[..] else {
        panic!("not a load: {arguments:?}");
    };
    let sender = Sender::new(kafka, topic);
    let mut payloads = Case::by_name("json-400-5-gzip6").dataset.payloads();
    let pool: Vec<_> = (0..POOL).map(|_| payloads.next().to_vec()).collect();
    let (start, mut said, mut sent) = (Instant::now(), Instant::now(), 0);
    let end = due(time as f64, peak, period);
    while sent < end {
        let due = due(start.elapsed().as_secs_f64(), peak, period).min(end);
        while sent < due && said.elapsed() < Duration::from_millis(100) {
            let partition = (sent % PARTITIONS as u64) as i32;
            sender.send(partition, None, Some(&pool[sent as usize % POOL]));
            sent += 1;
        }
        if said.elapsed() >= Duration::from_millis(100) {
            said = Instant::now();
            println!("{} {sent}", now());
        } else {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
    sender.finish();
    println!("{} {sent}", now());
}

/// How many records are to be sent by a time: the rate rises from 0 to `peak` in each `period`.
fn due(seconds: f64, peak: u64, period: u64) -> u64 {
    let (peak, period) = (peak as f64, period as f64);
    let (teeth, within) = ((seconds / period).floor(), seconds % period);
    (peak * (teeth * period / 2.0 + within * within / (2.0 * period))) as u64
}

/// The child, seen from outside.
pub(super) struct Load {
    process: Child,
    moments: Arc<Mutex<Vec<Moment>>>,
    reader: std::thread::JoinHandle<()>,
}

impl Load {
    pub(super) fn start(kafka: &str, topic: &str, peak: u64, period: u64, time: u64) -> Self {
        let this = std::env::current_exe().expect("a path");
        let numbers = [peak, period, time].map(|number| number.to_string());
        let mut process = Command::new(this)
            .args([crate::WANTED, "feed", kafka, topic])
            .args(numbers)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this program starts");
        let lines = BufReader::new(process.stdout.take().expect("a pipe")).lines();
        let moments = Arc::new(Mutex::new(Vec::new()));
        let to = moments.clone();
        let reader = std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let (time, sent) = line.split_once(' ').expect("two numbers");
                let moment = (
                    time.parse().expect("a time"),
                    sent.parse().expect("a number"),
                );
                to.lock().unwrap().push(moment);
            }
        });
        Self {
            process,
            moments,
            reader,
        }
    }

    /// Records sent so far.
    pub(super) fn sent(&self) -> u64 {
        self.moments.lock().unwrap().last().map_or(0, |last| last.1)
    }

    /// When the record at an offset of a partition was sent, in milliseconds of the clock; `None` if it was not yet.
    pub(super) fn sent_at(&self, partition: i32, offset: u64) -> Option<u64> {
        let number = offset * PARTITIONS as u64 + partition as u64;
        let moments = self.moments.lock().unwrap();
        let at = moments.partition_point(|(_, sent)| *sent <= number);
        moments.get(at).map(|(time, _)| *time)
    }

    /// Waits for the end of the feed and gives the number of records.
    pub(super) fn finish(mut self) -> u64 {
        let status = self.process.wait().expect("the feeder ends");
        assert!(status.success(), "the feeder failed: {status}");
        self.reader.join().expect("the feeder's lines");
        self.moments.lock().unwrap().last().expect("a last line").1
    }
}
