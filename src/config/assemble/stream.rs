//! Where records come from: `stream.source`, and the keys of the source it names.

use std::num::NonZeroUsize;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::super::duration;
use super::super::key::Section;
use super::super::keys::{self, CLIENT_PREFIX, SERVED, kinesis};
use super::super::read::{self, Reader};
use super::super::settings::{
    Aws, Bulk, InitialPosition, Kafka, Kinesis, KinesisMode, Offset, Stream,
};
use super::{contradiction, count, credentials, millis, passed_through, without_effect};

/// What a worker may be thought dead after: shorter, and none could prove that it lives; longer, and nobody would notice a death.
const FAILOVER: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(3600);

/// The source. All keys are read, so that bad values are found whatever it is.
pub(super) fn stream(r: &mut Reader<'_>) -> Stream {
    r.require(&keys::STREAM_SOURCE);
    let words = [("kafka", Word::Kafka), ("kinesis", Word::Kinesis)];
    let word = r.choice(&keys::STREAM_SOURCE, words);
    let (kafka, mut kinesis) = (kafka(r), kinesis(r));
    match word {
        Some(Word::Kafka) => {
            r.require(&keys::KAFKA_NODES);
            r.require(&keys::KAFKA_TOPIC);
            idle(r, Section::Kinesis, "the source is not kinesis");
        }
        Some(Word::Kinesis) => {
            r.require(&kinesis::STREAM);
            idle(r, Section::Kafka, "the source is not kafka");
            idle_client_settings(r);
            fit_together(r, &kinesis);
            find_region(r, &mut kinesis.aws);
        }
        None => {}
    }
    match word {
        Some(Word::Kinesis) => Stream::Kinesis(kinesis),
        Some(Word::Kafka) | None => Stream::Kafka(kafka),
    }
}

#[derive(Clone, Copy)]
enum Word {
    Kafka,
    Kinesis,
}

/// Warns of whatever somebody set of a source that is not read.
fn idle(r: &mut Reader<'_>, section: Section, why: &str) {
    for key in SERVED.iter().filter(|key| key.section == section) {
        without_effect(r, key, why);
    }
}

fn idle_client_settings(r: &mut Reader<'_>) {
    for (setting, found) in r.below(CLIENT_PREFIX) {
        let key = format!("{CLIENT_PREFIX}{setting}");
        let what = "has no effect: the source is not kafka";
        r.findings().warning(&found.place, &key, what, "remove it");
    }
}

fn kafka(r: &mut Reader<'_>) -> Kafka {
    let offsets = [("latest", Offset::Latest), ("earliest", Offset::Earliest)];
    Kafka {
        nodes: r
            .parsed(&keys::KAFKA_NODES, read::nodes)
            .unwrap_or_default(),
        topics: r
            .parsed(&keys::KAFKA_TOPIC, read::topics)
            .unwrap_or_default(),
        offset: r
            .choice(&keys::KAFKA_OFFSET, offsets)
            .unwrap_or(Offset::Latest),
        group_id: r.text(&keys::KAFKA_GROUP_ID).unwrap_or_default(),
        session_timeout: millis(r, &keys::KAFKA_SESSION_TIMEOUT),
        request_timeout: millis(r, &keys::KAFKA_REQUEST_TIMEOUT),
        max_poll_records: count(r, &keys::MAX_POLL_RECORDS).map_or(1, NonZeroUsize::get),
        workers: count(r, &keys::KAFKA_WORKERS),
        client: passed_through(r, CLIENT_PREFIX),
    }
}

