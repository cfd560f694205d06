use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::http::{HeaderMap, Uri};

use super::*;

/// A registry of one's own: `answers` gives status and body for a path. Gives its URL and how often it was asked.
pub(in crate::schemas) async fn serve(
    answers: impl Fn(&str, &HeaderMap) -> (u16, String) + Clone + Send + Sync + 'static,
) -> (String, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let router = Router::new().fallback(move |uri: Uri, headers: HeaderMap| {
        count.fetch_add(1, Ordering::Relaxed);
        let (status, body) = answers(uri.path(), &headers);
        async move { (StatusCode::from_u16(status).unwrap(), body) }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, asked)
}

pub(in crate::schemas) fn client(urls: &[&str]) -> Client {
    Client::new(&ClientSettings {
        urls: urls.iter().map(|&url| url.to_owned()).collect(),
        ..ClientSettings::default()
    })
    .unwrap()
}

async fn fetched(status: u16, body: &str) -> Result<Schema, SchemaError> {
    let body = body.to_owned();
    let (url, _) = serve(move |_, _| (status, body.clone())).await;
    client(&[&url]).fetch(SchemaId::Number(1)).await
}

#[tokio::test]
async fn a_schema_comes_with_all_it_refers_to() {
    let (url, asked) = serve(|path, _| {
        let body = match path {
            "/prefix/schemas/ids/7" | "/prefix/schemas/guids/01010101-0101-0101-0101-010101010101" => {
                r#"{"schema":"{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"a\",\"type\":\"x.A\"}]}",
                    "references":[{"name":"x.A","subject":"a/b c","version":3},{"name":"x.B","subject":"b","version":1}]}"#
            }
            "/prefix/subjects/a%2Fb%20c/versions/3" => {
                r#"{"schema":"{\"type\":\"record\",\"name\":\"x.A\",\"fields\":[{\"name\":\"b\",\"type\":\"x.B\"}]}",
                    "references":[{"name":"x.B","subject":"b","version":1}]}"#
            }
            "/prefix/subjects/b/versions/1" => r#"{"schema":"{\"type\":\"enum\",\"name\":\"x.B\",\"symbols\":[\"S\"]}"}"#,
            _ => return (404, r#"{"error_code":40403}"#.into()),
        };
        (200, body.into())
    })
    .await;
    let client = client(&[&format!("{url}/prefix")]);
    let schema = client.fetch(SchemaId::Number(7)).await.unwrap();
    assert_eq!(asked.load(Ordering::Relaxed), 3);
    assert_eq!(client.fetch(SchemaId::Guid([1; 16])).await, Ok(schema));
    assert!(matches!(
        client.fetch(SchemaId::Number(8)).await,
        Err(SchemaError::NotFound(_))
    ));
    assert!(matches!(
        client.fetch(SchemaId::Fingerprint(8)).await,
        Err(SchemaError::NotFound(_))
    ));
}

