//! usage: kinesis PORT
//!
//! Runs a Kinesis (ferrokinesis) on 127.0.0.1 only, over plain HTTP/1.1 and HTTP/2. Nothing is kept. How long iterators and subscriptions
//! live is for tests to shorten: KINESIS_ITERATOR_SECONDS (300), KINESIS_SUBSCRIPTION_MS (300000); and KINESIS_EVENT_RECORDS (10000)
//! says how many records an event of a subscription holds at most.

mod mend;

use axum::body::Body;
use axum::http::Request;
use ferrokinesis::store::StoreOptions;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tower::ServiceExt;

fn setting(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name}={text}")),
        Err(_) => default,
    }
}

async fn serve(port: u16) -> std::io::Result<()> {
    let (app, store) = ferrokinesis::create_app(StoreOptions {
        create_stream_ms: 20,
        delete_stream_ms: 20,
        update_stream_ms: 20,
        shard_limit: 100_000,
        iterator_ttl_seconds: setting("KINESIS_ITERATOR_SECONDS", 300),
        subscribe_to_shard_session_ms: setting("KINESIS_SUBSCRIPTION_MS", 300_000),
        subscribe_to_shard_event_record_limit: setting("KINESIS_EVENT_RECORDS", 10_000) as usize,
        ..StoreOptions::default()
    });
    let app = app.layer(axum::middleware::from_fn_with_state(store, mend::mend));
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let app = app.clone().into_service::<Body>();
        let service = TowerToHyperService::new(
            app.map_request(|request: Request<Incoming>| request.map(Body::new)),
        );
        tokio::spawn(async move {
            let builder = Builder::new(TokioExecutor::new());
            let _ = builder
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

fn main() -> std::io::Result<()> {
    let port = std::env::args().nth(1).and_then(|port| port.parse().ok());
    let port = port.expect("usage: kinesis PORT");
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .worker_threads(2)
        .build()?
        .block_on(serve(port))
}
