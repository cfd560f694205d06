//! What one worker works with, set up as the program does it for JSON.

use std::sync::Arc;
use std::time::Duration;

use alluvium::decode::DecoderSettings;
use alluvium::deliver::SentBefore;
use alluvium::flush::Policy;
use alluvium::metrics::{Health, Metrics};
use alluvium::table::Objects;
use alluvium::worker::{Budget, Leaving, REVOKE_DEADLINE, Shape, Shared};
use alluvium_target::Target;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

/// With so many bytes of memory.
pub fn shared(
    runtime: &Handle,
    metrics: Arc<Metrics>,
    target: Arc<dyn Target>,
    memory: u64,
) -> Shared {
    let shape = Shape::new(
        "",
        target,
        super::column_settings(Objects::Map),
        DecoderSettings::Json(super::json_settings()),
    );
    Shared {
        shape: Arc::new(shape),
        reshape: Arc::new(|_| Err("no plan was made before".into())),
        policy: Policy {
            max_span_age: Duration::from_secs(60),
            max_batch_age: Duration::from_secs(15),
            max_output: 256 << 20,
            batch_rows: 2048,
            batch_bytes: 4 << 20,
            max_in_flight: 3,
        },
        historical: None,
        duplicates: None,
        late: Arc::new(SentBefore),
        building_limit: memory / 10,
        max_poll: 1_000,
        budget: Arc::new(Budget::new(memory, metrics.clone())),
        metrics,
        health: Arc::new(Health::new(1)),
        runtime: runtime.clone(),
        attempts: Arc::new(Semaphore::new(4)),
        ends: None,
        revoke_deadline: REVOKE_DEADLINE,
        leaving: Arc::new(Leaving::new(1)),
    }
}
