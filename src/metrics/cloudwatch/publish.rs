//! Sends what was gathered, every ten seconds as a KCL does. What CloudWatch does not take is dropped and counted.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};

use super::{Datum, KclMetrics};

/// How often.
const PERIOD: Duration = Duration::from_secs(10);
/// How long one request may take, and how long all may that are sent at the end.
const PATIENCE: Duration = Duration::from_secs(5);
/// Sets of statistics in one request. CloudWatch takes 1000, but no more than 1 MB, and a set takes up to one kB.
const MAX_DATA: usize = 500;

/// Where metrics go.
#[async_trait]
pub trait Sink: Debug + Send + Sync + 'static {
    /// Sends these, measured in the ten seconds up to `at`.
    ///
    /// # Errors
    /// Why they were not taken.
    async fn put(&self, data: &[Datum], at: SystemTime) -> Result<(), String>;
}

/// Metrics that are sent from time to time, until it is [finished](Publishing::finish) or dropped.
#[derive(Debug)]
pub struct Publishing {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Publishing {
    /// Sends what is left, which takes some seconds at most.
    pub async fn finish(self) {
        // It has ended already if nobody listens.
        let _ = self.stop.send(());
        let _ = self.task.await;
    }
}

/// Sends what is gathered in `metrics` to `sink` from now on.
pub fn start(metrics: Arc<KclMetrics>, sink: Box<dyn Sink>, runtime: &Handle) -> Publishing {
    let (stop, stopped) = oneshot::channel();
    let publisher = Publisher {
        metrics,
        sink,
        failing: false,
    };
    Publishing {
        stop,
        task: runtime.spawn(publisher.run(stopped)),
    }
}

struct Publisher {
    metrics: Arc<KclMetrics>,
    sink: Box<dyn Sink>,
    /// Whether the last request was not taken: only the first of many is told.
    failing: bool,
}

impl Publisher {
    async fn run(mut self, mut stopped: oneshot::Receiver<()>) {
        loop {
            let next = Instant::now() + PERIOD;
            tokio::select! {
                () = sleep_until(next) => self.send().await,
                asked = &mut stopped => {
                    // Dropped, it sends nothing more.
                    if asked.is_ok() && timeout(PATIENCE, self.send()).await.is_err() {
                        tracing::warn!("the last metrics have not reached CloudWatch");
                    }
                    return;
                }
            }
        }
    }

    async fn send(&mut self) {
        let data = self.metrics.take();
        let now = SystemTime::now();
        let mut left = data.len();
        for some in data.chunks(MAX_DATA) {
            let sent = timeout(PATIENCE, self.sink.put(some, now)).await;
            if let Err(why) = sent.unwrap_or_else(|_| Err("no answer".into())) {
                // One that does not answer is not asked again for each part.
                self.metrics.drop_data(left);
                self.failed(left, &why);
                return;
            }
            left -= some.len();
        }
        if self.failing && !data.is_empty() {
            self.failing = false;
            tracing::info!("CloudWatch takes metrics again");
        }
    }

    fn failed(&mut self, dropped: usize, why: &str) {
        if !self.failing {
            self.failing = true;
            tracing::warn!(
                dropped,
                why,
                "CloudWatch takes no metrics; reading goes on, and aws.enable-cloudwatch=false ends this"
            );
        }
    }
}
