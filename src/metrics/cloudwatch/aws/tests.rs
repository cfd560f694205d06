//! What goes over the line, read by a server of the test's own.

use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use aws_config::{BehaviorVersion, Region};
use aws_sdk_cloudwatch::config::Credentials;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::IntoResponse;
use prometheus::IntCounter;
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;

use super::*;
use crate::metrics::cloudwatch::{Batch, KclMetrics, Renewal};

/// What a request had: path, headers, body.
type Seen = Arc<Mutex<Vec<(String, HeaderMap, Value)>>>;

#[derive(Clone)]
struct Stand {
    seen: Seen,
    refuses: bool,
}

async fn answer(
    State(stand): State<Stand>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> impl IntoResponse {
    let (body, rest) = read(&body);
    assert_eq!(rest, [0; 0]);
    let mut seen = stand.seen.lock().unwrap();
    seen.push((uri.path().to_owned(), headers, body));
    let headers = [
        ("smithy-protocol", "rpc-v2-cbor"),
        ("content-type", "application/cbor"),
    ];
    match stand.refuses {
        false => (StatusCode::OK, headers, vec![0xa0]),
        true => {
            let error = b"\xa1\x66__type\x74InternalServiceFault".to_vec();
            (StatusCode::BAD_REQUEST, headers, error)
        }
    }
}

/// A sink before a server that takes down what it is asked.
async fn sink(refuses: bool) -> (CloudWatchSink, Seen) {
    let seen = Seen::default();
    let stand = Stand {
        seen: seen.clone(),
        refuses,
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().fallback(answer).with_state(stand);
    tokio::spawn(async move { axum::serve(listener, router).await });
    let http = aws_smithy_http_client::Builder::new().build_http();
    let config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-west-1"))
        .endpoint_url(format!("http://{address}"))
        .credentials_provider(aws_sdk_cloudwatch::config::SharedCredentialsProvider::new(
            Credentials::new("id", "hush", None, None, "test"),
        ))
        .retry_config(aws_config::retry::RetryConfig::disabled())
        .http_client(http)
        .build();
    (CloudWatchSink::new(&config, "rakam-kinesis-worker"), seen)
}

fn measured() -> Vec<Datum> {
    let metrics = KclMetrics::new(IntCounter::new("dropped", "-").unwrap());
    let took = Duration::from_millis(5);
    let batch = Batch {
        records: 7,
        bytes: 700,
        behind_ms: Some(1500),
        took,
        success: true,
    };
    metrics.batch("shardId-000000000003", &batch);
    let renewal = Renewal {
        current: 2,
        took,
        success: true,
        ..Renewal::default()
    };
    metrics.renewal("alluvium:w", &renewal);
    metrics.take()
}

#[tokio::test]
async fn cloudwatch_gets_the_namespace_and_every_set() {
    let (sink, seen) = sink(false).await;
    let at = UNIX_EPOCH + Duration::from_millis(1_769_839_140_500);
    sink.put(&measured(), at).await.unwrap();
    let seen = seen.lock().unwrap();
    let [(path, headers, body)] = &seen[..] else {
        panic!("{seen:?}");
    };
    assert!(path.ends_with("/operation/PutMetricData"), "{path}");
    let signed = headers["authorization"].to_str().unwrap();
    assert!(signed.contains("/eu-west-1/monitoring/"), "{signed}");
    assert!(!headers.contains_key("content-encoding"));
    assert_eq!(body["Namespace"], "rakam-kinesis-worker");
    let data = body["MetricData"].as_array().unwrap();
    assert_eq!(data.len(), 1 + 5 + 4);
    let records = json!({
        "MetricName": "RecordsProcessed",
        "Dimensions": [
            {"Name": "Operation", "Value": "ProcessTask"},
            {"Name": "ShardId", "Value": "shardId-000000000003"},
        ],
        "Timestamp": 1_769_839_140.5,
        "StatisticValues": {"SampleCount": 1.0, "Sum": 7.0, "Minimum": 7.0, "Maximum": 7.0},
        "Unit": "Count",
    });
    assert!(data.contains(&records), "{data:#?}");
    let behind = data
        .iter()
        .find(|datum| datum["MetricName"] == "MillisBehindLatest");
    let behind = behind.unwrap();
    assert_eq!(behind["Unit"], "Milliseconds");
    assert_eq!(
        behind["Dimensions"],
        json!([{"Name": "Operation", "Value": "ApplicationTracker"}])
    );
    let worker = json!({"Name": "WorkerIdentifier", "Value": "alluvium:w"});
    let leases = data
        .iter()
        .find(|datum| datum["MetricName"] == "CurrentLeases");
    assert_eq!(leases.unwrap()["Dimensions"][1], worker);
}

#[tokio::test]
async fn a_refusal_says_why() {
    let (sink, seen) = sink(true).await;
    let why = sink.put(&measured(), UNIX_EPOCH).await.unwrap_err();
    assert!(why.contains("InternalServiceFault"), "{why}");
    assert!(!why.contains("hush"), "{why}");
    assert_eq!(seen.lock().unwrap().len(), 1);
}

/// Just enough of CBOR: an item, and what is behind it.
fn read(bytes: &[u8]) -> (Value, &[u8]) {
    let (kind, small) = (bytes[0] >> 5, bytes[0] & 31);
    let rest = &bytes[1..];
    if kind == 7 {
        return match small {
            20 | 21 => (json!(small == 21), rest),
            26 => (
                json!(f32::from_be_bytes(rest[..4].try_into().unwrap())),
                &rest[4..],
            ),
            27 => (
                json!(f64::from_be_bytes(rest[..8].try_into().unwrap())),
                &rest[8..],
            ),
            _ => (Value::Null, rest),
        };
    }
    let wide = match small {
        0..24 | 31 => 0,
        24..28 => 1 << (small - 24),
        _ => panic!("{small}"),
    };
    let (count, mut rest) = rest.split_at(wide);
    let number = count
        .iter()
        .fold(0, |number, byte| number << 8 | u64::from(*byte));
    let number = if small < 24 { small.into() } else { number };
    // Without an end of its own, it ends at a break.
    let mut left = if small == 31 { u64::MAX } else { number };
    let mut more = |rest: &mut &[u8]| {
        if small == 31 && rest[0] == 0xff {
            *rest = &rest[1..];
            return false;
        }
        left = left.wrapping_sub(1);
        left != u64::MAX || small == 31
    };
    match kind {
        0 => (json!(number), rest),
        3 => {
            let (text, rest) = rest.split_at(usize::try_from(number).unwrap());
            (json!(std::str::from_utf8(text).unwrap()), rest)
        }
        4 => {
            let mut list = vec![];
            while more(&mut rest) {
                list.push(take(&mut rest));
            }
            (list.into(), rest)
        }
        5 => {
            let mut map = Map::new();
            while more(&mut rest) {
                let name = take(&mut rest);
                map.insert(name.as_str().unwrap().to_owned(), take(&mut rest));
            }
            (map.into(), rest)
        }
        // A tag, such as that of a time.
        6 => read(rest),
        _ => panic!("kind {kind}"),
    }
}

/// The first item, which is taken off.
fn take(bytes: &mut &[u8]) -> Value {
    let (value, behind) = read(bytes);
    *bytes = behind;
    value
}
