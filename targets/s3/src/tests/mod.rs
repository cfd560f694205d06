//! The store against a stand-in server: what goes over the wire, and what every kind of failure
//! becomes.

mod guard;
mod reading;
mod stand_in;

use std::fmt::Debug;
use std::time::{Duration, Instant};

use alluvium_objects::{Created, Object, Store as _, conformance};
use alluvium_target::TargetError;
use bytes::Bytes;

use crate::client::Pace;
use crate::{S3Settings, S3Store, StaticKeys};
use stand_in::{Answer, StandIn};

const SECRET: &str = "hush-hush";
const ACCESS: &str = "AKIAEXAMPLE";

fn settings(endpoint: &str) -> S3Settings {
    S3Settings {
        endpoint: Some(endpoint.into()),
        keys: Some(StaticKeys {
            access_key: ACCESS.into(),
            secret_key: SECRET.into(),
        }),
        ..S3Settings::new("events")
    }
}

/// So that nothing ends by time, however busy the machine is.
fn pace() -> Pace {
    Pace {
        connect: Duration::from_secs(60),
        answer: Duration::from_secs(60),
        pause: Duration::from_millis(2),
        ..Pace::default()
    }
}

fn hasty() -> Pace {
    Pace {
        answer: Duration::from_millis(500),
        ..pace()
    }
}

async fn store_with(server: &StandIn, change: impl FnOnce(&mut S3Settings)) -> S3Store {
    let mut settings = settings(&server.endpoint);
    change(&mut settings);
    S3Store::connect_at(settings, pace()).await.unwrap()
}

async fn store(server: &StandIn) -> S3Store {
    store_with(server, |_| {}).await
}

