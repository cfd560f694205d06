//! Looks at the process from outside: its memory and where it is, its members, its log.

use std::time::{Duration, Instant};

use crate::support::program::Program;
use crate::support::{broker, eventually, seconds};

pub(crate) struct Watch {
    bootstrap: String,
    /// The group and the topic have one name.
    group: String,
    partitions: i32,
    /// Records that were committed when the program started.
    begun: i64,
    members: Vec<String>,
    /// The most that was ever resident, in bytes.
    pub(crate) peak: u64,
    /// The most records that were ever sent and not read.
    pub(crate) behind: u64,
}

impl Watch {
    /// Waits until both workers have joined.
    pub(crate) fn begin(
        program: &Program,
        bootstrap: &str,
        group: &str,
        partitions: i32,
        begun: u64,
    ) -> Self {
        let mut members = Vec::new();
        eventually("two members", seconds(120), || {
            members = broker::members(bootstrap, group);
            members.len() == 2
                && program
                    .get("/readyz")
                    .is_some_and(|(status, _)| status == 200)
        });
        Self {
            bootstrap: bootstrap.to_owned(),
            group: group.to_owned(),
            partitions,
            begun: i64::try_from(begun).unwrap(),
            members,
            peak: 0,
            behind: 0,
        }
    }

    /// Lets time pass, and looks from time to time.
    pub(crate) fn during(&mut self, phase: &str, time: Duration, program: &mut Program) {
        let start = Instant::now();
        while start.elapsed() < time {
            let step = (time / 5).clamp(seconds(1), seconds(30));
            std::thread::sleep(step.min(time));
            self.look(phase, program);
        }
    }

    pub(crate) fn look(&mut self, phase: &str, program: &mut Program) {
        assert!(
            program.is_running(),
            "the program ended; log:\n{}",
            program.log()
        );
        self.peak = program.memory("VmHWM");
        let metrics = program.metrics();
        let ends = broker::ends(&self.bootstrap, &self.group, self.partitions);
        let sent = ends.values().sum::<i64>() - self.begun;
        let read = metrics.sum("alluvium_records_total", &[]) as i64;
        let behind = u64::try_from(sent - read).unwrap_or(0);
        self.behind = self.behind.max(behind);
        let mb = |name: &str| metrics.sum(name, &[]) / f64::from(1 << 20);
        eprintln!(
            "{phase}: resident {} MB (anonymous {}), peak {}; budget: open {:.1}, sealed {:.1}; {} threads; {} \
             records, {behind} behind, {} outputs, {} workers paused",
            program.memory("VmRSS") >> 20,
            program.memory("RssAnon") >> 20,
            self.peak >> 20,
            mb("alluvium_memory_open_bytes"),
            mb("alluvium_memory_sealed_bytes"),
            // Not a size.
            program.threads(),
            metrics.sum("alluvium_records_total", &[]),
            metrics.sum("alluvium_outputs_total", &[]),
            metrics.sum("alluvium_workers_paused", &[]),
        );
    }

    /// Nobody was expelled, nobody came back under another name.
    pub(crate) fn members_are_the_same(&self) {
        let members = broker::members(&self.bootstrap, &self.group);
        assert_eq!(members, self.members, "a consumer left its group");
    }

    /// Looks through the log of the whole run.
    pub(crate) fn end(&self, program: &Program) {
        let log = program.log();
        let missed = log.lines().filter(|line| line.contains("MAXPOLL")).count();
        assert_eq!(missed, 0, "polls were missed:\n{log}");
    }
}
