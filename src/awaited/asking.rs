//! Questions to a registry or a database, a few at once: whoever has one does not wait here.
//!
//! Knows neither what is asked nor what becomes of an answer, only that there is always one.

use std::fmt::Display;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc};

/// Questions that wait to be asked; whoever has another comes again.
pub(crate) const WAITING: usize = 256;
/// Questions at once.
const AT_ONCE: usize = 4;
/// A failed question is not repeated sooner.
pub(crate) const RETRY: Duration = Duration::from_millis(500);

/// Takes questions `Q`, each about a `T`.
#[derive(Debug)]
pub(crate) struct Asking<T, Q = ()> {
    questions: mpsc::Sender<(T, Q)>,
}

impl<T, Q> Asking<T, Q>
where
    T: Clone + Display + Send + 'static,
    Q: Send + 'static,
{
    /// Has `ask` answer questions on `runtime`, as long as there can be more, and hands each answer to `learn`. Of one that `ask`
    /// panics at, the answer is what `failed` makes of the reason.
    pub(crate) fn new<A, F>(
        runtime: &Handle,
        ask: impl Fn(T, Q) -> F + Send + 'static,
        failed: fn(String) -> A,
        learn: impl Fn(T, A) + Send + Sync + 'static,
    ) -> Self
    where
        A: Send + 'static,
        F: Future<Output = A> + Send + 'static,
    {
        let (questions, asked) = mpsc::channel(WAITING);
        runtime.spawn(answer(asked, ask, failed, Arc::new(learn)));
        Self { questions }
    }

    /// Whether there is room for one more question, which is asked then.
    pub(crate) fn ask(&self, about: T, question: Q) -> bool {
        self.questions.try_send((about, question)).is_ok()
    }
}

/// Answers until nobody asks any more.
async fn answer<T, Q, A, F>(
    mut asked: mpsc::Receiver<(T, Q)>,
    ask: impl Fn(T, Q) -> F + Send + 'static,
    failed: fn(String) -> A,
    learn: Arc<impl Fn(T, A) + Send + Sync + 'static>,
) where
    T: Clone + Display + Send + 'static,
    A: Send + 'static,
    F: Future<Output = A> + Send + 'static,
{
    let turns = Arc::new(Semaphore::new(AT_ONCE));
    while let Some((about, question)) = asked.recv().await {
        let Ok(turn) = turns.clone().acquire_owned().await else {
            return;
        };
        let asking = tokio::spawn(ask(about.clone(), question));
        let learn = learn.clone();
        tokio::spawn(async move {
            let _turn = turn;
            let answer = asking.await.unwrap_or_else(|error| {
                failed(format!("the question about {about} has failed: {error}"))
            });
            learn(about, answer);
        });
    }
}
