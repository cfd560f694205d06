//! What KCL 3.x keeps beside the leases: who leads, which version's ways its workers follow, how busy they are.
//!
//! Up to 3.4 that is in tables of their own, from 3.5 on also in the lease table, in rows that name their kind. Only read here.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Once;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::types::AttributeValue;

use super::super::codec::Item;
use super::failure::Doing;
use crate::source::kinesis::lease::{Coordinator, LeaseError};

/// The attribute that says whose ways are followed.
const VERSION: &str = "cv";
/// Those of 3.x, where a leader assigns leases. `CLIENT_VERSION_2X` and `CLIENT_VERSION_UPGRADE_FROM_2X` are workers of 3.x that take
/// leases as 2.x does.
const ASSIGNS: [&str; 2] = ["CLIENT_VERSION_3X", "CLIENT_VERSION_3X_WITH_ROLLBACK"];

/// Adds the rows of the table `coordinator`, if there is one.
pub(super) async fn find(
    client: &Client,
    coordinator: &str,
    rows: &mut Vec<Item>,
) -> Result<(), LeaseError> {
    let doing = Doing {
        what: "scan",
        key: None,
        table: coordinator,
    };
    let scanned = client
        .scan()
        .table_name(coordinator)
        .consistent_read(true)
        .send()
        .await;
    match scanned {
        // A handful of rows: never more than a page.
        Ok(found) => rows.extend(found.items.unwrap_or_default()),
        Err(error) => match error.as_service_error() {
            Some(service) if service.is_resource_not_found_exception() => {}
            // Rights that are enough for 2.x say nothing of this table. Then what is left is what the leases themselves show.
            _ if error.code() == Some("AccessDeniedException") => {
                static TOLD: Once = Once::new();
                TOLD.call_once(|| {
                    tracing::warn!(
                        table = coordinator,
                        "kinesis: no right to look for a fleet of KCL 3.x (dynamodb:Scan): up to version 3.4, one that is alive would not be \
                         recognised, and its leases taken"
                    );
                });
            }
            _ => return Err(doing.failed(&error)),
        },
    }
    Ok(())
}

/// What these rows, none of them a lease, come to.
pub(super) fn coordinator(rows: &[Item]) -> Option<Coordinator> {
    if rows.is_empty() {
        return None;
    }
    let assigns = rows.iter().any(|row| {
        let version = row.get(VERSION).and_then(|value| value.as_s().ok());
        version.is_some_and(|version| ASSIGNS.contains(&version.as_str()))
    });
    // In any order they may have come in.
    let print = rows
        .iter()
        .fold(0, |sum: u64, row| sum.wrapping_add(print(row)));
    Some(Coordinator { assigns, print })
}

fn print(row: &Item) -> u64 {
    let mut hasher = DefaultHasher::new();
    hash_map(row, &mut hasher);
    hasher.finish()
}

/// The same for the same attributes: a map has another order each time it comes in, and rows hold maps within maps.
fn hash_map(map: &HashMap<String, AttributeValue>, hasher: &mut DefaultHasher) {
    let sorted: BTreeMap<&String, &AttributeValue> = map.iter().collect();
    for (name, value) in sorted {
        name.hash(hasher);
        hash_value(value, hasher);
    }
}

fn hash_value(value: &AttributeValue, hasher: &mut DefaultHasher) {
    match value {
        AttributeValue::M(map) => hash_map(map, hasher),
        AttributeValue::L(list) => list.iter().for_each(|value| hash_value(value, hasher)),
        value => format!("{value:?}").hash(hasher),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_have_not_changed_look_the_same() {
        let text = |text: &str| AttributeValue::S(text.into());
        let row = |last: &str| {
            let state = (0..20).map(|n| (n.to_string(), text(if n == 7 { last } else { "x" })));
            let state = AttributeValue::M(state.collect());
            let history = AttributeValue::L(vec![state.clone()]);
            HashMap::from([("state".to_owned(), state), ("history".into(), history)])
        };
        assert_eq!(print(&row("a")), print(&row("a")));
        assert_ne!(print(&row("a")), print(&row("b")));
    }
}
