//! The records: all tables in all partitions, but one table that gets next to nothing and must not wait for it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use flate2::read::MultiGzDecoder;
use std::io::Read as _;

use crate::support::broker::Sender;
use crate::support::events::iso;
use crate::support::objects::{Client, Listed};
use crate::support::random::Random;
use crate::support::seconds;
use crate::support::service::Bucket;

/// One record in so many is of the smallest table.
const RARE: u64 = 2_000;

pub(crate) fn project(topic: &str) -> &str {
    topic
}

pub(crate) struct Load {
    sender: Sender,
    project: String,
    partitions: u64,
    tables: u64,
    random: Random,
    sent: u64,
}

fn now() -> u64 {
    std::time::UNIX_EPOCH.elapsed().unwrap().as_millis() as u64
}

impl Load {
    pub(crate) fn new(bootstrap: &str, topic: &str, partitions: i32, tables: u64) -> Self {
        Self {
            sender: Sender::new(bootstrap, topic),
            project: project(topic).to_owned(),
            partitions: partitions as u64,
            tables,
            random: Random::new(1),
            sent: 0,
        }
    }

    fn one(&mut self, rare: bool) {
        let random = &mut self.random;
        let table = if rare && self.sent.is_multiple_of(RARE) {
            "smallest".to_owned()
        } else {
            format!("t{}", random.below(self.tables))
        };
        let payload = format!(
            "{{\"data\":{{\"_project\":\"{}\",\"_collection\":\"{table}\",\"_time\":{},\"_user\":\"u{}\",\"id\":{},\
             \"a\":{},\"b\":{}.5,\"ok\":true,\"page\":\"/products/{}/reviews\",\"agent\":\"Mozilla/5.0 ({:016x})\",\
             \"tags\":[\"x\",{}]}}}}",
            self.project,
            now(),
            random.below(100_000),
            self.sent,
            random.below(1_000_000),
            random.below(1_000),
            random.below(10_000),
            random.next(),
            random.below(100),
        );
        let partition = random.below(self.partitions) as i32;
        self.sender.send(partition, None, Some(payload.as_bytes()));
        self.sent += 1;
    }

    /// Sends `rate` records a second until `done`.
    pub(crate) fn run(&mut self, rate: u64, done: &AtomicBool) {
        let start = Instant::now();
        let before = self.sent;
        while !done.load(Ordering::Relaxed) {
            let due = before + (start.elapsed().as_secs_f64() * rate as f64) as u64;
            while self.sent < due {
                self.one(true);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        self.sender.finish();
    }

    /// Sends so many as fast as it goes, none of the smallest table.
    pub(crate) fn send(&mut self, count: u64) {
        for _ in 0..count {
            self.one(false);
        }
        self.sender.finish();
    }

    /// Records sent so far.
    pub(crate) fn sent(&self) -> u64 {
        self.sent
    }

    /// The oldest row of every object of the smallest table was stored soon after it was due.
    ///
    /// While the target was slow, records waited in the stream, at most for `waited`, and all spans waited their turn for what
    /// was being sent; nobody waited for more rows.
    pub(crate) fn nobody_starved(
        &self,
        bucket: &Bucket,
        objects: &[Listed],
        flush: Duration,
        waited: Duration,
    ) {
        let mut client = Client::new(bucket);
        let mut ages = Vec::new();
        for object in objects
            .iter()
            .filter(|object| object.key.contains("/smallest/"))
        {
            let mut text = String::new();
            let bytes = client.object(&object.key);
            MultiGzDecoder::new(&bytes[..])
                .read_to_string(&mut text)
                .unwrap();
            let digits = text.strip_prefix("{\"_time\":").unwrap();
            let time = digits.split(',').next().unwrap().parse::<u64>().unwrap();
            // Such times compare as text.
            let limit = iso(time + (flush + waited + seconds(60)).as_millis() as u64);
            assert!(
                object.modified < limit,
                "{} of {} was stored {}",
                iso(time),
                object.key,
                object.modified
            );
            ages.push((iso(time), object.modified.clone()));
        }
        assert!(!ages.is_empty(), "there is no object of the smallest table");
        eprintln!(
            "pressure: {} objects of the smallest table, all in time; records waited {waited:?} in the stream",
            ages.len()
        );
    }
}
