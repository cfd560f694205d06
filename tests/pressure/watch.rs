//! Looks at the process from outside: its memory and where it is, its members, its log.

use std::time::{Duration, Instant};

use crate::support::program::Program;
use crate::support::{broker, eventually, seconds};

pub(crate) struct Watch {
    bootstrap: String,
    group: String,
    members: Vec<String>,
    /// The most that was ever resident, in bytes.
    pub(crate) peak: u64,
}

impl Watch {
    /// Waits until both workers have joined.
    pub(crate) fn begin(program: &Program, bootstrap: &str, group: &str) -> Self {
        let mut members = Vec::new();
        eventually("two members", seconds(60), || {
            members = broker::members(bootstrap, group);
            members.len() == 2
                && program
                    .get("/readyz")
                    .is_some_and(|(status, _)| status == 200)
        });
        Self {
            bootstrap: bootstrap.to_owned(),
            group: group.to_owned(),
            members,
            peak: 0,
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
        let mb = |name: &str| metrics.sum(name, &[]) / f64::from(1 << 20);
        eprintln!(
            "{phase}: resident {} MB (anonymous {}), peak {}; budget: open {:.1}, sealed {:.1}; {} threads; {} \
             records, {} outputs, {} workers paused",
            program.memory("VmRSS") >> 20,
            program.memory("RssAnon") >> 20,
            self.peak >> 20,
            mb("alluvium_memory_open_bytes"),
            mb("alluvium_memory_sealed_bytes"),
            // Not a size.
            program.memory("Threads") / 1024,
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