/// Only the registry's own word makes a dead letter; everything else waits.
#[tokio::test]
async fn an_answer_is_taken_for_what_it_is() {
    let unavailable = |result| matches!(result, Err(SchemaError::Unavailable(_)));
    assert!(matches!(
        fetched(
            404,
            r#"{"error_code":40403,"message":"Schema 1 not found"}"#
        )
        .await,
        Err(SchemaError::NotFound(_))
    ));
    assert!(unavailable(fetched(404, "<html>").await));
    assert!(unavailable(fetched(404, r#"{"error_code":404}"#).await));
    for status in [301, 400, 408, 422, 429, 500, 502, 503] {
        assert!(
            unavailable(fetched(status, r#"{"error_code":50001}"#).await),
            "{status}"
        );
    }
    assert!(unavailable(fetched(200, "<html>").await));
    assert!(unavailable(fetched(200, "{}").await));
    for status in [401, 403] {
        assert!(matches!(
            fetched(status, "{}").await,
            Err(SchemaError::Misconfigured(_))
        ));
    }
    for body in [
        r#"{"schema":"{"}"#,
        r#"{"schema":"x","schemaType":"PROTOBUF"}"#,
    ] {
        assert!(
            matches!(fetched(200, body).await, Err(SchemaError::Unusable(_))),
            "{body}"
        );
    }
    let missing = r#"{"schema":"\"int\"","references":[{"name":"a","subject":"b","version":1}]}"#;
    let (url, _) = serve(move |path, _| match path {
        "/schemas/ids/1" => (200, missing.into()),
        _ => (404, r#"{"error_code":40401}"#.into()),
    })
    .await;
    let failed = client(&[&url]).fetch(SchemaId::Number(1)).await;
    assert!(matches!(failed, Err(SchemaError::NotFound(what)) if what.contains("version 1 of b")));
}

#[tokio::test]
async fn one_registry_after_the_other_is_asked() {
    let (refuses, _) = serve(|_, _| (401, String::new())).await;
    let (fails, _) = serve(|_, _| (500, String::new())).await;
    let (answers, _) = serve(|_, _| (200, r#"{"schema":"\"int\""}"#.into())).await;
    let fetch = async |urls: &[&str]| client(urls).fetch(SchemaId::Number(1)).await;
    assert!(
        fetch(&["http://127.0.0.1:1", &refuses, &fails, &answers])
            .await
            .is_ok()
    );
    assert!(matches!(
        fetch(&[&refuses, "http://127.0.0.1:1"]).await,
        Err(SchemaError::Unavailable(_))
    ));
    assert!(matches!(
        fetch(&[&refuses]).await,
        Err(SchemaError::Misconfigured(_))
    ));
}

#[tokio::test]
async fn name_and_password_are_sent_and_never_shown() {
    let (url, _) =
        serve(
            |_, headers| match headers.get("authorization").map(|value| value.as_bytes()) {
                Some(b"Basic dTpodW50ZXIy") => (200, "[]".into()),
                _ => (401, String::new()),
            },
        )
        .await;
    let settings = |password: &str| ClientSettings {
        urls: vec![url.clone()],
        login: Some(("u".into(), password.into())),
        authorities: None,
    };
    let client = Client::new(&settings("hunter2")).unwrap();
    assert_eq!(client.check().await, Ok(()));
    assert!(!format!("{client:?}").contains("hunter2"));
    let error = Client::new(&settings("hunter3"))
        .unwrap()
        .check()
        .await
        .unwrap_err();
    assert!(!error.to_string().contains("hunter"), "{error}");
    assert!(
        error.to_string().contains("schema-registry.password"),
        "{error}"
    );
}

#[tokio::test]
async fn authorities_must_be_certificates() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("ca.pem");
    let refused = |what: &str| {
        let settings = ClientSettings {
            authorities: Some(file.clone()),
            ..ClientSettings::default()
        };
        let error = Client::new(&settings).map(drop).unwrap_err();
        assert!(
            matches!(&error, SchemaError::Misconfigured(text) if text.contains("schema-registry.ca-file")),
            "{what}: {error}"
        );
    };
    refused("no file");
    std::fs::write(&file, "").unwrap();
    refused("empty");
    std::fs::write(
        &file,
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    )
    .unwrap();
    refused("no certificate");
}

/// One that follows another may not have a schema yet.
#[tokio::test]
async fn that_there_is_no_schema_is_said_by_all_that_answer() {
    let (lags, _) = serve(|_, _| (404, r#"{"error_code":40403}"#.into())).await;
    let (knows, _) = serve(|_, _| (200, r#"{"schema":"\"int\""}"#.into())).await;
    let fetched = async |urls: &[&str]| client(urls).fetch(SchemaId::Number(1)).await;
    assert!(fetched(&[&lags, &knows]).await.is_ok());
    for urls in [
        [lags.as_str(), "http://127.0.0.1:1"],
        ["http://127.0.0.1:1", &lags],
    ] {
        let unknown = fetched(&urls).await;
        assert!(
            matches!(unknown, Err(SchemaError::NotFound(_))),
            "{unknown:?}"
        );
    }
}
