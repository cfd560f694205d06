//! Connections to the service that are left behind when they seem to be dead.
//!
//! Over HTTP/2 all calls of a client share one connection. If its line is cut without a word, calls run out of time one after the other, and the
//! client goes on with the connection until the system gives it up: a quarter of an hour later, as Linux is set up.

use std::error::Error;
use std::fmt::Debug;
use std::sync::{Mutex, MutexGuard, PoisonError};

use aws_config::SdkConfig;
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::error::{ProvideErrorMetadata, SdkError};

use super::StreamError;
use super::failure::failure;
use crate::source::kinesis::sdk::Access;

/// A client, and another one as soon as it did not get an answer in time.
#[derive(Debug)]
pub(super) struct Line {
    access: Access,
    current: Mutex<(u64, Client)>,
}

impl Line {
    /// A line of the client's own connections.
    pub(super) fn new(access: &Access, config: &SdkConfig) -> Self {
        Self::with(access, Client::new(config))
    }

    /// Another one, set up in the same way.
    pub(super) fn another(&self) -> Self {
        let (_, client) = self.client();
        Self::with(&self.access, fresh(&client, &self.access))
    }

    fn with(access: &Access, client: Client) -> Self {
        Self {
            access: access.clone(),
            current: Mutex::new((0, client)),
        }
    }

    /// Who is to be asked, and a number to say so when there was no answer.
    pub(super) fn client(&self) -> (u64, Client) {
        self.current().clone()
    }

    /// There was no answer in time.
    pub(super) fn silent(&self, number: u64) {
        let mut current = self.current();
        // Many calls run out of time at once, and one of them says it first.
        if current.0 == number {
            *current = (number.wrapping_add(1), fresh(&current.1, &self.access));
        }
    }

    /// What `doing` has failed with.
    pub(super) fn failed<E, R>(
        &self,
        number: u64,
        doing: &str,
        error: &SdkError<E, R>,
    ) -> StreamError
    where
        E: ProvideErrorMetadata + Error + 'static,
        R: Debug + 'static,
    {
        if matches!(error, SdkError::TimeoutError(_)) {
            self.silent(number);
        }
        failure(doing, error)
    }

    fn current(&self) -> MutexGuard<'_, (u64, Client)> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The same client with connections of its own.
fn fresh(client: &Client, access: &Access) -> Client {
    let config = client.config().to_builder();
    Client::from_conf(config.http_client(access.http_client()).build())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use aws_sdk_kinesis::operation::get_records::GetRecordsError;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::source::kinesis::sdk::Keys;

    /// The address of a server that answers everything, and how many connections it was asked for.
    async fn server() -> (String, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = connections.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(async move {
                    let mut buffer = vec![0; 65_536];
                    while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {
                        let answer = "HTTP/1.1 200 OK\r\ncontent-type: application/x-amz-json-1.1\r\ncontent-length: 13\r\n\r\n{\"Shards\":[]}";
                        if stream.write_all(answer.as_bytes()).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        (format!("http://{address}"), connections)
    }

    async fn ask(line: &Line) -> u64 {
        let (number, client) = line.client();
        let answer = client.list_shards().stream_name("s").send().await;
        answer.unwrap();
        number
    }

    #[tokio::test]
    async fn a_connection_that_does_not_answer_is_left_behind() {
        let (endpoint, connections) = server().await;
        let access = Access {
            region: Some("us-east-1".into()),
            endpoint: Some(endpoint),
            keys: Some(Keys {
                access_key: "a".into(),
                secret_key: "b".into(),
            }),
        };
        let line = Line::new(&access, &access.load().await.unwrap());
        let first = ask(&line).await;
        assert_eq!(ask(&line).await, first);
        assert_eq!(connections.load(Ordering::Relaxed), 1);
        let late: SdkError<GetRecordsError, ()> = SdkError::timeout_error("no answer");
        let error = line.failed(first, "read s", &late);
        assert!(matches!(error, StreamError::Unavailable(_)), "{error}");
        let second = ask(&line).await;
        assert_ne!(second, first);
        assert_eq!(connections.load(Ordering::Relaxed), 2);
        // Whoever waited for the first one says so later.
        line.failed(first, "read s", &late);
        assert_eq!(ask(&line).await, second);
        assert_eq!(connections.load(Ordering::Relaxed), 2);
    }
}
