//! One test's stream from feeding to judging: topic, ledger of what was fed, output, and the comparison.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::config::Config;
use crate::support::events::{self, Events};
use crate::support::service::{Bucket, REPOSITORY, python};
use crate::support::{broker, output, unique};

pub(crate) const PARTITIONS: i32 = 12;

/// A fresh topic, project and directory.
pub(crate) struct Stream {
    pub(crate) bootstrap: String,
    /// The topic, and the consumer group.
    pub(crate) topic: String,
    pub(crate) project: String,
    pub(crate) directory: PathBuf,
    _scratch: tempfile::TempDir,
}

impl Stream {
    pub(crate) fn new(name: &str, bootstrap: &str) -> Self {
        let (scratch, directory) = output::scratch();
        let topic = unique(name);
        broker::create_topic(bootstrap, &topic, PARTITIONS);
        Self {
            bootstrap: bootstrap.to_owned(),
            project: topic.clone(),
            topic,
            directory,
            _scratch: scratch,
        }
    }

    pub(crate) fn config(&self) -> Config {
        Config::new(&self.directory, &self.bootstrap, &self.topic)
            .set("source.max-record-size", events::MAX_RECORD)
    }

    fn ledger(&self) -> PathBuf {
        self.directory.join("ledger")
    }

    /// Sends `count` events, over about `spread` of time.
    pub(crate) fn feed(&self, count: u64, spread: Duration) {
        let start = Instant::now();
        let pause = |sent: u64| {
            if sent.is_multiple_of(1_000) {
                let due = spread.mul_f64(sent as f64 / count as f64);
                std::thread::sleep(due.saturating_sub(start.elapsed()));
            }
        };
        let events = Events::new(count, &self.project, count);
        events::feed(
            &self.bootstrap,
            &self.topic,
            PARTITIONS,
            &self.ledger(),
            events,
            pause,
        );
    }

    /// Waits until everything that was fed is committed.
    pub(crate) fn wait_committed(&self, limit: Duration) {
        let start = Instant::now();
        while !self.is_committed() {
            assert!(
                start.elapsed() < limit,
                "not all records are committed after {limit:?}:\ncommitted {:?}\nends      {:?}",
                self.committed(),
                self.ends()
            );
            std::thread::sleep(Duration::from_millis(500));
        }
    }

    pub(crate) fn is_committed(&self) -> bool {
        // A partition nobody wrote to needs no commit.
        let mut ends = self.ends();
        ends.retain(|_, end| *end > 0);
        self.committed() == ends
    }

    pub(crate) fn committed(&self) -> BTreeMap<i32, i64> {
        broker::committed(&self.bootstrap, &self.topic, &self.topic, PARTITIONS)
    }

    fn ends(&self) -> BTreeMap<i32, i64> {
        broker::ends(&self.bootstrap, &self.topic, PARTITIONS)
    }

    /// Copies this stream's objects to a directory, and gives it.
    pub(crate) fn fetch(&self, bucket: &Bucket) -> PathBuf {
        let directory = self.directory.join("objects");
        let (objects, _) = bucket.fetch(&format!("{}/", self.project), &directory);
        assert!(
            objects > 0,
            "there are no objects of project {}",
            self.project
        );
        bucket.fetch(&format!("_dead_letters/{}-", self.topic), &directory);
        directory
    }

    /// Every record exactly once, in order, with equal values; gives the summary.
    pub(crate) fn assert_exact(&self, objects: &Path) -> serde_json::Value {
        self.check("exact", objects)
    }

    fn check(&self, mode: &str, objects: &Path) -> serde_json::Value {
        let output = Command::new(python())
            .arg(Path::new(REPOSITORY).join("tests/services/check.py"))
            .arg(mode)
            .args([&self.ledger(), objects])
            .args([&self.project, &self.topic])
            .output()
            .unwrap();
        let summary = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success(),
            "{summary}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        serde_json::from_str(&summary).unwrap()
    }
}
