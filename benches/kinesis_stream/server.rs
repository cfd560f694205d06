//! A Kinesis with one stream, of which it says only what a reader of known shards asks. It lives on a thread of its own.

use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use rustix::time::{ClockId, clock_gettime};
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

/// Whoever sends one is told the CPU time of the server's thread.
type Asked = oneshot::Sender<Duration>;

pub struct Server {
    pub endpoint: String,
    ask: mpsc::Sender<Asked>,
}

impl Server {
    /// Has `answers` for each of its shards. Ends with the process.
    pub fn start(answers: Vec<Bytes>) -> Self {
        let (ask, asked) = mpsc::channel(1);
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("a socket");
        let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
        std::thread::spawn(move || {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime")
                .block_on(serve(listener, answers, asked));
        });
        Self { endpoint, ask }
    }

    /// The CPU time of the server so far.
    pub fn cpu(&self) -> Duration {
        let (sender, answer) = oneshot::channel();
        self.ask.blocking_send(sender).expect("the server runs");
        answer.blocking_recv().expect("the server runs")
    }
}

async fn serve(
    listener: std::net::TcpListener,
    answers: Vec<Bytes>,
    mut asked: mpsc::Receiver<Asked>,
) {
    tokio::spawn(async move {
        while let Some(who) = asked.recv().await {
            let time = clock_gettime(ClockId::ThreadCPUTime);
            let _ = who.send(Duration::new(
                time.tv_sec.cast_unsigned(),
                time.tv_nsec as u32,
            ));
        }
    });
    let listener = tokio::net::TcpListener::from_std(listener).expect("a socket");
    let router = Router::new().fallback(answer).with_state(answers.into());
    axum::serve(listener, router).await.expect("a server");
}

async fn answer(
    State(answers): State<std::sync::Arc<[Bytes]>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let action = headers
        .get("x-amz-target")
        .and_then(|target| target.to_str().ok());
    let action = action.and_then(|target| target.rsplit('.').next());
    let said = match action {
        // All begin at the oldest record.
        Some("GetShardIterator") => Some(Bytes::from_static(b"{\"ShardIterator\":\"0\"}")),
        Some("GetRecords") => place(&body).and_then(|place| answers.get(place).cloned()),
        _ => None,
    };
    match said {
        Some(said) => {
            ([(header::CONTENT_TYPE, "application/x-amz-json-1.1")], said).into_response()
        }
        None => StatusCode::BAD_REQUEST.into_response(),
    }
}

/// Which answer the iterator of a request stands for.
fn place(body: &[u8]) -> Option<usize> {
    let request: Value = serde_json::from_slice(body).ok()?;
    request.get("ShardIterator")?.as_str()?.parse().ok()
}
