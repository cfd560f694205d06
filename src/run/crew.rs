//! The worker threads of a process, from their start to their end.

use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::{CLOSE_PATIENCE, RunError, Stop};
use crate::source::Source;
use crate::worker::{Ends, STOP_DEADLINE, Shared, SystemClock, Worker, WorkerError};

/// How often is looked whether all have ended.
const TICK: Duration = Duration::from_millis(50);

/// However a worker ends.
struct AsksWhenDropped<'a>(&'a Stop);

impl Drop for AsksWhenDropped<'_> {
    fn drop(&mut self) {
        self.0.ask();
    }
}

/// The workers of a process.
pub(super) struct Crew {
    started: Instant,
    threads: Vec<JoinHandle<Result<(), WorkerError>>>,
}

impl Crew {
    /// One worker for each source.
    pub(super) fn start<S: Source + Send + 'static>(
        sources: Vec<S>,
        shared: &Shared,
        stop: &Stop,
    ) -> Result<Self, RunError> {
        let mut crew = Self {
            started: Instant::now(),
            threads: Vec::new(),
        };
        for (number, source) in sources.into_iter().enumerate() {
            let clock = Box::new(SystemClock::default());
            let worker = Worker::new(number, source, clock, shared.clone());
            let stop = stop.clone();
            let thread = std::thread::Builder::new()
                .name(format!("worker-{number}"))
                .spawn(move || {
                    // One worker that fails takes the others with it: a process is healthy or it is not.
                    let _ended = AsksWhenDropped(&stop);
                    worker.run(|| stop.asked())
                })
                .map_err(|error| RunError::Failed(format!("cannot start a worker: {error}")))?;
            crew.threads.push(thread);
        }
        Ok(crew)
    }

    pub(super) async fn until_done(self, ends: Option<&Ends>, stop: &Stop) -> Result<(), RunError> {
        let mut stopping: Option<Instant> = None;
        while !self.threads.iter().all(JoinHandle::is_finished) {
            if stop.asked() {
                let since = *stopping.get_or_insert_with(Instant::now);
                if since.elapsed() > STOP_DEADLINE + CLOSE_PATIENCE {
                    return Err(RunError::Failed(
                        "the stream does not let go: stopping without its answer; what was not committed will be read again".into(),
                    ));
                }
            }
            if ends.is_some_and(|ends| ends.reached(self.started.elapsed())) && !stop.asked() {
                tracing::info!("every partition is committed to the end it had at start");
                stop.ask();
            }
            // Who ends asks all to stop, so that nothing needs to be looked at meanwhile but ends.
            if stop.asked() || ends.is_some() {
                tokio::time::sleep(TICK).await;
            } else {
                stop.wait().await;
            }
        }
        let mut result = Ok(());
        for thread in self.threads {
            let ended = match thread.join() {
                Ok(ended) => ended.map_err(RunError::from),
                Err(_) => Err(RunError::Failed(
                    "a worker panicked; its records will be read again".into(),
                )),
            };
            if let Err(error) = ended {
                tracing::error!(%error, "a worker gave up");
                result = Err(error);
            }
        }
        result
    }
}
