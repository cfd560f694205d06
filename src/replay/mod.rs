//! `alluvium replay`: writes past spans again, exactly as they were, to repair a damaged target.
//!
//! Reads the records between two positions that are span ends, and lets the ordinary worker follow a plan of those spans: what comes out has the same names and
//! the same rows. Owns which spans those were; moves no checkpoint. Refuses what is not committed, and to replace an object that is whole and holds other
//! rows: then the records are not all there any more, or the settings are not those of the time.

mod shard;
mod topic;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use crate::audit::inventory::{Inventory, Look, SpanObjects};
use crate::audit::tiles;
use crate::config::Loaded;
use crate::deliver::{Plan, Planned, SentBefore};
use crate::metrics::Metrics;
use crate::record::{Partition, Position};
use crate::registry::Targets;
use crate::run::{self, Lookups, Opened, RunError, Stop};
use crate::source::{Checkpoint, Source, SourceError, Survey};
use crate::worker::{Ends, Leaving, Shared, SystemClock, Worker};
use shard::PartOfShard;
use topic::PartSource;

/// Spans that are written under one plan.
const SPANS_AT_A_TIME: usize = 8;

/// What to write again.
#[derive(Clone, Debug)]
pub struct Part {
    /// The partition.
    pub partition: Partition,
    /// The first position.
    pub from: Position,
    /// The position behind the last.
    pub to: Position,
    /// When a span of which no object is left was opened, in milliseconds since the epoch.
    pub opened_ms: Option<i64>,
}

/// Writes the objects of a part again that are missing or damaged. Says what it did.
///
/// # Errors
/// [`RunError::Configuration`] if the part does not begin and end where spans do; [`RunError::Failed`] if stream or target fail.
pub async fn replay(
    loaded: &Loaded,
    targets: &Targets,
    part: Part,
    metrics: Arc<Metrics>,
    stop: Stop,
) -> Result<String, RunError> {
    let settings = &loaded.settings;
    let opened = Opened::open(settings).await?;
    may_be_replayed(&*opened.survey(), &part).await?;
    let place = targets.place(settings).await?;
    let inventory = Inventory::take(
        &place,
        std::slice::from_ref(&part.partition),
        &Look::default(),
    )
    .await?;
    let known = inventory.spans.get(&part.partition).cloned();
    let spans = spans(&part, &known.unwrap_or_default()).map_err(RunError::Configuration)?;
    let count = spans.len();
    let target = targets.open_repairing(settings).await?;
    let lookups = Lookups::open(settings).await?;
    let shape = run::shape_for(settings, &loaded.recipe.shaping(), target, &lookups)?;
    let memory = run::budget(settings)?;
    let prefetch = opened.prefetch(memory, 1);
    let portions = run::portions(settings, memory, prefetch);
    let parts = (targets, shape, lookups);
    let mut shared = run::shared(loaded, parts, &opened, metrics.clone(), 1, portions)?;
    // They were sent when the span was first written.
    shared.late = Arc::new(SentBefore);
    let mut from = part.from;
    for chunk in spans.chunks(SPANS_AT_A_TIME) {
        let to = chunk[chunk.len() - 1].to;
        let note = Plan::text(shared.shape.print(), chunk, "");
        let checkpoint = Checkpoint {
            position: from,
            reach: None,
            note,
        };
        let ends = Arc::new(Ends::new([(part.partition.clone(), Some(to))].into(), 1));
        let shared = Shared {
            ends: Some(ends),
            leaving: Arc::new(Leaving::new(1)),
            ..shared.clone()
        };
        let (partition, stop) = (part.partition.clone(), stop.clone());
        match opened.clone() {
            Opened::Kafka(kafka) => {
                let open = move || PartSource::open(&kafka, partition, checkpoint, to);
                write(open, shared, stop).await?;
            }
            Opened::Kinesis(stream) => {
                let source = stream.part(&partition, &checkpoint, prefetch, &metrics);
                let source = PartOfShard::new(source.await?, to);
                write(|| Ok(source), shared, stop).await?;
            }
        }
        from = to;
    }
    Ok(format!(
        "{} [{}, {}): {count} spans, {} objects with {} rows written again\n",
        part.partition,
        part.from,
        part.to,
        metrics.outputs.get(),
        metrics.output_rows.get(),
    ))
}

/// Only what is committed and still there to be read: what is not committed, a running copy writes, perhaps in other spans.
async fn may_be_replayed(survey: &dyn Survey, part: &Part) -> Result<(), RunError> {
    let asked = [part.partition.clone()];
    let checkpoints = survey.checkpoints(&asked).await?;
    let oldest = survey.oldest(&asked).await?;
    let partition = &part.partition;
    let checkpoint = checkpoints.get(partition).map(|found| found.position);
    if checkpoint.is_none_or(|checkpoint| part.to > checkpoint) {
        let committed = checkpoint.map_or("nothing".into(), |at| at.to_string());
        return Err(RunError::Configuration(format!(
            "{partition}: committed is {committed}, so what is before {} is not all written yet; a running copy does it",
            part.to
        )));
    }
    match oldest.get(partition) {
        Some(oldest) if *oldest > part.from => Err(RunError::Failed(format!(
            "{partition}: the topic retains nothing before {oldest}, so what begins at {} cannot be read again",
            part.from
        ))),
        _ => Ok(()),
    }
}

