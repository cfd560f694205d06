//! Reshards, and what goes wrong with the service and with the table of leases.

use std::time::{Duration, Instant};

use aws_sdk_kinesis::types::Shard;
use tokio::runtime::Handle;

use crate::history::History;
use crate::schedule::Stream;
use crate::support::kinesis::Kinesis;
use crate::support::proxy::{Fault, Proxy};
use crate::support::random::Random;

/// The fewest and the most shards that are open.
const SHARDS: (usize, usize) = (2, 6);
/// What single requests meet with.
const FAULTS: [Fault; 7] = [
    Fault::Internal,
    Fault::SlowDown,
    Fault::Throttled,
    Fault::Reset,
    Fault::LostReply,
    Fault::Hang,
    Fault::Slow,
];
/// How a service is away as a whole.
const AWAY: [Fault; 3] = [Fault::Reset, Fault::Hang, Fault::Internal];

/// A service, and what is wrong with it now.
struct Service {
    name: &'static str,
    proxy: Proxy,
    /// The fault, until when it lasts, and the requests that had met with it before.
    trouble: Option<(Fault, Instant, u64)>,
}

impl Service {
    fn new(name: &'static str, proxy: Proxy) -> Self {
        Self {
            name,
            proxy,
            trouble: None,
        }
    }

    /// Lets a fault hit so many of a thousand requests.
    fn begin(&mut self, fault: Fault, rate: u64, time: Duration, history: &History) -> bool {
        if self.trouble.is_some() {
            return false;
        }
        let (name, what) = (self.name, fault.name());
        history.note(&format!(
            "{name}-{what} at {rate} of 1000 requests for {time:.1?}"
        ));
        self.trouble = Some((fault, Instant::now() + time, self.proxy.hits(fault)));
        self.proxy.set(fault, rate);
        true
    }

    fn tend(&mut self, at: Instant, history: &History) {
        let Some((fault, until, before)) = self.trouble else {
            return;
        };
        if until > at {
            return;
        }
        self.trouble = None;
        self.proxy.set(fault, 0);
        let (name, what) = (self.name, fault.name());
        match self.proxy.hits(fault) - before {
            0 => history.note(&format!("{name}-{what} has hit nothing")),
            hits => history.fault(
                &format!("{name}-{what}"),
                &format!("has hit {hits} requests"),
            ),
        }
    }
}

pub(crate) struct Trouble<'a> {
    kinesis: &'a Kinesis,
    runtime: &'a Handle,
    stream: &'a str,
    services: [Service; 2],
    /// The longest that the table is away.
    away: Duration,
}

impl<'a> Trouble<'a> {
    /// `services` are the proxies before Kinesis and DynamoDB.
    pub(crate) fn new(
        kinesis: &'a Kinesis,
        runtime: &'a Handle,
        stream: &'a str,
        services: [Proxy; 2],
        away: Duration,
    ) -> Self {
        let [reads, leases] = services;
        Self {
            kinesis,
            runtime,
            stream,
            services: [
                Service::new("kinesis", reads),
                Service::new("dynamodb", leases),
            ],
            away,
        }
    }

    /// The open shards by their hash keys.
    fn open(&self) -> Vec<(u128, u128, String)> {
        let list = self.kinesis.client.list_shards().stream_name(self.stream);
        let shards = self.runtime.block_on(list.send()).unwrap().shards.unwrap();
        let is_open = |shard: &&Shard| {
            let range = shard.sequence_number_range.as_ref().unwrap();
            range.ending_sequence_number.is_none()
        };
        let mut open: Vec<_> = shards.iter().filter(is_open).map(hash_range).collect();
        open.sort();
        open
    }

    fn reshard(&self, random: &mut Random, history: &History) -> bool {
        let open = self.open();
        let splits = match open.len() {
            few if few <= SHARDS.0 => true,
            many if many >= SHARDS.1 => false,
            _ => random.chance(50),
        };
        if splits {
            let (from, to, shard) = &open[random.below(open.len() as u64) as usize];
            if to - from < 1 << 64 {
                return false;
            }
            let split = self.kinesis.split(self.stream, shard, (*from, *to));
            self.runtime.block_on(split);
            history.fault("split", shard);
        } else {
            let at = random.below(open.len() as u64 - 1) as usize;
            let (one, other) = (&open[at].2, &open[at + 1].2);
            let merge = self.kinesis.merge(self.stream, one, other);
            self.runtime.block_on(merge);
            history.fault("merged", &format!("{one} and {other}"));
        }
        true
    }
}

fn hash_range(shard: &Shard) -> (u128, u128, String) {
    let range = shard.hash_key_range.as_ref().unwrap();
    (
        range.starting_hash_key.parse().unwrap(),
        range.ending_hash_key.parse().unwrap(),
        shard.shard_id.clone(),
    )
}

impl Stream for Trouble<'_> {
    fn share(&self) -> u64 {
        40
    }

    /// Longer than a lease lasts.
    fn freeze(&self) -> (u64, u64) {
        (3_000, 9_000)
    }

    fn settings(&self, random: &mut Random) -> Vec<(&'static str, String)> {
        // Only who polls has iterators that expire.
        let mode = random.pick(&["polling", "polling", "fan-out", "auto"]);
        vec![
            ("kinesis.workers", (1 + random.below(2)).to_string()),
            ("kinesis.mode", mode.to_owned()),
        ]
    }

    fn trouble(&mut self, random: &mut Random, history: &History) -> bool {
        let draw = random.below(10);
        let rate = [50, 100, 300][random.below(3) as usize];
        let fault = FAULTS[random.below(FAULTS.len() as u64) as usize];
        let away = AWAY[random.below(AWAY.len() as u64) as usize];
        let short = Duration::from_millis(1_000 + random.below(4_000));
        let long = Duration::from_millis(3_000)
            + self.away.saturating_sub(Duration::from_millis(3_000)) * random.below(100) as u32
                / 100;
        for service in &self.services {
            service
                .proxy
                .set_hang(Duration::from_millis(1_000 + random.below(8_000)));
        }
        let [reads, leases] = &mut self.services;
        match draw {
            0..5 => self.reshard(random, history),
            5..6 => reads.begin(fault, rate, short, history),
            6..7 => reads.begin(away, 1_000, short, history),
            7..8 => leases.begin(fault, rate, short, history),
            _ => leases.begin(away, 1_000, long, history),
        }
    }

    fn tend(&mut self, history: &History) {
        for service in &mut self.services {
            service.tend(Instant::now(), history);
        }
    }

    fn calm(&mut self, history: &History) {
        for service in &mut self.services {
            let end = Instant::now() + Duration::from_secs(3_600);
            service.tend(end, history);
        }
    }
}
