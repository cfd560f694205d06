//! Seeded trouble: what happens next, and to whom. The same seed draws the same events, as far as timing allows.

use std::time::{Duration, Instant};

use crate::Size;
use crate::fleet::{End, Slot, draw_failpoint};
use crate::history::History;
use crate::support::proxy::{Fault, Proxy};
use crate::support::random::Random;
use crate::support::seconds;

/// For so long a process may find that it may not write after it was allowed to again: it may start slowly, and be frozen meanwhile.
const FORBIDDEN: Duration = seconds(60);

/// Something to be done later.
enum Later {
    Start(usize),
    Thaw(usize),
    Calm(Fault, u64),
}

/// What processes read from, and the trouble that it makes.
pub(crate) trait Stream {
    /// Of a hundred events, so many are its own.
    fn share(&self) -> u64;

    /// The least and the most milliseconds for which a process is frozen: others take over meanwhile.
    fn freeze(&self) -> (u64, u64);

    /// What a process is started with.
    fn settings(&self, random: &mut Random) -> Vec<(&'static str, String)>;

    /// Makes trouble, if that is possible now.
    fn trouble(&mut self, random: &mut Random, history: &History) -> bool;

    /// Ends what has lasted long enough.
    fn tend(&mut self, history: &History);

    /// Ends all trouble.
    fn calm(&mut self, history: &History);
}

pub(crate) struct Schedule<'a> {
    pub(crate) random: Random,
    pub(crate) history: &'a History,
    pub(crate) slots: Vec<Slot>,
    pub(crate) stream: &'a mut dyn Stream,
    pub(crate) proxy: &'a Proxy,
    pub(crate) failpoints: bool,
    /// What no process may do.
    pub(crate) offences: Vec<String>,
    later: Vec<(Instant, Later)>,
    /// Faults of S3 that last.
    troubled: Vec<Fault>,
    forbidden_until: Instant,
}

impl<'a> Schedule<'a> {
    pub(crate) fn new(
        seed: u64,
        history: &'a History,
        slots: Vec<Slot>,
        stream: &'a mut dyn Stream,
        proxy: &'a Proxy,
        failpoints: bool,
    ) -> Self {
        Self {
            random: Random::new(seed),
            history,
            slots,
            stream,
            proxy,
            failpoints,
            offences: Vec::new(),
            later: Vec::new(),
            troubled: Vec::new(),
            forbidden_until: Instant::now(),
        }
    }

    /// Makes trouble, then ends all of it and stops every process.
    pub(crate) fn run(&mut self, size: Size) {
        let start = Instant::now();
        let goes_on = |history: &History| match start.elapsed() {
            time if time < size.time => true,
            time => history.faults() < size.faults && time < size.time * 4,
        };
        self.start(0);
        self.start(1);
        let mut next = Instant::now() + seconds(4);
        while goes_on(self.history) {
            self.watch();
            self.do_what_is_due(Instant::now());
            self.stream.tend(self.history);
            if Instant::now() >= next {
                self.event();
                next = Instant::now() + self.millis(300, 2_700);
            }
            std::thread::sleep(Duration::from_millis(30));
        }
        self.history.note("the trouble ends");
        self.end();
    }

    fn end(&mut self) {
        self.later
            .retain(|(_, later)| !matches!(later, Later::Start(_)));
        self.do_what_is_due(Instant::now() + seconds(3_600));
        self.proxy.calm();
        self.stream.calm(self.history);
        let forbidden = Instant::now() < self.forbidden_until;
        for index in 0..self.slots.len() {
            self.slots[index].leave();
        }
        for index in 0..self.slots.len() {
            if let Some(end) = self.slots[index].finish(forbidden) {
                self.ended(index, end);
            }
        }
    }

    fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.random.below(to - from))
    }

    fn later(&mut self, after: Duration, what: Later) {
        self.later.push((Instant::now() + after, what));
    }

    fn start(&mut self, index: usize) {
        let settings = self.stream.settings(&mut self.random);
        let failpoint = draw_failpoint(&mut self.random).filter(|_| self.failpoints);
        let values: Vec<_> = settings.iter().map(|(_, value)| value.as_str()).collect();
        let shown = failpoint.map_or(String::new(), |(name, passing)| {
            format!(", to die at {name}:{passing}")
        });
        let values = values.join(", ");
        self.history
            .note(&format!("process {index} starts ({values}){shown}"));
        self.slots[index].start(&settings, failpoint);
    }

    fn start_later(&mut self, index: usize) {
        let after = self.millis(200, 4_000);
        self.later(after, Later::Start(index));
    }

    /// Looks who has ended. Whoever was killed comes back.
    fn watch(&mut self) {
        let forbidden = Instant::now() < self.forbidden_until;
        for index in 0..self.slots.len() {
            if let Some(end) = self.slots[index].ended(forbidden) {
                self.ended(index, end);
                self.start_later(index);
            }
        }
    }

    fn ended(&mut self, index: usize, end: End) {
        let who = format!("process {index}");
        match end {
            End::Failpoint("sealed") => self.history.fault("killed-when-sealed", &who),
            End::Failpoint("planned") => self.history.fault("killed-when-planned", &who),
            End::Failpoint("written") => self.history.fault("killed-when-written", &who),
            End::Failpoint(_) => self.history.fault("killed-when-committed", &who),
            End::BetweenOutputs => self.history.fault("killed-between-outputs", &who),
            End::Left => self.history.note(&format!("{who} has left")),
            End::Refused => self.history.note(&format!("{who} may not write and ended")),
            End::Unexpected(how) => {
                self.history.note(&format!("{who} {how}"));
                self.offences.push(format!("{who} {how}"));
            }
        }
    }

    fn do_what_is_due(&mut self, now: Instant) {
        while let Some(at) = self.later.iter().position(|(due, _)| *due <= now) {
            match self.later.remove(at).1 {
                Later::Start(index) if !self.slots[index].runs() => self.start(index),
                Later::Start(_) => {}
                Later::Thaw(index) => {
                    self.history.note(&format!("process {index} is woken"));
                    self.slots[index].thaw();
                }
                Later::Calm(fault, hits) => self.calm(fault, hits),
            }
        }
    }

    /// An episode counts if it has hit anything.
    fn calm(&mut self, fault: Fault, hits: u64) {
        self.proxy.set(fault, 0);
        self.troubled.retain(|other| *other != fault);
        let hits = self.proxy.hits(fault) - hits;
        if fault == Fault::Forbidden {
            self.forbidden_until = Instant::now() + FORBIDDEN;
        }
        if hits > 0 {
            self.history.fault(
                &format!("s3-{}", fault.name()),
                &format!("has hit {hits} requests"),
            );
        } else {
            self.history
                .note(&format!("s3-{} has hit nothing", fault.name()));
        }
    }

    /// The next event that is possible now.
    fn event(&mut self) {
        for _ in 0..10 {
            let draw = self.random.below(100);
            let index = self.random.below(self.slots.len() as u64) as usize;
            let done = match draw {
                0..9 => self.kill(index),
                9..24 => self.kill_between_outputs(index),
                24..31 => self.freeze(index),
                31..40 => self.remove_or_add(index),
                _ if draw < 40 + self.stream.share() => {
                    self.stream.trouble(&mut self.random, self.history)
                }
                _ => self.trouble_s3(draw as usize % Fault::ALL.len()),
            };
            if done {
                break;
            }
        }
    }

    fn kill(&mut self, index: usize) -> bool {
        if !self.slots[index].runs() {
            return false;
        }
        self.slots[index].kill();
        self.history.fault("killed", &format!("process {index}"));
        self.start_later(index);
        true
    }

    fn kill_between_outputs(&mut self, index: usize) -> bool {
        let puts = 1 + self.random.below(12);
        if !self.slots[index].is_free() || self.slots[index].is_doomed() {
            return false;
        }
        self.history.note(&format!(
            "process {index} is to be killed after {puts} objects"
        ));
        self.slots[index].kill_after_puts(puts);
        true
    }

    /// So long that others take over, and then it wakes up.
    fn freeze(&mut self, index: usize) -> bool {
        let (least, most) = self.stream.freeze();
        let time = self.millis(least, most);
        if !self.slots[index].is_free() || self.slots.iter().any(|slot| slot.frozen) {
            return false;
        }
        self.slots[index].freeze();
        self.history
            .fault("frozen", &format!("process {index} for {time:.1?}"));
        self.later(time, Later::Thaw(index));
        true
    }

    fn remove_or_add(&mut self, index: usize) -> bool {
        if self.slots[index].is_free() {
            self.slots[index].leave();
            self.history
                .fault("asked-to-leave", &format!("process {index}"));
            return true;
        }
        if self.slots[index].runs() {
            return false;
        }
        self.history.fault("added", &format!("process {index}"));
        self.start(index);
        true
    }

    fn trouble_s3(&mut self, which: usize) -> bool {
        let fault = Fault::ALL[which];
        if self.troubled.len() >= 2 || self.troubled.contains(&fault) {
            return false;
        }
        self.troubled.push(fault);
        let rate = [50, 100, 300, 1_000][self.random.below(4) as usize];
        let time = self.millis(1_000, 4_000);
        let hang = self.millis(1_000, 9_000);
        self.proxy.set_hang(hang);
        self.proxy.set(fault, rate);
        if fault == Fault::Forbidden {
            self.forbidden_until = Instant::now() + FORBIDDEN;
        }
        self.history.note(&format!(
            "s3-{} at {rate} of 1000 requests for {time:.1?}",
            fault.name()
        ));
        let hits = self.proxy.hits(fault);
        self.later(time, Later::Calm(fault, hits));
        true
    }
}