fn kinesis(r: &mut Reader<'_>) -> Kinesis {
    let modes = [
        ("polling", KinesisMode::Polling),
        ("fan-out", KinesisMode::FanOut),
        ("auto", KinesisMode::Auto),
    ];
    let table = r.aws_name(&kinesis::TABLE).unwrap_or_default();
    Kinesis {
        stream: r.aws_name(&kinesis::STREAM).unwrap_or_default(),
        initial_position: r
            .parsed(&kinesis::INITIAL_POSITION, read::initial_position)
            .unwrap_or(InitialPosition::TrimHorizon),
        failover: r
            .parsed(&kinesis::FAILOVER_TIME, failover)
            .unwrap_or_default(),
        mode: r
            .choice(&kinesis::MODE, modes)
            .unwrap_or(KinesisMode::Polling),
        consumer: r
            .aws_name(&kinesis::CONSUMER_NAME)
            .unwrap_or_else(|| table.clone()),
        table,
        max_records: count(r, &kinesis::MAX_RECORDS).map_or(1, NonZeroUsize::get),
        workers: count(r, &kinesis::WORKERS),
        cloudwatch: r.choice(
            &kinesis::ENABLE_CLOUDWATCH,
            [("true", true), ("false", false)],
        ) == Some(true),
        bulk: bulk(r),
        aws: aws(r),
    }
}

fn failover(text: &str) -> Result<Duration, String> {
    match duration::parse(text)? {
        time if FAILOVER.contains(&time) => Ok(time),
        _ => Err("is out of range, which is 1s to 1h".into()),
    }
}

fn bulk(r: &mut Reader<'_>) -> Option<Bulk> {
    let endpoint = r.aws_endpoint(&kinesis::S3_ENDPOINT);
    let bucket = r.text(&kinesis::S3_BULK_BUCKET)?;
    Some(Bulk { bucket, endpoint })
}

fn aws(r: &mut Reader<'_>) -> Aws {
    Aws {
        region: r.text(&kinesis::REGION),
        credentials: credentials(r, &kinesis::ACCESS_KEY, &kinesis::SECRET_ACCESS_KEY),
        kinesis_endpoint: r.aws_endpoint(&kinesis::KINESIS_ENDPOINT),
        dynamodb_endpoint: r.aws_endpoint(&kinesis::DYNAMODB_ENDPOINT),
        cloudwatch_endpoint: r.aws_endpoint(&kinesis::CLOUDWATCH_ENDPOINT),
    }
}

/// Warns of what another key makes idle.
fn fit_together(r: &mut Reader<'_>, kinesis: &Kinesis) {
    match kinesis.mode {
        KinesisMode::Polling => {
            without_effect(r, &kinesis::CONSUMER_NAME, "kinesis.mode is polling");
        }
        KinesisMode::FanOut => {
            without_effect(r, &kinesis::MAX_RECORDS, "kinesis.mode is fan-out");
        }
        KinesisMode::Auto => {}
    }
    if !kinesis.cloudwatch {
        let why = "aws.enable-cloudwatch is false";
        without_effect(r, &kinesis::CLOUDWATCH_ENDPOINT, why);
    }
    if kinesis.bulk.is_none() {
        let why = "aws.s3-bulk-bucket is not set";
        without_effect(r, &kinesis::S3_ENDPOINT, why);
    }
}

/// As the original's client does, takes the region from an endpoint if nobody says it. Questions are signed for one, so
/// that an endpoint of which it is not known cannot be asked anything.
fn find_region(r: &mut Reader<'_>, aws: &mut Aws) {
    let endpoints = [
        (&kinesis::KINESIS_ENDPOINT, &aws.kinesis_endpoint),
        (&kinesis::DYNAMODB_ENDPOINT, &aws.dynamodb_endpoint),
        (&kinesis::CLOUDWATCH_ENDPOINT, &aws.cloudwatch_endpoint),
    ];
    let given = endpoints
        .iter()
        .filter_map(|(key, url)| Some((*key, url.as_deref()?)));
    if aws.region.is_some() {
        return;
    }
    let found = given.clone().find_map(|(_, url)| read::region_of(url));
    match (found, given.clone().next()) {
        (Some(region), _) => aws.region = Some(region.to_owned()),
        (None, Some((key, _))) => {
            let fix = "set aws.region too, to any one if the server has none";
            contradiction(
                r,
                key,
                "is set without a region, which it does not name",
                fix,
            );
        }
        (None, None) => {}
    }
}