fn object(pieces: &[&'static str]) -> Object {
    Object {
        content_type: "application/gzip",
        ..conformance::object(pieces.iter().copied())
    }
}

/// An object of more than two of the smallest parts, in uneven pieces.
fn large() -> Object {
    let piece = Bytes::from(vec![b'x'; 3 << 20]);
    Object {
        body: vec![piece; 4],
        ..object(&[])
    }
}

fn unavailable<T: Debug>(result: Result<T, TargetError>) -> String {
    match result {
        Err(TargetError::Unavailable(text)) => {
            assert!(!text.contains(SECRET) && !text.contains(ACCESS), "{text}");
            text
        }
        other => panic!("{other:?}"),
    }
}

fn misconfigured<T: Debug>(result: Result<T, TargetError>) -> String {
    match result {
        Err(TargetError::Misconfigured(text)) => {
            assert!(!text.contains(SECRET) && !text.contains(ACCESS), "{text}");
            text
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_put_is_one_request_with_everything_in_it() {
    let server = StandIn::start([Answer::ok()]).await;
    // A name, since the SDK never puts a bucket's name before an address.
    let named = server.endpoint.replace("127.0.0.1", "localhost");
    let store = store_with(&server, |s| s.endpoint = Some(named)).await;
    store
        .create("a/b c%é", &object(&["123", "", "456789"]))
        .await
        .unwrap();
    let seen = server.seen();
    assert_eq!(
        server.lines(),
        ["PUT /events/a/b%20c%25%C3%A9?x-id=PutObject"]
    );
    assert_eq!(seen[0].body, b"123456789");
    assert_eq!(seen[0].header("content-length"), "9");
    assert_eq!(seen[0].header("content-type"), "application/gzip");
    assert_eq!(seen[0].header("content-encoding"), "");
    assert_eq!(seen[0].header("x-amz-meta-topic"), "clicks");
    assert_eq!(seen[0].header("x-amz-meta-from"), "7");
    assert_eq!(seen[0].header("x-amz-meta-span-objects"), "1");
    assert_eq!(seen[0].header("x-amz-checksum-crc32"), "y/Q5Jg==");
    assert_eq!(seen[0].header("x-amz-trailer"), "");
    assert_eq!(seen[0].header("transfer-encoding"), "");
}

#[tokio::test]
async fn checksums_can_be_left_out() {
    let server = StandIn::start([Answer::ok()]).await;
    store_with(&server, |s| s.checksums = false)
        .await
        .create("k", &object(&["123"]))
        .await
        .unwrap();
    let seen = server.seen();
    let sent: Vec<_> = seen[0]
        .headers
        .keys()
        .filter(|name| name.contains("checksum"))
        .collect();
    assert!(sent.is_empty(), "{sent:?}");
}

#[tokio::test]
async fn an_empty_object_is_put() {
    let server = StandIn::start([Answer::ok()]).await;
    store(&server)
        .await
        .create("k", &object(&[]))
        .await
        .unwrap();
    assert_eq!(server.seen()[0].header("content-length"), "0");
}

/// What an error answer becomes at a check; at a put each of them keeps the rows.
#[tokio::test]
async fn every_error_answer_is_told_apart() {
    let heals = [
        (500, "InternalError"),
        (503, "SlowDown"),
        (503, ""),
        (502, ""),
        (429, ""),
        (400, "RequestTimeout"),
        (400, "ExpiredToken"),
        (403, "RequestTimeTooSkewed"),
        (409, "OperationAborted"),
    ];
    let needs_person = [
        (404, "NoSuchBucket", "target.aws.s3-bucket"),
        (403, "AccessDenied", "s3:PutObject"),
        (403, "", "s3:PutObject"),
        (403, "InvalidAccessKeyId", "target.secret-access-key"),
        (403, "SignatureDoesNotMatch", "target.secret-access-key"),
        (301, "PermanentRedirect", "target.aws.region"),
        (400, "AuthorizationHeaderMalformed", "target.aws.region"),
        (404, "", "target.aws.s3-endpoint"),
        (501, "NotImplemented", "target.aws.s3-endpoint"),
        (400, "InvalidRequest", "policies"),
    ];
    for (status, code) in heals {
        let server = StandIn::start([Answer::error(status, code)]).await;
        let store = store(&server).await;
        for text in [
            unavailable(store.check().await),
            unavailable(store.create("a/key", &object(&["x"])).await),
        ] {
            assert!(
                text.contains(&format!("{status}")) && text.contains(code),
                "{text}"
            );
            assert!(
                text.contains("s3://events/") && text.contains("request id R1"),
                "{text}"
            );
        }
    }
    for (status, code, advice) in needs_person {
        let server = StandIn::start([Answer::error(status, code)]).await;
        let store = store(&server).await;
        for text in [
            misconfigured(store.check().await),
            unavailable(store.create("a/key", &object(&["x"])).await),
        ] {
            assert!(text.contains(format!("{status} {code}").trim()), "{text}");
            assert!(
                text.contains(advice) && text.contains("request id R1"),
                "{text}"
            );
        }
    }
}

#[tokio::test]
async fn a_short_disturbance_is_not_heard_of() {
    let answers = [Answer::error(503, "SlowDown"), Answer::Reset, Answer::ok()];
    let server = StandIn::start(answers).await;
    store(&server)
        .await
        .create("key", &object(&["12", "34"]))
        .await
        .unwrap();
    let seen = server.seen();
    assert_eq!(seen.len(), 3);
    assert_eq!(
        seen[2].body, b"1234",
        "a repeated request has the whole body"
    );
}

#[tokio::test]
async fn a_lost_answer_leads_to_the_same_put_again() {
    let server = StandIn::start([Answer::Lost, Answer::ok()]).await;
    store(&server)
        .await
        .create("key", &object(&["1234"]))
        .await
        .unwrap();
    let seen = server.seen();
    assert_eq!(seen.len(), 2);
    assert_eq!(
        (&seen[0].line, &seen[0].body),
        (&seen[1].line, &seen[1].body)
    );
}

#[tokio::test]
async fn a_reset_within_the_body_keeps_the_rows() {
    let server = StandIn::start([Answer::Reset]).await;
    let text = unavailable(store(&server).await.create("key", &large()).await);
    assert!(text.contains("s3://events/key"), "{text}");
    let body = Object {
        body: large().body,
        ..object(&[])
    };
    let store = store_with(&server, |s| s.single_put_max = u64::MAX).await;
    let text = unavailable(store.create("key", &body).await);
    assert!(text.contains("put s3://events/key"), "{text}");
}

#[tokio::test]
async fn no_answer_ends_in_time() {
    let server = StandIn::start([Answer::Silence]).await;
    let store = S3Store::connect_at(settings(&server.endpoint), hasty());
    let store = store.await.unwrap();
    let begun = Instant::now();
    let text = unavailable(store.create("key", &object(&["x"])).await);
    assert!(
        text.contains("timeout") || text.contains("timed out"),
        "{text}"
    );
    assert!(
        begun.elapsed() >= Duration::from_millis(1500),
        "three attempts"
    );
    assert!(
        begun.elapsed() < Duration::from_secs(30),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(server.seen().len(), 3);
}

#[tokio::test]
async fn a_larger_body_gets_more_time() {
    let server = StandIn::start([Answer::Late(Duration::from_millis(800))]).await;
    // Ten seconds more than the half that would not do.
    let pace = Pace {
        bytes_per_second: 1,
        ..hasty()
    };
    let store = S3Store::connect_at(settings(&server.endpoint), pace)
        .await
        .unwrap();
    store.create("key", &object(&["ten  bytes"])).await.unwrap();
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable() {
    // A port that nobody is given who asks for any.
    let store = S3Store::connect_at(settings("http://127.0.0.1:9"), pace())
        .await
        .unwrap();
    let text = unavailable(store.create("key", &object(&["x"])).await);
    assert!(text.contains("refused"), "{text}");
    unavailable(store.check().await);
}

#[tokio::test]
async fn a_large_object_goes_in_parts() {
    let joined = "<CompleteMultipartUploadResult><ETag>t</ETag></CompleteMultipartUploadResult>";
    let part = Answer::ok;
    let server = StandIn::start([
        Answer::upload(),
        part(),
        part(),
        part(),
        Answer::xml(joined),
    ])
    .await;
    let store = store_with(&server, |s| {
        s.single_put_max = 1 << 20;
        s.part_size = 5 << 20;
    });
    store.await.create("key", &large()).await.unwrap();
    let mut seen = server.seen();
    assert_eq!(seen[0].line, "POST /events/key?uploads");
    assert_eq!(seen[0].header("x-amz-checksum-algorithm"), "CRC32");
    assert_eq!(seen[0].header("x-amz-meta-topic"), "clicks");
    assert_eq!(seen[0].header("content-type"), "application/gzip");
    let last = seen.pop().unwrap();
    assert_eq!(last.line, "POST /events/key?uploadId=up");
    let list = String::from_utf8(last.body).unwrap();
    seen[1..].sort_by_key(|request| request.line.clone());
    for (number, len) in [(1, 5 << 20), (2, 5 << 20), (3, 2 << 20)] {
        let request = &seen[number];
        assert!(
            request.line.contains(&format!("partNumber={number}&")),
            "{}",
            request.line
        );
        assert_eq!(request.body.len(), len);
        let crc = request.header("x-amz-checksum-crc32");
        assert!(
            !crc.is_empty() && list.contains(crc),
            "{crc} is not in {list}"
        );
    }
    let order: Vec<_> = ["1", "2", "3"]
        .map(|n| list.find(&format!("<PartNumber>{n}</PartNumber>")).unwrap())
        .to_vec();
    assert!(order.is_sorted());
}

#[tokio::test]
async fn a_failed_upload_is_taken_back() {
    let bad_part = [Answer::upload(), Answer::error(403, "AccessDenied")];
    // S3 may find out that it cannot join the parts after it has said 200.
    let bad_end = [
        Answer::upload(),
        Answer::ok(),
        Answer::ok(),
        Answer::xml("<Error><Code>InternalError</Code><Message>sorry</Message></Error>"),
    ];
    let no_upload = [
        Answer::upload(),
        Answer::ok(),
        Answer::ok(),
        Answer::error(404, "NoSuchUpload"),
    ];
    for (answers, word) in [
        (bad_part.to_vec(), "AccessDenied"),
        (bad_end.to_vec(), "InternalError"),
        (no_upload.to_vec(), "NoSuchUpload"),
    ] {
        let server = StandIn::start(answers).await;
        let store = store_with(&server, |s| s.single_put_max = 1 << 20).await;
        let text = unavailable(store.create("key", &large()).await);
        assert!(
            text.contains(word) && text.contains("s3://events/key"),
            "{text}"
        );
        let last = server.lines().pop().unwrap();
        assert_eq!(
            last,
            "DELETE /events/key?x-id=AbortMultipartUpload&uploadId=up"
        );
    }
}

#[tokio::test]
async fn a_check_begins_an_upload_and_leaves_nothing() {
    let server = StandIn::start([
        Answer::upload(),
        Answer::Reply(204, String::new(), String::new()),
    ])
    .await;
    store(&server).await.check().await.unwrap();
    let key = "/events/_dead_letters/.alluvium-check";
    assert_eq!(
        server.lines(),
        [
            format!("POST {key}?uploads"),
            format!("DELETE {key}?x-id=AbortMultipartUpload&uploadId=up"),
            format!("HEAD {key}"),
        ]
    );
}

#[tokio::test]
async fn a_check_passes_without_the_right_to_abort_and_to_read() {
    let server = StandIn::start([Answer::upload(), Answer::error(403, "AccessDenied")]).await;
    store(&server).await.check().await.unwrap();
}

#[tokio::test]
async fn a_web_server_is_not_an_s3_server() {
    let page = "<html><body>It works!</body></html>";
    let server = StandIn::start([Answer::xml(page)]).await;
    let text = misconfigured(store(&server).await.check().await);
    assert!(text.contains("target.aws.s3-endpoint"), "{text}");
}

#[tokio::test]
async fn requests_wait_for_their_turn() {
    let server = StandIn::start([Answer::Late(Duration::from_millis(20))]).await;
    let store = store(&server).await;
    let object = object(&["x"]);
    let puts = (0..100).map(|_| store.create("key", &object));
    for result in futures_util::future::join_all(puts).await {
        result.unwrap();
    }
    assert_eq!(server.seen().len(), 100);
    assert!((2..=32).contains(&server.most()), "{}", server.most());
}

#[tokio::test]
async fn wrong_settings_are_found_before_any_request() {
    let settings = S3Settings::new("s3://events");
    let text = misconfigured(S3Store::connect(settings).await.map(|_| ()));
    assert!(text.contains("target.aws.s3-bucket"), "{text}");
}

#[tokio::test]
async fn nothing_shows_the_keys() {
    let server = StandIn::start([Answer::ok()]).await;
    let shown = format!("{:?}", store(&server).await);
    assert!(shown.contains("events"), "{shown}");
    assert!(
        !shown.contains(SECRET) && !shown.contains(ACCESS),
        "{shown}"
    );
}
