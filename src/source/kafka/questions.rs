//! Questions that are asked of a cluster outside of any group: what partitions there are, where they begin and end, what is stored for
//! them. All of them block.

use std::collections::HashMap;
use std::time::Duration;

use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::topic_partition_list::Offset;

use super::client::{TIMEOUT, list_of, noted, offsets, offsets_within, outsider, plain_client};
use super::{KafkaSettings, asks};
use crate::record::{Partition, Position};
use crate::source::{Checkpoint, SourceError};

/// The partitions that the configured topics have now.
///
/// # Errors
/// [`SourceError::Unavailable`] if no broker answers.
pub fn partitions(settings: &KafkaSettings) -> Result<Vec<Partition>, SourceError> {
    let client = plain_client(settings)?;
    let topics = &settings.topics;
    let patterns = topics
        .iter()
        .filter(|topic| topic.starts_with('^'))
        .map(|pattern| regex::Regex::new(pattern))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| SourceError::Misconfigured(format!("kafka.topic: {error}")))?;
    // All topics at once: asking for one by name may create it.
    let metadata = client.fetch_metadata(None, TIMEOUT).map_err(|error| {
        let nodes = settings.nodes.join(", ");
        SourceError::Unavailable(format!("cannot list the topics of {nodes}: {error}"))
    })?;
    let mut found = Vec::new();
    for topic in metadata.topics() {
        let name = topic.name();
        let wanted = topics.iter().any(|wanted| wanted == name)
            || patterns.iter().any(|pattern| pattern.is_match(name));
        if wanted {
            found.extend(
                topic
                    .partitions()
                    .iter()
                    .map(|p| Partition::new(name, p.id())),
            );
        }
    }
    Ok(found)
}

/// The end of each partition now: the position behind its last record.
///
/// # Errors
/// [`SourceError::Unavailable`] if a broker does not answer.
pub fn ends(
    settings: &KafkaSettings,
    partitions: &[Partition],
) -> Result<HashMap<Partition, Position>, SourceError> {
    positions(settings, partitions, Offset::End)
}

/// The oldest position that each partition retains.
///
/// # Errors
/// [`SourceError::Unavailable`] if a broker does not answer.
pub fn oldest(
    settings: &KafkaSettings,
    partitions: &[Partition],
) -> Result<HashMap<Partition, Position>, SourceError> {
    positions(settings, partitions, Offset::Beginning)
}

fn positions(
    settings: &KafkaSettings,
    partitions: &[Partition],
    which: Offset,
) -> Result<HashMap<Partition, Position>, SourceError> {
    let client = plain_client(settings)?;
    let answers = offsets(&client, list_of(partitions.iter().map(|p| (p, which)))?)?;
    Ok(partitions
        .iter()
        .filter_map(|partition| {
            let offset = answers.get(&(partition.topic().to_owned(), partition.number()))?;
            Some((partition.clone(), Position::at(*offset)))
        })
        .collect())
}

/// The checkpoints the group has; partitions without one are left out.
///
/// # Errors
/// [`SourceError::Unavailable`] if the group's coordinator does not answer.
pub fn checkpoints(
    settings: &KafkaSettings,
    partitions: &[Partition],
) -> Result<HashMap<Partition, Checkpoint>, SourceError> {
    asks::checkpoints_of(&outsider(settings, &[])?, partitions)
}

/// Stores checkpoints for a group without members: brokers refuse them while it has any.
///
/// # Errors
/// [`SourceError::Unavailable`] with the broker's reason.
pub fn store(
    settings: &KafkaSettings,
    checkpoints: &[(Partition, Checkpoint)],
) -> Result<(), SourceError> {
    let client = outsider(settings, &[])?;
    let list = noted(
        checkpoints
            .iter()
            .map(|(partition, checkpoint)| (partition, checkpoint)),
    )?;
    client.commit(&list, CommitMode::Sync).map_err(|error| {
        let group = &settings.group_id;
        SourceError::Unavailable(format!(
            "group {group} takes no checkpoint from outside ({error}): stop all copies; one that was killed counts as a member \
             until kafka.session.timeout.ms has passed"
        ))
    })
}

/// Whether the partition has no readable record in `[from, end)`, found out within `patience`.
///
/// That a partition seems to end says nothing if it seems to end before `end`: a new leader may not know yet how far its
/// partition goes.
///
/// # Errors
/// [`SourceError::Unavailable`] if that cannot be told.
pub fn is_gap(
    settings: &KafkaSettings,
    partition: &Partition,
    from: Position,
    end: Position,
    patience: Duration,
) -> Result<bool, SourceError> {
    let client = outsider(settings, &[("enable.partition.eof", "true")])?;
    let reaches_end = || {
        let list = list_of([(partition, Offset::End)])?;
        let ends = offsets_within(&client, list, patience)?;
        Ok::<_, SourceError>(ends.values().all(|high| *high >= end.offset()))
    };
    let list = list_of([(partition, Offset::Offset(from.offset()))])?;
    if !reaches_end()? {
        return Err(SourceError::Unavailable(format!(
            "{partition} ends before {end} as its leader tells"
        )));
    }
    client
        .assign(&list)
        .map_err(|error| SourceError::Unavailable(error.to_string()))?;
    let asked = std::time::Instant::now();
    while asked.elapsed() < patience {
        match client.poll(Duration::from_millis(50)) {
            None => {}
            Some(Ok(message)) => return Ok(message.offset() >= end.offset()),
            Some(Err(KafkaError::PartitionEOF(_))) => return reaches_end(),
            Some(Err(error)) => tracing::debug!(%partition, %error, "looking for the end"),
        }
    }
    Err(SourceError::Unavailable(format!(
        "{partition}: no answer from its broker"
    )))
}
