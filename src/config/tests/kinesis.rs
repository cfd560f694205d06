//! The keys of the Kinesis source.

use std::time::UNIX_EPOCH;

use super::*;
use crate::config::settings::{Bulk, InitialPosition, Kinesis, KinesisMode};

/// The least that loads with this source.
const LEAST: &str = "stream.source=kinesis\nkinesis.stream=s\nsource.data-format=JSON\n\
                     target=file\ntarget.file.directory=/d\n";

fn load_with(more: &str) -> Result<Loaded, Problems> {
    with_env(&format!("{LEAST}{more}"), &[])
}

fn kinesis(more: &str) -> Kinesis {
    let loaded = load_with(more).unwrap_or_else(|problems| panic!("{problems}"));
    loaded.settings.stream.kinesis().unwrap().clone()
}

/// Problems of a configuration whose further lines begin with the sixth.
fn problems(more: &str) -> Vec<String> {
    let problems = load_with(more).unwrap_err();
    problems.iter().map(ToString::to_string).collect()
}

fn warnings(more: &str) -> Vec<String> {
    let loaded = load_with(more).unwrap_or_else(|problems| panic!("{problems}"));
    loaded.warnings.iter().map(ToString::to_string).collect()
}

#[test]
fn the_defaults_are_those_of_the_original() {
    let kinesis = kinesis("");
    assert_eq!(kinesis.stream, "s");
    assert_eq!(kinesis.initial_position, InitialPosition::TrimHorizon);
    assert_eq!(kinesis.table, "rakam-kinesis-worker");
    assert_eq!(kinesis.failover, Duration::from_secs(30));
    assert_eq!(kinesis.mode, KinesisMode::Polling);
    assert_eq!(kinesis.consumer, "rakam-kinesis-worker");
    assert_eq!(kinesis.max_records, 10_000);
    assert_eq!(kinesis.workers, None);
    assert!(kinesis.cloudwatch);
    assert_eq!(kinesis.bulk, None);
    assert_eq!(kinesis.aws, settings::Aws::default());
    assert_eq!(warnings(""), [""; 0]);
}

#[test]
fn the_block_of_the_originals_readme_loads_with_nothing_but_a_stream() {
    let block = "\
stream.max-flush-duration=15s
middleware.max-flush-duration=60s
stream.source=kinesis
kinesis.stream=events
kinesis.max-records-per-batch=
kinesis.consumer-dynamodb-table=
aws.enable-cloudwatch=
aws.kinesis-endpoint=
aws.dynamodb-endpoint=
aws.region=
aws.access-key= ## instance profile is used when not provided
aws.secret-access-key= ## instance profile is used when not provided
metadata.store.jdbc.url=postgres://me:secret@db/rakam
target=s3
target.aws.s3-bucket=bucket
";
    let loaded = with_env(block, &[]).unwrap();
    let kinesis = loaded.settings.stream.kinesis().unwrap();
    assert_eq!(kinesis.stream, "events");
    assert_eq!(kinesis.aws, settings::Aws::default());
    // The two comments behind values.
    assert_eq!(loaded.warnings.len(), 2, "{:?}", loaded.warnings);
}

#[test]
fn every_key_says_something() {
    let kinesis = kinesis(
        "kinesis.initial-position=latest\nkinesis.consumer-dynamodb-table=app\nkinesis.failover-time=10s\n\
         kinesis.mode=AUTO\nkinesis.consumer-name=me\nkinesis.max-records-per-batch=7\nkinesis.workers=3\n\
         aws.region=eu-west-1\naws.access-key=id\naws.secret-access-key=hush\naws.kinesis-endpoint=k:1\n\
         aws.dynamodb-endpoint=http://d/\naws.cloudwatch-endpoint=http://c\naws.enable-cloudwatch=True\n\
         aws.s3-bulk-bucket=b\naws.s3-endpoint=http://s\n",
    );
    assert_eq!(kinesis.initial_position, InitialPosition::Latest);
    assert_eq!(kinesis.table, "app");
    assert_eq!(kinesis.failover, Duration::from_secs(10));
    assert_eq!(kinesis.mode, KinesisMode::Auto);
    assert_eq!(kinesis.consumer, "me");
    assert_eq!(kinesis.max_records, 7);
    assert_eq!(kinesis.workers.unwrap().get(), 3);
    assert!(kinesis.cloudwatch);
    let bulk = Bulk {
        bucket: "b".into(),
        endpoint: Some("http://s".into()),
    };
    assert_eq!(kinesis.bulk, Some(bulk));
    let aws = kinesis.aws;
    assert_eq!(aws.region.as_deref(), Some("eu-west-1"));
    assert_eq!(aws.kinesis_endpoint.as_deref(), Some("https://k:1"));
    assert_eq!(aws.dynamodb_endpoint.as_deref(), Some("http://d"));
    assert_eq!(aws.cloudwatch_endpoint.as_deref(), Some("http://c"));
    let credentials = aws.credentials.unwrap();
    assert_eq!(credentials.access_key.expose(), "id");
    assert_eq!(credentials.secret_access_key.expose(), "hush");
}

