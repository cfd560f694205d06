//! Payloads nobody wants, in thousands, between good ones: each costs itself and nothing else.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::Value;

use crate::support::broker::{self, Sender};
use crate::support::config::Config;
use crate::support::output;
use crate::support::program::Program;
use crate::support::random::Random;
use crate::support::service::shared_kafka;
use crate::support::{eventually, seconds, unique};

mod corpus;

use corpus::{Fate, GIANTS, Poison, giant, good, hostile};

const PARTITIONS: i32 = 4;
const HOSTILE: u64 = 12_000;
/// What the process may have resident at the most: the budget, the few largest records that can be on their way
/// through librdkafka, decoder and columns at the same time, and the program itself.
const MOST_MEMORY: u64 = 512 << 20;

/// Key, payload and reason of a dead letter.
type Letter = (Option<Vec<u8>>, Option<Vec<u8>>, &'static str);

/// What must be found of a partition's records.
#[derive(Default)]
struct Expected {
    /// For each row, in order, its id if it is known.
    rows: Vec<Option<String>>,
    /// Key, payload and reason, by offset.
    dead: BTreeMap<i64, Letter>,
    next: i64,
}

impl Expected {
    fn add(&mut self, poison: Poison) {
        match poison.fate {
            Fate::Row => self.rows.push(poison.id),
            Fate::Dead(reason) => {
                self.dead
                    .insert(self.next, (poison.key, poison.payload, reason));
            }
        }
        self.next += 1;
    }
}

/// A topic and what was sent to it.
struct Fed {
    topic: String,
    expected: Vec<Expected>,
}

/// Sends good and hostile records in turn, and now and then a giant one.
fn feed(bootstrap: &str, topic: &str, seed: u64, count: u64, compacted: bool) -> Fed {
    let sender = Sender::new(bootstrap, topic);
    let mut random = Random::new(seed);
    let mut expected: Vec<Expected> = (0..PARTITIONS).map(|_| Expected::default()).collect();
    let mut send = |mut poison: Poison, number: u64, random: &mut Random| {
        let partition = random.below(PARTITIONS as u64) as usize;
        if compacted {
            // Such a topic takes no record without a key; and equal ones might be dropped.
            let mut key = format!("{number} ").into_bytes();
            key.append(&mut poison.key.take().unwrap_or_default());
            poison.key = Some(key);
        }
        sender.send(
            partition as i32,
            poison.key.as_deref(),
            poison.payload.as_deref(),
        );
        expected[partition].add(poison);
    };
    for number in 0..count {
        let id = format!("good {number}");
        let fine = Poison {
            key: None,
            payload: Some(good(&id, &mut random)),
            fate: Fate::Row,
            id: Some(id),
        };
        send(fine, 2 * number, &mut random);
        let id = format!("hostile {number}");
        let poison = match number % 250 {
            7 => giant(&id, number / 250 % GIANTS),
            _ => hostile(&id, &mut random),
        };
        send(poison, 2 * number + 1, &mut random);
    }
    sender.finish();
    Fed {
        topic: topic.to_owned(),
        expected,
    }
}

#[test]
fn hostile_payloads_cost_themselves_and_nothing_else() {
    let (_scratch, directory) = output::scratch();
    let bootstrap = shared_kafka();
    let (plain, compacted) = (unique("poison"), unique("tombstones"));
    broker::create_topic(&bootstrap, &plain, PARTITIONS);
    broker::create_topic_with(
        &bootstrap,
        &compacted,
        PARTITIONS,
        &[("cleanup.policy", "compact")],
    );
    let config = Config::new(&directory, &bootstrap, &format!("{plain},{compacted}"))
        .set("kafka.group.id", &plain)
        .set("kafka.workers", "2")
        .set("source.data-format.json.layout", "PLAIN")
        .set(
            "source.max-record-size",
            &format!("{}B", corpus::MAX_RECORD),
        )
        .set("kafka.client.max.poll.interval.ms", "20000")
        .set("memory.max-size", "96MB");
    let mut program = Program::start(&config);
    program.wait_ready();
    let mut members = Vec::new();
    eventually("both workers to be members", seconds(120), || {
        members = broker::members(&bootstrap, &plain);
        members.len() == 2
    });

    let fed = [
        feed(&bootstrap, &plain, 1, HOSTILE * 3 / 4, false),
        feed(&bootstrap, &compacted, 2, HOSTILE / 4, true),
    ];
    eventually("all records to be committed", seconds(180), || {
        assert!(program.is_running(), "the program ended");
        fed.iter().all(|Fed { topic, .. }| {
            broker::committed(&bootstrap, &plain, topic, PARTITIONS)
                == broker::ends(&bootstrap, topic, PARTITIONS)
        })
    });
    assert_eq!(
        broker::members(&bootstrap, &plain),
        members,
        "a consumer left its group"
    );
    let peak = program.memory("VmHWM");
    eprintln!("poison: at most {} MB were resident", peak >> 20);
    program.stop();

    let letters = output::dead_letters(&config.output());
    let mut by_place: BTreeMap<(String, i64, i64), Vec<&Value>> = BTreeMap::new();
    for letter in &letters {
        let place = (
            letter["topic"].as_str().unwrap().to_owned(),
            letter["partition"].as_i64().unwrap(),
            letter["offset"].as_i64().unwrap(),
        );
        by_place.entry(place).or_default().push(letter);
    }
    for Fed { topic, expected } in &fed {
        for (partition, expected) in expected.iter().enumerate() {
            compare_letters(topic, partition as i64, expected, &mut by_place);
            compare_rows(&config, topic, partition, expected);
        }
    }
    assert!(
        by_place.is_empty(),
        "dead letters of good records: {by_place:?}"
    );
    assert!(peak < MOST_MEMORY, "{peak} bytes were resident");
}

fn compare_letters(
    topic: &str,
    partition: i64,
    expected: &Expected,
    found: &mut BTreeMap<(String, i64, i64), Vec<&Value>>,
) {
    for (&offset, (key, payload, reason)) in &expected.dead {
        let letters = found
            .remove(&(topic.to_owned(), partition, offset))
            .unwrap_or_default();
        let shown = payload.as_deref().unwrap_or(b"a tombstone");
        let shown = String::from_utf8_lossy(&shown[..shown.len().min(200)]);
        assert_eq!(
            letters.len(),
            1,
            "{topic}-{partition} {offset}: dead letters of {shown}"
        );
        let bytes = |name: &str| {
            letters[0][name]
                .as_str()
                .map(|text| BASE64.decode(text).unwrap())
        };
        assert!(
            bytes("payload") == *payload,
            "{topic}-{partition} {offset}: other bytes than {shown}"
        );
        assert!(
            bytes("key") == *key,
            "{topic}-{partition} {offset}: another key"
        );
        let why = letters[0]["reason"].as_str().unwrap();
        assert!(
            why.starts_with(reason),
            "{topic}-{partition} {offset}: {why}, not {reason}: {shown}"
        );
    }
}

fn compare_rows(config: &Config, topic: &str, partition: usize, expected: &Expected) {
    let start = format!("default/{topic}/{topic}-{partition}-");
    let mut names: Vec<(u64, String)> = output::files(&config.output())
        .into_iter()
        .filter_map(|name| {
            let from = name.strip_prefix(&start)?.split('-').next()?.parse().ok()?;
            Some((from, name))
        })
        .collect();
    names.sort();
    let rows = names
        .iter()
        .flat_map(|(_, name)| output::rows(&config.output(), name));
    let ids: Vec<Value> = rows.map(|row| row["properties"]["id"].clone()).collect();
    for (at, (found, wanted)) in ids.iter().zip(&expected.rows).enumerate() {
        let same = wanted
            .as_ref()
            .is_none_or(|wanted| found == wanted.as_str());
        assert!(
            same,
            "{topic}-{partition}: row {at} is {found}, not {wanted:?}"
        );
    }
    assert_eq!(ids.len(), expected.rows.len(), "{topic}-{partition}: rows");
}
