//! The service itself, or what speaks its protocol.
//!
//! Owns the SDK's clients: one for calls, and others for subscriptions. Each client has one connection over HTTP/2 (`line`); a subscription that is not
//! read for a while holds up what shares its connection, and the service takes only so many on one.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use aws_sdk_kinesis::operation::list_shards::ListShardsOutput;
use aws_sdk_kinesis::primitives::DateTime;
use aws_sdk_kinesis::primitives::event_stream::EventReceiver;
use aws_sdk_kinesis::types;
use aws_sdk_kinesis::types::error::SubscribeToShardEventStreamError;
use bytes::Bytes;
use tokio::sync::OnceCell;

use super::failure::{failure, no_stream};
use super::line::Line;
use super::{
    Answer, Child, Consumer, Event, Events, Filter, From, RawRecord, Shard, Stream, StreamError,
};
use crate::record::Sequence;
use crate::source::kinesis::lease::HashRange;
use crate::source::kinesis::sdk::Access;

/// Shards in a page of their list, at most: the most the service gives.
const PAGE: i32 = 1000;
/// How often a list is begun anew because a token for its next page has expired.
const LISTINGS: usize = 3;
/// The longest the service may take to begin with a subscription.
const BEGIN: Duration = Duration::from_secs(30);

/// Clients that subscriptions are spread over.
const CONNECTIONS: usize = 16;

/// One stream of the service.
#[derive(Debug)]
pub struct Kinesis {
    name: String,
    calls: Line,
    /// Made when they are needed.
    subscriptions: [OnceLock<Line>; CONNECTIONS],
    arn: OnceCell<String>,
    page: i32,
}

impl Kinesis {
    /// The stream `name`. Nothing is asked of the service yet.
    ///
    /// # Errors
    /// [`StreamError::Misconfigured`] if no region can be found.
    pub async fn open(access: &Access, name: &str) -> Result<Self, StreamError> {
        let config = access.load().await;
        let config =
            config.map_err(|text| StreamError::Misconfigured(format!("stream {name}: {text}")))?;
        Ok(Self {
            name: name.to_owned(),
            calls: Line::new(access, &config),
            subscriptions: Default::default(),
            arn: OnceCell::new(),
            page: PAGE,
        })
    }

    /// Who subscribes to the shard.
    fn subscriber(&self, shard: &str) -> &Line {
        let mut hasher = DefaultHasher::new();
        shard.hash(&mut hasher);
        let chosen = usize::try_from(hasher.finish() % CONNECTIONS as u64).unwrap_or(0);
        match self.subscriptions.get(chosen) {
            Some(subscriber) => subscriber.get_or_init(|| self.calls.another()),
            None => &self.calls,
        }
    }

    /// The same, with at most so many shards in a page of their list.
    #[must_use]
    pub fn with_page(mut self, shards: i32) -> Self {
        self.page = shards;
        self
    }

    fn doing(&self, what: &str) -> String {
        format!("{what} {}", self.name)
    }

    fn of_shard(&self, what: &str, shard: &str) -> String {
        format!("{what} {}-{shard}", self.name)
    }

    async fn page_of_shards(
        &self,
        filter: &Filter,
        token: Option<String>,
    ) -> Result<ListShardsOutput, StreamError> {
        let (line, client) = self.calls.client();
        let request = client.list_shards().max_results(self.page);
        let request = match token {
            // The service takes either a token or what it stands for.
            Some(token) => request.next_token(token),
            None => request
                .stream_name(&self.name)
                .set_shard_filter(shard_filter(filter)),
        };
        let answer = request.send().await;
        answer.map_err(|error| {
            let expired = error
                .as_service_error()
                .is_some_and(|said| said.is_expired_next_token_exception());
            match expired {
                true => StreamError::Expired,
                false => {
                    let doing = self.doing("list the shards of");
                    no_stream(self.calls.failed(line, &doing, &error))
                }
            }
        })
    }

    async fn listing(&self, filter: &Filter) -> Result<Vec<Shard>, StreamError> {
        let mut shards = Vec::new();
        let mut token = None;
        loop {
            let page = self.page_of_shards(filter, token).await?;
            for shard in page.shards() {
                shards.push(self.shard(shard)?);
            }
            token = page.next_token;
            if token.is_none() {
                shards.sort_by(|one, other| one.id.cmp(&other.id));
                return Ok(shards);
            }
        }
    }

    fn shard(&self, shard: &types::Shard) -> Result<Shard, StreamError> {
        let id = shard.shard_id();
        let lacks = |what: &str| self.strange(&format!("shard {id} has no {what}"));
        let numbers = shard
            .sequence_number_range()
            .ok_or_else(|| lacks("sequence numbers"))?;
        let parents = [shard.parent_shard_id(), shard.adjacent_parent_shard_id()];
        let last = numbers.ending_sequence_number();
        Ok(Shard {
            id: id.to_owned(),
            parents: parents.into_iter().flatten().map(str::to_owned).collect(),
            hash_range: hash_range(shard.hash_key_range()).ok_or_else(|| lacks("hash keys"))?,
            closed: last.is_some(),
            first: sequence(&self.name, numbers.starting_sequence_number())?,
            last: last.map(|last| sequence(&self.name, last)).transpose()?,
        })
    }

