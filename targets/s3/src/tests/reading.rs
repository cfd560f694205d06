//! What stands in the bucket: looked at, listed, read.

use alluvium_objects::{Found, Listed};
use futures_util::StreamExt as _;

use super::*;

#[tokio::test]
async fn a_look_finds_length_and_metadata_or_nothing() {
    let headers = "x-amz-meta-Topic: clicks\r\nx-amz-meta-from: 7\r\n";
    let look = Answer::Reply(200, headers.into(), "12345".into());
    let server = StandIn::start([look, Answer::error(404, "")]).await;
    let store = store(&server).await;
    let found = store.describe("a b").await.unwrap();
    let metadata = [("from", "7"), ("topic", "clicks")];
    let metadata = metadata.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let expected = Found {
        len: 5,
        metadata: metadata.into(),
    };
    assert_eq!(found, Some(expected));
    assert_eq!(store.describe("a b").await.unwrap(), None);
    assert_eq!(server.lines(), ["HEAD /events/a%20b"; 2]);
}

#[tokio::test]
async fn missing_rights_are_named() {
    let server = StandIn::start([Answer::error(403, "AccessDenied")]).await;
    let store = store(&server).await;
    let texts = [
        (unavailable(store.describe("k").await), "s3:GetObject"),
        (unavailable(store.read("k").await.map(drop)), "s3:GetObject"),
        (unavailable(store.list("", None).await), "s3:ListBucket"),
        (
            unavailable(store.create("k", &object(&["x"])).await),
            "s3:PutObject, s3:AbortMultipartUpload and s3:GetObject",
        ),
    ];
    for (text, right) in texts {
        assert!(text.contains(right), "{text}");
    }
}

#[tokio::test]
async fn a_list_is_a_page_and_an_empty_page_may_not_be_the_last() {
    let empty = "<ListBucketResult><IsTruncated>true</IsTruncated>\
        <NextContinuationToken>more</NextContinuationToken></ListBucketResult>";
    let page = "<ListBucketResult><IsTruncated>true</IsTruncated>\
        <NextContinuationToken>yet</NextContinuationToken>\
        <Contents><Key>p/b&amp;c</Key><Size>3</Size></Contents>\
        <Contents><Key>p/d</Key><Size>0</Size></Contents></ListBucketResult>";
    let end = "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>";
    let server = StandIn::start([empty, page, end].map(Answer::xml)).await;
    let store = store(&server).await;
    let listed = |key: &str, len| Listed {
        key: key.to_owned(),
        len,
    };
    assert_eq!(
        store.list("p/", Some("p/a")).await.unwrap(),
        [listed("p/b&c", 3), listed("p/d", 0)]
    );
    assert_eq!(store.list("p/", Some("p/d")).await.unwrap(), []);
    let lines = server.lines();
    assert!(lines[0].contains("start-after=p%2Fa"), "{lines:?}");
    assert!(lines[1].contains("continuation-token=more"), "{lines:?}");
    assert!(!lines[1].contains("start-after"), "{lines:?}");
    assert!(lines[2].contains("start-after=p%2Fd"), "{lines:?}");
}

#[tokio::test]
async fn a_body_is_read_to_its_length_or_fails() {
    let whole = Answer::Reply(200, String::new(), "12345".into());
    let server = StandIn::start([whole, Answer::Short, Answer::error(404, "NoSuchKey")]).await;
    let store = store(&server).await;
    let pieces: Vec<_> = store.read("k").await.unwrap().collect().await;
    let pieces: Vec<_> = pieces.into_iter().map(Result::unwrap).collect();
    assert_eq!(pieces.concat(), b"12345");
    let pieces: Vec<_> = store.read("k").await.unwrap().collect().await;
    let last = pieces.into_iter().last().unwrap();
    let text = unavailable(last);
    assert!(text.contains("read s3://events/k"), "{text}");
    let text = unavailable(store.read("k").await.map(drop));
    assert!(text.contains("NoSuchKey"), "{text}");
}
