//! A worker of the real KCL as a process (`tests/kcl/Consumer.java`).

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::seconds;
use super::service::{Service, read_log, run_directory, script, signal};

/// Which KCL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KclVersion {
    Two,
    Three,
}

/// What a worker reads, and where.
#[derive(Clone, Debug)]
pub struct Application {
    pub kinesis: String,
    pub dynamodb: String,
    pub stream: String,
    pub table: String,
    pub failover_ms: u64,
    /// Variables of `scripts/services/kcl` and of the worker, `KCL_...`.
    pub settings: Vec<(&'static str, String)>,
}

impl Application {
    /// The same, set otherwise.
    pub fn set(&self, variable: &'static str, value: u32) -> Self {
        let mut other = self.clone();
        other.settings.push((variable, value.to_string()));
        other
    }
}

/// A user record as the KCL has handed it over.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KclRecord {
    pub shard: String,
    pub sequence: String,
    pub sub: u64,
    pub data: Vec<u8>,
    /// Whether it is known that the lease says so.
    pub checkpointed: bool,
}

/// A running worker; killed when dropped.
pub struct Kcl {
    service: Service,
    file: PathBuf,
    _directory: tempfile::TempDir,
}

impl Kcl {
    /// Starts a worker and waits until it has begun, which is before it has any lease.
    pub fn start(version: KclVersion, application: &Application, worker: &str) -> Self {
        let directory = tempfile::Builder::new()
            .prefix("kcl-")
            .tempdir_in(run_directory())
            .unwrap();
        let file = directory.path().join("records");
        let version = match version {
            KclVersion::Two => "2",
            KclVersion::Three => "3",
        };
        let command = [
            script("kcl").display().to_string(),
            version.to_owned(),
            application.stream.clone(),
            application.table.clone(),
            worker.to_owned(),
            file.display().to_string(),
        ];
        let mut service = Service {
            name: format!("KCL {version}.x"),
            command: command.into(),
            environment: [
                vec![
                    ("KINESIS_ENDPOINT", application.kinesis.clone()),
                    ("DYNAMODB_ENDPOINT", application.dynamodb.clone()),
                    ("KCL_FAILOVER_MILLIS", application.failover_ms.to_string()),
                ],
                application.settings.clone(),
            ]
            .concat(),
            log: directory.path().join("log"),
            process: None,
        };
        service.start();
        let log = service.log.clone();
        service.wait_until(|| read_log(&log).contains("starts\n"));
        Self {
            service,
            file,
            _directory: directory,
        }
    }

    /// What it has said so far: `begins SHARD behind {…}`, `loses SHARD`, `ends SHARD`, and what the KCL logs.
    pub fn log(&self) -> String {
        read_log(&self.service.log)
    }

    /// The records it was handed, in the order of each shard.
    pub fn records(&self) -> Vec<KclRecord> {
        let text = read_log(&self.file);
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let mut records: Vec<KclRecord> = Vec::new();
        // Those that the next checkpoint of their shard covers.
        let mut waiting: HashMap<&str, Vec<usize>> = HashMap::new();
        for line in whole.lines() {
            match line.split(' ').collect::<Vec<_>>()[..] {
                // Another time that it has the lease: what was not checkpointed then never is.
                [">", shard] => drop(waiting.remove(shard)),
                ["=", shard, _, _] => {
                    for at in waiting.remove(shard).unwrap_or_default() {
                        records[at].checkpointed = true;
                    }
                }
                [shard, sequence, sub, data] => {
                    waiting.entry(shard).or_default().push(records.len());
                    records.push(KclRecord {
                        shard: shard.into(),
                        sequence: sequence.into(),
                        sub: sub.parse().unwrap(),
                        data: BASE64.decode(data).unwrap(),
                        checkpointed: false,
                    });
                }
                _ => panic!("{line}"),
            }
        }
        records
    }

    /// Asks it to end as a KCL should, and waits for that.
    pub fn stop(&mut self) {
        let Some(mut process) = self.service.process.take() else {
            return;
        };
        signal(&format!("-{}", process.id()), "TERM");
        let start = Instant::now();
        while process.try_wait().unwrap().is_none() {
            assert!(
                start.elapsed() < seconds(120),
                "no end; log:\n{}",
                self.log()
            );
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        // It may be "not stopped: …": a KCL 2.x that has just read a shard to its end waits in vain for that one. All others have
        // stored their checkpoints by then.
        assert!(self.log().contains("stopped"), "log:\n{}", self.log());
    }

    /// Ends it as a power cut would, at a moment that `fits`: it stands still while it is looked at.
    pub fn kill_when(&mut self, fits: impl FnOnce(&Self) -> bool) -> bool {
        let process = self.service.process.as_ref().unwrap();
        let group = format!("-{}", process.id());
        signal(&group, "STOP");
        let fits = fits(self);
        if fits {
            self.service.kill();
        } else {
            signal(&group, "CONT");
        }
        fits
    }
}
