//! A Kafka client for tests: topics, records, and what a group has committed.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header, Headers as _, Message as _, OwnedHeaders};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{
    BaseProducer, BaseRecord, DefaultProducerContext, Producer, ProducerContext,
};
use rdkafka::{ClientContext, Offset, TopicPartitionList};

use super::{eventually, seconds};

const TIMEOUT: Duration = seconds(60);

/// librdkafka's broker inside this process, for tests without services.
///
/// It keeps only the last 5 MiB of a partition.
pub fn mock_cluster(topics: &[(&str, i32)]) -> MockCluster<'static, DefaultProducerContext> {
    let cluster = MockCluster::new(1).unwrap();
    for (topic, partitions) in topics {
        cluster.create_topic(topic, *partitions, 1).unwrap();
    }
    cluster
}

/// Creates a topic on real brokers and waits until every partition has a leader.
pub fn create_topic(bootstrap: &str, topic: &str, partitions: i32) {
    create_topic_with(bootstrap, topic, partitions, &[]);
}

/// As [`create_topic`], with settings of the topic.
pub fn create_topic_with(bootstrap: &str, topic: &str, partitions: i32, settings: &[(&str, &str)]) {
    let admin: AdminClient<DefaultClientContext> = client(bootstrap).create().unwrap();
    // -1: as many copies as the brokers are set up for.
    let mut wanted = NewTopic::new(topic, partitions, TopicReplication::Fixed(-1));
    for (key, value) in settings {
        wanted = wanted.set(key, value);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let options = AdminOptions::new().operation_timeout(Some(TIMEOUT));
    // Brokers that have just started may not know each other yet; one that was late with its answer has made it all the same.
    patiently("a new topic", || {
        let made = runtime.block_on(admin.create_topics([&wanted], &options));
        match made.map_err(|error| error.to_string())?.remove(0) {
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => Ok(()),
            Err((_, error)) => Err(error.to_string()),
        }
    });
    let consumer: BaseConsumer = client(bootstrap).create().unwrap();
    eventually("leaders of a new topic", TIMEOUT, || {
        consumer
            .fetch_metadata(Some(topic), TIMEOUT)
            .is_ok_and(|metadata| {
                let topic = &metadata.topics()[0];
                topic.partitions().len() == partitions as usize
                    && topic
                        .partitions()
                        .iter()
                        .all(|partition| partition.leader() >= 0)
            })
    });
}

/// Asks until there is an answer: while a leader or a group's coordinator starts or moves, brokers refuse to say anything.
fn patiently<T, E: Debug>(what: &str, mut ask: impl FnMut() -> Result<T, E>) -> T {
    let start = Instant::now();
    loop {
        match ask() {
            Ok(answer) => return answer,
            Err(error) if start.elapsed() >= TIMEOUT => panic!("{what}: {error:?}"),
            Err(_) => std::thread::sleep(Duration::from_millis(200)),
        }
    }
}

/// How many brokers the cluster says it has; 0 when it does not answer.
pub fn broker_count(bootstrap: &str) -> usize {
    let consumer: BaseConsumer = client(bootstrap).create().unwrap();
    consumer
        .fetch_metadata(None, seconds(5))
        .map_or(0, |metadata| metadata.brokers().len())
}

/// What `group` has committed, by partition; partitions without a commit are left out.
pub fn committed(bootstrap: &str, group: &str, topic: &str, partitions: i32) -> BTreeMap<i32, i64> {
    let consumer: BaseConsumer = client(bootstrap).set("group.id", group).create().unwrap();
    let mut wanted = TopicPartitionList::new();
    wanted.add_partition_range(topic, 0, partitions - 1);
    patiently("the committed offsets", || {
        consumer.committed_offsets(wanted.clone(), TIMEOUT)
    })
    .elements()
    .iter()
    .filter_map(|element| match element.offset() {
        Offset::Offset(offset) => Some((element.partition(), offset)),
        _ => None,
    })
    .collect()
}

/// The end of each partition.
pub fn ends(bootstrap: &str, topic: &str, partitions: i32) -> BTreeMap<i32, i64> {
    let consumer: BaseConsumer = client(bootstrap).create().unwrap();
    (0..partitions)
        .map(|number| {
            let (_, end) = patiently("the end of a partition", || {
                consumer.fetch_watermarks(topic, number, TIMEOUT)
            });
            (number, end)
        })
        .collect()
}

/// The ids of the members of `group`; real brokers only.
pub fn members(bootstrap: &str, group: &str) -> Vec<String> {
    let consumer: BaseConsumer = client(bootstrap).create().unwrap();
    let groups = patiently("the group", || {
        consumer.fetch_group_list(Some(group), TIMEOUT)
    });
    let mut members: Vec<String> = groups
        .groups()
        .iter()
        .filter(|found| found.name() == group)
        .flat_map(|found| found.members().iter().map(|member| member.id().to_owned()))
        .collect();
    members.sort();
    members
}

fn client(bootstrap: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", bootstrap)
        .set("log_level", "0");
    config
}

#[derive(Default)]
struct Failures(AtomicU64);

struct Context(Arc<Failures>);

impl ClientContext for Context {}

impl ProducerContext for Context {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, _: ()) {
        if result.is_err() {
            self.0.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Sends records to chosen partitions, in order, each exactly once.
pub struct Sender {
    producer: BaseProducer<Context>,
    failures: Arc<Failures>,
    topic: String,
}

impl Sender {
    pub fn new(bootstrap: &str, topic: &str) -> Self {
        Self::compressing(bootstrap, topic, "lz4")
    }

    /// As [`Sender::new`], compressing with one of librdkafka's codecs, or `none`.
    pub fn compressing(bootstrap: &str, topic: &str, codec: &str) -> Self {
        let failures = Arc::new(Failures::default());
        let producer = client(bootstrap)
            .set("enable.idempotence", "true")
            .set("linger.ms", "20")
            .set("batch.size", "500000")
            .set("compression.type", codec)
            .set("message.max.bytes", "20000000")
            .set("queue.buffering.max.kbytes", "65536")
            .set("delivery.timeout.ms", "180000")
            .create_with_context(Context(failures.clone()))
            .unwrap();
        Self {
            producer,
            failures,
            topic: topic.to_owned(),
        }
    }

    /// Queues a record; waits while the queue is full.
    pub fn send(&self, partition: i32, key: Option<&[u8]>, payload: Option<&[u8]>) {
        self.queue(partition, key, payload, None);
    }

    /// As [`Sender::send`], without a key and with a header.
    pub fn send_with(&self, partition: i32, payload: &[u8], (key, value): (&str, &[u8])) {
        let value = Some(value);
        let headers = OwnedHeaders::new().insert(Header { key, value });
        self.queue(partition, None, Some(payload), Some(headers));
    }

    fn queue(
        &self,
        partition: i32,
        key: Option<&[u8]>,
        payload: Option<&[u8]>,
        headers: Option<OwnedHeaders>,
    ) {
        let mut record: BaseRecord<'_, [u8], [u8]> =
            BaseRecord::to(&self.topic).partition(partition);
        record.key = key;
        record.payload = payload;
        record.headers = headers;
        loop {
            match self.producer.send(record) {
                Ok(()) => break,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    record = back;
                    self.producer.poll(Duration::from_millis(50));
                }
                Err((error, _)) => panic!("cannot send a record: {error}"),
            }
        }
        self.producer.poll(Duration::ZERO);
    }

    /// Waits until the brokers have everything.
    pub fn finish(&self) {
        self.producer.flush(seconds(200)).unwrap();
        assert_eq!(
            self.failures.0.load(Ordering::Relaxed),
            0,
            "records could not be delivered to Kafka"
        );
    }
}

/// Sends text records to partition 0 of `topic`.
pub fn send_all(bootstrap: &str, topic: &str, records: &[&str]) {
    let sender = Sender::new(bootstrap, topic);
    for record in records {
        sender.send(0, None, Some(record.as_bytes()));
    }
    sender.finish();
}

/// Stores a checkpoint for a group without members, with a note beside it.
pub fn store(
    bootstrap: &str,
    group: &str,
    (topic, partition): (&str, i32),
    offset: i64,
    note: &str,
) {
    let consumer: BaseConsumer = client(bootstrap).set("group.id", group).create().unwrap();
    let mut list = TopicPartitionList::new();
    let mut element = list.add_partition(topic, partition);
    element.set_offset(Offset::Offset(offset)).unwrap();
    element.set_metadata(note);
    patiently("a stored checkpoint", || {
        consumer.commit(&list, rdkafka::consumer::CommitMode::Sync)
    });
}

/// What stands beside a group's checkpoint.
pub fn note(bootstrap: &str, group: &str, (topic, partition): (&str, i32)) -> String {
    let consumer: BaseConsumer = client(bootstrap).set("group.id", group).create().unwrap();
    let mut wanted = TopicPartitionList::new();
    wanted.add_partition(topic, partition);
    let found = patiently("the committed offset", || {
        consumer.committed_offsets(wanted.clone(), TIMEOUT)
    });
    found.elements()[0].metadata().to_owned()
}

/// How long it takes until a new member of a new group has the first record of a topic.
pub fn first_record(bootstrap: &str, topic: &str) -> Duration {
    let start = Instant::now();
    let consumer: BaseConsumer = client(bootstrap)
        .set("group.id", super::unique("first-record"))
        .set("auto.offset.reset", "earliest")
        .create()
        .unwrap();
    consumer.subscribe(&[topic]).unwrap();
    while !matches!(consumer.poll(Duration::from_millis(100)), Some(Ok(_))) {
        assert!(start.elapsed() < TIMEOUT, "no record of {topic}");
    }
    start.elapsed()
}

/// A record as a topic keeps it.
#[derive(Debug)]
pub struct Kept {
    pub partition: i32,
    pub offset: i64,
    pub key: Option<Vec<u8>>,
    pub payload: Option<Vec<u8>>,
    pub timestamp: Option<i64>,
    pub headers: BTreeMap<String, Vec<u8>>,
}

/// All records of a topic.
pub fn read_all(bootstrap: &str, topic: &str, partitions: i32) -> Vec<Kept> {
    let consumer: BaseConsumer = client(bootstrap)
        .set("group.id", "reads all")
        .create()
        .unwrap();
    let mut list = TopicPartitionList::new();
    let mut missing = 0;
    for (number, end) in ends(bootstrap, topic, partitions) {
        missing += usize::try_from(end).unwrap();
        list.add_partition_offset(topic, number, Offset::Beginning)
            .unwrap();
    }
    consumer.assign(&list).unwrap();
    let start = Instant::now();
    let mut kept = Vec::new();
    while kept.len() < missing {
        assert!(start.elapsed() < TIMEOUT, "{topic} has not all its records");
        let Some(message) = consumer.poll(Duration::from_millis(100)) else {
            continue;
        };
        let message = message.unwrap();
        let headers = message
            .headers()
            .into_iter()
            .flat_map(|headers| headers.iter());
        kept.push(Kept {
            partition: message.partition(),
            offset: message.offset(),
            key: message.key().map(<[u8]>::to_vec),
            payload: message.payload().map(<[u8]>::to_vec),
            timestamp: message.timestamp().to_millis(),
            headers: headers
                .map(|header| {
                    (
                        header.key.to_owned(),
                        header.value.unwrap_or_default().to_vec(),
                    )
                })
                .collect(),
        });
    }
    kept
}
