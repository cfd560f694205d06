//! Whether a shard that seems to have ended, or to be gone, really has.

use super::super::{Child, Filter, Shard, StreamError};
use super::service::Service;

/// What the list of shards says of one.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Listed {
    /// It is written to.
    Open,
    /// It is closed, and these go on.
    Closed(Vec<Child>),
    /// It is not there.
    Gone,
}

impl Service {
    /// Looks the shard up in the list of shards.
    pub(super) async fn look_up(&self, shard: &str) -> Result<Listed, StreamError> {
        let shards = self.stream.list_shards(&Filter::All).await?;
        Ok(listed(&shards, shard))
    }
}

fn listed(shards: &[Shard], id: &str) -> Listed {
    match shards.iter().find(|shard| shard.id == id) {
        None => Listed::Gone,
        Some(shard) if !shard.closed => Listed::Open,
        Some(_) => {
            let is_child = |shard: &&Shard| shard.parents.iter().any(|parent| parent == id);
            let children = shards.iter().filter(is_child).map(|shard| Child {
                id: shard.id.clone(),
                parents: shard.parents.clone(),
                hash_range: shard.hash_range,
            });
            Listed::Closed(children.collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Sequence;
    use crate::source::kinesis::lease::HashRange;

    fn shard(id: &str, parents: &[&str], closed: bool) -> Shard {
        Shard {
            id: id.into(),
            parents: parents.iter().map(|&parent| parent.into()).collect(),
            hash_range: HashRange { start: 0, end: 9 },
            closed,
            first: Sequence::ZERO,
            last: closed.then_some(Sequence::ZERO),
        }
    }

    #[test]
    fn the_list_of_shards_says_who_goes_on() {
        let shards = [
            shard("a", &[], true),
            shard("b", &["a"], true),
            shard("c", &["a"], false),
            shard("d", &["b", "x"], false),
        ];
        let Listed::Closed(children) = listed(&shards, "a") else {
            panic!("a is closed")
        };
        let ids: Vec<_> = children.iter().map(|child| child.id.as_str()).collect();
        assert_eq!(ids, ["b", "c"]);
        assert_eq!(listed(&shards, "c"), Listed::Open);
        assert_eq!(listed(&shards, "x"), Listed::Gone);
    }
}
