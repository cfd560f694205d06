use std::collections::BTreeMap;
use std::time::Instant;

use rdkafka::config::ClientConfig;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer};

use super::super::Begin;
use super::*;
use crate::metrics::Metrics;
use crate::source::{Event, Source};

const PATIENCE: Duration = Duration::from_secs(120);
const RECORDS: i64 = 300;

/// A source that has been told of its two partitions, each with so many records.
struct Reading {
    source: KafkaSource,
    slots: BTreeMap<i32, Slot>,
    settings: KafkaSettings,
    _cluster: MockCluster<'static, DefaultProducerContext>,
}

impl Reading {
    fn new() -> Self {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("t", 2, 1).unwrap();
        let nodes = cluster.bootstrap_servers();
        let producer: BaseProducer = ClientConfig::new()
            .set("bootstrap.servers", &nodes)
            .create()
            .unwrap();
        for number in 0..RECORDS {
            for partition in [0, 1] {
                let payload = number.to_string();
                let record = BaseRecord::<(), _>::to("t")
                    .partition(partition)
                    .payload(&payload);
                producer.send(record).map_err(|(error, _)| error).unwrap();
            }
        }
        producer.flush(PATIENCE).unwrap();
        let settings = KafkaSettings {
            nodes: vec![nodes],
            topics: vec!["t".into()],
            begin: Begin::Earliest,
            group_id: "g".into(),
            session_timeout: Duration::from_secs(12),
            request_timeout: Duration::from_secs(15),
            historical_topic: None,
            prefetch_bytes: 8 << 20,
            schema_header: None,
            client: BTreeMap::new(),
        };
        let mut reading = Self {
            source: member(&settings),
            slots: BTreeMap::new(),
            settings,
            _cluster: cluster,
        };
        let start = Instant::now();
        while reading.slots.len() < 2 {
            assert!(start.elapsed() < PATIENCE, "nothing is assigned");
            // Whatever comes ends the wait, as long as nothing is assigned, too.
            reading.turn_within(PATIENCE, 1, |_, _| {
                panic!("a record before its partition was told")
            });
        }
        reading
    }

    /// One poll of at most `max` records.
    fn turn(&mut self, max: usize, take: impl FnMut(i32, i64) -> ControlFlow<()>) {
        self.turn_within(Duration::from_millis(100), max, take);
    }

    fn turn_within(
        &mut self,
        wait: Duration,
        max: usize,
        mut take: impl FnMut(i32, i64) -> ControlFlow<()>,
    ) {
        let numbers: BTreeMap<_, _> = self.slots.iter().map(|(n, slot)| (*slot, *n)).collect();
        let polled = self.source.poll(wait, max, &mut |slot, record| {
            let offset = record.position.offset();
            assert_eq!(record.payload, Some(offset.to_string().as_bytes()));
            take(numbers[&slot], offset)
        });
        for event in polled.unwrap() {
            if let Event::Assigned(assigned) = event {
                let number = assigned.partition.number();
                self.slots.insert(number, assigned.slot);
            }
        }
    }

