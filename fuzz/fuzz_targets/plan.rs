#![no_main]

//! What stands beside checkpoints, and the words in it: whatever is read is written as it was.

use alluvium::deliver::Plan;
use alluvium::record::{Partition, PartitionId, Position, Sequence};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    if let Ok(sequence) = text.parse::<Sequence>() {
        assert_eq!(sequence.to_string(), text);
    }
    if let Ok(position) = text.parse::<Position>() {
        assert_eq!(position.to_string().parse(), Ok(position));
    }
    if let Ok(id) = text.parse::<PartitionId>() {
        assert_eq!(id.to_string(), text);
    }
    if let Ok(partition) = text.parse::<Partition>() {
        assert_eq!(partition.to_string().parse(), Ok(partition));
    }
    let shard = Position::in_shard(Sequence::ZERO, 0);
    for checkpoint in [Position::at(0), shard] {
        let Ok(Some(plan)) = Plan::read(text, checkpoint) else {
            continue;
        };
        let settings = plan.settings.as_deref().unwrap_or_default();
        let written = Plan::text(plan.print, &plan.spans, settings);
        let read = Plan::read(&written, checkpoint)
            .expect("readable")
            .expect("a plan");
        assert_eq!((read.print, &read.spans), (plan.print, &plan.spans));
    }
});
