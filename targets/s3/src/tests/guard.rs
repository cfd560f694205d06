//! Writes that must not replace anything, and what becomes of each answer to one.

use std::sync::Arc;
use std::time::SystemTime;

use alluvium_objects::{ObjectTarget, conformance};
use alluvium_target::{Committed, Partition, Position, Span, SpanStart, Table, Target as _};
use arrow_array::{ArrayRef, Int64Array, RecordBatch};

use super::*;

const HEADER: &str = "if-none-match";

fn exists() -> Answer {
    Answer::error(412, "PreconditionFailed")
}

fn busy() -> Answer {
    Answer::error(409, "ConditionalRequestConflict")
}

/// A look that finds nothing.
fn nothing() -> Answer {
    Answer::error(404, "")
}

fn joined() -> Answer {
    Answer::xml("<CompleteMultipartUploadResult><ETag>t</ETag></CompleteMultipartUploadResult>")
}

/// The methods of the requests seen.
fn methods(server: &StandIn) -> Vec<String> {
    let lines = server.lines().into_iter();
    lines
        .map(|line| line.split(' ').next().unwrap().to_owned())
        .collect()
}

/// Commits a span of one small object.
async fn commit(server: &StandIn) -> Result<Committed, TargetError> {
    let settings = conformance::settings().unwrap();
    let target = ObjectTarget::new(store(server).await, settings).unwrap();
    let span = Span {
        partition: Partition::new("clicks", 3),
        from: Position::at(7),
        to: Position::at(9),
    };
    let start = SpanStart {
        partition: span.partition.clone(),
        from: span.from,
        opened: SystemTime::UNIX_EPOCH,
    };
    let ids: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
    let batch = RecordBatch::try_from_iter([("id", ids)]).unwrap();
    let mut inserter = target.begin(&start).unwrap();
    inserter.add(&Table::new("shop", "carts"), &batch).unwrap();
    inserter.seal(&span).unwrap();
    inserter.commit(&span).await
}

