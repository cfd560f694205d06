//! `alluvium verify`: takes stock of the target, asks the stream what it keeps, and judges.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::inventory::{Inventory, Look};
use super::tiles::{Kept, judge};
use super::{Report, Violation};
use crate::config::Loaded;
use crate::config::settings::Offset;
use crate::deliver::Plan;
use crate::record::{Partition, Position, Span};
use crate::registry::Targets;
use crate::run::{self, RunError};
use crate::source::kafka::{self, KafkaSettings};
use crate::source::{Checkpoint, SourceError};

/// Audits the target of this configuration. With `deep`, reads every object.
///
/// # Errors
/// [`RunError`] if the target or the stream does not answer, or the target keeps no objects.
pub async fn verify(loaded: &Loaded, targets: &Targets, deep: bool) -> Result<Report, RunError> {
    let settings = &loaded.settings;
    let place = targets.place(settings).await?;
    let kafka = run::kafka_settings(settings);
    let partitions = run::blocking(&kafka, kafka::partitions).await?;
    // Before the objects are listed, for what is committed by then must be among them; and again behind, for what was planned
    // and committed meanwhile may be.
    let asked = partitions.clone();
    let before = run::blocking(&kafka, move |kafka| Stream::ask(kafka, &asked)).await?;
    let look = Look {
        deep,
        repeats: settings.routing.duplicates.is_some(),
        ..Look::default()
    };
    let inventory = Inventory::take(&place, &partitions, &look).await?;
    let asked = partitions.clone();
    let after = run::blocking(&kafka, move |kafka| Stream::ask(kafka, &asked)).await?;
    let earliest = settings.kafka.offset == Offset::Earliest;
    let leaves_out = settings.routing.leaves_out();
    run::blocking(&kafka, move |kafka| {
        Ok(report(
            kafka,
            &partitions,
            (&before, &after),
            inventory,
            earliest,
            leaves_out,
            deep,
        ))
    })
    .await
}

/// How long the stream may take to tell whether there are records in a hole.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the stream keeps and has.
pub(super) struct Stream {
    checkpoints: HashMap<Partition, Checkpoint>,
    oldest: HashMap<Partition, Position>,
}

impl Stream {
    fn ask(kafka: &KafkaSettings, partitions: &[Partition]) -> Result<Self, SourceError> {
        Ok(Self {
            checkpoints: kafka::checkpoints(kafka, partitions)?,
            oldest: kafka::oldest(kafka, partitions)?,
        })
    }
}

fn report(
    kafka: &KafkaSettings,
    partitions: &[Partition],
    (before, after): (&Stream, &Stream),
    mut inventory: Inventory,
    earliest: bool,
    leaves_out: bool,
    deep: bool,
) -> Report {
    let mut report = Report {
        others: inventory.others,
        deep,
        ..Report::default()
    };
    let nothing = BTreeMap::new();
    for partition in partitions {
        let oldest = after.oldest.get(partition).copied();
        let mut kept = match before.checkpoints.get(partition) {
            Some(checkpoint) => kept(checkpoint, oldest.filter(|_| earliest)),
            None => Kept::default(),
        };
        for stream in [before, after] {
            let Some(checkpoint) = stream.checkpoints.get(partition) else {
                continue;
            };
            match Plan::read(&checkpoint.note, checkpoint.position) {
                Ok(plan) => kept.may_be(checkpoint.position, plan.as_ref()),
                Err(error) => report.violations.push(Violation::Plan {
                    partition: partition.clone(),
                    why: error.to_string(),
                }),
            }
        }
        let spans = inventory.spans.get(partition).unwrap_or(&nothing);
        let (sums, holes, violations) = judge(partition, spans, &kept);
        report.partitions.push(sums);
        report.violations.extend(violations);
        for (from, to) in holes {
            let span = Span {
                partition: partition.clone(),
                from: Position::at(from),
                to: Position::at(to),
            };
            report
                .violations
                .extend(hole(kafka, span, oldest, leaves_out));
        }
    }
    report.violations.dedup();
    report.violations.append(&mut inventory.violations);
    report
}

fn kept(checkpoint: &Checkpoint, begin: Option<Position>) -> Kept {
    Kept {
        checkpoint: Some(checkpoint.position.offset()),
        begin: begin
            .map(Position::offset)
            .filter(|begin| *begin < checkpoint.position.offset()),
        ..Kept::default()
    }
}

/// Positions without an object are right if there is no record in them: compaction and transactions leave such. And if records
/// are left out of the target, a span may have had no others.
fn hole(
    kafka: &KafkaSettings,
    span: Span,
    oldest: Option<Position>,
    leaves_out: bool,
) -> Option<Violation> {
    if leaves_out {
        return None;
    }
    if oldest.is_none_or(|oldest| span.from < oldest) {
        let why = "the topic does not retain them any more".into();
        return Some(Violation::Unknown { span, why });
    }
    match kafka::is_gap(kafka, &span.partition, span.from, span.to, PATIENCE) {
        Ok(true) => None,
        Ok(false) => Some(Violation::Missing { span }),
        Err(error) => Some(Violation::Unknown {
            span,
            why: error.to_string(),
        }),
    }
}