    fn strange(&self, what: &str) -> StreamError {
        strange(&self.name, what)
    }

    async fn arn(&self) -> Result<&str, StreamError> {
        let asked = self.arn.get_or_try_init(|| async {
            let (line, client) = self.calls.client();
            let asked = client.describe_stream_summary().stream_name(&self.name);
            let answer = asked.send().await.map_err(|error| {
                let doing = self.doing("describe stream");
                no_stream(self.calls.failed(line, &doing, &error))
            })?;
            let summary = answer.stream_description_summary;
            summary
                .map(|summary| summary.stream_arn)
                .ok_or_else(|| self.strange("no summary"))
        });
        asked.await.map(String::as_str)
    }
}

#[async_trait]
impl Stream for Kinesis {
    fn name(&self) -> &str {
        &self.name
    }

    async fn list_shards(&self, filter: &Filter) -> Result<Vec<Shard>, StreamError> {
        for _ in 1..LISTINGS {
            match self.listing(filter).await {
                Err(StreamError::Expired) => {}
                answer => return answer,
            }
        }
        self.listing(filter).await.map_err(|error| match error {
            StreamError::Expired => {
                StreamError::Unavailable(self.doing("too slow to list the shards of"))
            }
            error => error,
        })
    }

    async fn iterator(&self, shard: &str, from: From) -> Result<String, StreamError> {
        let (kind, sequence, time) = starting(from);
        let (line, client) = self.calls.client();
        let answer = client
            .get_shard_iterator()
            .stream_name(&self.name)
            .shard_id(shard)
            .shard_iterator_type(kind)
            .set_starting_sequence_number(sequence)
            .set_timestamp(time)
            .send()
            .await
            .map_err(|error| {
                let doing = self.of_shard("get an iterator of", shard);
                self.calls.failed(line, &doing, &error)
            })?;
        answer
            .shard_iterator
            .ok_or_else(|| self.strange("no iterator"))
    }

    async fn records(&self, iterator: &str, limit: u32) -> Result<Answer, StreamError> {
        let (line, client) = self.calls.client();
        let answer = client
            .get_records()
            .shard_iterator(iterator)
            .limit(i32::try_from(limit).unwrap_or(i32::MAX))
            .send()
            .await
            .map_err(|error| {
                let doing = self.doing("read records of");
                self.calls.failed(line, &doing, &error)
            })?;
        Ok(Answer {
            records: raw_records(&self.name, answer.records)?,
            next: answer.next_shard_iterator,
            behind_ms: answer
                .millis_behind_latest
                .and_then(|ms| ms.try_into().ok()),
            children: answer.child_shards.map(children).unwrap_or_default(),
        })
    }

    async fn register_consumer(&self, name: &str) -> Result<Consumer, StreamError> {
        let (line, client) = self.calls.client();
        let answer = client
            .register_stream_consumer()
            .stream_arn(self.arn().await?)
            .consumer_name(name)
            .send()
            .await
            .map_err(|error| {
                let doing = self.doing(&format!("register consumer {name} of"));
                self.calls.failed(line, &doing, &error)
            })?;
        let made = answer.consumer.ok_or_else(|| self.strange("no consumer"))?;
        Ok(Consumer {
            arn: made.consumer_arn,
            active: made.consumer_status == types::ConsumerStatus::Active,
        })
    }

    async fn describe_consumer(&self, name: &str) -> Result<Consumer, StreamError> {
        let (line, client) = self.calls.client();
        let answer = client
            .describe_stream_consumer()
            .stream_arn(self.arn().await?)
            .consumer_name(name)
            .send()
            .await
            .map_err(|error| {
                let doing = self.doing(&format!("describe consumer {name} of"));
                self.calls.failed(line, &doing, &error)
            })?;
        let found = answer.consumer_description;
        let found = found.ok_or_else(|| self.strange("no consumer"))?;
        Ok(Consumer {
            arn: found.consumer_arn,
            active: found.consumer_status == types::ConsumerStatus::Active,
        })
    }

    async fn deregister_consumer(&self, name: &str) -> Result<(), StreamError> {
        let (line, client) = self.calls.client();
        client
            .deregister_stream_consumer()
            .stream_arn(self.arn().await?)
            .consumer_name(name)
            .send()
            .await
            .map_err(|error| {
                let doing = self.doing(&format!("deregister consumer {name} of"));
                self.calls.failed(line, &doing, &error)
            })?;
        Ok(())
    }