fn conflict(result: Result<Committed, TargetError>) -> String {
    match result {
        Err(TargetError::Conflict(text)) => text,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn only_a_create_is_guarded() {
    let server = StandIn::start([Answer::ok()]).await;
    let store = store(&server).await;
    let created = store.create("k", &object(&["x"])).await.unwrap();
    assert_eq!(created, Created::New);
    store.replace("k", &object(&["x"])).await.unwrap();
    let seen = server.seen();
    assert_eq!([seen[0].header(HEADER), seen[1].header(HEADER)], ["*", ""]);
}

#[tokio::test]
async fn what_stands_there_is_left_alone_and_told() {
    // Some servers send no code.
    for answer in [exists(), Answer::error(412, "")] {
        let server = StandIn::start([answer]).await;
        let created = store(&server).await.create("k", &object(&["x"])).await;
        assert_eq!(created.unwrap(), Created::Exists);
        assert_eq!(server.seen().len(), 1);
    }
}

#[tokio::test]
async fn a_lost_answer_is_no_conflict_with_oneself() {
    // The first request did what it should; the SDK repeats it and is told that something stands there.
    let server = StandIn::start([Answer::Lost, exists(), Answer::Stored]).await;
    assert_eq!(commit(&server).await.unwrap().rows, 2);
    assert_eq!(methods(&server), ["PUT", "PUT", "HEAD"]);
    let seen = server.seen();
    assert_eq!([seen[0].header(HEADER), seen[1].header(HEADER)], ["*", "*"]);
}

#[tokio::test]
async fn other_content_is_a_conflict_that_names_both() {
    let other = "x-amz-meta-topic: clicks\r\nx-amz-meta-partition: 3\r\nx-amz-meta-from: 7\r\n\
        x-amz-meta-to: 9\r\nx-amz-meta-opened: 0\r\nx-amz-meta-rows: 3\r\n\
        x-amz-meta-uncompressed-bytes: 77\r\nx-amz-meta-span-objects: 1\r\nx-amz-meta-span-rows: 3\r\n\
        x-amz-meta-content-hash: xxh3-128-sum:00000000000000000000000000000abc\r\n";
    let look = Answer::Reply(200, other.into(), String::new());
    let server = StandIn::start([exists(), look]).await;
    let text = conflict(commit(&server).await);
    for part in ["carts/clicks-3-7-9.ndjson.gz", "3 rows", "2 rows", "abc"] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
}

#[tokio::test]
async fn what_nobody_described_is_read_and_compared() {
    let look = Answer::ok();
    let body = Answer::Reply(200, String::new(), "another program's".into());
    let server = StandIn::start([exists(), look, body]).await;
    let text = conflict(commit(&server).await);
    assert!(text.contains("no object of this program"), "{text}");
    assert_eq!(methods(&server), ["PUT", "HEAD", "GET"]);
}

#[tokio::test]
async fn what_is_gone_or_cannot_be_seen_is_tried_again_later() {
    let server = StandIn::start([exists(), nothing()]).await;
    let text = unavailable(commit(&server).await);
    assert!(text.contains("gone"), "{text}");
    let server = StandIn::start([exists(), Answer::error(403, "")]).await;
    let text = unavailable(commit(&server).await);
    for right in ["s3:GetObject", "s3:ListBucket"] {
        assert!(text.contains(right), "{text}");
    }
}

#[tokio::test]
async fn a_write_under_way_is_waited_for_a_little() {
    let aborted = Answer::error(409, "OperationAborted");
    let server = StandIn::start([busy(), aborted, Answer::ok()]).await;
    let created = store(&server).await.create("k", &object(&["x"])).await;
    assert_eq!(created.unwrap(), Created::New);
    let server = StandIn::start([busy(), exists()]).await;
    let created = store(&server).await.create("k", &object(&["x"])).await;
    assert_eq!(created.unwrap(), Created::Exists);
    let server = StandIn::start([busy()]).await;
    let text = unavailable(store(&server).await.create("k", &object(&["x"])).await);
    assert!(text.contains("409 ConditionalRequestConflict"), "{text}");
    assert_eq!(server.seen().len(), 3);
}

#[tokio::test]
async fn a_server_that_does_not_know_the_guard_is_asked_without_it() {
    let named = "<Error><Code>InvalidArgument</Code><Message>no</Message>\
        <ArgumentName>If-None-Match</ArgumentName></Error>";
    for refusal in [
        Answer::error(501, "NotImplemented"),
        Answer::error(501, ""),
        Answer::error(400, "NotImplemented"),
        Answer::Reply(400, String::new(), named.into()),
    ] {
        let server = StandIn::start([refusal, Answer::ok()]).await;
        let store = store(&server).await;
        for _ in 0..2 {
            let created = store.create("k", &object(&["x"])).await.unwrap();
            assert_eq!(created, Created::New);
        }
        let seen = server.seen();
        let headers: Vec<_> = seen.iter().map(|request| request.header(HEADER)).collect();
        assert_eq!(headers, ["*", "", ""]);
    }
    // It says no to everything: that proves nothing about the guard.
    let server = StandIn::start([Answer::error(501, "NotImplemented")]).await;
    let store = store(&server).await;
    for _ in 0..2 {
        unavailable(store.create("k", &object(&["x"])).await);
    }
    let seen = server.seen();
    let headers: Vec<_> = seen.iter().map(|request| request.header(HEADER)).collect();
    assert_eq!(headers, ["*", "", "*", ""]);
    // Neither is this about the guard.
    let server = StandIn::start([Answer::error(400, "InvalidArgument")]).await;
    unavailable(
        super::store(&server)
            .await
            .create("k", &object(&["x"]))
            .await,
    );
    assert_eq!(server.seen().len(), 1);
}

/// Creates an object of three parts; what became of it, and the requests behind the parts.
async fn create_in_parts(
    ends: impl IntoIterator<Item = Answer>,
) -> (Result<Created, TargetError>, Vec<String>, StandIn) {
    let parts = [Answer::upload(), Answer::ok(), Answer::ok()];
    let server = StandIn::start(parts.into_iter().chain(ends)).await;
    let store = store_with(&server, |settings| settings.single_put_max = 1 << 20).await;
    let created = store.create("key", &large()).await;
    let ends = methods(&server).split_off(3);
    (created, ends, server)
}

#[tokio::test]
async fn parts_are_joined_only_where_nothing_stands() {
    let (created, _, server) = create_in_parts([joined()]).await;
    assert_eq!(created.unwrap(), Created::New);
    let guards: Vec<_> = server
        .seen()
        .iter()
        .map(|request| request.header(HEADER).to_owned())
        .collect();
    assert_eq!(guards, ["", "", "", "*"]);
    // The answer may come after the server has said 200.
    let late = "<Error><Code>PreconditionFailed</Code><Message>no</Message></Error>";
    for refusal in [exists(), Answer::xml(late)] {
        let (created, ends, _) = create_in_parts([refusal]).await;
        assert_eq!(created.unwrap(), Created::Exists);
        assert_eq!(ends, ["POST", "DELETE"]);
    }
}

#[tokio::test]
async fn a_lost_end_of_an_upload_is_looked_for() {
    // The repeated end finds the upload gone, since the first one joined it.
    let gone = Answer::error(404, "NoSuchUpload");
    let (created, ends, _) =
        create_in_parts([Answer::Lost, gone.clone(), Answer::Stored, Answer::ok()]).await;
    assert_eq!(created.unwrap(), Created::Exists);
    assert_eq!(ends, ["POST", "POST", "HEAD", "DELETE"]);
    // Or gone for another reason: nothing stands there.
    let (created, ends, _) = create_in_parts([gone, nothing(), Answer::ok()]).await;
    let text = unavailable(created);
    assert!(text.contains("NoSuchUpload"), "{text}");
    assert_eq!(ends, ["POST", "HEAD", "DELETE"]);
    // Or the server says what stands there.
    let (created, ends, _) = create_in_parts([Answer::Lost, exists(), Answer::ok()]).await;
    assert_eq!(created.unwrap(), Created::Exists);
    assert_eq!(ends, ["POST", "POST", "DELETE"]);
}

#[tokio::test]
async fn an_upload_in_the_way_of_another_is_sent_again() {
    let (created, ends, _) = create_in_parts([
        busy(),
        Answer::ok(),
        Answer::upload(),
        Answer::ok(),
        Answer::ok(),
        joined(),
    ])
    .await;
    assert_eq!(created.unwrap(), Created::New);
    let again = ["POST", "DELETE", "POST", "PUT", "PUT", "POST"];
    assert_eq!(ends, again);
}

#[tokio::test]
async fn an_upload_can_do_without_the_guard() {
    let (created, _, server) = create_in_parts([
        Answer::error(501, "NotImplemented"),
        Answer::ok(),
        Answer::upload(),
        Answer::ok(),
        Answer::ok(),
        joined(),
    ])
    .await;
    assert_eq!(created.unwrap(), Created::New);
    let last = server.seen().pop().unwrap();
    assert_eq!(last.line, "POST /events/key?uploadId=up");
    assert_eq!(last.header(HEADER), "");
}