    /// Polls until so many records have come.
    fn take(&mut self, count: usize, each: usize) -> BTreeMap<i32, Vec<i64>> {
        let (mut found, mut all) = (BTreeMap::<i32, Vec<i64>>::new(), 0);
        let start = Instant::now();
        while all < count {
            assert!(start.elapsed() < PATIENCE, "only {found:?}");
            let mut now = 0;
            self.turn(1000, |number, offset| {
                found.entry(number).or_default().push(offset);
                (all, now) = (all + 1, now + 1);
                if now == each || all == count {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            });
            assert!(now <= each, "{now} records came in spite of the break");
        }
        found
    }
}

fn member(settings: &KafkaSettings) -> KafkaSource {
    KafkaSource::join(settings.clone(), 0, Metrics::new().unwrap()).unwrap()
}

fn everything() -> BTreeMap<i32, Vec<i64>> {
    BTreeMap::from([0, 1].map(|number| (number, (0..RECORDS).collect())))
}

#[test]
fn what_a_poll_breaks_off_before_comes_with_the_next() {
    let mut reading = Reading::new();
    assert_eq!(reading.take(2 * 300, 7), everything());
    let mut more = 0;
    reading.turn(10, |_, _| {
        more += 1;
        ControlFlow::Continue(())
    });
    assert_eq!(more, 0);
    reading.source.close();
}

#[test]
fn a_poll_hands_over_no_more_than_it_was_asked_for() {
    let mut reading = Reading::new();
    reading.take(1, 1);
    let (start, mut came) = (Instant::now(), 0);
    while came == 0 {
        assert!(start.elapsed() < PATIENCE, "nothing more comes");
        reading.turn(5, |_, _| {
            came += 1;
            ControlFlow::Continue(())
        });
    }
    assert!(came <= 5, "{came}");
}

#[test]
fn a_paused_partition_is_silent_and_goes_on_where_it_stood() {
    let mut reading = Reading::new();
    // Far enough that both have messages which were taken from librdkafka.
    let mut before = reading.take(310, 9);
    let paused = reading.slots[&1];
    reading.source.pause(&[paused]);
    let left = 600 - 310 - (300 - before.get(&1).map_or(0, Vec::len));
    let between = reading.take(left, 50);
    assert!(!between.contains_key(&1), "it was paused");
    for _ in 0..3 {
        reading.turn(1000, |number, offset| panic!("{number} at {offset}"));
    }
    reading.source.resume(&[paused]);
    let behind = reading.take(300 - before.get(&1).map_or(0, Vec::len), 50);
    for (number, offsets) in between.into_iter().chain(behind) {
        before.entry(number).or_default().extend(offsets);
    }
    assert_eq!(before, everything());
}

#[test]
fn a_rewound_partition_goes_on_where_it_was_told_to() {
    let mut reading = Reading::new();
    let before = reading.take(20, 20);
    let (&number, offsets) = before.iter().next().unwrap();
    let slot = reading.slots[&number];
    let to = offsets[offsets.len() / 2];
    reading.source.rewind(slot, Position::at(to));
    let all: usize = 600 - 20 + offsets.len() - offsets.len() / 2;
    let behind = reading.take(all, 64);
    assert_eq!(behind[&number], (to..RECORDS).collect::<Vec<_>>());
}

/// It comes another way than they do.
#[test]
fn a_rebalance_ends_the_wait_for_messages() {
    let mut reading = Reading::new();
    reading.take(600, 1000);
    let start = Instant::now();
    let other = member(&reading.settings);
    let mut revoking = false;
    while !revoking {
        let polled = reading.source.poll(PATIENCE, 1000, &mut |_, record| {
            panic!("a record at {}", record.position)
        });
        let mut events = polled.unwrap().into_iter();
        revoking = events.any(|event| matches!(event, Event::Revoking(_)));
        assert!(start.elapsed() < PATIENCE, "heard too late, or never");
    }
    other.close();
}

/// A poll may take messages from librdkafka while it cannot be told yet to go elsewhere, and be broken off before it looks at them.
#[test]
fn a_place_that_is_gone_to_later_is_not_passed_by() {
    let mut reading = Reading::new();
    // Few, so that there are more to be taken.
    let mut first = Vec::new();
    while first.is_empty() {
        reading.turn(5, |number, _| {
            first.push(number);
            ControlFlow::Continue(())
        });
    }
    let number = first[0];
    let others = first.iter().filter(|other| **other != number).count();
    reading.source.seek_after = Instant::now() + PATIENCE;
    reading
        .source
        .rewind(reading.slots[&number], Position::at(0));
    let messages = &mut reading.source.messages;
    let (start, mut waiting) = (Instant::now(), 0);
    while waiting == 0 {
        assert!(start.elapsed() < PATIENCE, "nothing more comes");
        messages.fill(Duration::from_millis(100), 1000);
        messages.go_through(|message| {
            waiting += usize::from(message.number() == number);
            Fate::Keep
        });
    }
    reading.source.seek_after = Instant::now();
    let behind = reading.take(600 - others, 64);
    assert_eq!(behind[&number], (0..RECORDS).collect::<Vec<_>>());
}
