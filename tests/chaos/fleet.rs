//! The processes under test: started, killed, frozen, watched. Whoever ends without a reason is an offender.

use std::os::unix::process::ExitStatusExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::support::config::Config;
use crate::support::program::Program;
use crate::support::proxy::{Door, Proxy};
use crate::support::random::Random;
use crate::support::seconds;
use crate::support::service::{Bucket, signal};

/// Where the program can be made to kill itself (its feature `failpoints`).
pub(crate) const FAILPOINTS: [&str; 4] = ["sealed", "planned", "written", "committed"];

const KILLED: i32 = 9;
const ABORTED: i32 = 6;
const TERMINATED: i32 = 15;
/// A process that has not left by then never will: by itself it gives up sooner.
const LEAVING: Duration = seconds(90);

/// A place for a process, with its own address of the proxy.
pub(crate) struct Slot {
    config: Config,
    door: Door,
    program: Option<Program>,
    failpoint: Option<&'static str>,
    /// Set when the proxy has killed the process between two outputs.
    sprung: Arc<AtomicBool>,
    pub(crate) frozen: bool,
    /// Bytes of the log that those before it have written.
    said: usize,
    leaving: Option<Instant>,
}

/// How a process has ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    Failpoint(&'static str),
    BetweenOutputs,
    Left,
    /// It found that it may not write, and did not start.
    Refused,
    Unexpected(String),
}

impl Slot {
    pub(crate) fn new(config: &Config, proxy: &Proxy, bucket: &Bucket) -> Self {
        let door = proxy.door();
        let bucket = Bucket {
            endpoint: door.endpoint(),
            ..bucket.clone()
        };
        Self {
            config: config.another().s3(&bucket),
            door,
            program: None,
            failpoint: None,
            sprung: Arc::default(),
            frozen: false,
            said: 0,
            leaving: None,
        }
    }

    /// Starts a process with these settings besides its own; `failpoint` names where it kills itself, and at which passing.
    pub(crate) fn start(
        &mut self,
        settings: &[(&'static str, String)],
        failpoint: Option<(&'static str, u64)>,
    ) {
        let mut config = self.config.clone();
        for (key, value) in settings {
            config = config.set(key, value);
        }
        let variable = failpoint.map(|(name, passing)| format!("{name}:{passing}"));
        let environment: Vec<_> = variable
            .iter()
            .map(|text| ("ALLUVIUM_FAILPOINT", text.as_str()))
            .collect();
        self.said = Program::said(&config).len();
        self.program = Some(Program::start_in(&config, &[], &environment));
        self.failpoint = failpoint.map(|(name, _)| name);
        self.sprung.store(false, Ordering::Relaxed);
        self.frozen = false;
        self.leaving = None;
    }

    pub(crate) fn runs(&self) -> bool {
        self.program.is_some()
    }

    /// Runs, and nothing else is being done to it.
    pub(crate) fn is_free(&self) -> bool {
        self.runs() && !self.frozen && self.leaving.is_none()
    }

    /// kill -9; how much it has had in hand is up to luck.
    pub(crate) fn kill(&mut self) {
        self.door.disarm();
        if let Some(mut program) = self.program.take() {
            program.kill();
        }
        self.frozen = false;
        self.leaving = None;
    }

    /// kill -9 by the proxy, when `puts` more objects are stored and before the process hears of the last.
    pub(crate) fn kill_after_puts(&self, puts: u64) {
        let Some(id) = self.program.as_ref().map(Program::id) else {
            return;
        };
        let sprung = self.sprung.clone();
        self.door.after_puts(puts, move || {
            sprung.store(true, Ordering::Relaxed);
            signal(&id.to_string(), "KILL");
        });
    }

    pub(crate) fn freeze(&mut self) {
        if let Some(program) = &self.program {
            program.signal("STOP");
            self.frozen = true;
        }
    }

    pub(crate) fn thaw(&mut self) {
        if let (Some(program), true) = (&self.program, self.frozen) {
            program.signal("CONT");
        }
        self.frozen = false;
    }

    /// Whether the proxy is to kill it.
    pub(crate) fn is_doomed(&self) -> bool {
        self.door.is_armed()
    }

    /// Asks the process to leave (SIGTERM), once: asked twice, it ends without draining.
    pub(crate) fn leave(&mut self) {
        if self.leaving.is_some() {
            return;
        }
        if let Some(program) = &self.program {
            program.signal("TERM");
            self.leaving = Some(Instant::now());
        }
    }

    /// Whether the process has ended, and how. `forbidden`: writing was refused not long ago.
    pub(crate) fn ended(&mut self, forbidden: bool) -> Option<End> {
        let program = self.program.as_mut()?;
        let Some(status) = program.status() else {
            let late = self.leaving.is_some_and(|since| since.elapsed() > LEAVING);
            if !late {
                return None;
            }
            program.kill();
            self.program = None;
            self.leaving = None;
            return Some(End::Unexpected(format!(
                "had not left {LEAVING:?} after SIGTERM"
            )));
        };
        let leaving = self.leaving.take().is_some();
        // It catches signals before its first word.
        let young = leaving && program.log().len() == self.said;
        self.door.disarm();
        // The last word of the process, which shares its log with those before it.
        let refused = program
            .log()
            .lines()
            .last()
            .is_some_and(|line| line.contains("AccessDenied"));
        // The log is that of every process before it too, and none of them may have found anything wrong.
        let stopped = program
            .log()
            .lines()
            .find(|line| line.contains("partition stopped"))
            .map(str::to_owned);
        self.program = None;
        if let Some(line) = stopped {
            return Some(End::Unexpected(format!("gave up a partition: {line}")));
        }
        Some(match (status.code(), status.signal(), self.failpoint) {
            (_, Some(KILLED), _) if self.sprung.load(Ordering::Relaxed) => End::BetweenOutputs,
            (_, Some(KILLED | ABORTED), Some(name)) => End::Failpoint(name),
            // 1: the target or the group did not answer in time.
            (Some(0 | 1), _, _) if leaving => End::Left,
            (_, Some(TERMINATED), _) if young => End::Left,
            (Some(2), _, _) if forbidden && refused => End::Refused,
            _ => End::Unexpected(format!("ended by itself: {status}")),
        })
    }

    /// The end of the round: wakes the process, asks it to leave and waits until it has. `forbidden` as in [`ended`](Self::ended).
    pub(crate) fn finish(&mut self, forbidden: bool) -> Option<End> {
        self.thaw();
        self.door.disarm();
        self.leave();
        while self.runs() {
            if let Some(end) = self.ended(forbidden) {
                return Some(end);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        None
    }
}

/// Draws whether a process has a failpoint, and one that it reaches soon or late.
pub(crate) fn draw_failpoint(random: &mut Random) -> Option<(&'static str, u64)> {
    let name = FAILPOINTS[random.below(4) as usize];
    let passing = 1 + if random.chance(50) {
        random.below(3)
    } else {
        random.below(40)
    };
    random.chance(50).then_some((name, passing))
}
