//! Seeded trouble: what happens next, and to whom. The same seed draws the same events, as far as timing allows.

use std::time::{Duration, Instant};

use crate::fleet::{End, Slot, draw_start};
use crate::history::History;
use crate::support::proxy::{Fault, Proxy};
use crate::support::random::Random;
use crate::support::seconds;
use crate::support::service::Kafka;

/// Something to be done later.
enum Later {
    Start(usize),
    Thaw(usize),
    Calm(Fault, u64),
    RestartBroker(usize),
    AwaitBroker(usize),
}

pub(crate) struct Schedule<'a> {
    pub(crate) random: Random,
    pub(crate) history: &'a History,
    pub(crate) slots: Vec<Slot>,
    pub(crate) kafka: &'a mut Kafka,
    pub(crate) proxy: &'a Proxy,
    pub(crate) failpoints: bool,
    /// What no process may do.
    pub(crate) offences: Vec<String>,
    later: Vec<(Instant, Later)>,
    /// Faults of S3 that last.
    troubled: Vec<Fault>,
    broker_down: bool,
    brokers_calm_until: Instant,
    forbidden_until: Instant,
}

impl<'a> Schedule<'a> {
    pub(crate) fn new(
        seed: u64,
        history: &'a History,
        slots: Vec<Slot>,
        kafka: &'a mut Kafka,
        proxy: &'a Proxy,
        failpoints: bool,
    ) -> Self {
        let now = Instant::now();
        Self {
            random: Random::new(seed),
            history,
            slots,
            kafka,
            proxy,
            failpoints,
            offences: Vec::new(),
            later: Vec::new(),
            troubled: Vec::new(),
            broker_down: false,
            brokers_calm_until: now + seconds(5),
            forbidden_until: now,
        }
    }

    /// Makes trouble for so long, then ends all of it and stops every process.
    pub(crate) fn run(&mut self, time: Duration) {
        let end = Instant::now() + time;
        self.start(0);
        self.start(1);
        let mut next = Instant::now() + seconds(4);
        while Instant::now() < end {
            self.watch();
            self.do_what_is_due(Instant::now());
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
        let (workers, failpoint) = draw_start(&mut self.random, self.failpoints);
        let shown = failpoint.map_or(String::new(), |(name, passing)| {
            format!(", to die at {name}:{passing}")
        });
        self.history.note(&format!(
            "process {index} starts with {workers} workers{shown}"
        ));
        self.slots[index].start(workers, failpoint);
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
                Later::RestartBroker(broker) => {
                    self.kafka.begin_restart(broker);
                    self.later(Duration::ZERO, Later::AwaitBroker(broker));
                }
                Later::AwaitBroker(broker) if self.kafka.answers(broker) => {
                    self.history.note(&format!("broker {broker} is back"));
                    self.broker_down = false;
                    // Time to catch up: with two of three copies gone, partitions only wait.
                    self.brokers_calm_until = Instant::now() + seconds(10);
                }
                Later::AwaitBroker(broker) => {
                    std::thread::sleep(Duration::from_millis(20));
                    self.later(Duration::from_millis(100), Later::AwaitBroker(broker));
                }
            }
        }
    }

    /// An episode counts if it has hit anything.
    fn calm(&mut self, fault: Fault, hits: u64) {
        self.proxy.set(fault, 0);
        self.troubled.retain(|other| *other != fault);
        let hits = self.proxy.hits(fault) - hits;
        if fault == Fault::Forbidden {
            self.forbidden_until = Instant::now() + seconds(20);
        }
        if hits > 0 {
            self.history
                .fault(fault.name(), &format!("has hit {hits} requests"));
        } else {
            self.history
                .note(&format!("{} has hit nothing", fault.name()));
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
                40..45 => self.kill_broker(),
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

    /// Longer than the session lasts: others take over, and then it wakes up.
    fn freeze(&mut self, index: usize) -> bool {
        let time = self.millis(7_000, 14_000);
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

    fn kill_broker(&mut self) -> bool {
        let broker = self.random.below(3) as usize;
        let time = self.millis(1_000, 10_000);
        if self.broker_down || Instant::now() < self.brokers_calm_until {
            return false;
        }
        self.kafka.kill(broker);
        self.broker_down = true;
        self.history
            .fault("broker-killed", &format!("broker {broker} for {time:.1?}"));
        self.later(time, Later::RestartBroker(broker));
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
            self.forbidden_until = Instant::now() + seconds(20);
        }
        self.history.note(&format!(
            "{} at {rate} of 1000 requests for {time:.1?}",
            fault.name()
        ));
        let hits = self.proxy.hits(fault);
        self.later(time, Later::Calm(fault, hits));
        true
    }
}