/// Lets a worker follow the plan that the source begins with. Opening the source may take a while.
async fn write<S: Source + Send + 'static>(
    open: impl FnOnce() -> Result<S, SourceError> + Send + 'static,
    shared: Shared,
    stop: Stop,
) -> Result<(), RunError> {
    let worked = tokio::task::spawn_blocking(move || {
        let started = Instant::now();
        let ends = shared.ends.clone();
        let reached = || {
            ends.as_ref()
                .is_some_and(|ends| ends.reached(started.elapsed()))
        };
        let worker = Worker::new(0, open()?, Box::new(SystemClock::default()), shared);
        worker.run(|| stop.asked() || reached())?;
        if stop.asked() {
            return Err(RunError::Failed("stopped before all was written".into()));
        }
        Ok(())
    });
    worked
        .await
        .map_err(|error| RunError::Failed(error.to_string()))?
}

/// The spans of a part: as the objects that are left tell, and what lies between as one span each.
fn spans(part: &Part, known: &BTreeMap<tiles::Ends, SpanObjects>) -> Result<Vec<Planned>, String> {
    let (begin, end) = (part.from, part.to);
    let partition = &part.partition;
    if begin >= end {
        return Err(format!("--from {begin} is not before --to {end}"));
    }
    let mut spans = Vec::new();
    let mut reached = begin;
    let lost = |from: Position, to: Position| {
        let opened_ms = part.opened_ms.ok_or_else(|| {
            format!(
                "no object of {partition} [{from}, {to}) is left to tell when the span was opened: give --opened, and replay spans \
                 one by one if there were several"
            )
        })?;
        Ok::<_, String>(Planned {
            to,
            opened_ms,
            unreadable: None,
        })
    };
    for (&(from, to), objects) in known {
        if to <= begin || from >= end {
            continue;
        }
        if from < begin || to > end {
            return Err(format!(
                "{partition} [{from}, {to}) is one span: begin and end where spans do"
            ));
        }
        if from > reached {
            spans.push(lost(reached, from)?);
        }
        if from < reached {
            return Err(format!(
                "{partition} [{from}, {to}) overlaps another span: `alluvium verify` shows which"
            ));
        }
        let opened_ms = objects.opened_ms.or(part.opened_ms).ok_or_else(|| {
            format!("no object of {partition} [{from}, {to}) says when the span was opened: give --opened")
        })?;
        spans.push(Planned {
            to,
            opened_ms,
            unreadable: None,
        });
        reached = to;
    }
    if reached < end {
        spans.push(lost(reached, end)?);
    }
    Ok(spans)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(from: i64, to: i64, opened_ms: Option<i64>) -> Part {
        Part {
            partition: Partition::new("t", 0),
            from: Position::at(from),
            to: Position::at(to),
            opened_ms,
        }
    }

    fn ends(part: &Part) -> Result<Vec<(i64, i64)>, String> {
        let known = [((0, 4), 10), ((4, 9), 20), ((12, 15), 30)];
        let known = known.into_iter().map(|(ends, opened_ms)| {
            let objects = SpanObjects {
                opened_ms: Some(opened_ms),
                ..SpanObjects::default()
            };
            ((Position::at(ends.0), Position::at(ends.1)), objects)
        });
        let spans = spans(part, &known.collect())?;
        Ok(spans
            .iter()
            .map(|span| (span.to.offset(), span.opened_ms))
            .collect())
    }

    #[test]
    fn known_spans_keep_their_ends_and_times() {
        assert_eq!(ends(&part(0, 9, None)), Ok(vec![(4, 10), (9, 20)]));
        assert_eq!(ends(&part(4, 9, Some(7))), Ok(vec![(9, 20)]));
    }

    #[test]
    fn a_lost_span_needs_its_time() {
        assert!(ends(&part(4, 15, None)).unwrap_err().contains("--opened"));
        let all = ends(&part(4, 20, Some(7)));
        assert_eq!(all, Ok(vec![(9, 20), (12, 7), (15, 30), (20, 7)]));
    }

    #[test]
    fn spans_are_not_cut() {
        assert!(
            ends(&part(1, 9, Some(7)))
                .unwrap_err()
                .contains("[0, 4) is one span")
        );
        assert!(
            ends(&part(0, 8, Some(7)))
                .unwrap_err()
                .contains("[4, 9) is one span")
        );
        assert!(ends(&part(9, 9, None)).is_err());
    }
}
