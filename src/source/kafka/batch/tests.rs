use rdkafka::config::ClientConfig;
use rdkafka::consumer::{Consumer, DefaultConsumerContext};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::*;

const PATIENCE: Duration = Duration::from_secs(120);

/// A broker with a topic `t` of two partitions, which have so many messages each.
struct Broker {
    cluster: MockCluster<'static, DefaultProducerContext>,
}

impl Broker {
    fn with(messages: usize) -> Self {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("t", 2, 1).unwrap();
        let producer: BaseProducer = ClientConfig::new()
            .set("bootstrap.servers", cluster.bootstrap_servers())
            .create()
            .unwrap();
        for number in 0..messages {
            for partition in [0, 1] {
                let headers = (0..2).fold(OwnedHeaders::new(), |headers, turn| {
                    let value = Some(format!("{number} {turn}"));
                    let value = value.as_deref();
                    headers.insert(Header { key: "h", value })
                });
                let (key, payload) = (format!("k{number}"), format!("p{number}"));
                let record = BaseRecord::to("t")
                    .partition(partition)
                    .key(&key)
                    .payload(&payload)
                    .timestamp(1_000 + i64::try_from(number).unwrap())
                    .headers(headers);
                producer.send(record).map_err(|(error, _)| error).unwrap();
            }
        }
        producer.flush(PATIENCE).unwrap();
        Self { cluster }
    }

    fn consumer(&self) -> Arc<BaseConsumer> {
        let consumer = ClientConfig::new()
            .set("bootstrap.servers", self.cluster.bootstrap_servers())
            .set("group.id", "g")
            .set("enable.auto.commit", "false")
            .create();
        Arc::new(consumer.unwrap())
    }
}

fn partitions() -> [Partition; 2] {
    [0, 1].map(|number| Partition::new("t", number))
}

fn list(from: i64) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    for partition in partitions() {
        let from = Offset::Offset(from);
        list.add_partition_offset(partition.topic(), partition.number(), from)
            .unwrap();
    }
    list
}

fn following(consumer: &Arc<BaseConsumer>) -> Messages<DefaultConsumerContext> {
    let mut messages = Messages::of(consumer, &Arc::default()).unwrap();
    for partition in partitions() {
        messages.follow(&partition);
    }
    messages
}

/// The offsets of a partition that come until there are so many of both.
fn offsets(
    messages: &mut Messages<DefaultConsumerContext>,
    count: usize,
    mut fate: impl FnMut(&Message) -> Fate,
) -> [Vec<i64>; 2] {
    let mut found = [Vec::new(), Vec::new()];
    let start = std::time::Instant::now();
    while found.iter().map(Vec::len).sum::<usize>() < count {
        assert!(start.elapsed() < PATIENCE, "only {found:?}");
        messages.fill(Duration::from_millis(100), 1000);
        messages.go_through(|message| {
            assert!(message.error().is_none());
            let fate = fate(message);
            if fate != Fate::Keep {
                found[usize::try_from(message.number()).unwrap()].push(message.offset());
            }
            fate
        });
    }
    found
}

/// Waits until so many messages of each partition have come, and shows all of them in vain.
fn keep_all(messages: &mut Messages<DefaultConsumerContext>, count: [usize; 2]) {
    let start = std::time::Instant::now();
    let mut kept = [0, 0];
    while kept != count {
        assert!(start.elapsed() < PATIENCE, "only {kept:?}");
        messages.fill(Duration::from_millis(100), 1000);
        kept = [0, 0];
        messages.go_through(|message| {
            kept[usize::try_from(message.number()).unwrap()] += 1;
            Fate::Keep
        });
    }
}

#[test]
fn a_message_is_what_was_sent() {
    let broker = Broker::with(3);
    let consumer = broker.consumer();
    let mut messages = following(&consumer);
    consumer.assign(&list(0)).unwrap();
    let mut seen = 0;
    offsets(&mut messages, 6, |message| {
        let number = message.offset();
        let text = |bytes: Option<&[u8]>| String::from_utf8(bytes.unwrap().to_vec()).unwrap();
        assert_eq!(message.topic(), "t");
        assert_eq!(text(message.key()), format!("k{number}"));
        assert_eq!(text(message.payload()), format!("p{number}"));
        assert_eq!(message.timestamp(), Some(1_000 + number));
        let headers: Vec<_> = message.headers().map(|(k, v)| (k, text(v))).collect();
        let expected = [0, 1].map(|turn| (&b"h"[..], format!("{number} {turn}")));
        assert_eq!(headers, expected);
        seen += 1;
        Fate::Done
    });
    assert_eq!(seen, 6);
}

#[test]
fn what_is_kept_or_not_shown_comes_again_in_order() {
    let broker = Broker::with(50);
    let consumer = broker.consumer();
    let mut messages = following(&consumer);
    consumer.assign(&list(0)).unwrap();
    keep_all(&mut messages, [50, 50]);
    let mut others = 0;
    let found = offsets(&mut messages, 100, |message| {
        // Those of partition 1 stay until all others have come; every third is the last of its turn.
        if message.number() == 1 && others < 50 {
            return Fate::Keep;
        }
        others += 1;
        if others % 3 == 0 {
            Fate::Last
        } else {
            Fate::Done
        }
    });
    assert_eq!(found, [(0..50).collect::<Vec<_>>(), (0..50).collect()]);
}

#[test]
fn only_the_partition_that_is_discarded_goes() {
    let broker = Broker::with(20);
    let consumer = broker.consumer();
    let mut messages = following(&consumer);
    consumer.assign(&list(0)).unwrap();
    keep_all(&mut messages, [20, 20]);
    messages.discard(&Partition::new("t", 0));
    let found = offsets(&mut messages, 20, |_| Fate::Done);
    assert_eq!(found, [Vec::new(), (0..20).collect()]);
    assert!(messages.is_empty());
}

/// librdkafka takes a queue's destination away when it ends an assignment, and does not give it back.
#[test]
fn a_partition_that_begins_anew_is_followed_again() {
    let broker = Broker::with(10);
    let consumer = broker.consumer();
    let mut messages = following(&consumer);
    consumer.incremental_assign(&list(0)).unwrap();
    for _ in 0..5 {
        offsets(&mut messages, 20, |_| Fate::Done);
        consumer.incremental_unassign(&list(0)).unwrap();
        consumer.incremental_assign(&list(0)).unwrap();
        messages.refollow();
    }
    let found = offsets(&mut messages, 20, |_| Fate::Done);
    assert_eq!(found, [(0..10).collect::<Vec<_>>(), (0..10).collect()]);
    assert!(
        consumer.poll(Duration::ZERO).is_none(),
        "nothing comes the other way"
    );
}

#[test]
fn who_waits_can_be_woken_and_who_comes_later_does_not_wait() {
    let broker = Broker::with(0);
    let consumer = broker.consumer();
    let mut messages = following(&consumer);
    let bell = messages.bell.clone();
    let start = std::time::Instant::now();
    let waker = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(50));
        bell.ring();
    });
    assert!(!messages.fill(PATIENCE, 10));
    waker.join().unwrap();
    messages.bell.ring();
    assert!(!messages.fill(PATIENCE, 10));
    assert!(start.elapsed() < PATIENCE);
}

/// What is left must not keep the client from ending, nor outlive it.
#[test]
fn messages_that_nobody_wanted_are_dropped_with_the_client() {
    let broker = Broker::with(10);
    let consumer = broker.consumer();
    let mut messages = following(&consumer);
    consumer.assign(&list(0)).unwrap();
    offsets(&mut messages, 1, |_| Fate::Last);
    drop(consumer);
    drop(messages);
}
