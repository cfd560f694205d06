//! Against a server that gives one answer to everything.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::source::kinesis::lease::LeasePosition;
use crate::source::kinesis::sdk::Keys;

/// A store whose every request is answered like this.
async fn answered(status: &'static str, body: &'static str) -> DynamoLeases {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut buffer = vec![0; 65_536];
                while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {
                    let answer = format!(
                        "HTTP/1.1 {status}\r\ncontent-type: application/x-amz-json-1.0\r\ncontent-length: {}\r\n\r\n{body}",
                        body.len()
                    );
                    if stream.write_all(answer.as_bytes()).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    connect(format!("http://{address}")).await
}

async fn connect(endpoint: String) -> DynamoLeases {
    let access = Access {
        region: Some("us-east-1".into()),
        endpoint: Some(endpoint),
        keys: Some(Keys {
            access_key: "a".into(),
            secret_key: "b".into(),
        }),
    };
    let failover = Duration::from_secs(8);
    let leases = DynamoLeases::connect(&access, failover, "table").await;
    leases.unwrap()
}

fn claim() -> Claim {
    Claim {
        key: "s".into(),
        owner: "alluvium:a".into(),
        counter: 1,
    }
}

#[tokio::test]
async fn throttling_and_trouble_are_waited_for() {
    let body = r#"{"__type":"com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException","message":"slow down"}"#;
    for (status, body) in [
        ("400 Bad Request", body),
        ("500 Internal Server Error", "{}"),
        ("503 Service Unavailable", "<html>"),
    ] {
        let store = answered(status, body).await;
        let lease = Lease::new("s", LeasePosition::Latest);
        for outcome in [
            store.renew(&claim()).await,
            store.take(&lease, "alluvium:a").await.map(drop),
            store.scan().await.map(drop),
            store.create(&lease).await.map(drop),
        ] {
            assert!(
                matches!(&outcome, Err(LeaseError::Unavailable(_))),
                "{outcome:?}"
            );
        }
    }
}

#[tokio::test]
async fn what_a_person_must_do_is_said() {
    let denied =
        r#"{"__type":"com.amazon.coral.service#AccessDeniedException","Message":"no rights"}"#;
    let store = answered("400 Bad Request", denied).await;
    let error = store.prepare().await.unwrap_err().to_string();
    for part in [
        "table table",
        "AccessDenied",
        "no rights",
        "dynamodb:UpdateItem",
    ] {
        assert!(error.contains(part), "{error}");
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_may_come_back() {
    // A port that nobody is given who asks for any.
    let store = connect("http://127.0.0.1:9".to_owned()).await;
    let outcome = store.renew(&claim()).await;
    assert!(
        matches!(&outcome, Err(LeaseError::Unavailable(_))),
        "{outcome:?}"
    );
}
