//! What is done once a second, between two polls.
//!
//! Owns no question to the cluster: lag is what the brokers have said of ends with the records.

use std::time::{Duration, Instant};

use super::{KafkaSource, native};

impl KafkaSource {
    /// Does it, if a second has passed.
    pub(super) fn each_second(&mut self) {
        let now = Instant::now();
        if now < self.each_second_after {
            return;
        }
        self.each_second_after = now + Duration::from_secs(1);
        // A partition that nobody follows would stand still for good.
        self.messages.refollow();
        self.publish_lag();
    }

    /// Publishes how far behind each partition is, as far as its broker has told.
    fn publish_lag(&self) {
        for (_, assigned) in self.slots.iter() {
            let partition = &assigned.partition;
            if let Some(end) = native::end(&self.consumer, partition) {
                self.metrics
                    .lag
                    .with_label_values(&[partition.topic(), &partition.number().to_string()])
                    .set((end - assigned.next.offset()).max(0));
            }
        }
    }
}