    async fn subscribe(
        &self,
        consumer: &str,
        shard: &str,
        from: From,
    ) -> Result<Box<dyn Events>, StreamError> {
        let doing = self.of_shard("subscribe to", shard);
        let (kind, sequence, time) = starting(from);
        let position = types::StartingPosition::builder()
            .r#type(kind)
            .set_sequence_number(sequence)
            .set_timestamp(time)
            .build()
            .map_err(|error| StreamError::Misconfigured(format!("{doing}: {error}")))?;
        let subscriber = self.subscriber(shard);
        let (line, client) = subscriber.client();
        let request = client
            .subscribe_to_shard()
            .consumer_arn(consumer)
            .shard_id(shard)
            .starting_position(position)
            .send();
        let answer = tokio::time::timeout(BEGIN, request)
            .await
            .map_err(|_| {
                subscriber.silent(line);
                StreamError::Unavailable(format!("{doing}: no answer in {BEGIN:?}"))
            })?
            .map_err(|error| subscriber.failed(line, &doing, &error))?;
        Ok(Box::new(Subscription {
            stream: self.name.clone(),
            doing,
            events: answer.event_stream,
        }))
    }
}

/// A subscription that is under way.
#[derive(Debug)]
struct Subscription {
    stream: String,
    doing: String,
    events: EventReceiver<types::SubscribeToShardEventStream, SubscribeToShardEventStreamError>,
}

#[async_trait]
impl Events for Subscription {
    async fn next(&mut self) -> Result<Option<Event>, StreamError> {
        loop {
            let event = self.events.recv().await;
            match event.map_err(|error| failure(&self.doing, &error))? {
                None => return Ok(None),
                Some(types::SubscribeToShardEventStream::SubscribeToShardEvent(event)) => {
                    return self.event(event).map(Some);
                }
                // What a newer service may add.
                Some(_) => {}
            }
        }
    }
}

impl Subscription {
    fn event(&self, event: types::SubscribeToShardEvent) -> Result<Event, StreamError> {
        // The SDK makes an empty text of what is not there.
        let continuation = Some(event.continuation_sequence_number).filter(|text| !text.is_empty());
        Ok(Event {
            records: raw_records(&self.stream, event.records)?,
            continuation: continuation
                .map(|text| sequence(&self.stream, &text))
                .transpose()?,
            behind_ms: event.millis_behind_latest.try_into().ok(),
            children: event.child_shards.map(children).unwrap_or_default(),
        })
    }
}

fn raw_records(stream: &str, records: Vec<types::Record>) -> Result<Vec<RawRecord>, StreamError> {
    let records = records.into_iter().map(|record| {
        Ok(RawRecord {
            sequence: sequence(stream, &record.sequence_number)?,
            arrival_ms: record
                .approximate_arrival_timestamp
                .and_then(|time| time.to_millis().ok()),
            partition_key: record.partition_key.unwrap_or_default(),
            data: Bytes::from(record.data.into_inner()),
        })
    });
    records.collect()
}

fn sequence(stream: &str, text: &str) -> Result<Sequence, StreamError> {
    text.parse()
        .map_err(|error| strange(stream, &format!("{text:?} is {error}")))
}

/// An answer that the service does not give.
fn strange(stream: &str, what: &str) -> StreamError {
    StreamError::Unavailable(format!("stream {stream}: strange answer: {what}"))
}

/// How the service is told where to begin.
fn starting(from: From) -> (types::ShardIteratorType, Option<String>, Option<DateTime>) {
    use types::ShardIteratorType as Kind;
    match from {
        From::TrimHorizon => (Kind::TrimHorizon, None, None),
        From::Latest => (Kind::Latest, None, None),
        From::AtTimestamp(time) => (Kind::AtTimestamp, None, Some(date_time(time))),
        From::At(sequence) => (Kind::AtSequenceNumber, Some(sequence.to_string()), None),
    }
}

fn date_time(time: SystemTime) -> DateTime {
    DateTime::from(time)
}

fn shard_filter(filter: &Filter) -> Option<types::ShardFilter> {
    use types::ShardFilterType as Kind;
    let (kind, time) = match filter {
        Filter::All => return None,
        Filter::AtLatest => (Kind::AtLatest, None),
        Filter::AtTrimHorizon => (Kind::AtTrimHorizon, None),
        Filter::AtTimestamp(time) => (Kind::AtTimestamp, Some(date_time(*time))),
    };
    let filter = types::ShardFilter::builder()
        .r#type(kind)
        .set_timestamp(time);
    // It lacks nothing that is required.
    filter.build().ok()
}

fn hash_range(range: Option<&types::HashKeyRange>) -> Option<HashRange> {
    let range = range?;
    Some(HashRange {
        start: range.starting_hash_key().parse().ok()?,
        end: range.ending_hash_key().parse().ok()?,
    })
}

/// All of them or none: who misses them asks for the list of shards.
fn children(children: Vec<types::ChildShard>) -> Vec<Child> {
    let children = children.into_iter().map(|child| {
        Some(Child {
            hash_range: hash_range(child.hash_key_range())?,
            id: child.shard_id,
            parents: child.parent_shards,
        })
    });
    children.collect::<Option<_>>().unwrap_or_default()
}
