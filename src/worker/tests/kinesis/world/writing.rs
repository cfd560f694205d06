//! Who writes to the stream.

use super::super::target::{REFUSED, UNWELCOME};
use super::World;
use crate::source::kinesis::aggregate::written::aggregate;

impl World {
    pub(super) fn write(&mut self) {
        for _ in 0..self.random.range(1, 12) {
            let hash = u128::from(self.random.next()) << 64 | u128::from(self.random.next());
            if !self.random.chance(2500) {
                self.write_one(hash);
                continue;
            }
            // Another hash key in an aggregate may be of another shard after a reshard.
            let apart = self.random.chance(2000);
            let hashes: Vec<u128> = (0..self.random.range(1, 9))
                .map(|nth| {
                    if apart && nth > 0 {
                        u128::MAX - hash
                    } else {
                        hash
                    }
                })
                .collect();
            self.write_aggregate(&hashes);
        }
    }

    fn write_one(&mut self, hash: u128) {
        let number = self.next;
        let data = self.event();
        let put = self.services.stream.put(hash, "k", data.as_bytes());
        let now = self.now_ms();
        self.written.note(put, std::iter::once(number), now);
    }

    fn write_aggregate(&mut self, hashes: &[u128]) {
        let open = self.services.stream.open();
        let within = |hash: &u128| {
            let shard = open.iter().find(|shard| {
                shard.hash_range.start <= hashes[0] && hashes[0] <= shard.hash_range.end
            });
            shard.is_some_and(|shard| {
                shard.hash_range.start <= *hash && *hash <= shard.hash_range.end
            })
        };
        // The producer sends the records of an aggregate again one by one if some of them belong elsewhere.
        let whole = hashes.iter().all(within);
        let begin = self.next;
        let users: Vec<(String, String)> = hashes
            .iter()
            .map(|hash| (self.event(), hash.to_string()))
            .collect();
        let users: Vec<_> = users
            .iter()
            .map(|(data, hash)| ("k", Some(hash.as_str()), data.as_bytes()))
            .collect();
        let put = self.services.stream.put(hashes[0], "a", &aggregate(&users));
        self.count(if whole {
            "aggregates"
        } else {
            "aggregates cut"
        });
        if whole {
            let now = self.now_ms();
            self.written.note(put, begin..self.next, now);
            return;
        }
        self.next = begin;
        for hash in hashes {
            self.write_one(*hash);
        }
    }

    fn event(&mut self) -> String {
        let number = self.next;
        self.next += 1;
        let collection = match self.refusals && self.random.chance(200) {
            true => self.random.pick(&[UNWELCOME, REFUSED]),
            false => "t",
        };
        format!(r#"{{"c":"{collection}","n":{number}}}"#)
    }
}
