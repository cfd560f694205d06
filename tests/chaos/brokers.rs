//! A Kafka cluster, one of whose brokers is killed now and then.

use std::time::{Duration, Instant};

use crate::history::History;
use crate::schedule::Stream;
use crate::support::random::Random;
use crate::support::seconds;
use crate::support::service::Kafka;

/// A broker that is not there.
enum Down {
    Until(Instant),
    /// It has been started again.
    Starting,
}

pub(crate) struct Brokers<'a> {
    kafka: &'a mut Kafka,
    down: Option<(usize, Down)>,
    calm_until: Instant,
}

impl<'a> Brokers<'a> {
    pub(crate) fn new(kafka: &'a mut Kafka) -> Self {
        Self {
            kafka,
            down: None,
            calm_until: Instant::now() + seconds(5),
        }
    }
}

impl Stream for Brokers<'_> {
    fn share(&self) -> u64 {
        5
    }

    /// Longer than a session lasts.
    fn freeze(&self) -> (u64, u64) {
        (7_000, 14_000)
    }

    fn settings(&self, random: &mut Random) -> Vec<(&'static str, String)> {
        vec![("kafka.workers", (1 + random.below(2)).to_string())]
    }

    fn trouble(&mut self, random: &mut Random, history: &History) -> bool {
        let broker = random.below(3) as usize;
        let time = Duration::from_millis(1_000 + random.below(9_000));
        if self.down.is_some() || Instant::now() < self.calm_until {
            return false;
        }
        self.kafka.kill(broker);
        self.down = Some((broker, Down::Until(Instant::now() + time)));
        history.fault("broker-killed", &format!("broker {broker} for {time:.1?}"));
        true
    }

    fn tend(&mut self, history: &History) {
        match self.down {
            Some((broker, Down::Until(due))) if due <= Instant::now() => {
                self.kafka.begin_restart(broker);
                self.down = Some((broker, Down::Starting));
            }
            Some((broker, Down::Starting)) if self.kafka.answers(broker) => {
                history.note(&format!("broker {broker} is back"));
                self.down = None;
                // Time to catch up: with two of three copies gone, partitions only wait.
                self.calm_until = Instant::now() + seconds(10);
            }
            _ => {}
        }
    }

    fn calm(&mut self, history: &History) {
        if let Some((broker, Down::Until(due))) = &mut self.down {
            history.note(&format!("broker {broker} is started"));
            *due = Instant::now();
        }
        while self.down.is_some() {
            self.tend(history);
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