#[test]
fn where_to_begin() {
    let begin =
        |text: &str| kinesis(&format!("kinesis.initial-position={text}\n")).initial_position;
    let at = |millis| InitialPosition::At(UNIX_EPOCH + Duration::from_millis(millis));
    assert_eq!(begin("Trim_Horizon"), InitialPosition::TrimHorizon);
    assert_eq!(begin("0"), at(0));
    assert_eq!(begin("1769839140123"), at(1_769_839_140_123));
    assert_eq!(begin("2026-01-31T05:59:00.123Z"), at(1_769_839_140_123));
    assert_eq!(begin("2026-01-31T07:59:00+02:00"), at(1_769_839_140_000));
    for (text, why) in [
        ("AT_TIMESTAMP", "is neither a word nor a time with its zone"),
        (
            "2026-01-31T05:59:00",
            "is neither a word nor a time with its zone",
        ),
        ("1969-12-31T00:00:00Z", "is no time from 1970 to 9999"),
        ("253402300800000", "is no time from 1970 to 9999"),
        ("99999999999999999999", "is no time from 1970 to 9999"),
    ] {
        let problems = problems(&format!("kinesis.initial-position={text}\n"));
        assert_eq!(problems.len(), 1);
        assert!(problems[0].contains(why), "{problems:?}");
    }
}

#[test]
fn bad_values_are_refused_whatever_the_source_is() {
    for (line, why) in [
        ("kinesis.stream=arn:aws:kinesis:x", "is an ARN, not a name"),
        ("kinesis.stream=a b", "has other characters in it"),
        (
            "kinesis.consumer-dynamodb-table=ab",
            "is too short or too long",
        ),
        ("kinesis.max-records-per-batch=10001", "is out of range"),
        (
            "kinesis.failover-time=999ms",
            "is out of range, which is 1s to 1h",
        ),
        ("kinesis.failover-time=30", "has no unit"),
        ("kinesis.mode=push", "is not known"),
        ("aws.enable-cloudwatch=yes", "is not known"),
        (
            "aws.dynamodb-endpoint=http://a@b",
            "has a user (set aws.access-key instead)",
        ),
        (
            "aws.access-key=id",
            "is set without its secret; set aws.secret-access-key too",
        ),
        (
            "aws.secret-access-key=x",
            "is set without the key's id; set aws.access-key too",
        ),
    ] {
        let kafka = super::LEAST;
        let kinesis = LEAST.replace("kinesis.stream=s\n", "kinesis.stream=s\naws.region=r\n");
        for least in [kafka, &kinesis] {
            let key = line.split_once('=').unwrap().0;
            let rest = least.lines().filter(|l| !l.starts_with(&format!("{key}=")));
            let text: String = rest.chain([line]).map(|l| format!("{l}\n")).collect();
            let problems = with_env(&text, &[]).unwrap_err().to_string();
            assert!(
                problems.contains(key) && problems.contains(why),
                "{problems}"
            );
            assert_eq!(problems.lines().count(), 1, "{problems}");
        }
    }
}

#[test]
fn a_stream_is_needed_and_nothing_of_kafka() {
    let text = LEAST.replace("kinesis.stream=s\n", "");
    let problems = with_env(&text, &[]).unwrap_err().to_string();
    let expected = "a.properties: kinesis.stream: is missing, and stream.source=kinesis needs it; add kinesis.stream=events";
    assert_eq!(problems, expected);
}

#[test]
fn the_keys_of_the_other_source_are_warned_of() {
    let kafka = "kafka.topic=t\nmax.poll.records=5\nkafka.client.log_level=7\nkafka.historical-data-topic=old\n\
                 outdated.day.index=1\nkafka.group.id=\n";
    let found = warnings(kafka);
    assert_eq!(found.len(), 5, "{found:?}");
    for warning in &found {
        assert!(
            warning.ends_with("has no effect: the source is not kafka; remove it"),
            "{warning}"
        );
    }
    let found = super::warnings("kinesis.stream=s\naws.region=r\naws.enable-cloudwatch=false\n");
    assert_eq!(found.len(), 3, "{found:?}");
    for warning in &found {
        assert!(
            warning.ends_with("has no effect: the source is not kinesis; remove it"),
            "{warning}"
        );
    }
}

