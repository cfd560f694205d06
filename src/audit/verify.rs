//! `alluvium verify`: takes stock of the target, asks the stream what it keeps, and judges.

use std::collections::{BTreeMap, HashMap};

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
    // Before the objects are listed: what is committed by then must be among them.
    let asked = partitions.clone();
    let stream = run::blocking(&kafka, move |kafka| Stream::ask(kafka, &asked)).await?;
    let look = Look { deep, keys: false };
    let inventory = Inventory::take(&place, &partitions, look).await?;
    let earliest = settings.kafka.offset == Offset::Earliest;
    run::blocking(&kafka, move |kafka| {
        Ok(report(
            kafka,
            &partitions,
            &stream,
            inventory,
            earliest,
            deep,
        ))
    })
    .await
}

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
    stream: &Stream,
    mut inventory: Inventory,
    earliest: bool,
    deep: bool,
) -> Report {
    let mut report = Report {
        others: inventory.others,
        deep,
        ..Report::default()
    };
    let nothing = BTreeMap::new();
    for partition in partitions {
        let oldest = stream.oldest.get(partition).copied();
        let kept = match stream.checkpoints.get(partition) {
            Some(checkpoint) => kept(checkpoint, oldest.filter(|_| earliest)),
            None => Kept::default(),
        };
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
            report.violations.extend(hole(kafka, span, oldest));
        }
    }
    report.violations.append(&mut inventory.violations);
    report
}

fn kept(checkpoint: &Checkpoint, begin: Option<Position>) -> Kept {
    let plan = Plan::read(&checkpoint.note, checkpoint.position);
    let spans = plan
        .ok()
        .flatten()
        .map(|plan| plan.spans)
        .unwrap_or_default();
    Kept {
        checkpoint: Some(checkpoint.position.offset()),
        planned: spans.iter().map(|span| span.to.offset()).collect(),
        begin: begin
            .map(Position::offset)
            .filter(|begin| *begin < checkpoint.position.offset()),
    }
}

/// Positions without an object are right if there is no record in them: compaction and transactions leave such.
fn hole(kafka: &KafkaSettings, span: Span, oldest: Option<Position>) -> Option<Violation> {
    if oldest.is_none_or(|oldest| span.from < oldest) {
        let why = "the topic does not retain them any more".into();
        return Some(Violation::Unknown { span, why });
    }
    match kafka::is_gap(kafka, &span.partition, span.from, span.to) {
        Ok(true) => None,
        Ok(false) => Some(Violation::Missing { span }),
        Err(error) => Some(Violation::Unknown {
            span,
            why: error.to_string(),
        }),
    }
}