#[test]
fn what_another_key_makes_idle_is_warned_of() {
    for (text, why) in [
        ("kinesis.consumer-name=me\n", "kinesis.mode is polling"),
        (
            "kinesis.mode=fan-out\nkinesis.max-records-per-batch=9\n",
            "kinesis.mode is fan-out",
        ),
        (
            "aws.enable-cloudwatch=false\naws.cloudwatch-endpoint=http://c\naws.region=r\n",
            "aws.enable-cloudwatch is false",
        ),
        (
            "aws.s3-endpoint=http://s\n",
            "aws.s3-bulk-bucket is not set",
        ),
    ] {
        let found = warnings(text);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(
            found[0].ends_with(&format!("has no effect: {why}; remove it")),
            "{found:?}"
        );
    }
}

#[test]
fn an_endpoint_names_its_region_or_it_is_asked_for() {
    let region = |endpoint: &str| kinesis(&format!("{endpoint}\n")).aws.region;
    for (host, named) in [
        ("kinesis.eu-west-1.amazonaws.com", "eu-west-1"),
        (
            "https://kinesis-fips.us-gov-west-1.amazonaws.com:443/",
            "us-gov-west-1",
        ),
        (
            "vpce-1a2b.kinesis.us-east-2.vpce.amazonaws.com",
            "us-east-2",
        ),
        ("kinesis.cn-north-1.amazonaws.com.cn", "cn-north-1"),
        ("dynamodb.ap-south-1.api.aws", "ap-south-1"),
    ] {
        for key in ["kinesis", "dynamodb", "cloudwatch"] {
            let endpoint = format!("aws.{key}-endpoint={host}");
            assert_eq!(region(&endpoint).as_deref(), Some(named), "{endpoint}");
        }
    }
    let said = "aws.kinesis-endpoint=kinesis.eu-west-1.amazonaws.com\naws.region=mine";
    assert_eq!(region(said).as_deref(), Some("mine"));
    for host in [
        "http://127.0.0.1:4567",
        "kinesis.amazonaws.com",
        "http://a.eu-west-1.example.com",
    ] {
        let found = problems(&format!("aws.dynamodb-endpoint={host}\n"));
        let expected = "a.properties:6: aws.dynamodb-endpoint: is set without a region, which it does not name; \
                        set aws.region too, to any one if the server has none";
        assert_eq!(found, [expected]);
    }
    assert_eq!(kinesis("").aws.region, None);
}

#[test]
fn columns_of_the_record_have_names_of_their_own() {
    let columns = |more: &str| load_with(more).unwrap().settings.columns;
    let both = columns("database.key-field-name=_Key\ndatabase.arrival-field-name=_arrival\n");
    // The layout FABRIC lower-cases.
    assert_eq!(both.key.as_deref(), Some("_key"));
    assert_eq!(both.arrival.as_deref(), Some("_arrival"));
    let found = problems("database.key-field-name=_TIME\n");
    let same = "database.key-field-name: names the same column as database.time-field-name";
    assert!(found[0].contains(same), "{found:?}");
    let found = problems("database.arrival-field-name=_misfit\n");
    assert!(
        found[0].contains("names the column that keeps what fits no other"),
        "{found:?}"
    );
}

#[test]
fn no_secret_is_seen() {
    let loaded = load_with("aws.access-key=hunter1\naws.secret-access-key=hunter2\n").unwrap();
    let all = loaded.effective.all() + &format!("{loaded:?}") + &loaded.recipe.shaping();
    assert!(!all.contains("hunter"), "{all}");
}

#[test]
fn a_shape_can_be_taken_on_by_another_configuration() {
    let wanted = load_with(
        "database.key-field-name=_key\naws.s3-bulk-bucket=old\ntarget.compression=none\n",
    )
    .unwrap();
    let at_hand = load_with("kinesis.mode=auto\naws.s3-bulk-bucket=new\naws.region=r\n").unwrap();
    let made = at_hand.recipe.with(&wanted.recipe.shaping()).unwrap();
    assert_eq!(made.columns, wanted.settings.columns);
    let kinesis = made.stream.kinesis().unwrap();
    assert_eq!(kinesis.bulk.as_ref().unwrap().bucket, "old");
    assert_eq!(kinesis.mode, KinesisMode::Auto);
}

#[test]
fn a_stream_whose_files_would_have_too_long_names_is_refused() {
    let stream = |len: usize| {
        let text = LEAST.replace(
            "kinesis.stream=s",
            &format!("kinesis.stream={}", "s".repeat(len)),
        );
        with_env(&text, &[]).map(drop)
    };
    assert!(stream(95).is_ok());
    let refused = stream(96).unwrap_err().to_string();
    assert!(
        refused.contains("kinesis.stream") && refused.contains("target=s3"),
        "{refused}"
    );
}
